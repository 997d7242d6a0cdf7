import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { fromJson } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NodeSchema } from '../../src/api/generated/envoy/config/core/v3/base_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import type { RestResponse } from '../../src/xds/rest-client.ts';
import { undiciRestClient } from '../../src/xds/rest-client.ts';
import { RestSource } from '../../src/xds/rest-source.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { assignment, endpoint, staticCluster } from '../support/upstream-models.ts';

const { cds, eds } = RESOURCE_TYPES;
const types = new TypeRegistry();

/** A source whose requests the test answers. */
function polling(names?: readonly string[], typeUrl: string = cds) {
  const clock = new FakeClock();
  const told: string[] = [];
  const requests: { readonly path: string; readonly body: unknown; readonly timeoutMs: number }[] = [];
  const answers: PromiseWithResolvers<RestResponse>[] = [];
  let verdict = '';
  let closed = false;
  const source = new RestSource({
    destination: 'xds',
    path: '/v3/discovery:clusters',
    client: () =>
      Promise.resolve({
        post: (path, body, timeoutMs) => {
          requests.push({ path, body: JSON.parse(body) as unknown, timeoutMs });
          const answer = Promise.withResolvers<RestResponse>();
          answers.push(answer);
          return answer.promise;
        },
        close: () => (closed = true),
      }),
    node: fromJson(NodeSchema, { id: 'me' }),
    types,
    clock,
    random: { unit: () => 0.5, below: (bound) => Math.floor(bound / 2) },
    refreshDelayMs: 1000,
    requestTimeoutMs: 300,
    log: { warn: (_component, message) => void told.push(`warn: ${message}`) },
  });
  const watch = source.watch(typeUrl, names, {
    onAttempt: () => void told.push('attempt'),
    onUpdate: ({ version, set, removed }) => {
      told.push(`v${version} [${set.map(({ name }) => name).join()}] -[${removed.join()}]`);
      return verdict;
    },
    onRejected: (error) => void told.push(`rejected: ${error}`),
    onConnectionFailure: () => void told.push('failure'),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    clock,
    requests,
    watch,
    source,
    refuse: (error: string) => void (verdict = error),
    isClosed: () => closed,
    take: () => told.splice(0),
    /** Answers the request that is under way, and waits until that has been dealt with. */
    answer: async (status: number, body: unknown = {}): Promise<void> => {
      await eventually('a request', () => answers.length > 0);
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      answers.shift()!.resolve({ status, body: Buffer.from(text) });
      await eventually('the next timer', async () => {
        await settle();
        return clock.pending > 0;
      });
    },
    fail: async (reason: string): Promise<void> => {
      await eventually('a request', () => answers.length > 0);
      answers.shift()!.reject(new Error(reason));
      await eventually('the next timer', async () => {
        await settle();
        return clock.pending > 0;
      });
    },
  };
}

const response = (version: string, ...names: readonly string[]) => ({
  version_info: version,
  type_url: cds,
  resources: names.map((name) => ({ '@type': cds, name })),
});

describe('RestSource', () => {
  test('asks, with the node and the last accepted version, one to two delays after an answer', async () => {
    const { requests, answer, take, clock } = polling();
    await answer(200, response('1', 'a'));
    expect(take()).toEqual(['attempt', 'v1 [a] -[]']);
    expect(requests).toEqual([
      { path: '/v3/discovery:clusters', body: { node: { id: 'me' }, type_url: cds }, timeoutMs: 300 },
    ]);
    clock.advance(1499);
    expect(take()).toEqual([]);
    clock.advance(1);
    await answer(200, response('2', 'b'));
    expect(requests[1]!.body).toEqual({ node: { id: 'me' }, type_url: cds, version_info: '1' });
    expect(take()).toEqual(['attempt', 'v2 [b] -[a]']);
  });

  test('304 is no news', async () => {
    const { answer, take, clock, requests } = polling();
    await answer(200, response('1', 'a'));
    clock.advance(1500);
    await answer(304);
    expect(take()).toEqual(['attempt', 'v1 [a] -[]', 'attempt']);
    clock.advance(1500);
    await answer(304);
    expect(requests[2]!.body).toMatchObject({ version_info: '1' });
  });

  test('no answer and any other status are failures, and it asks again', async () => {
    const { answer, fail, take, clock } = polling();
    await fail('connect ECONNREFUSED');
    expect(take()).toEqual([
      'attempt',
      'warn: REST update for /v3/discovery:clusters from xds failed: connect ECONNREFUSED',
      'failure',
    ]);
    clock.advance(1500);
    await answer(503);
    expect(take()).toContain('failure');
    clock.advance(1500);
    await answer(200, response('1', 'a'));
    expect(take()).toEqual(['attempt', 'v1 [a] -[]']);
  });

  test('what makes no sense, or is refused, does not move the version', async () => {
    const { answer, take, clock, requests, refuse } = polling();
    await answer(200, response('1', 'a'));
    for (const body of ['{', { resources: [{ '@type': eds, cluster_name: 'x' }] }, { version_info: 7.5 }]) {
      take();
      clock.advance(1500);
      await answer(200, body);
      expect(take()[1]).toMatch(/^rejected: /);
    }
    refuse('no good');
    clock.advance(1500);
    await answer(200, response('2', 'b'));
    expect(take()).toEqual(['attempt', 'v2 [b] -[a]', 'rejected: no good']);
    refuse('');
    clock.advance(1500);
    await answer(200, response('3', 'c'));
    expect(requests.at(-1)!.body).toMatchObject({ version_info: '1' });
    expect(take()).toEqual(['attempt', 'v3 [c] -[b,a]']);
  });

  test('names are sorted, and changes of them are asked for next time', async () => {
    const { answer, watch, clock, requests } = polling(['b', 'a'], eds);
    await answer(304);
    watch.setNames(['d', 'c']);
    expect(requests).toHaveLength(1);
    clock.advance(1500);
    await answer(304);
    expect(requests.map(({ body }) => (body as { resource_names: unknown }).resource_names)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  test('ends for good', async () => {
    const { answer, source, clock, isClosed, take } = polling();
    await answer(200, response('1', 'a'));
    source.close();
    expect(isClosed()).toBe(true);
    expect(clock.pending).toBe(0);
    take();
    clock.advance(10_000);
    expect(take()).toEqual([]);
  });
});

describe('undiciRestClient', () => {
  let server: Server;
  let handler: (request: IncomingMessage, response: ServerResponse) => void;
  beforeEach(async () => {
    server = createServer((request, answer) => handler(request, answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const client = () => {
    const { port } = server.address() as { port: number };
    const address = { kind: 'socket' as const, host: '127.0.0.1', port, ipv4Compat: false };
    const cluster = staticCluster(
      { name: 'rest_cluster' },
      { ...assignment([]), endpoints: [{ ...endpoint('127.0.0.1:1'), address }] },
    );
    return undiciRestClient(cluster, undefined, () => Promise.reject(new Error('no names here')));
  };

  test('posts JSON to the cluster, by its name', async () => {
    const seen: unknown[] = [];
    handler = (request, answer) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const { method, url, headers } = request;
        seen.push({ method, url, host: headers.host, type: headers['content-type'], body });
        answer.writeHead(200).end('answer');
      });
    };
    const rest = client();
    const { signal } = new AbortController();
    const { status, body } = await rest.post('/v3/discovery:clusters', '{"a":1}', 1000, signal);
    expect([status, body.toString()]).toEqual([200, 'answer']);
    expect(seen).toEqual([
      {
        method: 'POST',
        url: '/v3/discovery:clusters',
        host: 'rest_cluster',
        type: 'application/json',
        body: '{"a":1}',
      },
    ]);
    rest.close();
  });

  test('a server that is slow, or gone, is an error', async () => {
    handler = () => {};
    const rest = client();
    const { signal } = new AbortController();
    await expect(rest.post('/', '', 20, signal)).rejects.toThrow(/timeout/);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(rest.post('/', '', 1000, signal)).rejects.toThrow();
    rest.close();
  });
});
