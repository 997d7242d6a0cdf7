import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BootstrapSchema } from '../../src/api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import type { BootstrapOptions } from '../../src/config/bootstrap.ts';
import { loadBootstrap } from '../../src/config/bootstrap.ts';
import { formatProblem } from '../../src/config/format-problem.ts';

const registry = new TypeRegistry();
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bootstrap-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

const load = (options: BootstrapOptions) => loadBootstrap({ registry, ...options });
const lines = async (options: BootstrapOptions) =>
  (await load(options)).problems.map(formatProblem).map((line) => line.replace(`${dir}/`, ''));

describe('problems', () => {
  test('all at once, each at its place', async () => {
    const configPath = file(
      'bad.yaml',
      `
nodee: {}
admin:
  address: {}
static_resources:
  clusters:
  - name: one
    connect_timeout: 5
    lb_policy: ROUNDROBIN
  - name: one
    connect_timeout: 0s
    load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: 127.0.0.1, port_value: 99999}
  - name: two
    transport_socket:
      name: x
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBufer
stats_sinks:
- name: x
`,
    );
    expect((await lines({ configPath })).sort()).toEqual(
      [
        "bad.yaml:2:1: nodee: unknown field of envoy.config.bootstrap.v3.Bootstrap (did you mean 'node'?)",
        'bad.yaml:4:3: admin.address: one of socket_address, pipe, envoy_internal_address is required (address)',
        "bad.yaml:8:22: static_resources.clusters[0].connect_timeout: expected a duration in seconds such as '1.5s', found the number 5 (did you mean '5s'?)",
        "bad.yaml:9:16: static_resources.clusters[0].lb_policy: unknown value 'ROUNDROBIN' of the enum envoy.config.cluster.v3.Cluster.LbPolicy (did you mean 'ROUND_ROBIN'?)",
        "bad.yaml:10:5: static_resources.clusters[1].name: cluster manager: duplicate cluster 'one'",
        'bad.yaml:11:5: static_resources.clusters[1].connect_timeout: value must be greater than 0s',
        'bad.yaml:12:5: static_resources.clusters[1].load_assignment.cluster_name: value length must be at least 1 characters',
        'bad.yaml:17:52: static_resources.clusters[1].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: value must be less than or equal to 65535',
        "bad.yaml:22:18: static_resources.clusters[2].transport_socket.typed_config.@type: unknown type 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBufer' (did you mean 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'?)",
        'bad.yaml:23:1: unsupported: stats_sinks: is not implemented',
      ].sort(),
    );
  });

  test('of syntax, with the place and nothing else', async () => {
    expect(await lines({ configPath: file('bad.yaml', 'node:\n  id: [a\n') })).toHaveLength(1);
    expect(await lines({ configPath: file('twice.yaml', 'node:\n  id: a\n  id: b\n') })).toEqual([
      "twice.yaml:3:3: the key 'id' is there twice",
    ]);
    expect(await lines({ configPath: file('bad.json', '{"node": {"id" "a"}}') })).toEqual([
      `bad.json:1:16: expected ':', found '"'`,
    ]);
    expect(await lines({ configPath: file('empty.yaml', '') })).toEqual(['the file is empty']);
  });

  test('what could not be read is not missed too', async () => {
    const text = 'admin: {address: {socket_address: {address: 127.0.0.1, port_value: x}}}\n';
    expect(await lines({ configPath: file('a.yaml', text) })).toEqual([
      'a.yaml:1:68: admin.address.socket_address.port_value: expected an integer, found the string "x"',
    ]);
  });

  test('without a config, and without the file', async () => {
    expect(await lines({})).toEqual(['at least one of --config-path (-c) and --config-yaml has to be given']);
    expect(await lines({ configPath: join(dir, 'none.yaml') })).toEqual([
      'unable to read none.yaml: there is no such file',
    ]);
  });

  test('in a config object have paths and no places', async () => {
    expect(await lines({ config: { node: { idd: 'a' } } })).toEqual([
      "node.idd: unknown field of envoy.config.core.v3.Node (did you mean 'id'?)",
    ]);
  });

  test.each([
    ['layered_runtime: {layers: [{name: a, disk_layer: {}}]}', 'layered_runtime.layers[0].disk_layer'],
    [
      'overload_manager: {resource_monitors: [{name: a}], actions: [{name: a, triggers: [{name: b, threshold: {value: 0.5}}]}]}',
      'overload_manager.actions',
      'overload_manager.resource_monitors[0].typed_config',
    ],
    [
      'bootstrap_extensions: [{name: a, typed_config: {"@type": type.googleapis.com/google.protobuf.Struct}}]',
      'bootstrap_extensions[0].typed_config',
    ],
    [
      'default_regex_engine: {name: x, typed_config: {"@type": type.googleapis.com/google.protobuf.Struct}}',
      'default_regex_engine.typed_config',
    ],
  ])('unsupported: %s', async (configYaml, ...paths) => {
    const { problems } = await load({ configYaml });
    expect(problems).toMatchObject(paths.map((path) => ({ severity: 'unsupported', path })));
  });

  test('unknown fields are only reported where they are allowed', async () => {
    const configYaml =
      'nodee: {}\nnode: {id: a, locality: {zon: b}}\nstatic_resources: {clusters: [{name: a, lb_policy: X}]}';
    const strict = await load({ configYaml });
    expect(strict.problems.map((problem) => problem.severity)).toEqual(['error', 'error', 'error']);
    const lenient = await load({ configYaml, allowUnknownStaticFields: true });
    expect(lenient.problems.map((problem) => problem.severity)).toEqual(['unsupported', 'unsupported', 'unsupported']);
    expect(lenient.bootstrap.node?.id).toBe('a');
    expect(lenient.bootstrap.staticResources?.clusters[0]?.name).toBe('a');
  });
});

describe('syntaxes', () => {
  const yaml = 'node: {id: a}\nadmin: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}\n';

  test('by extension, all the same message', async () => {
    const { bootstrap } = await load({ configPath: file('a.yml', yaml) });
    const json =
      '{"node": {"id": "a"}, "admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 80}}}}';
    const text = 'node { id: "a" } admin { address { socket_address { address: "127.0.0.1" port_value: 80 } } }';
    for (const [name, content] of [
      ['a.json', json],
      ['a.conf', json],
      ['a.yaml', json],
      ['a.pb', toBinary(BootstrapSchema, bootstrap)],
      ['a.pb_text', text],
    ] as const) {
      const loaded = await load({ configPath: file(name, content) });
      expect(loaded.problems).toEqual([]);
      expect(loaded.bootstrap).toEqual(bootstrap);
    }
  });

  test('binary and text that are none', async () => {
    expect(await lines({ configPath: file('a.pb', new Uint8Array([0xff])) })).toEqual([
      expect.stringMatching(/unable to parse .*a\.pb as a binary/),
    ]);
    expect(await lines({ configPath: file('b.pb', new Uint8Array([0x98, 0x06, 1])) })).toEqual([
      'has unknown fields of envoy.config.bootstrap.v3.Bootstrap: number 99',
    ]);
    expect(await lines({ configPath: file('a.pb_text', 'node { idd: "a" }') })).toEqual([
      expect.stringMatching(/unable to parse .*a\.pb_text as a text/),
    ]);
  });

  test('text format with an Any', async () => {
    const text = `static_resources { clusters { name: "a" connect_timeout { seconds: 1 } transport_socket { name: "b"
      typed_config { [type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer] {} } } } }`;
    const { bootstrap, problems } = await loadBootstrap({ configPath: file('any.pb_text', text) });
    expect(problems).toEqual([]);
    expect(bootstrap.staticResources?.clusters[0]?.transportSocket?.configType.value?.typeUrl).toMatch(/RawBuffer$/);
  });
});

describe('merging', () => {
  const configPath = () =>
    file(
      'base.yaml',
      `node: {id: a, cluster: x, metadata: {k: 1, l: 2}}
stats_flush_interval: 5s
static_resources:
  clusters:
  - {name: one, connect_timeout: 1s}
`,
    );

  test('messages merge, lists append, values replace', async () => {
    const configYaml = `node: {id: b, metadata: {l: 3}}
static_resources:
  clusters:
  - name: two
    connect_timeout: 0s
`;
    const { bootstrap, problems, locate } = await load({ configPath: configPath(), configYaml });
    expect(bootstrap.node).toMatchObject({ id: 'b', cluster: 'x', metadata: { k: 1, l: 3 } });
    expect(bootstrap.staticResources?.clusters.map((cluster) => cluster.name)).toEqual(['one', 'two']);
    // The path counts in the merged list; the place is where it was written.
    expect(problems.map(formatProblem)).toEqual([
      '--config-yaml:5:5: static_resources.clusters[1].connect_timeout: value must be greater than 0s',
    ]);
    expect(locate('static_resources.clusters[0].name')).toMatchObject({ line: 5, column: 6 });
    expect(locate('node.cluster')).toMatchObject({ line: 1, column: 15 });
    expect(locate('node.id')).toEqual({ file: '--config-yaml', line: 1, column: 8 });
  });

  test('problems of both are found', async () => {
    const options = { configPath: file('bad.yaml', 'nodee: {}\n'), configYaml: 'admn: {}' };
    expect((await lines(options)).map((line) => line.split(' ')[0])).toEqual(['bad.yaml:1:1:', '--config-yaml:1:1:']);
  });

  test('the flags of the node win', async () => {
    const { bootstrap } = await load({
      configPath: configPath(),
      serviceNode: 'n',
      serviceCluster: 'c',
      serviceZone: 'z',
    });
    expect(bootstrap.node).toMatchObject({ id: 'n', cluster: 'c', locality: { zone: 'z' }, metadata: { k: 1, l: 2 } });
  });
});

test('typed structs are resolved, and shown as configured', async () => {
  const { bootstrap, configured, problems } = await load({
    configYaml: `
static_resources:
  clusters:
  - name: a
    transport_socket:
      name: x
      typed_config:
        "@type": type.googleapis.com/xds.type.v3.TypedStruct
        type_url: type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer
        value: {}
`,
  });
  expect(problems).toEqual([]);
  const typeUrl = (from: typeof bootstrap) =>
    from.staticResources?.clusters[0]?.transportSocket?.configType.value?.typeUrl;
  expect(typeUrl(bootstrap)).toBe('type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer');
  expect(typeUrl(configured)).toBe('type.googleapis.com/xds.type.v3.TypedStruct');
});

test('deprecated fields are named', async () => {
  const { deprecated } = await load({ configYaml: 'watchdog: {}' });
  expect(deprecated).toMatchObject([{ path: 'watchdog', file: 'bootstrap.proto' }]);
});
