import type { NotifierActor } from './notifier-contract.js';

/** For operators: how every notifier is doing, by service name. Plain JSON; holds no tokens and no settings. */
export function reportNotifiers(actors: ReadonlyMap<string, NotifierActor>): Record<string, unknown> {
  return Object.fromEntries([...actors].map(([service, actor]) => [service, reportOf(actor)]));
}

function reportOf(actor: NotifierActor): Record<string, unknown> {
  const { type, capabilities } = actor.notifier;
  const { pausedUntilMs, ...status } = actor.status();
  return {
    type,
    health: actor.notifier.health(),
    ...status,
    pausedUntil: pausedUntilMs === null ? null : new Date(pausedUntilMs).toISOString(),
    capabilities,
  };
}
