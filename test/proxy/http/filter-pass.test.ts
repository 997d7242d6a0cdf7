import { describe, expect, test } from 'vitest';
import { CollectBody, Continue, Detach, type HttpFilter, type LocalReply } from '../../../src/filters/http/filter.ts';
import { FilterPass, type Direction, type PassOwner } from '../../../src/proxy/http/filter-pass.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';

class Recorder implements PassOwner {
  readonly log: string[] = [];
  passHeaders(_: Direction, headers: HeaderMap, end: boolean): void {
    this.log.push(`H${[...headers.entries()].map(([name]) => name).join(',')}${end ? '.' : ''}`);
  }
  passData(_: Direction, chunk: Buffer, end: boolean): void {
    this.log.push(`D(${chunk.toString()})${end ? '.' : ''}`);
  }
  passTrailers(): void {
    this.log.push('T');
  }
  pauseSource(): void {
    this.log.push('pause');
  }
  resumeSource(): void {
    this.log.push('resume');
  }
  filterReply(_: Direction, reply: LocalReply): void {
    this.log.push(`reply ${reply.status}`);
  }
  filterFailed(_: Direction, error: unknown): void {
    this.log.push(`failed ${(error as Error).message}`);
  }
  bodyTooLarge(): void {
    this.log.push('too large');
  }
  turn(body: () => void): void {
    body();
  }
}

const pass = (filters: HttpFilter[], direction: Direction = 'request', limit = 1_000) => {
  const owner = new Recorder();
  return { log: owner.log, pass: new FilterPass(filters, direction, owner, limit) };
};
const bytes = (text: string): Buffer => Buffer.from(text);
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const gate = () => Promise.withResolvers<void>();

describe('FilterPass', () => {
  test('passes straight through filters without hooks', () => {
    const { pass: p, log } = pass([{}, { onRequestHeaders: () => Continue }]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.trailers(new HeaderMap());
    expect(log).toEqual(['H', 'D(a)', 'T']);
  });

  test('runs requests in order and responses in reverse', () => {
    const mark = (name: string): HttpFilter => ({
      onRequestHeaders: (headers) => (headers.append(name, ''), Continue),
      onResponseHeaders: (headers) => (headers.append(name, ''), Continue),
    });
    const request = pass([mark('a'), mark('b')]);
    request.pass.headers(new HeaderMap(), true);
    expect(request.log).toEqual(['Ha,b.']);
    const response = pass([mark('a'), mark('b')], 'response');
    response.pass.headers(new HeaderMap(), true);
    expect(response.log).toEqual(['Hb,a.']);
  });

  const waiting = (open: PromiseWithResolvers<void>): HttpFilter => ({
    async onRequestHeaders() {
      await open.promise;
      return Continue;
    },
  });

  test('what comes while a filter waits keeps its order', async () => {
    const open = gate();
    const { pass: p, log } = pass([waiting(open)]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), false);
    p.trailers(new HeaderMap());
    expect(log).toEqual([]);
    open.resolve();
    await settled();
    expect(log).toEqual(['H', 'D(a)', 'D(b)', 'T']);
  });

  test('the source stops when more than the limit waits', async () => {
    const open = gate();
    const { pass: p, log } = pass([waiting(open)], 'request', 3);
    p.headers(new HeaderMap(), false);
    p.data(bytes('abc'), false);
    expect(log).toEqual([]);
    p.data(bytes('d'), false);
    p.data(bytes('e'), false);
    expect(log).toEqual(['pause']);
    open.resolve();
    await settled();
    expect(log).toEqual(['pause', 'H', 'D(abc)', 'D(d)', 'D(e)', 'resume']);

    const unlimited = pass([waiting(gate())], 'request', 0);
    unlimited.pass.headers(new HeaderMap(), false);
    unlimited.pass.data(bytes('abcdef'), false);
    expect(unlimited.log).toEqual([]);
  });

  test('a wait inside the replay of queued chunks keeps the order too', async () => {
    const filter: HttpFilter = {
      async onRequestHeaders() {
        await settled();
        return Continue;
      },
      async onRequestData(chunk) {
        await settled();
        return bytes(chunk.toString().toUpperCase());
      },
    };
    const { pass: p, log } = pass([filter], 'request', 2);
    p.headers(new HeaderMap(), false);
    for (const letter of ['a', 'b', 'c']) p.data(bytes(letter), letter === 'c');
    for (let i = 0; i < 12; i++) await settled();
    expect(log.filter((entry) => !/pause|resume/.test(entry))).toEqual(['H', 'D(A)', 'D(B)', 'D(C).']);
    expect(log.filter((entry) => /pause|resume/.test(entry))).toEqual(['pause', 'resume']);
  });

  test('collects a body: the hook sees it whole, headers go on before it', () => {
    const seen: string[] = [];
    const { pass: p, log } = pass([
      {
        onRequestHeaders: () => CollectBody,
        onRequestData: (chunk) => (seen.push(chunk.toString()), bytes('whole')),
      },
      { onRequestHeaders: (headers) => (headers.append('second', ''), Continue) },
    ]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), true);
    expect(seen).toEqual(['ab']);
    expect(log).toEqual(['Hsecond', 'D(whole).']);
  });

  test('two filters may collect one after the other, with trailers behind', () => {
    const collect: HttpFilter = { onRequestHeaders: () => CollectBody };
    const { pass: p, log } = pass([collect, collect]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), false);
    p.trailers(new HeaderMap());
    expect(log).toEqual(['H', 'D(ab)', 'T']);
  });

  test('a collected body over the limit ends the pass', () => {
    const { pass: p, log } = pass([{ onRequestHeaders: () => CollectBody }], 'request', 3);
    p.headers(new HeaderMap(), false);
    p.data(bytes('ab'), false);
    p.data(bytes('cd'), false);
    p.data(bytes('ef'), true);
    expect(log).toEqual(['too large']);
  });

  test('a collected body comes with its trailers, while headers can still be changed', () => {
    const filter: HttpFilter = {
      onResponseHeaders(headers) {
        this.onResponseData = (chunk, endStream, trailers) => {
          headers.append(`${chunk.length}-${endStream}`, '');
          trailers?.append('seen', '');
          return Continue;
        };
        return CollectBody;
      },
      onResponseTrailers: (trailers) => (expect(trailers.has('seen')).toBe(true), Continue),
    };
    for (const chunk of ['ab', '']) {
      const { pass: p, log } = pass([filter], 'response');
      p.headers(new HeaderMap(), false);
      if (chunk !== '') p.data(bytes(chunk), false);
      expect(log).toEqual([]);
      p.trailers(new HeaderMap());
      expect(log).toEqual([`H${chunk.length}-false`, ...(chunk === '' ? [] : ['D(ab)']), 'T']);
    }
  });

  test.each([0, 1])('a buffer gives headers alone a body, which the filters behind it see (late: %s)', async (late) => {
    const add: HttpFilter = { onRequestHeaders: () => (late === 1 ? Promise.resolve(bytes('new')) : bytes('new')) };
    const upper: HttpFilter = { onRequestData: (chunk) => bytes(chunk.toString().toUpperCase()) };
    const { pass: p, log } = pass([upper, add, upper]);
    p.headers(new HeaderMap(), true);
    await settled();
    expect(log).toEqual(['H', 'D(NEW).']);
    const other = pass([add]);
    other.pass.headers(new HeaderMap(), false);
    await settled();
    other.pass.data(bytes('own'), true);
    expect(other.log).toEqual(['H', 'D(own).']);
  });

  test.each([0, 1])('a buffer takes the place of trailers (late: %s)', async (late) => {
    const replace: HttpFilter = { onRequestTrailers: () => (late === 1 ? Promise.resolve(bytes('x')) : bytes('x')) };
    const { pass: p, log } = pass([replace, { onRequestData: (chunk) => Buffer.concat([chunk, bytes('!')]) }]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.trailers(new HeaderMap());
    await settled();
    expect(log).toEqual(['H', 'D(a!)', 'D(x!).']);
    const drop = pass([{ onRequestTrailers: () => Buffer.alloc(0) }]);
    drop.pass.headers(new HeaderMap(), false);
    drop.pass.trailers(new HeaderMap());
    expect(drop.log).toEqual(['H', 'D().']);
  });

  test.each([0, 1])('the last of a body may come with its trailers (late: %s)', async (late) => {
    const verdict = { lastData: bytes(']') };
    const close: HttpFilter = { onResponseTrailers: () => (late === 1 ? Promise.resolve(verdict) : verdict) };
    const slow: HttpFilter = { onResponseData: (chunk) => Promise.resolve(Buffer.concat([chunk, bytes('!')])) };
    const { pass: p, log } = pass([slow, close], 'response');
    p.headers(new HeaderMap(), false);
    p.data(bytes('['), false);
    p.trailers(new HeaderMap());
    await settled();
    await settled();
    expect(log).toEqual(['H', 'D([!)', 'D(]!)', 'T']);
  });

  test.each(['at once', 'late', 'collected'])('a body may end with trailers of a filter (%s)', async (how) => {
    const verdict = { data: bytes('x'), trailers: [['grpc-status', '0']] as const };
    const add: HttpFilter = {
      onResponseHeaders: () => (how === 'collected' ? CollectBody : Continue),
      onResponseData: (_, end) => (end ? (how === 'late' ? Promise.resolve(verdict) : verdict) : Continue),
    };
    const seen: string[] = [];
    const watch: HttpFilter = {
      onResponseTrailers: (trailers) => (seen.push(trailers.get('grpc-status') ?? ''), Continue),
    };
    const { pass: p, log } = pass([watch, add], 'response');
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), true);
    await settled();
    expect(log).toEqual(how === 'collected' ? ['H', 'D(x)', 'T'] : ['H', 'D(a)', 'D(x)', 'T']);
    expect(seen).toEqual(['0']);
    const alone = pass([watch, { onResponseHeaders: () => verdict }], 'response');
    alone.pass.headers(new HeaderMap(), true);
    expect(alone.log).toEqual(['H', 'D(x)', 'T']);
  });

  test('a local reply ends the pass; later filters see nothing', () => {
    const { pass: p, log } = pass([
      { onRequestHeaders: () => ({ status: 403, details: 'denied' }) },
      {
        onRequestHeaders() {
          throw new Error('must not be called');
        },
      },
    ]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), true);
    expect(log).toEqual(['reply 403']);
  });

  test('detach hides the rest of the body from that filter only', () => {
    let first = 0;
    let second = 0;
    const { pass: p, log } = pass([
      { onRequestData: () => (first++, Detach) },
      { onRequestData: () => (second++, Continue) },
    ]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), true);
    expect([first, second]).toEqual([1, 2]);
    expect(log).toEqual(['H', 'D(a)', 'D(b).']);
  });

  test('an empty buffer swallows a chunk, but not the end', () => {
    const { pass: p, log } = pass([{ onRequestData: () => Buffer.alloc(0) }]);
    p.headers(new HeaderMap(), false);
    p.data(bytes('a'), false);
    p.data(bytes('b'), true);
    expect(log).toEqual(['H', 'D().']);
  });

  test('a throwing and a rejecting hook fail their stream', async () => {
    const thrown = pass([
      {
        onRequestHeaders() {
          throw new Error('x');
        },
      },
    ]);
    thrown.pass.headers(new HeaderMap(), true);
    expect(thrown.log).toEqual(['failed x']);
    const rejected = pass([{ onRequestHeaders: () => Promise.reject(new Error('y')) }]);
    rejected.pass.headers(new HeaderMap(), true);
    await settled();
    expect(rejected.log).toEqual(['failed y']);
  });

  test('a verdict after the end has no effect', async () => {
    const open = gate();
    const { pass: p, log } = pass([
      {
        async onRequestHeaders() {
          await open.promise;
          return Continue;
        },
      },
    ]);
    p.headers(new HeaderMap(), true);
    p.end();
    open.resolve();
    await settled();
    expect(log).toEqual([]);
  });
});
