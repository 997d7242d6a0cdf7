import { describe, expect, test } from 'vitest';
import type { ScopeKeyFragmentModel } from '../../../src/config/scoped-routes-model.ts';
import type { StreamInfo } from '../../../src/filters/stream-info.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import type { Route, RouteTable } from '../../../src/proxy/router/route.ts';
import { indexScopes, ScopedRouteTable } from '../../../src/proxy/router/scoped-route-table.ts';

const at = (header: string, index = 0, elementSeparator = ''): ScopeKeyFragmentModel => ({
  header,
  elementSeparator,
  extract: { kind: 'index', index },
});
const valueOf = (header: string, key: string): ScopeKeyFragmentModel => ({
  header,
  elementSeparator: ';',
  extract: { kind: 'element', separator: '=', key },
});

/** The name of the route configuration that a request with these headers gets. */
function chosen(
  key: readonly ScopeKeyFragmentModel[],
  scopes: readonly (readonly [string, readonly string[]])[],
  headers: readonly (readonly [string, string])[],
): string | undefined {
  let name: string | undefined;
  const index = indexScopes(
    scopes.map(([routeConfigName, fragments]) => ({ key: fragments, routeConfigName })),
    () => expect.unreachable('none has routes of its own'),
  );
  const table = new ScopedRouteTable(
    key,
    () => index,
    (wanted) => ({ resolve: () => ((name = wanted), undefined as Route | undefined) }) as unknown as RouteTable,
  );
  const map = new HeaderMap();
  for (const [header, value] of headers) map.append(header, value);
  table.resolve(map, {} as StreamInfo, 0);
  return name;
}

describe('ScopedRouteTable', () => {
  test.each([
    ['the whole value', [at('x')], ['a'], [['x', 'a']], true],
    ['another value', [at('x')], ['a'], [['x', 'b']], false],
    ['no header', [at('x')], ['a'], [], false],
    ['a header without a value', [at('x')], [''], [['x', '']], true],
    ['an element', [at('x', 1, ',')], ['b'], [['x', 'a,b,c']], true],
    ['an element that is not there', [at('x', 3, ',')], [''], [['x', 'a,b,c']], false],
    ['the value of a key', [valueOf('x', 'k')], ['v'], [['x', 'a=b;k=v;k=w']], true],
    ['a value with a separator in it', [valueOf('x', 'k')], ['v=w'], [['x', 'k=v=w']], true],
    ['a key without a value', [valueOf('x', 'k')], [''], [['x', 'a;k']], true],
    ['a key that is not there', [valueOf('x', 'k')], [''], [['x', 'a=b;kk=v']], false],
    [
      'the first of several headers',
      [at('x')],
      ['a'],
      [
        ['x', 'a'],
        ['x', 'b'],
      ],
      true,
    ],
    [
      'two fragments',
      [at('x'), at('y')],
      ['a', 'b'],
      [
        ['x', 'a'],
        ['y', 'b'],
      ],
      true,
    ],
    ['one of two fragments', [at('x'), at('y')], ['a', 'b'], [['x', 'a']], false],
    ['the host', [at(':authority')], ['h'], [[':authority', 'h']], true],
  ] as const)('%s', (_, key, scope, headers, matches) => {
    expect(chosen(key, [['r', scope]], headers)).toBe(matches ? 'r' : undefined);
  });
});
