import { closeSync } from 'node:fs';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import type { Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  AccessLogFilterSchema,
  AccessLogSchema,
  type AccessLog,
  type AccessLogFilter,
  type ComparisonFilter,
} from '../../api/generated/envoy/config/accesslog/v3/accesslog_pb.js';
import { AccessLogType } from '../../api/generated/envoy/data/accesslog/v3/accesslog_pb.js';
import { FileAccessLogSchema } from '../../api/generated/envoy/extensions/access_loggers/file/v3/file_pb.js';
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from '../../api/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js';
import { ResponseFlag, type ResponseFlagName } from '../../filters/response-flags.ts';
import type {
  AccessLogPlan,
  ComparisonModel,
  ComparisonOp,
  LogFilterModel,
} from '../../telemetry/access-log/access-log-plan.ts';
import { checkFormat, checkFormatString, checkJsonFormat } from '../../telemetry/access-log/check-format.ts';
import { openForAppend } from '../../telemetry/access-log/log-file.ts';
import type { AccessLogModel, FormatModel } from '../common-model.ts';
import type { Problems } from '../problem.ts';
import { buildFormat, buildFraction } from './common.ts';
import { buildHeaderMatcher } from './header-matcher.ts';
import { buildValueMatcher } from './metadata-matcher.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** A list of config.accesslog.v3.AccessLog; `problems` stands at the list. */
export function buildAccessLogs(messages: readonly AccessLog[], problems: Problems): AccessLogModel[] {
  return messages.map((message, index) => buildAccessLog(message, problems.at(index)));
}

/**
 * config.accesslog.v3.AccessLog. Loggers and filters that aren't implemented are named; a file that cannot be opened
 * is an error, as in Envoy, which is why it is created here.
 */
export function buildAccessLog(message: AccessLog, problems: Problems): AccessLogModel {
  const filter = message.filter === undefined ? undefined : buildLogFilter(message.filter, problems.at('filter'));
  const plan: AccessLogPlan = { filter, ...buildSink(message, problems) };
  return { name: message.name, message: toBinary(AccessLogSchema, message), plan };
}

/** The serialised form of a log filter, as LocalReplyMapperModel carries it beside its plan. */
export function serialiseLogFilter(message: AccessLogFilter): Uint8Array {
  return toBinary(AccessLogFilterSchema, message);
}

type Sink = Pick<AccessLogPlan, 'sink' | 'format'>;

function buildSink(message: AccessLog, problems: Problems): Sink {
  const nowhere: Sink = { sink: { kind: 'none' }, format: undefined };
  const below = problems.at('typed_config');
  if (message.configType.case !== 'typedConfig') {
    problems.error(`Didn't find a registered implementation for '${message.name}' with type URL: ''`);
    return nowhere;
  }
  const any = message.configType.value;
  const typeName = typeNameOf(any.typeUrl);
  switch (typeName) {
    case FileAccessLogSchema.typeName: {
      const file = decode(FileAccessLogSchema, any, below);
      if (file === undefined) return nowhere;
      checkFile(file.path, below.at('path'));
      return { sink: { kind: 'file', path: file.path }, format: buildFileFormat(file.accessLogFormat, below) };
    }
    case StdoutAccessLogSchema.typeName:
    case StderrAccessLogSchema.typeName: {
      const stream = decode(StdoutAccessLogSchema, any, below);
      const kind = typeName === StdoutAccessLogSchema.typeName ? 'stdout' : 'stderr';
      return { sink: { kind }, format: buildFileFormat(stream?.accessLogFormat ?? { case: undefined }, below) };
    }
    default:
      problems.unsupported('typed_config', `the access logger ${typeName} is not implemented`);
      return nowhere;
  }
}

type Format = ReturnType<typeof fromBinary<typeof FileAccessLogSchema>>['accessLogFormat'];

/** Of FileAccessLog; the stream loggers know only `log_format`. */
function buildFileFormat(format: Format | { case: undefined }, problems: Problems): FormatModel | undefined {
  switch (format.case) {
    case 'format':
      if (format.value === '') return undefined;
      checkFormatString(format.value, problems.at('format'));
      return { kind: 'text', format: format.value, contentType: '', omitEmptyValues: false };
    case 'jsonFormat':
    case 'typedJsonFormat':
      checkJsonFormat(format.value, problems.at(format.case === 'jsonFormat' ? 'json_format' : 'typed_json_format'));
      return { kind: 'json', format: format.value, contentType: '', omitEmptyValues: false };
    case 'logFormat': {
      const model = buildFormat(format.value, problems.at('log_format'));
      checkFormat(model, problems.at('log_format'));
      return model.kind === 'text' && model.format === '' ? undefined : model;
    }
    case undefined:
      return undefined;
  }
}

function decode<M extends Message>(schema: GenMessage<M>, any: Any, problems: Problems): M | undefined {
  try {
    return fromBinary(schema, any.value) as M;
  } catch (error) {
    problems.error(`cannot read ${schema.typeName}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function checkFile(path: string, problems: Problems): void {
  try {
    closeSync(openForAppend(path));
  } catch (error) {
    problems.error((error as Error).message);
  }
}

/** config.accesslog.v3.AccessLogFilter; `problems` stands at it. */
export function buildLogFilter(message: AccessLogFilter, problems: Problems): LogFilterModel {
  const specifier = message.filterSpecifier;
  switch (specifier.case) {
    case 'statusCodeFilter':
      return { kind: 'status-code', comparison: buildComparison(specifier.value.comparison) };
    case 'durationFilter':
      return { kind: 'duration', comparison: buildComparison(specifier.value.comparison) };
    case 'notHealthCheckFilter':
      return { kind: 'not-health-check' };
    case 'traceableFilter':
      return { kind: 'traceable' };
    case 'runtimeFilter': {
      const { runtimeKey, percentSampled, useIndependentRandomness } = specifier.value;
      return {
        kind: 'runtime',
        key: runtimeKey,
        ...buildFraction(percentSampled),
        independentRandomness: useIndependentRandomness,
      };
    }
    case 'andFilter':
    case 'orFilter': {
      const and = specifier.case === 'andFilter';
      const below = problems.at(and ? 'and_filter' : 'or_filter').at('filters');
      const filters = specifier.value.filters.map((each, index) => buildLogFilter(each, below.at(index)));
      return { kind: and ? 'and' : 'or', filters };
    }
    case 'headerFilter': {
      const below = problems.at('header_filter').at('header');
      if (specifier.value.header !== undefined)
        return { kind: 'header', header: buildHeaderMatcher(specifier.value.header, below) };
      below.error('value is required');
      break;
    }
    case 'responseFlagFilter': {
      let flags = 0;
      for (const flag of specifier.value.flags) flags |= ResponseFlag[flag as ResponseFlagName] ?? 0;
      return { kind: 'response-flag', flags };
    }
    case 'grpcStatusFilter':
      return { kind: 'grpc-status', statuses: specifier.value.statuses, exclude: specifier.value.exclude };
    case 'metadataFilter': {
      const { matcher, matchIfKeyNotFound } = specifier.value;
      const below = problems.at('metadata_filter').at('matcher');
      return {
        kind: 'metadata',
        filter: matcher?.filter ?? '',
        path: (matcher?.path ?? []).map(({ segment }) => segment.value ?? ''),
        value:
          matcher === undefined
            ? { kind: 'present', value: true }
            : buildValueMatcher(matcher.value, below.at('value')),
        matchIfKeyNotFound: matchIfKeyNotFound ?? true,
      };
    }
    case 'logTypeFilter': {
      const types = specifier.value.types.map((type) => AccessLogType[type] ?? '');
      return { kind: 'log-type', types, exclude: specifier.value.exclude };
    }
    case 'extensionFilter':
      problems.unsupported('extension_filter', `the log filter '${specifier.value.name}' is not implemented`);
      return { kind: 'unsupported' };
    case undefined:
      problems.error('a filter is required');
  }
  return { kind: 'unsupported' };
}

/** By ComparisonFilter.Op's numbers. */
const OPS: readonly ComparisonOp[] = ['eq', 'ge', 'le', 'ne'];

function buildComparison(message: ComparisonFilter | undefined): ComparisonModel {
  return {
    op: OPS[message?.op ?? 0] ?? 'eq',
    value: message?.value?.defaultValue ?? 0,
    runtimeKey: message?.value?.runtimeKey ?? '',
  };
}
