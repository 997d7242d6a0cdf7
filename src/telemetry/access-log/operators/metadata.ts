import type { FormatContext } from '../access-log.ts';
import { toBytesText, truncate, type FormatValue, type Operator, type OperatorTable } from './operator.ts';

type Source = (context: FormatContext, namespace: string) => unknown;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON value as an operator yields it: text in bytes form, cut to `maxLength`; structure kept as it is. */
function asValue(value: unknown, maxLength: number | undefined): FormatValue {
  if (typeof value === 'string') return truncate(toBytesText(value), maxLength);
  if (maxLength !== undefined && typeof value === 'object' && value !== null)
    return truncate(toBytesText(JSON.stringify(value)), maxLength);
  return value as FormatValue;
}

/** `%X(namespace:key:key...)%`. */
function metadata(source: Source): Operator {
  return {
    params: 'required',
    length: true,
    compile(args, maxLength) {
      const [namespace, ...path] = args.split(':');
      return (context) => {
        let value = source(context, namespace!);
        for (const key of path) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
        return asValue(value, maxLength);
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
  // The stream does not know of these yet: they print as missing.
  LISTENER: () => undefined,
  LISTENER_FILTER_CHAIN: () => undefined,
  VIRTUAL_HOST: () => undefined,
};

/** `%METADATA(TYPE:namespace:key...)%` (also the formatter extension envoy.formatter.metadata). */
const anyMetadata: Operator = {
  params: 'required',
  length: true,
  compile(args, maxLength, environment) {
    const colon = args.indexOf(':');
    const type = colon === -1 ? args : args.slice(0, colon);
    const source = Object.hasOwn(sources, type) ? sources[type] : undefined;
    if (source === undefined) throw new Error(`${type} is not supported type of metadata`);
    return metadata(source).compile(colon === -1 ? '' : args.slice(colon + 1), maxLength, environment);
  },
};

/** `%FILTER_STATE(key:PLAIN|TYPED|FIELD:field)%`. */
const filterState: Operator = {
  params: 'required',
  length: true,
  compile(args, maxLength) {
    const [key, mode = '', field = ''] = args.split(':');
    if (key === '') throw new Error('Invalid filter state configuration, key cannot be empty.');
    if (!['', 'PLAIN', 'TYPED', 'FIELD'].includes(mode))
      throw new Error('Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.');
    if ((mode === 'FIELD') !== (field !== ''))
      throw new Error('Invalid filter state serialize type, FIELD should be used with the field name.');
    return ({ info }) => {
      const value = info.filterState.get(key!);
      if (mode === 'FIELD') return isObject(value) ? asValue(value[field], maxLength) : undefined;
      if (mode === 'PLAIN') return asValue(value, maxLength);
      // TYPED is the JSON of the object's message: a string keeps its quotes.
      return typeof value === 'string'
        ? truncate(toBytesText(JSON.stringify(value)), maxLength)
        : asValue(value, maxLength);
    };
  },
};

/** Operators that read metadata and filter state. */
export const metadataOperators: OperatorTable = {
  DYNAMIC_METADATA: metadata(sources['DYNAMIC']!),
  CLUSTER_METADATA: metadata(sources['CLUSTER']!),
  UPSTREAM_METADATA: metadata(sources['UPSTREAM_HOST']!),
  METADATA: anyMetadata,
  FILTER_STATE: filterState,
  UPSTREAM_FILTER_STATE: { ...filterState, compile: () => () => undefined },
};
