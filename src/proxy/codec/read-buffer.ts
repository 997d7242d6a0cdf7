import type { ConnectionOutput } from './connection-io.ts';

/**
 * Who still needs the bytes that are now being handed around. Socket reads go into a buffer that is used again for the
 * next read, so every chunk is borrowed. Whoever keeps one says so here, and the reader goes on with another buffer:
 * `keepRead` for good, a socket that could not write it at once until it has (`SocketWrites`).
 * One record a thread: reads never nest.
 */
export const currentRead: {
  kept: boolean;
  /** What the bytes are in, if they are to come back. */
  buffer: ReadBuffer | undefined;
  /** The same as `kept`, of the last `writeOther`. */
  otherKept: boolean;
} = { kept: false, buffer: undefined, otherKept: false };

/** Call while a chunk is being delivered, to keep it (without copying) for longer than the call. */
export function keepRead(): void {
  currentRead.kept = true;
  currentRead.buffer?.lose();
}

/** Writes what isn't of the current read. */
export function writeOther(output: ConnectionOutput, bytes: Buffer): boolean {
  const { kept, buffer } = currentRead;
  currentRead.kept = false;
  currentRead.buffer = undefined;
  const accepted = output.write(bytes);
  currentRead.otherKept = currentRead.kept;
  currentRead.kept = kept;
  currentRead.buffer = buffer;
  return accepted;
}

/** For sockets that have little to say. */
const SMALL = 64 * 1024;
/** For those whose reads fill the small one: fewer system calls, while still within a core's cache. */
const LARGE = 256 * 1024;
/** As many short reads in a row end the use of a large buffer. */
const SHORT_READS = 16;
/** Large buffers that a thread has at most. */
const MAX_LARGE = 64;
/** Buffers of each size that wait for their next use. */
const MAX_SPARE = 16;
const spareSmall: ReadBuffer[] = [];
const spareLarge: ReadBuffer[] = [];
/** Large ones, those that are lost not counted. */
let large = 0;

/** Memory that a socket is read into. It comes back once nobody needs what was read into it. */
export class ReadBuffer {
  readonly bytes: Buffer;
  #reading = true;
  /** Sockets that have yet to write some of it. */
  #writers = 0;
  /** Somebody keeps some of it, and won't tell for how long. */
  #lost = false;
  #shortReads = 0;
  readonly #own: boolean;

  /** `own`: the memory of one chunk only, to be freed after its use. */
  constructor(bytes: Buffer, own: boolean) {
    this.bytes = bytes;
    this.#own = own;
  }

  lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    if (this.bytes.length === LARGE && !this.#own) large--;
  }

  hold(): void {
    this.#writers++;
  }

  release(): void {
    this.#writers--;
    this.#recycle();
  }

  /** The reader takes another one. */
  letGo(): void {
    this.#reading = false;
    this.#recycle();
  }

  #recycle(): void {
    if (this.#reading || this.#writers > 0 || this.#lost) return;
    // Left to the collector, which counts it as the heap's, every 64 MiB would cost a full collection.
    if (this.#own) (this.bytes.buffer as ArrayBuffer).transfer(0);
    else {
      const { length } = this.bytes;
      const others = length === LARGE ? spareLarge : spareSmall;
      this.#reading = true;
      this.#shortReads = 0;
      if (others.length < MAX_SPARE) others.push(this);
      else if (length === LARGE) large--;
    }
  }

  /** What the next read goes into: this one again, if nothing of the last read, of `size` bytes, was kept. */
  next(size: number): ReadBuffer {
    const { length } = this.bytes;
    let wanted = length;
    if (size === length) wanted = LARGE;
    if (size >= SMALL / 2) this.#shortReads = 0;
    else if (++this.#shortReads >= SHORT_READS) wanted = SMALL;
    if (!currentRead.kept && (wanted === length || (wanted === LARGE && large >= MAX_LARGE))) return this;
    const next = ReadBuffer.take(wanted);
    next.#shortReads = this.#shortReads;
    this.letGo();
    return next;
  }

  /** For a new socket, or the next read. */
  static take(length = SMALL): ReadBuffer {
    const found = (length === LARGE ? spareLarge : spareSmall).pop();
    if (found !== undefined) return found;
    if (length === LARGE && large >= MAX_LARGE) return ReadBuffer.take(SMALL);
    if (length === LARGE) large++;
    return new ReadBuffer(Buffer.allocUnsafeSlow(length), false);
  }
}

/** From this size on, a chunk's memory is looked after. */
export const BULK = 16 * 1024;

/** The memory of a chunk that came in memory of its own ('data' events); undefined: let the collector have it. */
export function ownMemory(chunk: Buffer): ReadBuffer | undefined {
  const { buffer, byteOffset, length } = chunk;
  const alone = length >= BULK && byteOffset === 0 && buffer.byteLength === length && buffer instanceof ArrayBuffer;
  return alone ? new ReadBuffer(chunk, true) : undefined;
}
