import type { JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RouterWorld, type FakeStream } from '../../support/fake-stream.ts';

const ROUTES: readonly JsonObject[] = [
  { match: { prefix: '/plain' }, route: { cluster: 'a', timeout: '1s' } },
  {
    match: { prefix: '/retry' },
    route: {
      cluster: 'a',
      timeout: '1s',
      retry_policy: {
        retry_on: '5xx,connect-failure',
        num_retries: 2,
        per_try_timeout: '0.2s',
        per_try_idle_timeout: '0.1s',
      },
      request_mirror_policies: [{ cluster: 'b' }],
    },
    per_request_buffer_limit_bytes: 8,
  },
  {
    match: { prefix: '/hedge' },
    route: {
      cluster: 'a',
      timeout: '0.5s',
      hedge_policy: { hedge_on_per_try_timeout: true },
      retry_policy: { retry_on: '5xx', num_retries: 3, per_try_timeout: '0.1s' },
      internal_redirect_policy: {},
    },
  },
];

const action = fc.oneof(
  fc.constantFrom('start /plain', 'start /retry', 'start /hedge', 'post /retry', 'post /plain', 'upgrade /retry'),
  fc.constantFrom('data', 'end', 'trailers', 'abort', 'pause', 'resume'),
  fc.constantFrom(
    'ready',
    'fail',
    'overflow',
    'ok',
    'headers',
    '503',
    '302',
    'body',
    'finish',
    'break',
    'inform',
    'full',
    'drain',
  ),
  fc.constantFrom('wait 5', 'wait 30', 'wait 150', 'wait 600'),
);
const step = fc.record({ action, at: fc.nat(5) });

/** Tracks what a test may still send on one downstream stream. */
interface Client {
  readonly stream: FakeStream;
  requestOpen: boolean;
  pauses: number;
}

test('whatever happens in whatever order, nothing is left over and nothing comes after the end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, immediate) => {
      const at = new RouterWorld({ routes: ROUTES, cluster: { maxStreamDurationMs: 900 } });
      at.a.fakePool.immediate = immediate;
      const clients: Client[] = [];
      const begin = (path: string, endStream: boolean, protocol = ''): void => {
        const stream = at.start(path, { endStream, protocol, method: endStream ? 'GET' : 'POST' });
        clients.push({ stream, requestOpen: !endStream, pauses: 0 });
      };
      for (const { action: name, at: which } of steps) {
        const [verb, argument] = name.split(' ') as [string, string];
        const client = clients[which % Math.max(1, clients.length)];
        const upstreams = [...at.a.fakePool.streams, ...at.b.fakePool.streams].filter(({ isOpen }) => isOpen);
        const upstream = upstreams[which % Math.max(1, upstreams.length)];
        const canRespond = upstream !== undefined && !upstream.responseEnded && upstream.resetReason === undefined;
        if (verb === 'start') begin(argument, true);
        else if (verb === 'post') begin(argument, false);
        else if (verb === 'upgrade') begin(argument, false, 'websocket');
        else if (verb === 'wait') at.advance(Number(argument));
        else if (client !== undefined && !client.stream.ended && verb === 'abort') client.stream.abort();
        else if (client?.requestOpen === true && !client.stream.ended && ['data', 'end', 'trailers'].includes(verb)) {
          client.requestOpen = verb === 'data';
          if (verb === 'trailers') client.stream.sendRequestTrailers([['x-t', '1']]);
          else client.stream.data('abc', verb === 'end');
        } else if (client !== undefined && !client.stream.ended && verb === 'pause') {
          client.pauses++;
          client.stream.router.pauseResponse();
        } else if (client !== undefined && client.pauses > 0 && verb === 'resume') {
          client.pauses--;
          client.stream.router.resumeResponse();
        } else if (at.a.fakePool.waiting.length > 0 && verb === 'ready') at.a.fakePool.ready();
        else if (at.a.fakePool.waiting.length > 0 && verb === 'fail')
          at.a.fakePool.fail('remote connection failure', 'x');
        else if (at.a.fakePool.waiting.length > 0 && verb === 'overflow') at.a.fakePool.fail('overflow');
        else if (canRespond) {
          const begun = begunStreams.has(upstream);
          if (verb === 'full') upstream.writable = false;
          else if (verb === 'drain') upstream.drain();
          else if (verb === 'break') upstream.break('connection termination');
          else if (verb === 'inform' && !begun) upstream.inform(100);
          else if (['ok', '503', '302', 'headers'].includes(verb) && !begun) {
            begunStreams.add(upstream);
            const status = verb === '503' ? 503 : verb === '302' ? 302 : 200;
            upstream.respondHeaders(status, { location: 'http://x/plain' }, verb !== 'headers');
          } else if (verb === 'body' && begun) upstream.respondData('xyz', false);
          else if (verb === 'finish' && begun) upstream.respondData('', true);
        }
      }
      // Every client leaves, every mirror times out.
      for (const { stream } of clients) if (!stream.ended) stream.abort();
      at.advance(100_000);
      expect(at.a.fakePool.open + at.b.fakePool.open).toBe(0);
      expect(at.a.fakePool.waiting.length).toBe(0);
      expect(at.a.breakerOf.retries).toBe(0);
      expect(at.dispatcher.timers.size).toBe(0);
      for (const { stream } of clients) expect(stream.requestPauses).toBe(0);
    }),
    { numRuns: 400 },
  );
});

const begunStreams = new WeakSet<object>();
