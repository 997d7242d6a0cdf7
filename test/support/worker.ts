import { SeededRandom } from '../../src/lib/random.ts';
import { SharedCells } from '../../src/lib/shared-cells.ts';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import type { WorkerContext } from '../../src/proxy/worker-context.ts';
import type { FormatContext } from '../../src/telemetry/access-log/access-log.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import type { Clock } from '../../src/lib/clock.ts';

/** What is logged, with the values that later calls would change. */
export interface LoggedLine {
  readonly flags: number;
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** A worker with nothing in it but its own parts. */
export class TestWorker {
  readonly stats = new ThreadStats();
  readonly logged: LoggedLine[] = [];
  readonly errors: string[] = [];
  readonly runtime = new Map<string, number>();
  readonly context: WorkerContext;

  constructor(clock: Clock) {
    this.context = {
      index: 0,
      dispatcher: new Dispatcher(clock),
      random: new SeededRandom(1),
      stats: this.stats,
      shared: new SharedCells(),
      clusters: { get: () => undefined },
      runtime: {
        getNumber: (key, defaultValue) => this.runtime.get(key) ?? defaultValue,
        getBoolean: (_, defaultValue) => defaultValue,
        getString: () => undefined,
        featureEnabled: () => true,
      },
      node: { id: 'node-id', cluster: 'node-cluster', zone: '' },
      accessLogs: {
        create: () => ({
          log: ({ info }: FormatContext) => {
            const { flags, responseCodeDetails: details, bytesReceived, bytesSent } = info;
            this.logged.push({ flags, details, bytesReceived, bytesSent });
          },
        }),
      },
      log: {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: (component, message) => void this.errors.push(`${component}: ${message}`),
      },
    };
  }
}
