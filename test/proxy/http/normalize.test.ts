import { readFileSync } from 'node:fs';
import type { JsonObject } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HcmModel } from '../../../src/config/hcm-model.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { HeaderNormalizer } from '../../../src/proxy/http/normalize.ts';
import { MutableStreamInfo } from '../../../src/proxy/http/stream-info.ts';
import { HTTP1_CODEC_STATS, HTTP_STATS } from '../../../src/telemetry/stats/http-stats.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { connectionOf } from '../../support/log-context.ts';
import { buildHcm } from '../../support/listener-models.ts';
import { TestWorker } from '../../support/worker.ts';

const HOST = '192.0.2.2';
const PORT = 10000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Headers that Envoy's router takes out, after what is tested here. */
const ROUTERS = /^x-envoy-(retry|max-retries|upstream-alt|upstream-rq|upstream-stream|hedge|retriable)/;

interface Exchange {
  readonly request: readonly string[];
  readonly status: string;
  readonly details: string;
  readonly client: string;
  readonly upstream: readonly string[];
}

interface Recording {
  readonly name: string;
  readonly peer: string;
  readonly hcm: JsonObject;
  readonly exchanges: readonly Exchange[];
}

function recordings(): Recording[] {
  const text = readFileSync(new URL('recorded/request-headers.txt', import.meta.url), 'latin1');
  return text
    .split('\n\n')
    .slice(1)
    .map((block) => {
      const [name, config, ...lines] = block.trimEnd().split('\n');
      const [, peer, hcm] = config!.split('\t');
      const exchanges: Exchange[] = [];
      for (let i = 0; i < lines.length; i += 2) {
        const [, status, details, client, ...upstream] = lines[i + 1]!.split('\t');
        const request = lines[i]!.split('\t').slice(1);
        exchanges.push({ request, status: status!, details: details!, client: client!, upstream });
      }
      return { name: name!.slice(2), peer: peer!, hcm: JSON.parse(hcm!) as JsonObject, exchanges };
    });
}

/** The extension's newest fields are not in the API that messages are read with; what they mean is in the model. */
async function modelOf({ name, hcm }: Recording): Promise<HcmModel> {
  if (!name.startsWith('xff cidr')) return (await buildHcm(hcm)).model;
  const { model } = await buildHcm();
  const trustedCidrs = name === 'xff cidr untrusted' ? ['2.2.2.2/32'] : ['127.0.0.0/8', '2.2.2.2/32'];
  if (name === 'xff cidr') trustedCidrs.push('3.0.0.0/8');
  const skipXffAppend = name !== 'xff cidr append';
  return { ...model, originalIpDetection: [{ kind: 'xff', numTrustedHops: 0, trustedCidrs, skipXffAppend }] };
}

function setUp(model: HcmModel) {
  const worker = new TestWorker(new FakeClock());
  const stats = worker.stats.scope('http.s.').block(HTTP_STATS);
  const http1 = worker.stats.scope('http1.').block(HTTP1_CODEC_STATS);
  return { normalizer: new HeaderNormalizer(model, worker.context, stats, HOST), stats, http1, worker };
}

function requestOf(fields: readonly string[], path = '/'): HeaderMap {
  const headers = new HeaderMap();
  headers.method = 'GET';
  headers.path = path;
  for (const field of fields) {
    const colon = field.indexOf(': ');
    const name = colon === -1 ? field.slice(0, -1) : field.slice(0, colon);
    const value = colon === -1 ? '' : field.slice(colon + 2).trim();
    if (name === 'host') headers.authority = value;
    else headers.append(name, value);
  }
  return headers;
}

const infoOf = (peer = '127.0.0.1'): MutableStreamInfo =>
  new MutableStreamInfo(connectionOf(`${peer}:4242`, `127.0.0.1:${PORT}`), 'HTTP/1.1', 0, 0);

describe('request', () => {
  describe.each(recordings())('with "$name" does as Envoy', (recording) => {
    let normalizer: HeaderNormalizer;
    beforeEach(async () => {
      ({ normalizer } = setUp(await modelOf(recording)));
    });
    const filled = (text: string): string => text.replaceAll('<host>', HOST).replaceAll('<port>', String(PORT));

    test.each(recording.exchanges)('to $request', ({ request, status, details, client, upstream }) => {
      // Without a scheme in x-forwarded-proto Envoy's router finds no route; nothing that headers would show.
      if (details === 'route_not_found') return;
      const headers = requestOf(request.map(filled));
      const info = infoOf(filled(recording.peer));
      const refused = normalizer.checkFields(headers) ?? normalizer.request(headers, info);
      if (status !== '200') {
        expect(refused).toMatchObject({ status: Number(status), details });
        return;
      }
      expect(refused).toBeUndefined();
      const sent = [`host: ${headers.authority}`];
      for (const [name, value] of headers.entries())
        if (!ROUTERS.test(name))
          sent.push(`${name}: ${UUID.test(value) && upstream.includes(`${name}: <uuid>`) ? '<uuid>' : value}`);
      expect(sent).toEqual(upstream.map((field) => filled(field).replace(/^[^:]+:$/, '$& ')));
      expect(info.downstreamRemoteAddress).toBe(client === '<peer>' ? `${filled(recording.peer)}:4242` : client);
    });
  });

  test('counts what it refuses', async () => {
    const { model } = await buildHcm({
      normalize_path: true,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    });
    const { normalizer, stats } = setUp(model);
    const AT = HTTP_STATS.at;
    expect(normalizer.request(requestOf(['host: a'], '/a%00'), infoOf())?.status).toBe(400);
    expect(stats.get(AT.downstream_rq_failed_path_normalization)).toBe(1);
    expect(normalizer.request(requestOf(['host: a'], '/a%2fb?c'), infoOf())).toMatchObject({
      status: 307,
      details: 'path_normalization_failed',
      headers: [['location', '/a/b?c']],
    });
    expect(stats.get(AT.downstream_rq_redirected_with_normalized_path)).toBe(1);
    expect(normalizer.request(requestOf(['host: a'], '*'), infoOf())).toMatchObject({
      status: 404,
      details: 'absolute_path_rejected',
    });
    expect(stats.get(AT.downstream_rq_non_relative_path)).toBe(1);
    expect(normalizer.request(requestOf([]), infoOf())?.details).toBe('missing_host_header');
    expect(normalizer.request(requestOf(['host: a'], ''), infoOf())?.details).toBe('missing_path_rejected');
  });

  test('does not redirect gRPC clients', async () => {
    const { model } = await buildHcm({ path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' });
    const { normalizer } = setUp(model);
    const headers = requestOf(['host: a', 'content-type: application/grpc+proto'], '/a%2fb');
    expect(normalizer.request(headers, infoOf())).toMatchObject({ status: 400, details: 'path_normalization_failed' });
  });

  test('lets CONNECT go without a path', async () => {
    const { normalizer } = setUp((await buildHcm()).model);
    const headers = requestOf(['host: a:443'], '');
    headers.method = 'CONNECT';
    expect(normalizer.request(headers, infoOf())).toBeUndefined();
  });

  test('counts header names with underscores', async () => {
    const drop = await buildHcm({ common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } });
    const { normalizer, http1 } = setUp(drop.model);
    normalizer.checkFields(requestOf(['host: a', 'a_b: 1', 'c_d: 2']));
    expect(http1.get(HTTP1_CODEC_STATS.at.dropped_headers_with_underscores)).toBe(2);
  });

  test('keeps the spelling of names beside the names', async () => {
    const { normalizer } = setUp((await buildHcm({ generate_request_id: false })).model);
    const headers = requestOf(['host: a']);
    headers.originalNames = [];
    headers.append('keep-alive', '1');
    headers.append('x-a', '2');
    headers.originalNames = ['Keep-Alive', 'X-A'];
    normalizer.request(headers, infoOf());
    expect(headers.originalNames).toEqual(['X-A', 'x-forwarded-proto']);
  });

  test('removes the headers that a route configuration reserves from requests from outside', async () => {
    const internal = { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] };
    const { model } = await buildHcm({ use_remote_address: true, internal_address_config: internal });
    const { normalizer } = setUp(model);
    const outside = requestOf(['host: a', 'x-secret: 1']);
    normalizer.request(outside, infoOf('198.51.100.1'), ['x-secret']);
    expect([normalizer.internal, outside.has('x-secret')]).toEqual([false, false]);
    const inside = requestOf(['host: a', 'x-secret: 1']);
    normalizer.request(inside, infoOf(), ['x-secret']);
    expect([normalizer.internal, inside.has('x-secret')]).toEqual([true, true]);
  });

  test('takes peers of a Unix socket for internal where configured', async () => {
    const { model } = await buildHcm({ use_remote_address: true, internal_address_config: { unix_sockets: true } });
    const { normalizer } = setUp(model);
    const headers = requestOf(['host: a']);
    const info = new MutableStreamInfo(connectionOf('', '/run/sock'), 'HTTP/1.1', 0, 0);
    normalizer.request(headers, info);
    expect([...headers.entries()].map(([name]) => name)).toEqual([
      'x-forwarded-proto',
      'x-envoy-internal',
      'x-request-id',
    ]);
  });
});

describe('response', () => {
  const respond = (
    normalizer: HeaderNormalizer,
    fields: [string, string][],
    request = requestOf(['host: a']),
    close = false,
  ) => {
    const headers = HeaderMap.of(fields);
    headers.status = 200;
    normalizer.response(headers, request, close);
    return [...headers.entries()].map(([name, value]) => `${name}: ${value}`);
  };
  const DATE = 'date: Fri, 02 Jan 2026 03:04:05 GMT';

  test('takes out hop-by-hop fields and sets server and date', async () => {
    const { normalizer } = setUp((await buildHcm()).model);
    const fields: [string, string][] = [
      ['content-length', '0'],
      ['server', 'up'],
      ['connection', 'keep-alive, x-foo'],
      ['keep-alive', '3'],
      ['proxy-connection', 'x'],
      ['upgrade', 'h2'],
      ['transfer-encoding', 'chunked'],
      ['x-foo', '1'],
      ['te', 'q'],
      ['x-envoy-internal', 'z'],
    ];
    expect(respond(normalizer, fields)).toEqual([
      'content-length: 0',
      'server: envoy',
      'x-foo: 1',
      'te: q',
      'x-envoy-internal: z',
      DATE,
    ]);
  });

  test('joins what Envoy keeps one value of', async () => {
    const { normalizer } = setUp((await buildHcm()).model);
    const twice = (name: string): string[] =>
      respond(normalizer, [
        ['y', '0'],
        [name, '1'],
        ['set-cookie', 'a'],
        [name, '2'],
        ['set-cookie', 'b'],
      ]).slice(0, -2);
    for (const name of ['cache-control', 'content-type', 'etag', 'vary', 'location', 'expires', 'grpc-status', 'age'])
      expect(twice(name)).toEqual(['y: 0', `${name}: 1,2`, 'set-cookie: a', 'set-cookie: b']);
    expect(twice('link')).toEqual(['y: 0', 'link: 1', 'set-cookie: a', 'link: 2', 'set-cookie: b']);
  });

  test.each([
    ['OVERWRITE', [['server', 'up']], ['server: srv', DATE]],
    ['OVERWRITE', [], [DATE, 'server: srv']],
    ['APPEND_IF_ABSENT', [['server', 'up']], ['server: up', DATE]],
    ['APPEND_IF_ABSENT', [], [DATE, 'server: srv']],
    ['PASS_THROUGH', [['server', 'up']], ['server: up', DATE]],
    ['PASS_THROUGH', [], [DATE]],
  ] as [string, [string, string][], string[]][])('server header %s of %j', async (mode, fields, wanted) => {
    const { normalizer } = setUp((await buildHcm({ server_name: 'srv', server_header_transformation: mode })).model);
    expect(respond(normalizer, fields)).toEqual(wanted);
  });

  test('says close last, and keeps the date of the upstream', async () => {
    const { normalizer } = setUp((await buildHcm({ via: 'me' })).model);
    const fields: [string, string][] = [
      ['date', 'then'],
      ['via', 'x'],
    ];
    expect(respond(normalizer, fields, undefined, true)).toEqual([
      'date: then',
      'via: x, me',
      'server: envoy',
      'connection: close',
    ]);
  });

  test('leaves an upgrade its headers', async () => {
    const { normalizer } = setUp((await buildHcm()).model);
    const headers = HeaderMap.of([
      ['connection', 'Upgrade'],
      ['upgrade', 'websocket'],
    ]);
    headers.status = 101;
    normalizer.response(headers, requestOf(['host: a']), true);
    expect(headers.get('connection')).toBe('Upgrade');
    expect(headers.get('upgrade')).toBe('websocket');
  });

  test('returns the request id when asked, replacing that of the upstream', async () => {
    const { normalizer } = setUp((await buildHcm({ always_set_request_id_in_response: true })).model);
    const request = requestOf(['host: a', 'x-request-id: abc']);
    expect(respond(normalizer, [['x-request-id', 'up']], request)[0]).toBe('x-request-id: abc');
  });

  test('formats the date once a second', async () => {
    const { normalizer, worker } = setUp((await buildHcm({ server_header_transformation: 'PASS_THROUGH' })).model);
    const clock = worker.context.dispatcher.clock as FakeClock;
    const now = (): string => {
      let date = '';
      worker.context.dispatcher.turn(() => (date = respond(normalizer, [])[0]!));
      return date;
    };
    expect(now()).toBe(DATE);
    clock.advance(321);
    expect(now()).toBe(DATE);
    clock.advance(1);
    expect(now()).toBe('date: Fri, 02 Jan 2026 03:04:06 GMT');
  });
});
