import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grpcFrame } from '../../../src/filters/grpc-frames.ts';
import { createGrpcJsonTranscoder } from '../../../src/filters/http/grpc-json-transcoder.ts';
import { JsonSplitter } from '../../../src/filters/http/grpc-json-transcoder/json-splitter.ts';
import {
  PathMatcher,
  parseTemplate,
  unescapeText,
  variableValue,
} from '../../../src/filters/http/grpc-json-transcoder/path-template.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';
import { bookstoreDescriptors } from '../../support/bookstore.ts';

describe('path templates', () => {
  const matcher = new PathMatcher<string>(false);
  for (const template of [
    '/a',
    '/a/*',
    '/a/b',
    '/a/**',
    '/a/*:verb',
    '/{x=c/*/**}:go',
    '/d/{y}/e',
    '/d/*/{z=f/**}',
    '/',
  ])
    matcher.add('GET', parseTemplate(template), template);
  matcher.add('*', parseTemplate('/any'), '/any');

  test.each([
    ['/a', '/a'],
    ['/a/', '/a'],
    ['/a/b', '/a/b'],
    ['/a/c', '/a/*'],
    ['/a/c/d', '/a/**'],
    ['/a/c:verb', '/a/*:verb'],
    ['/a/c:other', '/a/*'],
    ['/c/1:go', '/{x=c/*/**}:go'],
    ['/c/1/2/3:go', '/{x=c/*/**}:go'],
    ['/c/1/2', undefined],
    ['/d/1/e', '/d/{y}/e'],
    ['/d/1/f', '/d/*/{z=f/**}'],
    ['/d/1/f/g/h', '/d/*/{z=f/**}'],
    ['/d/1', undefined],
    ['/', '/'],
    ['/any', '/any'],
  ])('%s is %s', (path, template) => expect(matcher.find('GET', path)?.rule).toBe(template));

  test('variables span segments', () => {
    const value = (template: string, path: string): string => {
      const parsed = parseTemplate(template);
      return variableValue(path.slice(1).split('/'), parsed.variables[0]!, 'except-reserved');
    };
    expect(value('/{a}/b', '/x%2Fy/b')).toBe('x/y');
    expect(value('/{a=b/*}/c', '/b/x%2Fy/c')).toBe('b/x%2Fy');
    expect(value('/a/{b=**}', '/a/x/y/z')).toBe('x/y/z');
    expect(value('/a/**/{b}', '/a/x/y/z')).toBe('z');
  });

  test.each(['a', '/{a', '/a}', '/a//b', '/{a=}', '/{}', '/**/**'])('%s is none', (template) =>
    expect(() => parseTemplate(template)).toThrow(/path template/),
  );

  test('escapes', () => {
    expect(unescapeText('%2f%23/%20%2523', 'except-reserved')).toBe('%2f%23/ %23');
    expect(unescapeText('%2f%23/%20%2523', 'except-slash')).toBe('%2f#/ %23');
    expect(unescapeText('%2f%23/%20%2523', 'all')).toBe('/#/ %23');
    expect(unescapeText('a+b%C3%A4%zz', 'all', true)).toBe('a bä%zz');
  });
});

describe('JSON in pieces', () => {
  test('an array is cut into its elements however it comes', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.array(fc.nat(200), { maxLength: 5 }), (values, at) => {
        const bytes = Buffer.from(` ${JSON.stringify(values, undefined, 1)}\n`);
        const points = [...new Set([0, ...at.map((place) => place % bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const splitter = new JsonSplitter();
        const elements = points
          .slice(1)
          .flatMap((to, i) => splitter.push(bytes.subarray(points[i], to), to === bytes.length));
        expect(elements.map((text) => JSON.parse(text) as unknown)).toEqual(JSON.parse(JSON.stringify(values)));
      }),
    );
  });

  test.each(['{}', '[1', '[1]x', '[,1]', '"'])('%s is no array', (text) =>
    expect(() => new JsonSplitter().push(Buffer.from(text), true)).toThrow(/./),
  );
});

describe('grpc_json_transcoder', () => {
  const filter = createGrpcJsonTranscoder();
  const start = (config: object = {}) =>
    testFilter(filter, {
      config: {
        protoDescriptorBin: bookstoreDescriptors().toString('base64'),
        services: ['test.Bookstore'],
        ...config,
      },
    });
  const frame = (...bytes: number[]): Buffer => grpcFrame(Buffer.from(bytes));
  const request = (method: string, path: string) => ({ ':method': method, ':path': path, 'content-length': '2' });
  const response = { ':status': '200', 'content-type': 'application/grpc' };

  test('a call without a body, and its answer', async () => {
    using t = await start();
    const sent = await t.request({ headers: request('GET', '/shelves/5/books/A?tags=x') });
    expect(sent.headers?.toList()).toEqual([
      [':method', 'POST'],
      [':path', '/test.Bookstore/GetBook'],
      ['content-type', 'application/grpc'],
      ['x-envoy-original-path', '/shelves/5/books/A?tags=x'],
      ['x-envoy-original-method', 'GET'],
      ['te', 'trailers'],
    ]);
    expect(Buffer.concat(sent.chunks)).toEqual(frame(8, 5, 0x12, 1, 0x41, 0x2a, 1, 0x78));
    expect(t.asked.clearedRoute).toBe(true);
    const back = await t.response({ headers: response, body: frame(8, 5), trailers: { 'grpc-status': '0' } });
    expect(back.body).toBe('{"id":"5"}');
    expect(back.headers?.get('content-length')).toBe('10');
  });

  test('a body in pieces', async () => {
    using t = await start();
    const sent = await t.request({ headers: request('POST', '/books'), body: ['{"id"', ': 7}'] });
    expect(Buffer.concat(sent.chunks)).toEqual(frame(8, 7));
  });

  test('streams both ways', async () => {
    using t = await start();
    const sent = await t.request({ headers: request('POST', '/echo'), body: ['[{"id":1},{"i', 'd":2}]'] });
    expect(sent.chunks).toEqual([frame(8, 1), frame(8, 2)]);
    const back = await t.response({
      headers: response,
      body: [frame(8, 1), frame(8, 2)],
      trailers: { 'grpc-status': '0' },
    });
    expect(back.chunks.map(String)).toEqual(['[{"id":"1"}', ',{"id":"2"}', ']']);
    expect(back.trailers?.get('grpc-status')).toBe('0');
  });

  test('what was bound twice may be refused', async () => {
    using t = await start({ requestValidationOptions: { rejectBindingBodyFieldCollisions: true } });
    const { reply } = await t.request({
      headers: request('PUT', '/books/7/author?author.name=a'),
      body: '{"name":"b"}',
    });
    expect(reply).toMatchObject({ status: 400, details: 'grpc_json_transcode_failure{INVALID_ARGUMENT}' });
    using same = await start({ requestValidationOptions: { rejectBindingBodyFieldCollisions: true } });
    const ok = await same.request({ headers: request('PUT', '/books/7/author?author.name=b'), body: '{"name":"b"}' });
    expect(ok.reply).toBeUndefined();
  });

  test.each([
    ['no message', Buffer.from([0, 0, 0, 0, 1, 0xff])],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 0])],
  ])('%s in an answer is 502', async (_, body) => {
    using t = await start();
    await t.request({ headers: request('GET', '/shelves/5/books/A') });
    const { reply } = await t.response({ headers: response, body, trailers: { 'grpc-status': '0' } });
    expect(reply).toMatchObject({ status: 502 });
  });

  test('limits', async () => {
    using t = await start({ maxRequestBodySize: 10, maxResponseBodySize: 10 });
    expect((await t.request({ headers: request('POST', '/books'), body: '{"title":"too long"}' })).reply?.status).toBe(
      413,
    );
    using other = await start({ maxResponseBodySize: 3 });
    await other.request({ headers: request('GET', '/shelves/5/books/A') });
    expect((await other.response({ headers: response, body: frame(8, 5), trailers: {} })).reply?.status).toBe(500);
  });

  test('bad configs, in the words of Envoy', async () => {
    await expect(start({ services: ['test.Nothing'] })).rejects.toThrow(
      "transcoding_filter: Could not find 'test.Nothing' in the proto descriptor",
    );
    await expect(start({ protoDescriptorBin: 'AAAA' })).rejects.toThrow('Unable to parse proto descriptor');
    await expect(testFilter(filter, { config: { protoDescriptor: '/nowhere/x.pb', services: ['a'] } })).rejects.toThrow(
      'ENOENT',
    );
  });
});
