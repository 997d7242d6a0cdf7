/** Bytes before each message of a gRPC stream: a flag byte and the length, big-endian. */
export const FRAME_HEADER_SIZE = 5;

/** A message as gRPC carries it, not compressed. */
export function grpcFrame(message: Uint8Array, flags = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + message.length);
  frame[0] = flags;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_SIZE);
  return frame;
}

/** Counts the messages of a gRPC stream as their headers come by; keeps none of it. */
export class FrameCounter {
  /** Messages that have begun. */
  count = 0;
  #headerBytes = 0;
  #length = 0;
  /** Bytes of the current message that are still to come. */
  #left = 0;

  /** Returns how many messages began in `chunk`. */
  inspect(chunk: Buffer): number {
    const before = this.count;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      const byte = chunk[at++]!;
      if (this.#headerBytes > 0) this.#length = this.#length * 256 + byte;
      else this.count++;
      if (++this.#headerBytes < FRAME_HEADER_SIZE) continue;
      this.#left = this.#length;
      this.#headerBytes = 0;
      this.#length = 0;
    }
    return this.count - before;
  }
}

/** Cuts a gRPC stream into whole frames, headers included. */
export class FrameSplitter {
  #held: Buffer[] = [];
  #size = 0;
  /** Of the frame that has begun, with its header; 0 = not known yet. */
  #wanted = 0;

  /** The frames that `chunk` completes. */
  push(chunk: Buffer): Buffer[] {
    this.#held.push(chunk);
    this.#size += chunk.length;
    const frames: Buffer[] = [];
    for (;;) {
      if (this.#wanted === 0) {
        if (this.#size < FRAME_HEADER_SIZE) return frames;
        this.#wanted = FRAME_HEADER_SIZE + this.#joined().readUInt32BE(1);
      }
      if (this.#size < this.#wanted) return frames;
      const all = this.#joined();
      frames.push(all.subarray(0, this.#wanted));
      this.#held = [all.subarray(this.#wanted)];
      this.#size -= this.#wanted;
      this.#wanted = 0;
    }
  }

  /** Bytes of a frame that isn't complete. */
  get pending(): number {
    return this.#size;
  }

  #joined(): Buffer {
    if (this.#held.length !== 1) this.#held = [Buffer.concat(this.#held)];
    return this.#held[0]!;
  }
}
