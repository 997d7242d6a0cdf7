import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { RBACSchema } from '../../../src/api/generated/envoy/config/rbac/v3/rbac_pb.js';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { RbacEngine, deniedDetails } from '../../../src/filters/rbac/rbac-engine.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { streamInfo } from '../../support/route-table.ts';

type Rules = MessageInitShape<typeof RBACSchema>;
type Policy = NonNullable<NonNullable<Rules['policies']>[string]>;
type Permission = NonNullable<Policy['permissions']>[number];
type Principal = NonNullable<Policy['principals']>[number];

const ANY_PERMISSION: Permission = { rule: { case: 'any', value: true } };
const ANYBODY: Principal = { identifier: { case: 'any', value: true } };
const ALLOW = 0;
const DENY = 1;
const LOG = 2;

const engine = (action: number, policies: Rules['policies'] = {}): RbacEngine =>
  new RbacEngine(create(RBACSchema, { action, policies }), () => {});
/** Whether one policy of this permission and principal allows `info` and `headers`. */
const allows = (
  permission: Permission,
  principal: Principal = ANYBODY,
  info = streamInfo(),
  headers?: HeaderMap,
): boolean =>
  engine(ALLOW, { p: { permissions: [permission], principals: [principal] } }).evaluate(info, headers).allowed;

describe('policies', () => {
  const all: Policy = { permissions: [ANY_PERMISSION], principals: [ANYBODY] };

  test('without a match ALLOW denies, DENY and LOG allow', () => {
    expect([ALLOW, DENY, LOG].map((action) => engine(action).evaluate(streamInfo(), undefined))).toEqual([
      { allowed: false, policy: '' },
      { allowed: true, policy: '' },
      { allowed: true, policy: '' },
    ]);
  });

  test('the first match by name decides', () => {
    const verdicts = [ALLOW, DENY, LOG].map((action) =>
      engine(action, { b: all, a: all, Z: all }).evaluate(streamInfo(), undefined),
    );
    expect(verdicts).toEqual([
      { allowed: true, policy: 'Z' },
      { allowed: false, policy: 'Z' },
      { allowed: true, policy: 'Z' },
    ]);
  });

  test('of permissions and of principals one must hold, of both kinds', () => {
    const never: Permission = { rule: { case: 'destinationPort', value: 1 } };
    const nobody: Principal = { identifier: { case: 'notId', value: ANYBODY } };
    const verdict = (policy: Policy): boolean => engine(ALLOW, { policy }).evaluate(streamInfo(), undefined).allowed;
    expect(verdict({ permissions: [never, ANY_PERMISSION], principals: [nobody, ANYBODY] })).toBe(true);
    expect(verdict({ permissions: [never], principals: [ANYBODY] })).toBe(false);
    expect(verdict({ permissions: [ANY_PERMISSION], principals: [nobody] })).toBe(false);
  });

  test('details name the policy, without blanks', () => {
    expect([deniedDetails('a b'), deniedDetails('')]).toEqual([
      'rbac_access_denied_matched_policy[a_b]',
      'rbac_access_denied_matched_policy[none]',
    ]);
  });
});

describe('what is asked for', () => {
  const prefix = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen: prefixLen });

  test('addresses and ports, of where the connection went', () => {
    expect(allows({ rule: { case: 'destinationIp', value: prefix('10.0.0.0', 8) } })).toBe(true);
    expect(allows({ rule: { case: 'destinationIp', value: prefix('11.0.0.0', 8) } })).toBe(false);
    expect(allows({ rule: { case: 'destinationPort', value: 80 } })).toBe(true);
    const range = (start: number, end: number): Permission => ({
      rule: { case: 'destinationPortRange', value: { start, end } },
    });
    expect([allows(range(80, 81)), allows(range(79, 80))]).toEqual([true, false]);
  });

  test('headers and paths, where there are any', () => {
    const headers = HeaderMap.of([['x-role', 'admin']]);
    headers.path = '/admin/x?y=/other#z';
    const role: Permission = {
      rule: {
        case: 'header',
        value: {
          name: 'X-Role',
          headerMatchSpecifier: { case: 'stringMatch', value: { matchPattern: { case: 'exact', value: 'admin' } } },
        },
      },
    };
    const path = (suffix: string): Permission => ({
      rule: {
        case: 'urlPath',
        value: { rule: { case: 'path', value: { matchPattern: { case: 'suffix', value: suffix } } } },
      },
    });
    expect([allows(role, ANYBODY, streamInfo(), headers), allows(role)]).toEqual([true, false]);
    expect(allows(path('/x'), ANYBODY, streamInfo(), headers)).toBe(true);
    expect(allows(path('z'), ANYBODY, streamInfo(), headers)).toBe(false);
    expect(allows(path(''))).toBe(false);
  });

  test('dynamic metadata, by path', () => {
    const info = streamInfo();
    info.dynamicMetadata.set('filter', { a: { b: 'value' } });
    const metadata = (key: string, invert = false): Permission => ({
      rule: {
        case: 'metadata',
        value: {
          filter: 'filter',
          path: [{ segment: { case: 'key', value: 'a' } }, { segment: { case: 'key', value: key } }],
          value: { matchPattern: { case: 'stringMatch', value: { matchPattern: { case: 'exact', value: 'value' } } } },
          invert,
        },
      },
    });
    expect(allows(metadata('b'), ANYBODY, info)).toBe(true);
    expect(allows(metadata('c'), ANYBODY, info)).toBe(false);
    expect(allows(metadata('toString'), ANYBODY, info)).toBe(false);
    expect(allows(metadata('c', true), ANYBODY, info)).toBe(true);
  });
});

describe('who asks', () => {
  const named = (exact: string): Principal => ({
    identifier: { case: 'authenticated', value: { principalName: { matchPattern: { case: 'exact', value: exact } } } },
  });

  test('a certificate is known by its URI names, its DNS names, or its subject', () => {
    const tls = { peerUriSans: ['spiffe://a/b'], peerDnsSans: ['b.example'], peerSubject: 'CN=b' };
    const verdicts = ['spiffe://a/b', 'b.example', 'CN=b', 'CN=c'].map((name) =>
      allows(ANY_PERMISSION, named(name), streamInfo(tls)),
    );
    expect(verdicts).toEqual([true, true, true, false]);
    expect(allows(ANY_PERMISSION, named('CN=b'))).toBe(false);
  });

  test('addresses: of the peer, and of whom it speaks for', () => {
    const info = streamInfo();
    info.downstreamRemoteIp = '192.0.2.1';
    const from = (kind: 'remoteIp' | 'directRemoteIp', addressPrefix: string): Principal => ({
      identifier: { case: kind, value: { addressPrefix, prefixLen: 32 } },
    });
    expect(allows(ANY_PERMISSION, from('remoteIp', '192.0.2.1'), info)).toBe(true);
    expect(allows(ANY_PERMISSION, from('directRemoteIp', '192.0.2.1'), info)).toBe(false);
    expect(allows(ANY_PERMISSION, from('directRemoteIp', '10.0.0.1'), info)).toBe(true);
  });

  test('filter state', () => {
    const info = streamInfo();
    info.filterState.set('peer', 'ns/sa');
    const state: Principal = {
      identifier: {
        case: 'filterState',
        value: {
          key: 'peer',
          matcher: { case: 'stringMatch', value: { matchPattern: { case: 'prefix', value: 'ns/' } } },
        },
      },
    };
    expect([allows(ANY_PERMISSION, state, info), allows(ANY_PERMISSION, state)]).toEqual([true, false]);
  });
});

test('what we lack is refused, with its path: to leave it out would open a door', () => {
  const policies = { p: { permissions: [{ rule: { case: 'matcher', value: { name: 'x' } } }], principals: [ANYBODY] } };
  const build = (): RbacEngine => engine(ALLOW, policies as Rules['policies']);
  expect(build).toThrow(ConfigError);
  try {
    build();
  } catch (error) {
    expect((error as ConfigError).path).toBe('policies["p"].permissions[0].matcher');
  }
});
