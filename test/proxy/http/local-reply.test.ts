import type { JsonObject } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { LocalReplyRenderer } from '../../../src/proxy/http/local-reply.ts';
import type { RouterLocalReply } from '../../../src/proxy/http/request-sink.ts';
import { MutableStreamInfo } from '../../../src/proxy/http/stream-info.ts';
import { PROXY_ERRORS } from '../../../src/proxy/proxy-error.ts';
import type { Route } from '../../../src/proxy/router/route.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { connectionOf } from '../../support/log-context.ts';
import { buildHcm } from '../../support/listener-models.ts';
import { TestWorker } from '../../support/worker.ts';

/** The bytes of "dé" in UTF-8, one character each. */
const BODY = 'd\xc3\xa9';
const direct: RouterLocalReply = { status: 403, flag: 0, details: 'direct_response', body: BODY };

/** A route that adds `x-r: 1` to responses, or what is given. */
function routeOf(kind: 'forward' | 'direct-response', [name, value]: [string, string] = ['x-r', '1']): Route {
  const finalizeResponse = (headers: HeaderMap): void => void headers.set(name, value);
  return { action: { kind }, finalizeResponse } as unknown as Route;
}

async function rendererOf(config?: JsonObject): Promise<LocalReplyRenderer> {
  const { model, problems } = await buildHcm(config === undefined ? {} : { local_reply_config: config });
  expect(problems).toEqual([]);
  const { context } = new TestWorker(new FakeClock());
  return new LocalReplyRenderer(model.localReply, { ...context, clock: context.dispatcher.clock });
}

function render(
  renderer: LocalReplyRenderer,
  reply: RouterLocalReply,
  options: { route?: Route; method?: string; contentType?: string; path?: string } = {},
) {
  const requestHeaders = new HeaderMap();
  requestHeaders.method = options.method ?? 'GET';
  requestHeaders.path = options.path ?? '/direct';
  if (options.contentType !== undefined) requestHeaders.append('content-type', options.contentType);
  const info = new MutableStreamInfo(connectionOf('127.0.0.1:1', '127.0.0.1:2'), 'HTTP/1.1', 0, 0);
  info.responseCodeDetails = reply.details;
  info.setFlag(reply.flag);
  const { headers, body } = renderer.render(reply, { info, requestHeaders, route: options.route });
  return {
    lines: [String(headers.status), ...Array.from(headers.entries(), ([name, value]) => `${name}: ${value}`)],
    body,
    code: info.responseCode,
  };
}

const grpc = { contentType: 'application/grpc' };
const statusIs = (value: number, op = 'EQ'): JsonObject => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'k' } } },
});

describe('without local_reply_config', () => {
  let renderer: LocalReplyRenderer;
  beforeEach(async () => {
    renderer = await rendererOf();
  });

  test('a body brings its length in bytes and its type', () => {
    expect(render(renderer, direct, { route: routeOf('direct-response') })).toEqual({
      lines: ['403', 'x-r: 1', 'content-length: 3', 'content-type: text/plain'],
      body: BODY,
      code: 403,
    });
  });

  test('without a body there is neither', () => {
    expect(render(renderer, PROXY_ERRORS.routeNotFound)).toEqual({ lines: ['404'], body: '', code: 404 });
    const reply = { ...direct, body: '', headers: [['content-type', 'text/css'] as const] };
    expect(render(renderer, reply).lines).toEqual(['403']);
  });

  test('the own headers of a reply come before those of the route that it is the answer of, else behind', () => {
    const reply = { ...direct, status: 301, body: '', headers: [['location', 'http://b/'] as const] };
    expect(render(renderer, reply, { route: routeOf('direct-response') }).lines).toEqual([
      '301',
      'location: http://b/',
      'x-r: 1',
    ]);
    const overloaded = { ...PROXY_ERRORS.maintenanceMode, headers: [['x-envoy-overloaded', 'true'] as const] };
    expect(render(renderer, overloaded, { route: routeOf('forward') }).lines.slice(0, 3)).toEqual([
      '503',
      'x-r: 1',
      'x-envoy-overloaded: true',
    ]);
  });

  test('a filter that replies on a direct-response route gets none of its headers', () => {
    const reply = { ...direct, details: 'fault_filter_abort' };
    expect(render(renderer, reply, { route: routeOf('direct-response') }).lines).not.toContain('x-r: 1');
  });

  test('a type that the route set stays', () => {
    const route = routeOf('direct-response', ['content-type', 'text/html']);
    expect(render(renderer, direct, { route }).lines).toEqual(['403', 'content-type: text/html', 'content-length: 3']);
  });

  test.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [500, 2],
    [200, 2],
  ])('a gRPC client gets %i as grpc-status %i', (status, grpcStatus) => {
    expect(render(renderer, { ...direct, status }, grpc)).toMatchObject({
      lines: ['200', 'content-type: application/grpc', `grpc-status: ${grpcStatus}`, 'grpc-message: d%C3%A9'],
      body: '',
    });
  });

  test('an explicit gRPC status wins; HEAD has no message', () => {
    expect(render(renderer, { ...direct, grpcStatus: 5 }, grpc).lines).toContain('grpc-status: 5');
    expect(render(renderer, direct, { ...grpc, method: 'HEAD' }).lines).toEqual([
      '200',
      'content-type: application/grpc',
      'grpc-status: 7',
    ]);
  });

  test.each(['application/grpc-web', 'application/grpcx', 'text/plain'])('%s is not gRPC', (contentType) => {
    expect(render(renderer, direct, { contentType }).lines[0]).toBe('403');
  });
});

test('body_format as JSON', async () => {
  const renderer = await rendererOf({
    body_format: {
      json_format: {
        status: '%RESPONSE_CODE%',
        body: '%LOCAL_REPLY_BODY%',
        path: '%REQ(:path)%',
        ct: '%RESP(content-type)%',
      },
    },
  });
  const json = '{"body":"d\xc3\xa9","ct":null,"path":"/direct","status":403}';
  expect(render(renderer, direct)).toEqual({
    lines: ['403', 'content-length: 55', 'content-type: application/json'],
    body: `${json}\n`,
    code: 403,
  });
  expect(render(renderer, direct, grpc).lines[3]).toBe(
    'grpc-message: {"body":"d%C3%A9","ct":null,"path":"/direct","status":403}',
  );
  const route = routeOf('direct-response', ['content-type', 'text/html']);
  expect(render(renderer, direct, { route }).lines).toContain('content-type: application/json');
});

test('body_format as text with a type of its own', async () => {
  const renderer = await rendererOf({
    body_format: {
      text_format_source: {
        inline_string: 'E %RESPONSE_CODE% %LOCAL_REPLY_BODY% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n',
      },
      content_type: 'text/html; charset=UTF-8',
    },
  });
  expect(render(renderer, PROXY_ERRORS.clusterNotFound)).toEqual({
    lines: ['503', 'content-length: 28', 'content-type: text/html; charset=UTF-8'],
    body: 'E 503  cluster_not_found NC\n',
    code: 503,
  });
  expect(render(renderer, PROXY_ERRORS.clusterNotFound, grpc).lines).toContain(
    'grpc-message: E 503  cluster_not_found NC%0A',
  );
});

describe('mappers', () => {
  let renderer: LocalReplyRenderer;
  beforeEach(async () => {
    renderer = await rendererOf({
      mappers: [
        {
          filter: statusIs(403),
          status_code: 401,
          body: { inline_string: 'custom' },
          headers_to_add: [
            { header: { key: 'x-m', value: '%RESPONSE_CODE% %RESP(:status)% %LOCAL_REPLY_BODY%' } },
            { header: { key: 'x-r', value: 'over' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
          ],
        },
        { filter: statusIs(404), body_format_override: { json_format: { a: '%LOCAL_REPLY_BODY%' } } },
        {
          filter: statusIs(503),
          body: { inline_string: 'unavailable' },
          body_format_override: { text_format: '<%LOCAL_REPLY_BODY%>' },
        },
        { filter: statusIs(200, 'GE'), status_code: 418 },
      ],
    });
  });

  test('change status, body and headers; header values see the reply before that', () => {
    expect(render(renderer, direct, { route: routeOf('direct-response') })).toEqual({
      lines: ['401', 'x-r: over', 'x-m: 403 403 ', 'content-length: 6', 'content-type: text/plain'],
      body: 'custom',
      code: 401,
    });
    expect(render(renderer, direct, grpc).lines).toContain('grpc-status: 16');
  });

  test('have a format of their own', () => {
    expect(render(renderer, PROXY_ERRORS.routeNotFound)).toEqual({
      lines: ['404', 'content-length: 9', 'content-type: application/json'],
      body: '{"a":""}\n',
      code: 404,
    });
    expect(render(renderer, PROXY_ERRORS.noHealthyUpstream).body).toBe('<unavailable>');
  });

  test('only the first that matches applies', () => {
    expect(render(renderer, { ...direct, status: 204, body: '' })).toEqual({ lines: ['418'], body: '', code: 418 });
    expect(render(renderer, PROXY_ERRORS.noHealthyUpstream).code).toBe(503);
  });
});
