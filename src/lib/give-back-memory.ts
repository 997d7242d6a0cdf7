import { getHeapStatistics } from 'node:v8';

/** Above this many bytes a collection takes longer than what it gives back is worth. */
const LARGE_HEAP = 64 * 1024 * 1024;
/** Until what follows from having started is over. */
const SETTLE_MS = 500;

/**
 * Has this thread, when it has started, collect its garbage soon, and give the pages that it had grown to back to the
 * system, which V8 doesn't do for an idle thread. That blocks the thread for 10 to 40 ms. Does nothing unless Node.js
 * runs with `--expose-gc`, as bin/outrigger has it, or when the heap is large by then.
 */
export function giveBackMemory(): void {
  if (globalThis.gc === undefined) return;
  setTimeout(() => {
    if (getHeapStatistics().used_heap_size > LARGE_HEAP) return;
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, SETTLE_MS).unref();
}
