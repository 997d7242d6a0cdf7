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
  type LocalReply,
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
