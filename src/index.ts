/** The public API. */
export {
  CollectBody,
  Continue,
  defineHttpFilter,
  Detach,
  type Awaitable,
  type DataVerdict,
  type FactoryContext,
  type FilterForStream,
  type FilterLogger,
  type FractionalPercent,
  type HeadersVerdict,
  type HttpFilter,
  type HttpFilterType,
  type LocalNode,
  type LocalReply,
  type RateLimitDescriptor,
  type RateLimitEntry,
  type RateLimitSelection,
  type RuntimeReader,
  type StreamContext,
  type TrailersVerdict,
} from './filters/http/filter.ts';
export { ConfigError, jsonConfig, type ConfigType, type JsonSchema } from './filters/config-type.ts';
export type { HeaderField, HeaderList, Headers } from './filters/headers.ts';
export { ResponseFlag, type ResponseFlagName } from './filters/response-flags.ts';
export type { ConnectionInfo, Metadata, StreamInfo, TlsInfo, UpstreamHostInfo } from './filters/stream-info.ts';
export {
  testFilter,
  type FilterTest,
  type FilterTestMessage,
  type FilterTestOptions,
  type FilterTestResult,
} from './filters/test-kit.ts';

import type { Proxy, ProxyOptions } from './create-proxy.ts';

export type { Proxy, ProxyConfig, ProxyConfigError, ProxyOptions } from './create-proxy.ts';

/**
 * Starts a proxy in this process from an Envoy bootstrap (YAML text or an object):
 *
 * ```ts
 * await using proxy = await createProxy({ config });
 * await fetch(`http://127.0.0.1:${proxy.port('ingress')}/`);
 * await proxy.update(changed);
 * ```
 *
 * Throws a ProxyConfigError with every problem of the config.
 */
export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  // Loaded here: users' filters import this module on every worker, and need no server.
  const { startProxy } = await import('./create-proxy.ts');
  return startProxy(options);
}
