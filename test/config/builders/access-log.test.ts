import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromJson, toBinary, type JsonValue } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccessLogSchema } from '../../../src/api/generated/envoy/config/accesslog/v3/accesslog_pb.js';
import { FileAccessLogSchema } from '../../../src/api/generated/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { StderrAccessLogSchema } from '../../../src/api/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js';
import { buildAccessLog } from '../../../src/config/builders/access-log.ts';
import { Problems } from '../../../src/config/problem.ts';
import { KitRuntime } from '../../../src/filters/test-kit/kit-runtime.ts';
import { KitStats } from '../../../src/filters/test-kit/kit-stats.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import { AccessLogs } from '../../../src/telemetry/access-log/access-logs.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { loggedRequest } from '../../support/log-context.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'access-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function build(config: JsonValue, filter?: JsonValue) {
  const problems = new Problems('access_log[0]');
  const message = fromJson(AccessLogSchema, { name: 'log', ...(filter !== undefined && { filter }) });
  message.configType = {
    case: 'typedConfig',
    value: anyPack(FileAccessLogSchema, fromJson(FileAccessLogSchema, config)),
  };
  const model = buildAccessLog(message, problems);
  return { model, problems: problems.list };
}

function file(name: string): string {
  return join(folder, name);
}

/** Logs one request with the built model. */
function logOnce(model: ReturnType<typeof build>['model']): KitStats {
  const stats = new KitStats();
  const logs = new AccessLogs({
    clock: new FakeClock(),
    random: new SeededRandom(1),
    runtime: new KitRuntime({}),
    stats,
    flushIntervalMs: 1000,
    warn: () => {},
  });
  // Workers get the model by message.
  logs.create(structuredClone(model)).log(loggedRequest());
  logs.create(structuredClone(model)).log(loggedRequest());
  logs.close();
  return stats;
}

describe('access logs', () => {
  test.each<[string, JsonValue, string]>([
    ['format', { format: '%PROTOCOL% %RESPONSE_CODE%\n' }, 'HTTP/1.1 200\n'],
    ['json_format', { jsonFormat: { b: '%RESPONSE_CODE%', a: '%REQ(nope)%' } }, '{"a":null,"b":200}\n'],
    ['typed_json_format', { typedJsonFormat: { b: '%RESPONSE_CODE%' } }, '{"b":200}\n'],
    ['log_format.text_format', { logFormat: { textFormat: '[%REQ(x)%]' } }, '[-]'],
    [
      'log_format.text_format_source',
      { logFormat: { textFormatSource: { inlineString: 'é%REQ(x)%\n' }, omitEmptyValues: true } },
      'é\n',
    ],
    ['log_format.json_format', { logFormat: { jsonFormat: { a: '%REQ(x)%' }, omitEmptyValues: true } }, '{}\n'],
  ])('%s', (name, config, line) => {
    const path = file(name);
    const { model, problems } = build({ path, ...(config as object) });
    expect(problems).toEqual([]);
    const stats = logOnce(model);
    expect(readFileSync(path, 'utf8')).toBe(line + line);
    expect(stats.read('filesystem.write_completed')).toBe(1);
  });

  test('without a format: the default one', () => {
    const path = file('default');
    const { model, problems } = build({ path });
    expect(problems).toEqual([]);
    logOnce(model);
    expect(readFileSync(path, 'utf8')).toMatch(/^\[2026-11-21T03:46:04\.341Z\] "GET \/p\/x\?.* "127\.0\.0\.1:31172"\n/);
  });

  test('a filter decides', () => {
    const path = file('filtered');
    const filter = (flags: string[]): JsonValue => ({
      orFilter: {
        filters: [
          { andFilter: { filters: [{ responseFlagFilter: { flags } }, { notHealthCheckFilter: {} }] } },
          { statusCodeFilter: { comparison: { op: 'GE', value: { defaultValue: 500, runtimeKey: 'k' } } } },
        ],
      },
    });
    const { model, problems } = build({ path, format: 'x' }, filter(['NR', 'UF']));
    expect(problems).toEqual([]);
    expect(model.plan?.filter).toEqual({
      kind: 'or',
      filters: [
        {
          kind: 'and',
          filters: [{ kind: 'response-flag', flags: ResponseFlag.NR | ResponseFlag.UF }, { kind: 'not-health-check' }],
        },
        { kind: 'status-code', comparison: { op: 'ge', value: 500, runtimeKey: 'k' } },
      ],
    });
    logOnce(model);
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  test.each<[JsonValue, unknown]>([
    [
      { runtimeFilter: { runtimeKey: 'k', percentSampled: { numerator: 5, denominator: 'TEN_THOUSAND' } } },
      { kind: 'runtime', key: 'k', numerator: 5, denominator: 10_000, independentRandomness: false },
    ],
    [
      { grpcStatusFilter: { statuses: ['OK', 'NOT_FOUND'], exclude: true } },
      { kind: 'grpc-status', statuses: [0, 5], exclude: true },
    ],
    [
      { logTypeFilter: { types: ['DownstreamEnd', 'TcpConnectionEnd'] } },
      { kind: 'log-type', types: ['DownstreamEnd', 'TcpConnectionEnd'], exclude: false },
    ],
    [
      { metadataFilter: { matcher: { filter: 'f', path: [{ key: 'a' }], value: { boolMatch: true } } } },
      { kind: 'metadata', filter: 'f', path: ['a'], value: { kind: 'bool', value: true }, matchIfKeyNotFound: true },
    ],
    [
      { headerFilter: { header: { name: 'X-A', presentMatch: true } } },
      {
        kind: 'header',
        header: { name: 'x-a', match: { kind: 'present', present: true }, invert: false, treatMissingAsEmpty: false },
      },
    ],
  ])('%j', (filter, expected) => {
    const { model, problems } = build({ path: file('filters') }, filter);
    expect(problems).toEqual([]);
    expect(model.plan?.filter).toEqual(expected);
  });

  test('problems name the place', () => {
    const problemsOf = (config: object, filter?: JsonValue): unknown =>
      build({ path: file('problems'), ...config } as JsonValue, filter).problems;
    expect(problemsOf({ format: '%FOO%' })).toEqual([
      {
        severity: 'error',
        path: 'access_log[0].typed_config.format',
        message: 'Not supported field in StreamInfo: FOO',
      },
    ]);
    expect(problemsOf({ path: '/nonexistent/x' })).toEqual([
      {
        severity: 'error',
        path: 'access_log[0].typed_config.path',
        message: "unable to open file '/nonexistent/x': No such file or directory",
      },
    ]);
    expect(problemsOf({ logFormat: { jsonFormat: { a: ['%CEL(1)%'] } } })).toEqual([
      {
        severity: 'unsupported',
        path: 'access_log[0].typed_config.log_format.json_format.a[0].%CEL(1)%',
        message: 'always prints as a missing value',
      },
    ]);
    expect(problemsOf({}, { extensionFilter: { name: 'envoy.access_loggers.extension_filters.cel' } })).toEqual([
      {
        severity: 'unsupported',
        path: 'access_log[0].filter.extension_filter',
        message: "the log filter 'envoy.access_loggers.extension_filters.cel' is not implemented",
      },
    ]);
  });

  test('the file exists once the config is accepted', () => {
    const path = file('created');
    build({ path });
    expect(existsSync(path)).toBe(true);
  });

  test('loggers that are not implemented are named and log nowhere', () => {
    const problems = new Problems('access_log[0]');
    const model = buildAccessLog(
      create(AccessLogSchema, {
        name: 'als',
        configType: { case: 'typedConfig', value: { typeUrl: 'type.googleapis.com/a.b.Als', value: new Uint8Array() } },
      }),
      problems,
    );
    expect(problems.list).toEqual([
      {
        severity: 'unsupported',
        path: 'access_log[0].typed_config',
        message: 'the access logger a.b.Als is not implemented',
      },
    ]);
    expect(() => logOnce(model)).not.toThrow();
  });

  test('standard error', () => {
    const value = {
      typeUrl: 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
      value: toBinary(StderrAccessLogSchema, fromJson(StderrAccessLogSchema, { logFormat: { textFormat: 'x' } })),
    };
    const message = create(AccessLogSchema, { name: 'e', configType: { case: 'typedConfig', value } });
    const { plan } = buildAccessLog(message, new Problems());
    expect(plan).toEqual({
      filter: undefined,
      sink: { kind: 'stderr' },
      format: { kind: 'text', format: 'x', contentType: '', omitEmptyValues: false },
    });
  });
});
