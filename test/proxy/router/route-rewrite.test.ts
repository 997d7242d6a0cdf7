import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { HeaderList } from '../../../src/filters/headers.ts';
import type { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { request, streamInfo, tableOf } from '../../support/route-table.ts';

const uriTemplate = (path_template: string): JsonObject => ({
  path_match_policy: {
    name: 'envoy.path.match.uri_template.uri_template_matcher',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
      path_template,
    },
  },
});
const uriTemplateRewrite = (path_template_rewrite: string): JsonObject => ({
  path_rewrite_policy: {
    name: 'envoy.path.rewrite.uri_template.uri_template_rewriter',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
      path_template_rewrite,
    },
  },
});
const regexRewrite = (regex: string, substitution: string): JsonObject => ({
  regex_rewrite: { pattern: { regex }, substitution },
});

/** The request as the router would send it. */
function finalized(match: JsonObject, route: JsonObject, headers: HeaderMap, insertOriginalPath?: boolean): HeaderMap {
  const found = tableOf([{ match, route: { cluster: 'c', ...route } }]).resolve(headers, streamInfo(), 0);
  if (found === undefined) throw new Error('no route');
  found.finalizeRequest(headers, streamInfo(), insertOriginalPath);
  return headers;
}

describe('a path rewrite', () => {
  test.each([
    [{ prefix: '/a' }, { prefix_rewrite: '/b' }, '/a/x?q=/a', '/b/x?q=/a'],
    [{ prefix: '/a/' }, { prefix_rewrite: '/' }, '/a/x', '/x'],
    [{ prefix: '/A', case_sensitive: false }, { prefix_rewrite: '/b' }, '/a/x', '/b/x'],
    [{ path: '/a' }, { prefix_rewrite: '/b/c' }, '/a?q', '/b/c?q'],
    [{ path_separated_prefix: '/a' }, { prefix_rewrite: '/b' }, '/a/x', '/b/x'],
    [{ safe_regex: { regex: '/a.*' } }, { prefix_rewrite: '/b' }, '/a/x?q', '/b?q'],
    [
      { prefix: '/' },
      regexRewrite('^/service/([^/]+)(/.*)$', '\\2/instance/\\1'),
      '/service/foo/v1?x',
      '/v1/instance/foo?x',
    ],
    [{ prefix: '/' }, regexRewrite('nothing', 'x'), '/a?nothing', '/a?nothing'],
    [uriTemplate('/{a}/{b=**}'), uriTemplateRewrite('/x/{b}/{a}'), '/1/2/3?q', '/x/2/3/1?q'],
  ] as [JsonObject, JsonObject, string, string][])('%j with %j: %s -> %s', (match, route, path, expected) => {
    const headers = finalized(match, route, request(path));
    expect(headers.path).toBe(expected);
    expect(headers.get('x-envoy-original-path')).toBe(path);
  });

  test('keeps no original path where the router suppresses it, and none where nothing is rewritten', () => {
    const suppressed = finalized({ prefix: '/a' }, { prefix_rewrite: '/b' }, request('/a'), false);
    expect([suppressed.path, suppressed.has('x-envoy-original-path')]).toEqual(['/b', false]);
    expect(finalized({ prefix: '/a' }, {}, request('/a')).has('x-envoy-original-path')).toBe(false);
  });

  test('is not fooled by an x-envoy-original-path that was there before', () => {
    const headers = request('/a', { headers: [['x-envoy-original-path', '/evil']] });
    expect(finalized({ prefix: '/a' }, { prefix_rewrite: '/b' }, headers).getAll('x-envoy-original-path')).toEqual([
      '/a',
    ]);
  });
});

describe('a host rewrite', () => {
  test.each([
    [{ host_rewrite_literal: 'new.com' }, [], 'new.com'],
    [{ host_rewrite_header: 'X-H' }, [['x-h', 'hdr.com']], 'hdr.com'],
    [{ host_rewrite_header: 'x-h' }, [], 'example.com'],
    [{ host_rewrite_path_regex: { pattern: { regex: '^/([^/]+)/.*$' }, substitution: '\\1.com' } }, [], 'foo.com'],
    [{ auto_host_rewrite: true }, [], 'example.com'],
  ] as [JsonObject, HeaderList, string][])('%j with %j: %s', (route, fields, expected) => {
    const headers = finalized({ prefix: '/' }, route, request('/foo/bar?x', { headers: fields }));
    expect(headers.authority).toBe(expected);
    expect(headers.get('x-envoy-original-host')).toBe(expected === 'example.com' ? undefined : 'example.com');
    expect(headers.has('x-forwarded-host')).toBe(false);
  });

  test.each([
    [[], 'example.com'],
    [[['x-forwarded-host', 'p.com']], 'p.com,example.com'],
    [[['x-forwarded-host', 'example.com']], 'example.com'],
  ] as [HeaderList, string][])('appends to x-forwarded-host %j: %s', (fields, expected) => {
    const route = { host_rewrite_literal: 'new.com', append_x_forwarded_host: true };
    const headers = finalized({ prefix: '/' }, route, request('/', { headers: fields }));
    expect(headers.getAll('x-forwarded-host')).toEqual([expected]);
  });

  test('by path regex sees the path before it is rewritten', () => {
    const route = {
      prefix_rewrite: '/z',
      host_rewrite_path_regex: { pattern: { regex: '^/(.*)$' }, substitution: '\\1' },
    };
    const headers = finalized({ prefix: '/a' }, route, request('/a'));
    expect([headers.authority, headers.path]).toEqual(['a', '/z']);
  });
});
