import { percentDecode } from '../../../lib/percent-decode.ts';
import type { Headers } from '../../../filters/headers.ts';
import type { FormatContext } from '../access-log.ts';
import { plain, truncate, type Operator, type OperatorTable } from './operator.ts';

type Part = 'requestHeaders' | 'responseHeaders' | 'responseTrailers';

const headerName = /^[:!#$%&'*+\-.^_`|~0-9a-z]*$/;

/** `A?B`: the header to print, and the one to print where the first is absent. */
export function parseHeaderNames(args: string): readonly [main: string, alternative: string] {
  const [main = '', alternative = '', ...more] = args.toLowerCase().split('?');
  if (more.length > 0) throw new Error(`More than 1 alternative header specified in token: ${args}`);
  if (!headerName.test(main) || !headerName.test(alternative))
    throw new Error('Invalid header configuration. Format string contains invalid characters.');
  return [main, alternative];
}

/** The first value of `main`, else of `alternative`. */
export function findHeader(headers: Headers | undefined, main: string, alternative: string): string | undefined {
  if (headers === undefined) return undefined;
  const value = headers.get(main);
  return value === undefined && alternative !== '' ? headers.get(alternative) : value;
}

function header(part: Part): Operator {
  return {
    params: 'required',
    length: true,
    compile(args, maxLength) {
      const [main, alternative] = parseHeaderNames(args);
      if (maxLength === undefined && alternative === '') return (context) => context[part]?.get(main);
      return (context) => {
        const value = findHeader(context[part], main, alternative);
        return value === undefined ? undefined : truncate(value, maxLength);
      };
    },
  };
}

/** Prints a path header without its query (also the formatter extension envoy.formatter.req_without_query). */
const withoutQuery: Operator = {
  params: 'required',
  length: true,
  compile(args, maxLength) {
    const [main, alternative] = parseHeaderNames(args);
    return ({ requestHeaders }) => {
      const value = findHeader(requestHeaders, main, alternative);
      return value === undefined ? undefined : truncate(pathOf(value), maxLength);
    };
  },
};

const queryParam: Operator = {
  params: 'required',
  length: true,
  compile(args, maxLength) {
    return ({ requestHeaders }) => {
      const value = findQueryParam(requestHeaders?.get(':path') ?? '', args);
      return value === undefined ? undefined : truncate(value, maxLength);
    };
  },
};

/** The first value of the query parameter `name`, percent-decoded as Envoy does it. */
function findQueryParam(path: string, name: string): string | undefined {
  const start = path.indexOf('?');
  if (start === -1) return undefined;
  for (const pair of path.slice(start + 1).split('&')) {
    const equals = pair.indexOf('=');
    if (percentDecode(equals === -1 ? pair : pair.slice(0, equals)) === name)
      return equals === -1 ? '' : percentDecode(pair.slice(equals + 1));
  }
  return undefined;
}

/** The whole query string; `DECODED`: with percent-decoded names and values. */
const queryParams: Operator = {
  params: 'optional',
  length: true,
  compile(args, maxLength) {
    if (!['', 'ORIG', 'DECODED'].includes(args))
      throw new Error(`Invalid QUERY_PARAMS option: '${args}', only 'ORIG'/'DECODED' are allowed`);
    return ({ requestHeaders }) => {
      const path = requestHeaders?.get(':path') ?? '';
      const start = path.indexOf('?');
      if (start === -1) return undefined;
      const query = path.slice(start + 1);
      return truncate(args === 'DECODED' ? query.split('&').map(percentDecode).join('&') : query, maxLength);
    };
  },
};

/** `%REQUESTED_SERVER_NAME(SNI_ONLY|SNI_FIRST|HOST_FIRST : ORIG|HOST|ORIG_OR_HOST)%`. */
const requestedServerName: Operator = {
  params: 'optional',
  length: false,
  compile(args) {
    const [fallback = '', which = ''] = args.split(':');
    if (!['', 'SNI_ONLY', 'SNI_FIRST', 'HOST_FIRST'].includes(fallback))
      throw new Error(
        `Invalid REQUESTED_SERVER_NAME option: '${fallback}', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed`,
      );
    if (!['', 'ORIG', 'HOST', 'ORIG_OR_HOST'].includes(which))
      throw new Error(
        `Invalid REQUESTED_SERVER_NAME option: '${which}', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed`,
      );
    const main = which === 'HOST' ? ':authority' : 'x-envoy-original-host';
    const alternative = which === 'HOST' || which === 'ORIG' ? '' : ':authority';
    const sni = ({ info }: FormatContext): string | undefined => info.connection.requestedServerName || undefined;
    const host = (context: FormatContext): string | undefined =>
      findHeader(context.requestHeaders, main, alternative) || undefined;
    if (fallback === 'SNI_FIRST') return (context) => sni(context) ?? host(context);
    if (fallback === 'HOST_FIRST') return (context) => host(context) ?? sni(context);
    return sni;
  },
};

function pathOf(path: string): string {
  const query = path.indexOf('?');
  return query === -1 ? path : path.slice(0, query);
}

/** `%PATH(WQ|NQ : ORIG|PATH|ORIG_OR_PATH)%`. */
const path: Operator = {
  params: 'optional',
  length: true,
  compile(args, maxLength) {
    const [query = '', which = ''] = args.split(':');
    if (!['', 'WQ', 'NQ'].includes(query))
      throw new Error(`Invalid PATH option: '${query}', only 'WQ'/'NQ' are allowed`);
    if (!['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(which))
      throw new Error(`Invalid PATH option: '${which}', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed`);
    const main = which === 'PATH' ? ':path' : 'x-envoy-original-path';
    const alternative = which === 'PATH' || which === 'ORIG' ? '' : ':path';
    return ({ requestHeaders }) => {
      const value = findHeader(requestHeaders, main, alternative);
      return value === undefined ? undefined : truncate(query === 'NQ' ? pathOf(value) : value, maxLength);
    };
  },
};

const byteSize = (part: Part): Operator => plain((context: FormatContext) => context[part]?.byteSize() ?? 0);

/** Operators that read the headers and trailers of the two messages. */
export const headerOperators: OperatorTable = {
  REQ: header('requestHeaders'),
  RESP: header('responseHeaders'),
  TRAILER: header('responseTrailers'),
  STREAM_INFO_REQ: header('requestHeaders'),
  REQUEST_HEADER: header('requestHeaders'),
  RESPONSE_HEADER: header('responseHeaders'),
  RESPONSE_TRAILER: header('responseTrailers'),
  REQ_WITHOUT_QUERY: withoutQuery,
  QUERY_PARAM: queryParam,
  QUERY_PARAMS: queryParams,
  REQUESTED_SERVER_NAME: requestedServerName,
  PATH: path,
  REQUEST_HEADERS_BYTES: byteSize('requestHeaders'),
  RESPONSE_HEADERS_BYTES: byteSize('responseHeaders'),
  RESPONSE_TRAILERS_BYTES: byteSize('responseTrailers'),
  LOCAL_REPLY_BODY: plain((context) => context.localReplyBody),
  ACCESS_LOG_TYPE: plain((context) => context.accessLogType),
};
