import { expect, test } from 'vitest';
import { RouterWorld } from '../../support/fake-stream.ts';

/** A bug, as met by whoever calls: what the stream's owner does throws. */
function broken(what: 'sendHeaders' | 'sendData' | 'sendTrailers' | 'sendLocalReply' | 'sendInformational') {
  const world = new RouterWorld({ routes: [{ match: { prefix: '/' }, route: { cluster: 'a', timeout: '1s' } }] });
  const stream = world.start('/');
  const bug = new Error('a bug');
  stream[what] = () => {
    throw bug;
  };
  return { world, stream, bug, upstream: world.a.fakePool.last };
}

test('an exception in a callback of the upstream ends the stream, and nobody else hears of it', () => {
  const headers = broken('sendHeaders');
  headers.upstream.respondHeaders(200);
  expect(headers.stream.failure).toBe(headers.bug);

  const data = broken('sendData');
  data.upstream.respondHeaders(200);
  data.upstream.respondData('x', false);
  expect(data.stream.failure).toBe(data.bug);

  const trailers = broken('sendTrailers');
  trailers.upstream.respondHeaders(200);
  trailers.upstream.respondTrailers({});
  expect(trailers.stream.failure).toBe(trailers.bug);

  const informational = broken('sendInformational');
  informational.upstream.inform(103);
  expect(informational.stream.failure).toBe(informational.bug);

  const reset = broken('sendLocalReply');
  reset.upstream.break('remote reset');
  expect(reset.stream.failure).toBe(reset.bug);
});

test('... nor one in a timer', () => {
  const { world, stream, bug } = broken('sendLocalReply');
  world.advance(1_001);
  expect(stream.failure).toBe(bug);
});
