import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { HeaderList } from '../../../src/filters/headers.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import type { Route } from '../../../src/proxy/router/route.ts';
import { request, streamInfo, tableOf } from '../../support/route-table.ts';

const add = (key: string, value: string, append_action = 'APPEND_IF_EXISTS_OR_ADD'): JsonObject => ({
  header: { key, value },
  append_action,
});

function routeWith(route: JsonObject, virtualHost: JsonObject = {}, config: JsonObject = {}): Route {
  const table = tableOf([{ match: { prefix: '/' }, route: { cluster: 'c' }, ...route }], virtualHost, config);
  return table.resolve(request('/'), streamInfo(), 0)!;
}

function requestAfter(route: Route, fields: HeaderList): HeaderList {
  const headers = request('/p?q', { headers: [['x-forwarded-proto', 'http'], ...fields] });
  route.finalizeRequest(headers, streamInfo());
  return [...headers.entries()].slice(1);
}

describe('header mutations', () => {
  test.each([
    [
      'APPEND_IF_EXISTS_OR_ADD',
      [['x', 'old']],
      [
        ['x', 'old'],
        ['x', 'new'],
      ],
    ],
    ['APPEND_IF_EXISTS_OR_ADD', [], [['x', 'new']]],
    ['ADD_IF_ABSENT', [['x', 'old']], [['x', 'old']]],
    ['ADD_IF_ABSENT', [], [['x', 'new']]],
    [
      'OVERWRITE_IF_EXISTS_OR_ADD',
      [
        ['x', '1'],
        ['y', '2'],
        ['x', '3'],
      ],
      [
        ['y', '2'],
        ['x', 'new'],
      ],
    ],
    ['OVERWRITE_IF_EXISTS_OR_ADD', [], [['x', 'new']]],
    ['OVERWRITE_IF_EXISTS', [['x', 'old']], [['x', 'new']]],
    ['OVERWRITE_IF_EXISTS', [], []],
  ] as [string, HeaderList, HeaderList][])('%s on %j', (action, before, after) => {
    const route = routeWith({ request_headers_to_add: [add('X', 'new', action)] });
    expect(requestAfter(route, before)).toEqual(after);
    // Nothing of the first evaluation is left in the second.
    expect(requestAfter(route, before)).toEqual(after);
  });

  test('the old boolean append', () => {
    const route = routeWith({
      request_headers_to_add: [
        { header: { key: 'a', value: '1' }, append: false },
        { header: { key: 'b', value: '2' }, append: true },
      ],
    });
    expect(
      requestAfter(route, [
        ['a', '0'],
        ['b', '0'],
      ]),
    ).toEqual([
      ['b', '0'],
      ['a', '1'],
      ['b', '2'],
    ]);
  });

  test('append to what Envoy keeps in one field joins with a comma', () => {
    const route = routeWith({ request_headers_to_add: [add('user-agent', 'b'), add('cookie', 'd')] });
    expect(
      requestAfter(route, [
        ['user-agent', 'a'],
        ['cookie', 'c'],
      ]),
    ).toEqual([
      ['user-agent', 'a,b'],
      ['cookie', 'c'],
      ['cookie', 'd'],
    ]);
  });

  test('all values are evaluated before the first is set, after removals', () => {
    const route = routeWith({
      request_headers_to_add: [
        add('a', '%REQ(b)%', 'OVERWRITE_IF_EXISTS_OR_ADD'),
        add('b', '%REQ(a)%', 'OVERWRITE_IF_EXISTS_OR_ADD'),
        add('c', '1', 'ADD_IF_ABSENT'),
        add('c', '2', 'ADD_IF_ABSENT'),
        add('d', '<%REQ(gone)%>'),
      ],
      request_headers_to_remove: ['Gone'],
    });
    const before: HeaderList = [
      ['a', 'A'],
      ['b', 'B'],
      ['gone', 'G'],
    ];
    expect(requestAfter(route, before)).toEqual([
      ['a', 'B'],
      ['b', 'A'],
      ['c', '1'],
      ['c', '2'],
      ['d', '<>'],
    ]);
  });

  test('an empty value adds nothing unless it is kept', () => {
    const route = routeWith({
      request_headers_to_add: [add('a', '%REQ(nope)%'), { ...add('b', '%REQ(nope)%'), keep_empty_value: true }],
    });
    expect(requestAfter(route, [])).toEqual([['b', '']]);
  });

  test('values are formatted from request, response and stream', () => {
    const route = routeWith({
      name: 'r',
      response_headers_to_add: [add('x', '%REQ(:path)% %RESP(y)% %PROTOCOL% 100%% caf\u00e9')],
    });
    const response = HeaderMap.of([['y', 'Y']]);
    route.finalizeResponse(response, request('/p'), streamInfo());
    expect(response.get('x')).toBe('/p Y HTTP/1.1 100% caf\xc3\xa9');
  });

  const level = (name: string): JsonObject => ({
    request_headers_to_add: [add('level', name), add('last', name, 'OVERWRITE_IF_EXISTS_OR_ADD')],
    response_headers_to_add: [add('level', name), add('last', name, 'OVERWRITE_IF_EXISTS_OR_ADD')],
  });
  const weighted = { weighted_clusters: { clusters: [{ name: 'c', weight: 1, ...level('cluster') }] } };

  test.each([
    [false, ['cluster', 'route', 'vhost', 'config'], 'config'],
    [true, ['cluster', 'config', 'vhost', 'route'], 'route'],
  ])('most_specific_header_mutations_wins=%s', (wins, order, last) => {
    const route = routeWith({ ...level('route'), route: weighted }, level('vhost'), {
      ...level('config'),
      most_specific_header_mutations_wins: wins,
    });
    const headers = request('/');
    route.finalizeRequest(headers, streamInfo());
    expect([headers.getAll('level'), headers.getAll('last')]).toEqual([order, [last]]);
    const response = new HeaderMap();
    route.finalizeResponse(response, headers, streamInfo());
    expect([response.getAll('level'), response.getAll('last')]).toEqual([order, [last]]);
  });
});
