import { describe, expect, test } from 'vitest';
import { KitHeaders } from '../../../src/filters/test-kit/kit-headers.ts';
import { KitRuntime } from '../../../src/filters/test-kit/kit-runtime.ts';
import { KitStreamInfo } from '../../../src/filters/test-kit/kit-stream-info.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import type { LogFilterModel } from '../../../src/telemetry/access-log/access-log-plan.ts';
import type { FormatContext } from '../../../src/telemetry/access-log/access-log.ts';
import { compileLogFilter } from '../../../src/telemetry/access-log/log-filter.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function contextOf(set: (info: KitStreamInfo) => void = () => {}, extra: Partial<FormatContext> = {}): FormatContext {
  const info = new KitStreamInfo(100, 0);
  set(info);
  return {
    info,
    requestHeaders: undefined,
    responseHeaders: undefined,
    responseTrailers: undefined,
    localReplyBody: '',
    accessLogType: 'DownstreamEnd',
    ...extra,
  };
}

function logs(filter: LogFilterModel, context: FormatContext, runtime: Record<string, number> = {}): boolean {
  return compileLogFilter(filter, {
    clock: new FakeClock(400),
    random: new SeededRandom(1),
    runtime: new KitRuntime(runtime),
  })(context);
}

const yes: LogFilterModel = { kind: 'not-health-check' };
const no: LogFilterModel = { kind: 'traceable' };

describe('log filters', () => {
  test.each([
    ['eq', 200, true],
    ['eq', 201, false],
    ['ge', 200, true],
    ['ge', 201, false],
    ['le', 200, true],
    ['le', 199, false],
    ['ne', 200, false],
    ['ne', 201, true],
  ] as const)('status code 200 %s %d: %s', (op, value, expected) => {
    const filter: LogFilterModel = { kind: 'status-code', comparison: { op, value, runtimeKey: 'key' } };
    const context = contextOf((info) => (info.responseCode = 200));
    expect(logs(filter, context)).toBe(expected);
    expect(logs({ ...filter, comparison: { op, value: 0, runtimeKey: 'key' } }, context, { key: value })).toBe(
      expected,
    );
  });

  test('duration: to the end, or to now for a stream that is under way', () => {
    const atLeast = (value: number): LogFilterModel => ({
      kind: 'duration',
      comparison: { op: 'ge', value, runtimeKey: '' },
    });
    const ended = contextOf((info) => (info.endMs = 150.9));
    expect([logs(atLeast(50), ended), logs(atLeast(51), ended)]).toEqual([true, false]);
    expect([logs(atLeast(300), contextOf()), logs(atLeast(301), contextOf())]).toEqual([true, false]);
  });

  test('and, or', () => {
    const both = (kind: 'and' | 'or', ...filters: LogFilterModel[]): boolean => logs({ kind, filters }, contextOf());
    expect([both('and', yes, yes), both('and', yes, no), both('or', no, yes), both('or', no, no)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  /** With what Envoy 1.40 did for these two fields. */
  test.each([
    ['1', false, true],
    ['2', false, true],
    ['1,2', false, false],
    ['1', true, false],
    ['3', true, true],
  ])('header: any of several fields: %s, inverted: %s', (value, invert, expected) => {
    const filter: LogFilterModel = {
      kind: 'header',
      header: {
        name: 'x-a',
        match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
        invert,
        treatMissingAsEmpty: false,
      },
    };
    const requestHeaders = new KitHeaders([
      ['x-a', '1'],
      ['x-a', '2'],
    ]);
    expect(logs(filter, contextOf(undefined, { requestHeaders }))).toBe(expected);
    expect(logs(filter, contextOf())).toBe(false);
  });

  test('response flags: one of those named, or any', () => {
    const filter = (flags: number): LogFilterModel => ({ kind: 'response-flag', flags });
    const faulty = contextOf((info) => info.setFlag(ResponseFlag.DI | ResponseFlag.UDO));
    expect(logs(filter(ResponseFlag.UDO | ResponseFlag.NR), faulty)).toBe(true);
    expect(logs(filter(ResponseFlag.NR), faulty)).toBe(false);
    expect([logs(filter(0), faulty), logs(filter(0), contextOf())]).toEqual([true, false]);
  });

  test('gRPC status, from trailers or by the HTTP status', () => {
    const filter = (statuses: number[], exclude = false): LogFilterModel => ({
      kind: 'grpc-status',
      statuses,
      exclude,
    });
    const trailers = contextOf(undefined, { responseTrailers: new KitHeaders({ 'grpc-status': '5' }) });
    expect([logs(filter([5]), trailers), logs(filter([5], true), trailers), logs(filter([0]), trailers)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(
      logs(
        filter([14]),
        contextOf((info) => (info.responseCode = 503)),
      ),
    ).toBe(true);
    expect(logs(filter([2]), contextOf())).toBe(true);
    expect(
      logs(filter([17]), contextOf(undefined, { responseTrailers: new KitHeaders({ 'grpc-status': '17' }) })),
    ).toBe(false);
  });

  test('metadata', () => {
    const filter = (matchIfKeyNotFound: boolean): LogFilterModel => ({
      kind: 'metadata',
      filter: 'f',
      path: ['a', 'b'],
      value: { kind: 'string', matcher: { kind: 'prefix', value: 'é', ignoreCase: false } },
      matchIfKeyNotFound,
    });
    const withB = (b: unknown): FormatContext => contextOf((info) => info.dynamicMetadata.set('f', { a: { b } }));
    expect([logs(filter(false), withB('é1')), logs(filter(true), withB('x')), logs(filter(true), withB(5))]).toEqual([
      true,
      false,
      false,
    ]);
    expect([logs(filter(true), contextOf()), logs(filter(false), contextOf())]).toEqual([true, false]);
    // A null is a value.
    expect(logs(filter(true), withB(null))).toBe(false);
  });

  test('log type', () => {
    const filter = (exclude: boolean): LogFilterModel => ({ kind: 'log-type', types: ['DownstreamStart'], exclude });
    const start = contextOf(undefined, { accessLogType: 'DownstreamStart' });
    expect([logs(filter(false), start), logs(filter(true), start)]).toEqual([true, false]);
    expect([logs(filter(false), contextOf()), logs(filter(true), contextOf())]).toEqual([false, true]);
  });

  test('runtime: the request id decides, the key overrides', () => {
    const filter: LogFilterModel = {
      kind: 'runtime',
      key: 'sampling',
      numerator: 50,
      denominator: 100,
      independentRandomness: false,
    };
    const withId = (id: string): FormatContext =>
      contextOf(undefined, { requestHeaders: new KitHeaders({ 'x-request-id': id }) });
    const low = `${(1_000_000 + 499_999).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
    const high = `${(1_000_000 + 500_000).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
    expect([logs(filter, withId(low)), logs(filter, withId(high))]).toEqual([true, false]);
    expect(logs(filter, withId(high), { sampling: 100 })).toBe(true);
  });
});
