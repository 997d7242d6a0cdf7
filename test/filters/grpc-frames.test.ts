import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { methodCalled } from '../../src/filters/grpc-call.ts';
import { FrameCounter, FrameSplitter, grpcFrame } from '../../src/filters/grpc-frames.ts';
import { percentEncode } from '../../src/filters/grpc-message.ts';

const messages = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.nat(1000).map((size) => new Uint8Array(size).fill(7)),
  ),
  { maxLength: 6 },
);
const cuts = fc.array(fc.nat(2000), { maxLength: 6 });

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return points.slice(1).map((to, i) => bytes.subarray(points[i], to));
}

describe('gRPC frames', () => {
  test('are counted and split however they were cut', () => {
    fc.assert(
      fc.property(messages, cuts, fc.nat(4), (sent, at, tail) => {
        const frames = sent.map((message) => grpcFrame(message));
        const bytes = Buffer.concat([...frames, Buffer.alloc(tail)]);
        const counter = new FrameCounter();
        const splitter = new FrameSplitter();
        const split: Buffer[] = [];
        let counted = 0;
        for (const piece of cut(bytes, at)) {
          counted += counter.inspect(piece);
          split.push(...splitter.push(piece));
        }
        expect(counted).toBe(sent.length + (tail > 0 ? 1 : 0));
        expect(counter.count).toBe(counted);
        expect(split).toEqual(frames);
        expect(splitter.pending).toBe(tail);
      }),
    );
  });

  test('lengths beyond 2^31 are no surprise', () => {
    const counter = new FrameCounter();
    expect(counter.inspect(Buffer.from([0, 255, 255, 255, 255, 1, 2]))).toBe(1);
    expect(counter.inspect(Buffer.alloc(100))).toBe(0);
  });
});

test.each([
  ['/pkg.Service/Method', { service: 'pkg.Service', method: 'Method' }],
  ['/pkg.Service/Method?x=/y', { service: 'pkg.Service', method: 'Method' }],
  ['//a//b/', { service: 'a', method: 'b' }],
  ['/a', undefined],
  ['/a/b/c', undefined],
  ['', undefined],
  [undefined, undefined],
])('the method that %s calls', (path, expected) => expect(methodCalled(path)).toEqual(expected));

test('messages are percent-encoded', () => {
  expect(percentEncode('100% {~}\n\xe4')).toBe('100%25 {%7E}%0A%E4');
});
