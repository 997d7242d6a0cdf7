import { compileHeaderMatch } from '../../filters/header-matcher.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { ComparisonModel, LogFilterModel } from './access-log-plan.ts';
import type { FormatContext } from './access-log.ts';
import { grpcStatus } from './operators/grpc.ts';
import { compileValueMatch } from './value-matcher.ts';

/** True: log it. */
export type LogFilter = (context: FormatContext) => boolean;

/** What log filters read of the layered runtime; filters/http/filter.ts's RuntimeReader has it. */
export interface LogRuntime {
  getNumber(key: string, defaultValue: number): number;
  featureEnabled(
    key: string,
    fraction: { readonly numerator: number; readonly denominator: number },
    randomValue: number,
  ): boolean;
}

/** What log filters ask besides the stream. */
export interface LogFilterContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly runtime: LogRuntime;
}

/** Compiles an AccessLogFilter (access logs, local_reply_config). */
export function compileLogFilter(filter: LogFilterModel, context: LogFilterContext): LogFilter {
  switch (filter.kind) {
    case 'status-code': {
      const compare = compileComparison(filter.comparison, context.runtime);
      return ({ info }) => compare(info.responseCode);
    }
    case 'duration': {
      const compare = compileComparison(filter.comparison, context.runtime);
      const { clock } = context;
      return ({ info }) => compare(Math.floor((info.endMs < 0 ? clock.monotonic() : info.endMs) - info.startMs));
    }
    case 'not-health-check':
      // No filter that marks a stream as a health check is implemented.
      return always;
    case 'traceable':
      // Nothing is traced where no tracing is configured.
      return never;
    case 'runtime':
      return compileRuntime(filter, context);
    case 'and': {
      const filters = filter.filters.map((each) => compileLogFilter(each, context));
      return (log) => filters.every((each) => each(log));
    }
    case 'or': {
      const filters = filter.filters.map((each) => compileLogFilter(each, context));
      return (log) => filters.some((each) => each(log));
    }
    case 'header': {
      const matches = compileHeaderMatch(filter.header);
      return ({ requestHeaders }) => matches(requestHeaders);
    }
    case 'response-flag': {
      const { flags } = filter;
      return ({ info }) => (flags === 0 ? info.flags !== 0 : (info.flags & flags) !== 0);
    }
    case 'grpc-status': {
      const { statuses, exclude } = filter;
      return (log) => {
        const status = grpcStatus(log) ?? 2;
        // A status outside of gRPC's own counts as invalid.
        return statuses.includes(status > 16 ? -1 : status) !== exclude;
      };
    }
    case 'metadata':
      return compileMetadata(filter);
    case 'log-type': {
      const { types, exclude } = filter;
      return ({ accessLogType }) => types.includes(accessLogType) !== exclude;
    }
    case 'unsupported':
      return always;
  }
}

const always: LogFilter = () => true;
const never: LogFilter = () => false;

function compileComparison({ op, value, runtimeKey }: ComparisonModel, runtime: LogRuntime): (n: number) => boolean {
  const bound = runtimeKey === '' ? () => value : () => runtime.getNumber(runtimeKey, value);
  switch (op) {
    case 'eq':
      return (n) => n === bound();
    case 'ge':
      return (n) => n >= bound();
    case 'le':
      return (n) => n <= bound();
    case 'ne':
      return (n) => n !== bound();
  }
}

/** The request id decides, so that every proxy on a request's way decides alike; without one it is random. */
function compileRuntime(
  { key, numerator, denominator, independentRandomness }: Extract<LogFilterModel, { kind: 'runtime' }>,
  { runtime, random }: LogFilterContext,
): LogFilter {
  const fraction = { numerator, denominator };
  return ({ info, requestHeaders }) => {
    let value: number | undefined;
    if (!independentRandomness) {
      const id = requestHeaders?.get('x-request-id') ?? info.streamId;
      if (/^[0-9a-fA-F]{8}/.test(id)) value = Number.parseInt(id.slice(0, 8), 16);
    }
    return runtime.featureEnabled(key, fraction, value ?? random.below(0x1_0000_0000));
  };
}

function compileMetadata({
  filter,
  path,
  value: match,
  matchIfKeyNotFound,
}: Extract<LogFilterModel, { kind: 'metadata' }>): LogFilter {
  const matches = compileValueMatch(match);
  return ({ info }) => {
    let value: unknown = info.dynamicMetadata.get(filter);
    for (const key of path) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
        return matchIfKeyNotFound;
      value = (value as Readonly<Record<string, unknown>>)[key];
    }
    return value === undefined ? matchIfKeyNotFound : matches(value);
  };
}
