import { ConfigurationError } from '../config/problem.js';
import { describeFailure } from '../lifecycle/describe-failure.js';
import { runUntilStopped } from '../lifecycle/signals.js';
import { createLog } from '../telemetry/log.js';
import { parseArguments } from './arguments.js';
import { exitCodes, type App, type Command, type World } from './command.js';
import { operatorMessage } from './operator-message.js';
import { CONFIG_HELP, configOptions, readConfig } from './read-config.js';

/** What closing may take beyond the drain: the outbox's last write, connections, the database. */
const CLOSE_LIMIT_MS = 30_000;

export const serve: Command = {
  name: 'serve',
  summary: 'run the server',
  help: `waggle serve [--config FILE] [--SECTION.KEY VALUE]...

${CONFIG_HELP}

Prints "http listening on http://HOST:PORT" when clients are served. The first SIGTERM or SIGINT stops in order
(shutdown.drainSeconds), a second one at once.

  waggle serve --config /etc/waggle/waggle.yaml
  waggle serve --http.port 0 --log.level debug
  WAGGLE_DATABASE__URL=file:/run/secrets/database waggle serve`,
  run: runServe,
};

async function runServe(argv: readonly string[], world: World): Promise<number> {
  const parsed = parseArguments(argv, configOptions, true);
  if (!parsed.ok) {
    world.complain(`waggle serve: ${parsed.error}`);
    return exitCodes.usage;
  }
  const config = readConfig(parsed.value, world);
  if (config === null) return exitCodes.configuration;

  const log = createLog(config.log);
  try {
    return await runUntilStopped<App>({
      events: world.events,
      log,
      start: async () => (await world.loadApp())(config, { log }),
      onStarted: ({ httpAddress }) => world.print(`http listening on ${withScheme(httpAddress)}`),
      exitNow: world.exitNow,
      stopLimitMs: config.shutdown.drainSeconds * 1000 + CLOSE_LIMIT_MS,
    });
  } catch (error) {
    if (error instanceof ConfigurationError) {
      for (const line of error.message.split('\n')) world.complain(`error: ${line}`);
      return exitCodes.configuration;
    }
    const message = operatorMessage(error);
    log.fatal({ failure: { ...describeFailure(error), message } }, 'cannot start');
    world.complain(`waggle: cannot start: ${message}`);
    return exitCodes.failure;
  }
}

const withScheme = (address: string): string =>
  /^https?:\/\//.test(address) ? address : `http://${address}`;
