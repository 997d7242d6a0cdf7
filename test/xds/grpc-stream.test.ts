import { describe, expect, test } from 'vitest';
import type { Random } from '../../src/lib/random.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { CONTROL_PLANE_STATS } from '../../src/telemetry/stats/subscription-stats.ts';
import { ControlPlaneStats } from '../../src/xds/control-plane-stats.ts';
import { GrpcStream, type GrpcStreamOptions } from '../../src/xds/grpc-stream.ts';
import type { XdsMux } from '../../src/xds/xds-mux.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeGrpcChannel } from '../support/fake-grpc-channel.ts';

const UNAVAILABLE = { code: 14, details: 'no healthy upstream' };

/** Texts for messages; notes what happens to it. */
class NotingMux implements XdsMux<string, string> {
  readonly events: string[] = [];
  send: (request: string) => void = () => {};

  watch(): never {
    throw new Error('unused');
  }

  onStreamOpen(send: (request: string) => void, newServer = false): void {
    this.send = send;
    this.events.push(newServer ? 'open at another' : 'open');
  }

  onResponse(response: string): void {
    this.events.push(response);
  }

  onStreamClosed(): void {
    this.events.push('closed');
  }

  hold(): void {}
  release(): void {}
  close(): void {
    this.events.push('end');
  }

  take(): string[] {
    return this.events.splice(0);
  }
}

function started(options: Partial<GrpcStreamOptions<string, string>> = {}, unit = 0.5) {
  const clock = new FakeClock();
  const mux = new NotingMux();
  const stats = new ThreadStats();
  const random: Random = { unit: () => unit, below: (bound) => Math.floor(unit * bound) };
  const channels = [new FakeGrpcChannel('first'), new FakeGrpcChannel('second')] as const;
  const logged: string[] = [];
  const stream = new GrpcStream(mux, {
    channels: [channels[0]],
    protocol: {
      method: '/a.Service/StreamThings',
      encode: (request) => Buffer.from(request),
      decode: (bytes) => {
        const text = Buffer.from(bytes).toString();
        if (text === 'garbage') throw new Error('not a message');
        return text;
      },
      identifier: (response) => (response.startsWith('from ') ? response.slice(5) : undefined),
    },
    clock,
    random,
    stats: new ControlPlaneStats(stats),
    log: {
      debug: (_component, message) => void logged.push(`debug: ${message}`),
      warn: (_component, message) => void logged.push(`warn: ${message}`),
    },
    ...options,
  });
  stream.open();
  const block = stats.block(CONTROL_PLANE_STATS, 'control_plane.');
  return {
    clock,
    mux,
    stream,
    channels,
    logged,
    stat: (name: keyof typeof CONTROL_PLANE_STATS.at) => block.get(CONTROL_PLANE_STATS.at[name]),
    identifier: () => stats.textReadout('control_plane.identifier').value,
  };
}

describe('GrpcStream', () => {
  test('is connected from the opening of the stream to its end, and tells who answers', () => {
    const { channels, stat, identifier, mux } = started();
    expect(stat('connected_state')).toBe(1);
    mux.send('request');
    expect(channels[0].last.sent.map(String)).toEqual([String(Buffer.from('request'))]);
    channels[0].last.message(Buffer.from('from istiod-1'));
    expect(identifier()).toBe('istiod-1');
    channels[0].last.end(UNAVAILABLE);
    expect(stat('connected_state')).toBe(0);
    expect(mux.take()).toEqual(['open', 'from istiod-1', 'closed']);
  });

  test('opens the next stream after a back-off that grows until a message comes', () => {
    const { channels, clock, mux } = started();
    const delays: number[] = [];
    const fail = (): void => {
      channels[0].last.end(UNAVAILABLE);
      const before = channels[0].streams.length;
      let waited = 0;
      for (; channels[0].streams.length === before; waited += 50) clock.advance(50);
      delays.push(waited);
    };
    for (let i = 0; i < 9; i++) fail();
    // Half of what the jitter could make it: 500 ms first, 30 s at most.
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    channels[0].last.message(Buffer.from('hello'));
    fail();
    expect(delays.at(-1)).toBe(250);
    expect(mux.take().filter((event) => event === 'open')).toHaveLength(11);
  });

  test('takes the configured back-off', () => {
    const { channels, clock } = started({ backOff: { baseMs: 10, maxMs: 20 } });
    for (const delay of [5, 10, 10]) {
      const before = channels[0].streams.length;
      channels[0].last.end(UNAVAILABLE);
      clock.advance(delay - 1);
      expect(channels[0].streams).toHaveLength(before);
      clock.advance(1);
      expect(channels[0].streams).toHaveLength(before + 1);
    }
  });

  test('a message that makes no sense costs the stream', () => {
    const { channels, mux, clock, logged } = started();
    channels[0].last.message(Buffer.from('garbage'));
    expect(channels[0].last.cancelled).toBe(true);
    expect(mux.take()).toEqual(['open', 'closed']);
    expect(logged).toEqual([
      'warn: StreamThings gRPC config stream to first closed: 13, cannot read a response: not a message',
    ]);
    clock.advance(250);
    expect(channels[0].streams).toHaveLength(2);
  });

  test('nothing that an old stream says is heard', () => {
    const { channels, mux, clock } = started();
    const old = channels[0].last;
    old.end(UNAVAILABLE);
    clock.advance(250);
    mux.take();
    old.message(Buffer.from('late'));
    old.end(UNAVAILABLE);
    expect(mux.take()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('ends for good', () => {
    const { channels, mux, clock, stream, stat } = started();
    stream.close();
    expect(channels[0].last.cancelled).toBe(true);
    expect(stat('connected_state')).toBe(0);
    expect(mux.take()).toEqual(['open', 'end']);
    expect(clock.pending).toBe(0);
    const other = started();
    other.channels[0].last.end(UNAVAILABLE);
    other.stream.close();
    expect(other.clock.pending).toBe(0);
  });

  test('passing failures are worth a warning when they last, others at once', () => {
    const { channels, clock, logged } = started({ backOff: { baseMs: 1000, maxMs: 1000 } });
    channels[0].last.end(UNAVAILABLE);
    clock.advance(500);
    channels[0].last.end(UNAVAILABLE);
    clock.advance(500);
    channels[0].last.end(UNAVAILABLE);
    clock.advance(500);
    channels[0].last.end(UNAVAILABLE);
    clock.advance(500);
    channels[0].last.end({ code: 7, details: 'go away' });
    clock.advance(500);
    channels[0].last.message(Buffer.from('hello'));
    channels[0].last.end({ code: 0, details: '' });
    const text = 'StreamThings gRPC config stream to first closed';
    expect(logged).toEqual([
      `debug: ${text}: 14, no healthy upstream`,
      `debug: ${text}: 14, no healthy upstream`,
      `debug: ${text}: 14, no healthy upstream`,
      `warn: ${text} since 1s ago: 14, no healthy upstream`,
      `warn: ${text}: 7, go away`,
      `debug: ${text}: 0, `,
    ]);
  });

  describe('with two control planes', () => {
    const pair = () => {
      const channels = [new FakeGrpcChannel('first'), new FakeGrpcChannel('second')] as const;
      return { ...started({ channels }), channels };
    };

    test('turns to the second after two failures of the first, and stays while it answers', () => {
      const { channels, clock, stat, mux } = pair();
      channels[0].last.end(UNAVAILABLE);
      clock.advance(250);
      expect(channels[1].streams).toHaveLength(0);
      channels[0].last.end(UNAVAILABLE);
      clock.advance(500);
      expect(channels[1].streams).toHaveLength(1);
      expect(stat('connected_state')).toBe(2);
      channels[1].last.message(Buffer.from('hello'));
      expect(mux.take()).toEqual(['open', 'closed', 'open', 'closed', 'open', 'hello']);
      expect(channels[0].streams).toHaveLength(2);
    });

    test('they take turns while neither answers', () => {
      const { channels, clock } = pair();
      const order: string[] = [];
      const seen = new Map<FakeGrpcChannel, number>();
      for (let i = 0; i < 7; i++) {
        const open = channels.find((channel) => channel.streams.length > (seen.get(channel) ?? 0))!;
        seen.set(open, open.streams.length);
        order.push(open.destination);
        open.last.end(UNAVAILABLE);
        clock.advance(30_000);
      }
      expect(order).toEqual(['first', 'first', 'second', 'first', 'second', 'first', 'second']);
    });

    test('one that has answered is never left for the second', () => {
      const { channels, clock } = pair();
      channels[0].last.message(Buffer.from('hello'));
      for (let i = 0; i < 4; i++) {
        channels[0].last.end(UNAVAILABLE);
        clock.advance(30_000);
      }
      expect(channels[0].streams).toHaveLength(5);
      expect(channels[1].streams).toHaveLength(0);
    });

    test('after the second is lost the first is asked, which knows no versions of the other', () => {
      const { channels, clock, mux, stat } = pair();
      for (let i = 0; i < 2; i++) {
        channels[0].last.end(UNAVAILABLE);
        clock.advance(30_000);
      }
      channels[1].last.message(Buffer.from('hello'));
      channels[1].last.end(UNAVAILABLE);
      mux.take();
      clock.advance(30_000);
      expect(stat('connected_state')).toBe(1);
      expect(mux.take()).toEqual(['open at another']);
    });
  });

  describe('with a rate limit', () => {
    test('sends what the bucket allows, the rest as it fills', () => {
      const { channels, clock, mux, stat } = started({ rate: { maxTokens: 2, fillRate: 10 } });
      for (const request of ['1', '2', '3', '4']) mux.send(request);
      const sent = () => channels[0].last.sent.map((bytes) => Buffer.from(bytes).toString());
      expect(sent()).toEqual(['1', '2']);
      expect(stat('rate_limit_enforced')).toBe(1);
      expect(stat('pending_requests')).toBe(2);
      clock.advance(99);
      expect(sent()).toHaveLength(2);
      clock.advance(1);
      expect(sent()).toEqual(['1', '2', '3']);
      clock.advance(100);
      expect(sent()).toEqual(['1', '2', '3', '4']);
      expect(stat('pending_requests')).toBe(0);
      clock.advance(1000);
      expect(clock.pending).toBe(0);
    });

    test('a new stream does not get what waited for the old one', () => {
      const { channels, clock, mux, stat } = started({ rate: { maxTokens: 1, fillRate: 1 } });
      mux.send('1');
      mux.send('2');
      channels[0].last.end(UNAVAILABLE);
      expect(stat('pending_requests')).toBe(0);
      clock.advance(5000);
      expect(channels[0].streams).toHaveLength(2);
      expect(channels[0].last.sent).toEqual([]);
    });
  });
});
