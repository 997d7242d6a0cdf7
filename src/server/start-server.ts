import { AppProcess } from '../cli/app-process.ts';
import type { ServerStart } from '../cli/run.ts';
import type { Problem } from '../config/problem.ts';
import { giveBackMemory } from '../lib/give-back-memory.ts';
import { Server } from './server.ts';

/**
 * Starts the proxy for the command line: signals and the end of the process are the server's from then on. With an
 * application to run beside it, signals are the application's while it runs, and its end is the server's.
 */
export async function startServer(start: ServerStart): Promise<readonly Problem[]> {
  const { server, problems } = await Server.start(start);
  if (server === undefined) return problems;
  const { log, app: command } = start;
  let app: AppProcess | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      // Ctrl-C has gone to the application already.
      if (app !== undefined && (signal !== 'SIGINT' || !process.stdin.isTTY)) return app.signal(signal);
      if (app !== undefined) return;
      log.warn('main', `caught ${signal}`);
      void server.shutDown();
    });
  process.on('SIGUSR1', () => server.reopenLogs());
  process.on('SIGHUP', () => {
    if (app !== undefined) return app.signal('SIGHUP');
    log.warn('main', 'caught and eating SIGHUP. See documentation for how to hot restart.');
  });
  void server.stopped.then(async () => {
    if (app !== undefined) {
      app.signal('SIGTERM');
      process.exitCode = await app.ended;
    }
    process.exit(process.exitCode ?? 0);
  });
  void server.initialized.then((failures) => {
    giveBackMemory();
    for (const { message } of failures) log.critical('main', message);
    if (failures.length > 0) {
      process.exitCode = 1;
      void server.close();
    } else if (command !== undefined && !server.isEnding) {
      app = new AppProcess(command, (message) => log.critical('main', message));
      for (const signal of ['SIGQUIT', 'SIGUSR2'] as const) process.on(signal, () => app?.signal(signal));
      void app.ended.then((status) => {
        app = undefined;
        process.exitCode = status;
        // Requests in flight may finish behind it.
        return server.shutDown();
      });
    }
  });
  return problems;
}
