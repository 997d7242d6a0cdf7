/**
 * Whether the bytes now being handed around are still needed after the handing. Socket reads go into a buffer that is
 * used again for the next read, so every chunk is borrowed; whoever keeps one (a queue; a socket write that did not
 * flush at once) says so here, and the reader takes a new buffer instead. One flag a thread: reads never nest.
 */
export const currentRead = { kept: false };

/** Call while a chunk is being delivered, to keep it (without copying) for longer than the call. */
export function keepRead(): void {
  currentRead.kept = true;
}
