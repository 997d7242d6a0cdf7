import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { request, streamInfo, tableOf, type RequestParts } from '../../support/route-table.ts';

function redirect(action: JsonObject, headers: HeaderMap, match: JsonObject = { prefix: '/r' }): [number, string] {
  const route = tableOf([{ match, redirect: action }]).resolve(headers, streamInfo(), 0);
  if (route?.action.kind !== 'redirect') throw new Error('no redirect');
  return [route.action.status, route.action.location(headers)];
}

describe('the location of a redirect', () => {
  test.each([
    [{ host_redirect: 'h.com' }, '/r?q', {}, 'http://h.com/r?q'],
    [{ host_redirect: 'h.com:1' }, '/r', { authority: 'x.com:80' }, 'http://h.com:1/r'],
    [{ path_redirect: '/p' }, '/r?q', {}, 'http://example.com/p?q'],
    [{ path_redirect: 'p' }, '/r?q', {}, 'http://example.com/p?q'],
    [{ path_redirect: '/p', strip_query: true }, '/r?q', {}, 'http://example.com/p'],
    [{ path_redirect: '/p?z=1', strip_query: true }, '/r?q', {}, 'http://example.com/p?z=1'],
    [{ strip_query: true }, '/r?q', {}, 'http://example.com/r'],
    [{ prefix_rewrite: '/new' }, '/r/x?y', {}, 'http://example.com/new/x?y'],
    [
      { regex_rewrite: { pattern: { regex: 'r+' }, substitution: 'Q' }, strip_query: true },
      '/rr/xr?r',
      {},
      'http://example.com/Q/xQ',
    ],
    [{ scheme_redirect: 'ftp' }, '/r', { authority: 'x.com:80' }, 'ftp://x.com/r'],
    [{ https_redirect: true }, '/r', { authority: 'x.com:80' }, 'https://x.com/r'],
    [{ https_redirect: true }, '/r', { authority: 'x.com:443' }, 'https://x.com:443/r'],
    [{ https_redirect: true }, '/r', { authority: 'x.com:8080' }, 'https://x.com:8080/r'],
    [{ https_redirect: true }, '/r', { authority: '[::1]:80' }, 'https://[::1]/r'],
    [{ https_redirect: true }, '/r', { authority: '[::1]' }, 'https://[::1]/r'],
    [{ https_redirect: true, port_redirect: 8443 }, '/r', { authority: 'x.com:80' }, 'https://x.com:8443/r'],
    [{ port_redirect: 81 }, '/r', { authority: '[::1]:8080' }, 'http://[::1]:81/r'],
    [{ port_redirect: 81 }, '/r', { authority: '[::1]' }, 'http://[::1]:81/r'],
    [{ scheme_redirect: 'http' }, '/r', { scheme: 'https', authority: 'x.com:443' }, 'http://x.com/r'],
    [
      { https_redirect: true },
      '/r',
      { authority: 'x.com:80', headers: [['x-forwarded-proto', 'https']] },
      'https://x.com:80/r',
    ],
  ] as [JsonObject, string, RequestParts, string][])('%j on %s %j', (action, path, parts, expected) => {
    expect(redirect(action, request(path, parts))).toEqual([301, expected]);
  });

  test.each([
    ['MOVED_PERMANENTLY', 301],
    ['FOUND', 302],
    ['SEE_OTHER', 303],
    ['TEMPORARY_REDIRECT', 307],
    ['PERMANENT_REDIRECT', 308],
  ])('comes with status %s', (response_code, status) => {
    expect(redirect({ response_code, host_redirect: 'h' }, request('/r'))[0]).toBe(status);
  });

  test('leaves the rewritten path and the old one in the request, where logs show them', () => {
    const headers = request('/r/x?y');
    redirect({ prefix_rewrite: '/new' }, headers);
    expect([headers.path, headers.get('x-envoy-original-path')]).toEqual(['/new/x?y', '/r/x?y']);
  });
});

describe('a direct response', () => {
  test.each([
    [200, ''],
    [201, 'http://example.com/d?x'],
    [302, 'http://example.com/d?x'],
    [404, ''],
  ])('with status %i has location %j', (status, expected) => {
    const table = tableOf([
      { match: { prefix: '/' }, direct_response: { status, body: { inline_string: 'caf\u00e9' } } },
    ]);
    const headers = request('/d?x');
    const action = table.resolve(headers, streamInfo(), 0)?.action;
    if (action?.kind !== 'direct-response') throw new Error('no direct response');
    expect([action.status, action.body, action.location(headers)]).toEqual([status, 'caf\xc3\xa9', expected]);
  });
});
