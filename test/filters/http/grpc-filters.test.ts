import { describe, expect, test } from 'vitest';
import { grpcFrame } from '../../../src/filters/grpc-frames.ts';
import { grpcHttp1ReverseBridge } from '../../../src/filters/http/grpc-http1-reverse-bridge.ts';
import { grpcHttp1Bridge } from '../../../src/filters/http/grpc-http1-bridge.ts';
import { grpcStats } from '../../../src/filters/http/grpc-stats.ts';
import { grpcWeb } from '../../../src/filters/http/grpc-web.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';

const request = (type: string, more: Record<string, string> = {}) => ({
  ':method': 'POST',
  ':path': '/pkg.Svc/Call',
  'content-type': type,
  ...more,
});
const response = (type: string, more: Record<string, string> = {}) => ({
  ':status': '200',
  'content-type': type,
  ...more,
});
const frame = grpcFrame(Buffer.from('hello'));
const base64 = frame.toString('base64');
const TEXT = 'application/grpc-web-text';

describe('grpc_web', () => {
  test('a call in base64, whose text is cut anywhere', async () => {
    using t = await testFilter(grpcWeb);
    const sent = await t.request({
      headers: request(TEXT, { accept: TEXT, 'content-length': '16' }),
      body: [base64.slice(0, 3), base64.slice(3, 5), base64.slice(5)],
    });
    expect(sent.headers?.toList()).toEqual([
      [':method', 'POST'],
      [':path', '/pkg.Svc/Call'],
      ['content-type', 'application/grpc'],
      ['accept', TEXT],
      ['te', 'trailers'],
      ['grpc-accept-encoding', 'identity'],
    ]);
    expect(Buffer.concat(sent.chunks)).toEqual(frame);
    const back = await t.response({
      headers: response('application/grpc'),
      body: [frame.subarray(0, 4), frame.subarray(4)],
      trailers: { 'grpc-status': '0', 'x-a': 'b' },
    });
    const trailers = grpcFrame(Buffer.from('grpc-status:0\r\nx-a:b\r\n'), 0x80).toString('base64');
    expect(back).toMatchObject({ body: base64 + trailers, trailers: undefined });
    expect(back.headers?.get('content-type')).toBe(`${TEXT}+proto`);
  });

  test.each(['AAA', '????', 'A=AA'])('%s is no base64', async (body) => {
    using t = await testFilter(grpcWeb);
    expect((await t.request({ headers: request(TEXT), body })).reply).toMatchObject({ status: 400 });
  });

  test('a page in answer to a call becomes its outcome', async () => {
    using t = await testFilter(grpcWeb);
    await t.request({ headers: request('application/grpc-web'), body: frame });
    const { headers, body } = await t.response({
      headers: { ':status': '404', 'content-length': '9' },
      body: 'not\nfound',
    });
    expect(body).toBe('');
    expect(headers?.toList()).toEqual([
      [':status', '404'],
      ['content-type', 'application/grpc-web+proto'],
      ['grpc-message', 'not%0Afound'],
      ['grpc-status', '12'],
      ['content-length', '0'],
    ]);
  });

  test('other requests pass', async () => {
    using t = await testFilter(grpcWeb);
    expect((await t.request({ headers: request('application/grpc'), body: 'x' })).headers?.get('te')).toBeUndefined();
    const back = await t.response({ headers: response('text/html'), body: 'page', trailers: { 'x-a': 'b' } });
    expect(back).toMatchObject({ body: 'page' });
    expect(back.trailers?.get('x-a')).toBe('b');
  });
});

describe('grpc_stats', () => {
  test('counts messages and outcomes, and shows them as filter state', async () => {
    using t = await testFilter(grpcStats, {
      config: { statsForAllMethods: true, emitFilterState: true, replaceDotsInGrpcServiceName: true },
    });
    t.info.upstreamClusterObservable = 'c';
    await t.request({ headers: request('application/grpc'), body: [frame, frame] });
    await t.response({ headers: response('application/grpc'), body: frame, trailers: { 'grpc-status': '5' } });
    const read = (name: string): number => t.stat(`cluster.c.grpc.pkg_Svc.Call.${name}`);
    expect(['request_message_count', 'response_message_count', '5', 'failure', 'success', 'total'].map(read)).toEqual([
      2, 1, 1, 1, 0, 1,
    ]);
    expect(t.info.filterState.get('envoy.filters.http.grpc_stats')).toEqual({
      request_message_count: '2',
      response_message_count: '1',
    });
  });

  test('methods that are not listed count together', async () => {
    using t = await testFilter(grpcStats, {
      config: { individualMethodStatsAllowlist: { services: [{ name: 'pkg.Svc', methodNames: ['Other'] }] } },
    });
    t.info.upstreamClusterObservable = 'c';
    await t.request({ headers: request('application/grpc') });
    await t.response({ headers: response('application/grpc', { 'grpc-status': '0' }) });
    expect(t.stat('cluster.c.grpc.success')).toBe(1);
  });

  test('the time of the upstream, if asked for', async () => {
    using t = await testFilter(grpcStats, { config: { enableUpstreamStats: true } });
    Object.assign(t.info, { upstreamClusterObservable: 'c', upstreamLastTxMs: 10, upstreamLastRxMs: 25 });
    await t.request({ headers: request('application/grpc') });
    await t.response({ headers: response('application/grpc'), trailers: { 'grpc-status': '0' } });
    expect(t.stat('cluster.c.grpc.upstream_rq_time')).toBe(1);
  });
});

describe('grpc_http1_bridge', () => {
  test('trailers go into the headers', async () => {
    using t = await testFilter(grpcHttp1Bridge);
    await t.request({ headers: request('application/grpc'), body: frame });
    const { headers, body } = await t.response({
      headers: response('application/grpc'),
      body: frame,
      trailers: { 'grpc-status': '7', 'grpc-message': 'no' },
    });
    expect(headers?.toList()).toEqual([
      [':status', '503'],
      ['content-type', 'application/grpc'],
      ['grpc-status', '7'],
      ['grpc-message', 'no'],
      ['content-length', '10'],
    ]);
    expect(body).toHaveLength(10);
  });

  test('protobuf gets its frame and loses it', async () => {
    using t = await testFilter(grpcHttp1Bridge, {
      config: { upgradeProtobufToGrpc: true, ignoreQueryParameters: true },
    });
    const sent = await t.request({
      headers: { ...request('application/x-protobuf', { 'content-length': '5' }), ':path': '/pkg.Svc/Call?a=b' },
      body: ['he', 'llo'],
    });
    expect(Buffer.concat(sent.chunks)).toEqual(frame);
    expect(sent.headers?.get(':path')).toBe('/pkg.Svc/Call');
    expect(sent.headers?.get('content-type')).toBe('application/grpc');
    expect(sent.headers?.has('content-length')).toBe(false);
    expect(t.asked.clearedRoute).toBe(true);
    const { headers, body } = await t.response({
      headers: response('application/grpc'),
      body: frame,
      trailers: { 'grpc-status': '0' },
    });
    expect([headers?.get(':status'), headers?.get('content-length'), body]).toEqual(['200', '5', 'hello']);
  });

  test('HTTP/2 clients are left alone', async () => {
    using t = await testFilter(grpcHttp1Bridge);
    t.info.protocol = 'HTTP/2';
    await t.request({ headers: request('application/grpc'), body: frame });
    const back = await t.response({
      headers: response('application/grpc'),
      body: frame,
      trailers: { 'grpc-status': '7' },
    });
    expect(back.headers?.get(':status')).toBe('200');
  });
});

describe('grpc_http1_reverse_bridge', () => {
  const start = (config: object = {}) =>
    testFilter(grpcHttp1ReverseBridge, { config: { contentType: 'application/x-protobuf', ...config } });
  const grpc = () => ({
    headers: request('application/grpc+proto', { 'content-length': '10' }),
    body: [frame.subarray(0, 3), frame.subarray(3)],
  });
  const plain = (more: Record<string, string> = {}) => response('application/x-protobuf', more);

  test('a call without frames, whose header comes in pieces', async () => {
    using t = await start({ withholdGrpcFrames: true });
    const sent = await t.request(grpc());
    expect(sent.body).toBe('hello');
    expect(sent.headers?.get('content-type')).toBe('application/x-protobuf');
    expect(sent.headers?.get('content-length')).toBe('5');
    const back = await t.response({
      headers: { ...plain(), ':status': '404', 'content-length': '5' },
      body: ['hel', 'lo'],
    });
    expect(Buffer.concat(back.chunks)).toEqual(frame);
    expect(back.headers?.get(':status')).toBe('200');
    expect(back.headers?.get('content-type')).toBe('application/grpc+proto');
    expect(back.headers?.get('content-length')).toBe('10');
    expect(back.trailers?.get('grpc-status')).toBe('12');
  });

  test('a response of a known size is not held', async () => {
    using t = await start({ withholdGrpcFrames: true, responseSizeHeader: 'X-Size' });
    await t.request(grpc());
    const { chunks } = await t.response({ headers: plain({ 'x-size': '5' }), body: ['hel', 'lo'] });
    expect(chunks.map((chunk) => chunk.length)).toEqual([8, 2]);
    using wrong = t.next();
    await wrong.request(grpc());
    expect((await wrong.response({ headers: plain({ 'x-size': '6' }), body: 'hello' })).reply).toMatchObject({
      status: 200,
      grpcStatus: 13,
      details: 'grpc_bridge_content_length_wrong',
    });
  });

  test('headers alone become an empty message', async () => {
    using t = await start({ withholdGrpcFrames: true });
    await t.request(grpc());
    const back = await t.response({ headers: plain() });
    expect(Buffer.concat(back.chunks)).toEqual(Buffer.alloc(5));
    expect(back.trailers?.get('grpc-status')).toBe('0');
  });

  test('a request that can be no frame, and an answer of another type', async () => {
    using t = await start({ withholdGrpcFrames: true });
    expect((await t.request({ headers: request('application/grpc'), body: 'abc' })).reply?.grpcStatus).toBe(2);
    using other = await start();
    await other.request(grpc());
    expect((await other.response({ headers: response('text/html'), body: 'x' })).reply?.body).toBe(
      'envoy reverse bridge: upstream responded with unsupported content-type text/html, status code 200',
    );
  });
});
