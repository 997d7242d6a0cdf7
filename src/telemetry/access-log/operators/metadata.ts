import type { FormatContext } from '../access-log.ts';
import type { StreamInfo } from '../../../filters/stream-info.ts';
import { toJson } from '../json-text.ts';
import { toBytesText, truncate, type FormatValue, type Operator, type OperatorTable } from './operator.ts';

type Source = (context: FormatContext, namespace: string) => unknown;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON value as an operator yields it: text in bytes form; in a text, cut to `maxLength`. */
function asValue(value: unknown, maxLength: number | undefined, typed: boolean): FormatValue {
  if (typeof value === 'string') return typed ? toBytesText(value) : truncate(toBytesText(value), maxLength);
  if (!typed && typeof value === 'object' && value !== null) return truncate(toBytesText(toJson(value)), maxLength);
  return value as FormatValue;
}

/** `%X(namespace:key:key...)%`. */
function metadata(source: Source, length = false): Operator {
  return {
    params: 'required',
    length,
    compile(args, maxLength, { typed }) {
      const [namespace, ...path] = args.split(':');
      return (context) => {
        let value = source(context, namespace!);
        for (const key of path) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
        return asValue(value, maxLength, typed);
      };
    },
  };
}

const own = (metadata: Readonly<Record<string, unknown>> | undefined, namespace: string): unknown =>
  metadata !== undefined && Object.hasOwn(metadata, namespace) ? metadata[namespace] : undefined;

const sources: Readonly<Record<string, Source>> = {
  DYNAMIC: ({ info }, namespace) => info.dynamicMetadata.get(namespace),
  CLUSTER: ({ info }, namespace) => own(info.upstreamClusterMetadata, namespace),
  UPSTREAM_HOST: ({ info }, namespace) => own(info.upstreamHost?.metadata, namespace),
  ROUTE: ({ info }, namespace) => own(info.routeMetadata, namespace),
};

/** Sources that the stream does not know of yet. */
const unknownSources: readonly string[] = ['LISTENER', 'LISTENER_FILTER_CHAIN', 'VIRTUAL_HOST'];

/** `%METADATA(TYPE:namespace:key...)%` (also the formatter extension envoy.formatter.metadata). */
const anyMetadata: Operator = {
  params: 'optional',
  length: true,
  compile(args, maxLength, environment) {
    const colon = args.indexOf(':');
    const type = colon === -1 ? args : args.slice(0, colon);
    if (unknownSources.includes(type)) {
      environment.unsupported();
      return () => undefined;
    }
    const source = Object.hasOwn(sources, type) ? sources[type] : undefined;
    if (source === undefined) throw new Error(`${type} is not supported type of metadata`);
    return metadata(source).compile(colon === -1 ? '' : args.slice(colon + 1), maxLength, environment);
  },
};

type FilterState = ReadonlyMap<string, unknown> | undefined;

/** `%FILTER_STATE(key:PLAIN|TYPED|FIELD:field)%`, of the stream or of its upstream connection. */
const filterState = (stateOf: (info: StreamInfo) => FilterState): Operator => ({
  params: 'optional',
  length: true,
  compile(args, maxLength, { typed }) {
    const [key, mode = '', field = ''] = args.split(':');
    if (key === '') throw new Error('Invalid filter state configuration, key cannot be empty.');
    if (!['', 'PLAIN', 'TYPED', 'FIELD'].includes(mode))
      throw new Error('Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.');
    if ((mode === 'FIELD') !== (field !== ''))
      throw new Error('Invalid filter state serialize type, FIELD should be used with the field name.');
    return ({ info }) => {
      const value = stateOf(info)?.get(key!);
      if (mode === 'FIELD') return isObject(value) ? asValue(value[field], maxLength, typed) : undefined;
      // As text, TYPED (the default) is the JSON of the object: a string keeps its quotes.
      if (mode !== 'PLAIN' && !typed && typeof value === 'string')
        return truncate(toBytesText(JSON.stringify(value)), maxLength);
      return asValue(value, maxLength, typed);
    };
  },
});

/** Operators that read metadata and filter state. */
export const metadataOperators: OperatorTable = {
  DYNAMIC_METADATA: metadata(sources['DYNAMIC']!, true),
  CLUSTER_METADATA: metadata(sources['CLUSTER']!),
  UPSTREAM_METADATA: metadata(sources['UPSTREAM_HOST']!),
  METADATA: anyMetadata,
  FILTER_STATE: filterState(({ filterState: state }) => state),
  UPSTREAM_FILTER_STATE: filterState(({ upstreamConnection }) => upstreamConnection?.filterState),
};
