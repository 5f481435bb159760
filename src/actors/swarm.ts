import { assertNever } from '../domain/assert-never.js';
import type { Clock } from '../domain/clock.js';
import type { Result } from '../domain/result.js';
import type { EncodeTurns } from '../network/encode-turns.js';
import type { MonitorPeer, MonitorRequest } from '../network/node-plan.js';
import { MONITOR_COMMAND, SwarmMonitor, type SwarmMonitorDeps } from '../network/swarm-monitor.js';
import type { RequestError } from '../oxenmq/port.js';
import type { Actor, ActorSystem } from './spawn.js';

export type SwarmMessage =
  | { readonly kind: 'node-up'; readonly peer: MonitorPeer }
  | { readonly kind: 'node-down'; readonly peer: MonitorPeer }
  /** The node is of another swarm now, or of none. */
  | { readonly kind: 'node-removed'; readonly peer: MonitorPeer }
  /** New accounts, or such with new entries: at once. */
  | { readonly kind: 'accounts-changed'; readonly slots: Int32Array }
  /** Accounts to be renewed, or moved here. */
  | { readonly kind: 'accounts-due'; readonly slots: Int32Array }
  | {
      readonly kind: 'replied';
      readonly request: MonitorRequest;
      readonly result: Result<readonly Buffer[], RequestError>;
    }
  /** It is this swarm's turn to encode a large request. */
  | { readonly kind: 'turn' }
  /** The pause of a node has ended, or accounts have stopped moving: look again what can be sent. */
  | { readonly kind: 'wake' };

export interface SwarmActor {
  tell(message: SwarmMessage): boolean;
  stop(): Promise<void>;
}

export interface SwarmActorDeps extends SwarmMonitorDeps {
  readonly system: ActorSystem;
  readonly clock: Clock;
  readonly turns: EncodeTurns;
  readonly requestTimeoutMs: number;
}

/** Owns the plan of one swarm: feeds it what happens, and sends what it wants sent. */
export function spawnSwarmActor(deps: SwarmActorDeps): SwarmActor {
  let isTurnAsked = false;
  let wakeTimer: NodeJS.Timeout | null = null;
  let wakeAtMs = Infinity;

  const handle = (monitor: SwarmMonitor, message: SwarmMessage): SwarmMonitor => {
    if (message.kind === 'turn') isTurnAsked = false;
    if (message.kind === 'wake') forgetWake();
    try {
      apply(monitor, message, deps.clock.nowMs());
    } finally {
      // Also after a fault, or the swarm would stand still until the next message.
      sendWhatIsDue(monitor, message.kind === 'turn');
    }
    return monitor;
  };

  function sendWhatIsDue(monitor: SwarmMonitor, mayEncodeBulk: boolean): void {
    const now = deps.clock.nowMs();
    for (const request of monitor.take(now, mayEncodeBulk)) void send(request);
    if (monitor.wantsTurn) askForTurn();
    scheduleWake(monitor, now);
  }

  const actor: Actor<SwarmMessage> = deps.system.spawn<SwarmMessage, SwarmMonitor>({
    name: deps.swarm.name,
    kind: 'swarm',
    initial: new SwarmMonitor(deps),
    handle,
  });

  async function send(request: MonitorRequest): Promise<void> {
    let result: Result<readonly Buffer[], RequestError>;
    try {
      const { peer } = request.plan;
      result = await peer.request(MONITOR_COMMAND, [request.encoded.bytes], deps.requestTimeoutMs);
    } catch {
      // A fault of the transport must not leave the node in flight for ever.
      result = { ok: false, error: { kind: 'unavailable' } };
    }
    actor.tell({ kind: 'replied', request, result });
  }

  function askForTurn(): void {
    if (isTurnAsked) return;
    isTurnAsked = true;
    deps.turns.request(Math.min(deps.swarm.count, deps.pageAccounts), () => actor.tell({ kind: 'turn' }));
  }

  function forgetWake(): void {
    if (wakeTimer !== null) clearTimeout(wakeTimer);
    wakeAtMs = Infinity;
  }

  function scheduleWake(monitor: SwarmMonitor, nowMs: number): void {
    const next = monitor.nextWakeMs(nowMs);
    if (next === null || next >= wakeAtMs || actor.isStopped) return;
    forgetWake();
    wakeAtMs = next;
    wakeTimer = setTimeout(() => actor.tell({ kind: 'wake' }), Math.max(next - nowMs, 1));
  }

  return {
    tell: (message) => actor.tell(message),
    stop: async () => {
      await actor.stop();
      forgetWake();
    },
  };
}

function apply(monitor: SwarmMonitor, message: SwarmMessage, nowMs: number): void {
  switch (message.kind) {
    case 'node-up':
      monitor.nodeUp(message.peer);
      return;
    case 'node-down':
      monitor.nodeDown(message.peer);
      return;
    case 'node-removed':
      monitor.removeNode(message.peer);
      return;
    case 'accounts-changed':
      monitor.accountsChanged(message.slots);
      return;
    case 'accounts-due':
      monitor.accountsDue(message.slots);
      return;
    case 'replied':
      monitor.replied(message.request, message.result, nowMs);
      return;
    case 'turn':
    case 'wake':
      return;
    default:
      assertNever(message);
  }
}
