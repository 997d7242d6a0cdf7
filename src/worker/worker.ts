// One data-plane worker thread: a DataPlane behind messages (see worker-protocol.ts).
import { parentPort, workerData } from 'node:worker_threads';
import { DataPlane } from './data-plane.ts';
import { HostSetDecoder } from './host-set-codec.ts';
import { giveBackMemory } from '../lib/give-back-memory.ts';
import { SharedCells } from '../lib/shared-cells.ts';
import { ProcessLog } from '../telemetry/log.ts';
import { ThreadStats } from '../telemetry/stats/arena.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts';

const port = parentPort!;
const { index, settings, sharedChunks } = workerData as WorkerStart;
const post = (message: FromWorker): void => port.postMessage(message);

const stats = new ThreadStats(() =>
  setImmediate(() => post({ type: 'stats', registrations: stats.drainRegistrations() })),
);
const dataPlane = new DataPlane(index, settings, {
  stats,
  shared: new SharedCells(sharedChunks, settings.concurrency),
  log: new ProcessLog(settings.log),
});

const hostSets = new HostSetDecoder();
let hasConfig = false;

const answer = (call: number, work: Promise<unknown>): void => {
  work.then(
    (result) => post({ type: 'done', call, result }),
    (error: unknown) => post({ type: 'failed', call, message: error instanceof Error ? error.message : String(error) }),
  );
};

const onApplied = (): void => {
  if (!hasConfig) giveBackMemory();
  hasConfig = true;
};

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'apply':
      answer(message.call, dataPlane.apply(hostSets.decode(message.delta), message.bound).finally(onApplied));
      break;
    case 'drain':
      answer(message.call, dataPlane.drain(message.request));
      break;
    case 'connection-count':
      answer(message.call, dataPlane.connectionCount());
      break;
    case 'health-check':
      dataPlane.setHealthCheckFailing(message.failing);
      break;
    case 'log-level':
      dataPlane.setLogLevel(message.level, message.component);
      break;
    case 'reopen-logs':
      dataPlane.reopenLogs();
      break;
    case 'shared-chunk':
      dataPlane.addSharedChunk(message.chunk);
      break;
    case 'close':
      answer(message.call, dataPlane.close());
      break;
  }
});
post({ type: 'ready' });
