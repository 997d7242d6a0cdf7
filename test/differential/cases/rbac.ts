import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

/** The HTTP filters rbac and cors: each route has rules of its own. */
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
const any = [{ any: true }];
const ANYBODY = { permissions: any, principals: any };
const exact = (value: string) => ({ exact: value });
const regex = (value: string) => ({ safe_regex: { regex: value } });
const header = (name: string, match: object = { present_match: true }) => ({ header: { name, ...match } });

const permitted = (...permissions: object[]) => ({ policies: { p: { permissions, principals: any } } });
const known = (...principals: object[]) => ({ policies: { p: { permissions: any, principals } } });

/** Name of the route -> its RBAC. */
const rules: Readonly<Record<string, object>> = {
  empty: { rules: {} },
  'deny-none': { rules: { action: 'DENY' } },
  'log-none': { rules: { action: 'LOG' } },
  any: { rules: permitted({ any: true }) },
  'deny-any': { rules: { action: 'DENY', policies: { 'no one at all': ANYBODY } } },
  'log-any': { rules: { action: 'LOG', policies: { 'every one': ANYBODY } } },
  header: { rules: permitted(header('x-a', { string_match: exact('1') })) },
  'header-prefix': { rules: permitted(header('x-a', { string_match: { prefix: 'AB', ignore_case: true } })) },
  'header-present': { rules: permitted(header('x-a')) },
  'header-absent': { rules: permitted(header('x-a', { present_match: false })) },
  'header-invert': { rules: permitted(header('x-a', { string_match: exact('1'), invert_match: true })) },
  'header-missing': {
    rules: permitted(header('x-a', { string_match: exact(''), treat_missing_header_as_empty: true })),
  },
  'header-range': { rules: permitted(header('x-a', { range_match: { start: 2, end: 5 } })) },
  'header-regex': { rules: permitted(header('x-a', { string_match: regex('[a-c]+') })) },
  method: { rules: permitted(header(':method', { string_match: exact('POST') })) },
  authority: { rules: permitted(header(':authority', { string_match: { suffix: '.test' } })) },
  host: { rules: permitted(header('host', { string_match: exact('a.test') })) },
  path: { rules: permitted({ url_path: { path: exact('/path') } }) },
  'path-prefix': { rules: permitted({ url_path: { path: { prefix: '/path-prefix/x' } } }) },
  'path-contains': { rules: permitted({ url_path: { path: { contains: 'Q', ignore_case: true } } }) },
  and: { rules: permitted({ and_rules: { rules: [header('x-a'), header('x-b')] } }) },
  or: { rules: permitted({ or_rules: { rules: [header('x-a'), header('x-b')] } }) },
  list: { rules: permitted(header('x-a'), header('x-b')) },
  not: { rules: permitted({ not_rule: header('x-a') }) },
  port: { rules: permitted({ destination_port: 1 }) },
  'port-range': { rules: permitted({ destination_port_range: { start: 1, end: 65536 } }) },
  'destination-ip': { rules: permitted({ destination_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }) },
  'destination-other': { rules: permitted({ destination_ip: { address_prefix: '10.0.0.0', prefix_len: 8 } }) },
  sni: { rules: permitted({ requested_server_name: exact('') }) },
  metadata: {
    rules: permitted({
      metadata: {
        filter: 'envoy.filters.http.rbac',
        path: [{ key: 'shadow_engine_result' }],
        value: { string_match: exact('allowed') },
      },
    }),
  },
  authenticated: { rules: known({ authenticated: {} }) },
  'not-authenticated': { rules: known({ not_id: { authenticated: { principal_name: exact('a') } } }) },
  'direct-ip': { rules: known({ direct_remote_ip: { address_prefix: '127.0.0.1', prefix_len: 32 } }) },
  'source-ip': { rules: known({ source_ip: { address_prefix: '127.0.0.1', prefix_len: 32 } }) },
  'remote-ip': { rules: known({ remote_ip: { address_prefix: '10.1.2.3', prefix_len: 32 } }) },
  'principal-header': { rules: known(header('x-user', { string_match: exact('jason') })) },
  'principal-path': { rules: known({ url_path: { path: { suffix: '/me' } } }) },
  'principal-and': { rules: known({ and_ids: { ids: [header('x-a'), header('x-b')] } }) },
  'principal-or': { rules: known({ or_ids: { ids: [header('x-a'), header('x-b')] } }) },
  'filter-state': { rules: known({ filter_state: { key: 'k', string_match: exact('v') } }) },
  both: { rules: { policies: { p: { permissions: [header('x-a')], principals: [header('x-b')] } } } },
  order: {
    rules: {
      action: 'DENY',
      policies: {
        'z z': { permissions: [header('x-a')], principals: any },
        'a\tb': { permissions: [header('x-a')], principals: any },
        M: { permissions: [header('x-b')], principals: any },
      },
    },
  },
  istio: {
    rules: {
      action: 'DENY',
      policies: { 'ns[foo]-policy[httpbin]-rule[0]': { permissions: [header('x-a')], principals: any } },
    },
  },
  shadow: { shadow_rules: permitted(header('x-a')) },
  'shadow-deny': { shadow_rules: { action: 'DENY', policies: { 'a b': ANYBODY } }, shadow_rules_stat_prefix: 'dry_' },
  'shadow-both': {
    rules: permitted(header('x-a')),
    rules_stat_prefix: 'real_',
    shadow_rules: permitted(header('x-b')),
    shadow_rules_stat_prefix: 'dry_',
  },
  counted: {
    rules: {
      policies: {
        one: { permissions: [header('x-a')], principals: any },
        two: { permissions: [header('x-b')], principals: any },
      },
    },
    shadow_rules: { action: 'DENY', policies: { three: { permissions: [header('x-c')], principals: any } } },
    track_per_rule_stats: true,
  },
};

const rbac = (config: object) => ({
  name: 'envoy.filters.http.rbac',
  typed_config: { '@type': `${TYPE}.rbac.v3.RBAC`, ...config },
});
const perRoute = (config: object) => ({
  'envoy.filters.http.rbac': { '@type': `${TYPE}.rbac.v3.RBACPerRoute`, ...config },
});
const say = (key: string, what: string) => ({
  header: { key, value: `%DYNAMIC_METADATA(${what})%` },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
});
/** Dynamic metadata, where it can be seen. */
const response_headers_to_add = [
  ...['shadow', 'enforced', 'dry_shadow', 'real_enforced'].flatMap((prefix) =>
    ['engine_result', 'effective_policy_id'].map((what) =>
      say(`x-${prefix.replace('_', '-')}-${what.replaceAll('_', '-')}`, `envoy.filters.http.rbac:${prefix}_${what}`),
    ),
  ),
  say('x-hint', 'envoy.common:access_log_hint'),
];
const route = { cluster: 'upstream' };
const DENY_ALL = { rules: { action: 'DENY', policies: { everything: ANYBODY } } };

export const listeners: Readonly<Record<string, ListenerParts>> = {
  rules: {
    hcm: { use_remote_address: true, xff_num_trusted_hops: 1 },
    filters: [rbac({})] as never,
    routes: Object.entries(rules).map(([name, config]) => ({
      match: { safe_regex: { regex: `/${name}([/?].*)?` } },
      route,
      response_headers_to_add,
      typed_per_filter_config: perRoute({ rbac: config }),
    })) as never,
  },
  'rbac-global': {
    filters: [rbac({ ...DENY_ALL, rules_stat_prefix: 'all', track_per_rule_stats: true })] as never,
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          { match: { prefix: '/off' }, route, typed_per_filter_config: perRoute({}) },
          { match: { prefix: '/direct' }, direct_response: { status: 200 } },
          { match: { prefix: '/direct-off' }, direct_response: { status: 200 }, typed_per_filter_config: perRoute({}) },
          { match: { prefix: '/other' }, route, typed_per_filter_config: perRoute({ rbac: rules['header'] }) },
          { match: { path: '/denied' }, route },
        ],
      },
    ] as never,
  },
  'rbac-shadow': {
    filters: [
      rbac({ ...rules['shadow-both'], track_per_rule_stats: true }),
      rbac({
        rules: permitted({
          metadata: {
            filter: 'envoy.filters.http.rbac',
            path: [{ key: 'dry_shadow_engine_result' }],
            value: { string_match: exact('allowed') },
          },
        }),
      }),
    ] as never,
    routes: [{ match: { prefix: '/' }, route, response_headers_to_add }] as never,
  },
};

const get = (path: string, ...fields: string[]): string =>
  ['GET', path].join(' ') + ` HTTP/1.1\nHost: a.test\n${fields.map((field) => `${field}\n`).join('')}\n`;
const named = (listener: string, path: string, ...fields: string[]): Case => ({
  name: [listener, path, ...fields].join(' '),
  listener,
  send: get(path, ...fields),
});
const test = (path: string, ...fields: string[]): Case => named('rules', `/${path}`, ...fields);

const all: readonly Case[] = [
  ...['empty', 'deny-none', 'log-none', 'any', 'deny-any', 'log-any'].map((name) => test(name)),
  ...['x-a: 1', 'x-a: 2', 'X-A: 1'].map((field) => test('header', field)),
  test('header'),
  test('header', 'x-a: 2', 'x-a: 1'),
  ...['x-a: abc', 'x-a: b'].map((field) => test('header-prefix', field)),
  ...['header-present', 'header-absent', 'header-invert', 'header-missing'].flatMap((name) => [
    test(name),
    test(name, 'x-a: 1'),
    test(name, 'x-a: 2'),
  ]),
  ...['x-a: 1', 'x-a: 2', 'x-a: 5', 'x-a: 4', 'x-a: four'].map((field) => test('header-range', field)),
  ...['x-a: abc', 'x-a: abcd'].map((field) => test('header-regex', field)),
  test('method'),
  { name: 'POST', listener: 'rules', send: 'POST /method HTTP/1.1\nHost: a.test\nContent-Length: 0\n\n' },
  test('authority'),
  test('host'),
  ...['path', 'path?a', 'path/x', 'path-prefix/x', 'path-prefix/y', 'path-prefix/xyz?q=1'].map((path) => test(path)),
  ...['path-contains/q', 'path-contains?q'].map((path) => test(path)),
  ...['and', 'or', 'list', 'not', 'both', 'principal-and', 'principal-or'].flatMap((name) => [
    test(name),
    test(name, 'x-a: 1'),
    test(name, 'x-b: 1'),
    test(name, 'x-a: 1', 'x-b: 1'),
  ]),
  ...['port', 'port-range', 'destination-ip', 'destination-other', 'sni', 'metadata'].map((name) => test(name)),
  ...['authenticated', 'not-authenticated', 'direct-ip', 'source-ip', 'filter-state'].map((name) => test(name)),
  ...['direct-ip', 'source-ip', 'remote-ip'].map((name) => test(name, 'x-forwarded-for: 10.1.2.3')),
  ...['x-user: jason', 'x-user: eve'].map((field) => test('principal-header', field)),
  ...['principal-path/me', 'principal-path/you', 'principal-path/me?x=/you'].map((path) => test(path)),
  ...['x-a: 1', 'x-b: 1', 'x-c: 1'].map((field) => test('order', field)),
  test('istio', 'x-a: 1'),
  test('istio'),
  ...['shadow', 'shadow-deny', 'shadow-both'].flatMap((name) => [
    test(name),
    test(name, 'x-a: 1'),
    test(name, 'x-a: 1', 'x-b: 1'),
  ]),
  ...[['x-a: 1'], ['x-b: 1'], ['x-c: 1'], ['x-a: 1', 'x-c: 1']].map((fields) => test('counted', ...fields)),
  ...['/off', '/direct', '/direct-off', '/denied', '/nowhere'].map((path) => named('rbac-global', path)),
  named('rbac-global', '/other', 'x-a: 1'),
  named('rbac-global', '/other'),
  named('rbac-shadow', '/', 'x-a: 1'),
  named('rbac-shadow', '/', 'x-a: 1', 'x-b: 1'),
  named('rbac-shadow', '/', 'x-b: 1'),
  {
    name: 'a gRPC request',
    listener: 'rbac-global',
    send: 'POST /denied HTTP/1.1\nHost: a.test\nContent-Type: application/grpc\nContent-Length: 0\n\n',
  },
];
export const cases: readonly Case[] = all.map((each) => ({ responses: 1, ...each }));
