import type { HeaderMutation as HeaderMutationMessage } from '../../api/generated/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js';
import {
  HeaderMutationPerRouteSchema,
  HeaderMutationSchema,
  type Mutations,
} from '../../api/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import { protobufConfig } from '../config-type.ts';
import { checkHeaderName, compileHeaderAppend, type Mutate } from '../header-append.ts';
import type { Headers } from '../headers.ts';
import type { StreamInfo } from '../stream-info.ts';
import { Continue, defineHttpFilter, type HeadersVerdict, type HttpFilter, type StreamContext } from './filter.ts';

/** What one level of config does to requests and responses. */
interface CompiledMutations {
  readonly request: readonly Mutate[];
  readonly response: readonly Mutate[];
}

/** envoy.filters.http.header_mutation: adds, changes and removes headers by format strings. */
export const headerMutation = defineHttpFilter({
  name: 'envoy.filters.http.header_mutation',
  config: protobufConfig(HeaderMutationSchema),
  routeConfig: protobufConfig(HeaderMutationPerRouteSchema),
  compileRoute: ({ mutations }) => compileMutations(mutations),
  create({ mutations, mostSpecificHeaderMutationsWins }, _context) {
    const own = compileMutations(mutations);
    const hasOwn = own.request.length + own.response.length > 0;
    return (stream: StreamContext<CompiledMutations>) =>
      hasOwn || stream.routeConfigs.length > 0
        ? new HeaderMutationFilter(own, stream, mostSpecificHeaderMutationsWins)
        : undefined;
  },
});

class HeaderMutationFilter implements HttpFilter, FormatContext {
  readonly #own: CompiledMutations;
  readonly #stream: StreamContext<CompiledMutations>;
  readonly #mostSpecificWins: boolean;

  // What format strings see.
  readonly info: StreamInfo;
  requestHeaders: Headers | undefined = undefined;
  responseHeaders: Headers | undefined = undefined;
  readonly responseTrailers = undefined;
  readonly localReplyBody = '';
  readonly accessLogType = 'NotSet';

  constructor(own: CompiledMutations, stream: StreamContext<CompiledMutations>, mostSpecificWins: boolean) {
    this.#own = own;
    this.#stream = stream;
    this.#mostSpecificWins = mostSpecificWins;
    this.info = stream.info;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    this.requestHeaders = headers;
    this.#apply('request', headers);
    return Continue;
  }

  onResponseHeaders(headers: Headers): HeadersVerdict {
    this.responseHeaders = headers;
    this.#apply('response', headers);
    return Continue;
  }

  /** The filter's own first; then the route's from most to least specific, unless the most specific is to win. */
  #apply(direction: keyof CompiledMutations, headers: Headers): void {
    for (const mutate of this.#own[direction]) mutate(headers, this);
    const levels = this.#stream.routeConfigs;
    for (let i = 0; i < levels.length; i++) {
      const level = levels[this.#mostSpecificWins ? i : levels.length - 1 - i]!;
      for (const mutate of level[direction]) mutate(headers, this);
    }
  }
}

function compileMutations(mutations: Mutations | undefined): CompiledMutations {
  return {
    request: compileList(mutations?.requestMutations ?? [], 'mutations.request_mutations'),
    response: compileList(mutations?.responseMutations ?? [], 'mutations.response_mutations'),
  };
}

function compileList(messages: readonly HeaderMutationMessage[], path: string): Mutate[] {
  return messages.map(({ action }, index) => {
    if (action.case === 'append') return compileHeaderAppend(action.value, `${path}[${index}].append`);
    const name = (action.value ?? '').toLowerCase();
    checkHeaderName(name, `${path}[${index}].remove`);
    return (headers) => void headers.delete(name);
  });
}
