import type { Socket } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { currentRead, keepRead, ownMemory, ReadBuffer, writeOther } from '../../../src/proxy/codec/read-buffer.ts';
import { SocketWrites } from '../../../src/proxy/codec/socket-writes.ts';

const SMALL = 64 * 1024;
const LARGE = 256 * 1024;

/** Takes everything in only when it is told to. */
class SlowSocket {
  writableLength = 0;
  readonly isSlow: boolean;
  #callbacks: (() => void)[] = [];

  constructor(isSlow = true) {
    this.isSlow = isSlow;
  }

  write(chunk: Uint8Array, callback?: () => void): boolean {
    if (this.isSlow) this.writableLength += chunk.length;
    this.#callbacks.push(() => callback?.());
    return !this.isSlow;
  }

  /** The oldest write is done. */
  writeOne(): void {
    this.writableLength = this.#callbacks.length > 1 ? 1 : 0;
    this.#callbacks.shift()!();
  }
}

/** One delivery of a read of `size` bytes. */
function deliver(buffer: ReadBuffer, size: number, receive: (chunk: Buffer) => void): ReadBuffer {
  currentRead.kept = false;
  currentRead.buffer = buffer;
  receive(buffer.bytes.subarray(0, size));
  currentRead.buffer = undefined;
  return buffer.next(size);
}

const nothing = (): void => {};
const grown = (): ReadBuffer => deliver(ReadBuffer.take(), SMALL, nothing);

beforeEach(() => {
  currentRead.kept = false;
  currentRead.buffer = undefined;
});

describe('the buffer of the next read', () => {
  test('is the same one while nobody keeps anything', () => {
    const buffer = ReadBuffer.take();
    expect(deliver(buffer, 10, nothing)).toBe(buffer);
    expect(deliver(buffer, SMALL - 1, nothing)).toBe(buffer);
  });

  test('is large for a socket that fills a small one, until it has little to say', () => {
    const large = grown();
    expect(large.bytes.length).toBe(LARGE);
    expect(deliver(large, LARGE, nothing)).toBe(large);
    expect(deliver(large, SMALL, nothing)).toBe(large);
    let last = large;
    for (let i = 0; i < 15; i++) last = deliver(last, 10, nothing);
    expect(last).toBe(large);
    expect(deliver(last, SMALL, nothing)).toBe(large);
    for (let i = 0; i < 16; i++) last = deliver(last, 10, nothing);
    expect(last.bytes.length).toBe(SMALL);
    expect(grown()).toBe(large);
  });

  test('is large for so many only', () => {
    const sizes = Array.from({ length: 100 }, () => grown().bytes.length);
    expect(sizes.filter((size) => size === LARGE).length).toBeLessThanOrEqual(64);
    expect(sizes.at(-1)).toBe(SMALL);
  });

  test('is another one when the chunk was kept, which never comes back', () => {
    const large = grown();
    const next = deliver(large, LARGE, keepRead);
    expect(next).not.toBe(large);
    for (let i = 0; i < 20; i++) expect(grown()).not.toBe(large);
  });

  test('is one that a socket has written, and none that it has yet to write', () => {
    const large = grown();
    const slow = new SlowSocket();
    const writes = new SocketWrites();
    const chunks = [large, deliver(large, LARGE, (chunk) => writes.write(slow as unknown as Socket, chunk, false))];
    chunks.push(deliver(chunks[1]!, LARGE, (chunk) => writes.write(slow as unknown as Socket, chunk, false)));
    expect(new Set(chunks).size).toBe(3);
    expect(chunks).not.toContain(grown());
    slow.writeOne();
    expect(grown()).toBe(chunks[0]);
    expect(chunks.slice(1)).not.toContain(grown());
    slow.writeOne();
    expect(grown()).toBe(chunks[1]);
  });

  test('waits for every socket that has yet to write it, and for none that wrote it at once', () => {
    const large = grown();
    const sockets = [new SlowSocket(), new SlowSocket(false), new SlowSocket()];
    deliver(large, LARGE, (chunk) => {
      for (const socket of sockets) new SocketWrites().write(socket as unknown as Socket, chunk, false);
    });
    sockets[0]!.writeOne();
    expect(grown()).not.toBe(large);
    sockets[1]!.writeOne();
    expect(grown()).not.toBe(large);
    sockets[2]!.writeOne();
    expect(grown()).toBe(large);
  });
});

describe('a chunk in memory of its own', () => {
  const chunkOf = (size: number): Buffer => Buffer.from(new ArrayBuffer(size));
  const freed = (chunk: Buffer): boolean => chunk.buffer.byteLength === 0;

  function receive(chunk: Buffer, use: (chunk: Buffer) => void): void {
    const memory = ownMemory(chunk);
    currentRead.buffer = memory;
    use(chunk);
    currentRead.buffer = undefined;
    memory?.letGo();
  }

  test('is freed when nobody keeps it', () => {
    const chunk = chunkOf(SMALL);
    receive(chunk, nothing);
    expect(freed(chunk)).toBe(true);
  });

  test('is freed once it is written', () => {
    const chunk = chunkOf(SMALL);
    const slow = new SlowSocket();
    receive(chunk, () => void new SocketWrites().write(slow as unknown as Socket, chunk, false));
    expect(freed(chunk)).toBe(false);
    slow.writeOne();
    expect(freed(chunk)).toBe(true);
  });

  test('is left alone when it is kept, small, or part of something', () => {
    const kept = chunkOf(SMALL);
    receive(kept, keepRead);
    const small = chunkOf(100);
    receive(small, nothing);
    const whole = chunkOf(SMALL);
    receive(whole.subarray(0, SMALL - 1), nothing);
    expect([kept, small, whole].filter(freed)).toEqual([]);
  });
});

test('bytes of another origin say nothing of the current read', () => {
  const large = grown();
  let accepted = true;
  const next = deliver(large, LARGE, () => {
    accepted = writeOther({ write: () => (keepRead(), false) } as never, Buffer.alloc(10));
  });
  expect(accepted).toBe(false);
  expect(currentRead.otherKept).toBe(true);
  expect(next).toBe(large);
});
