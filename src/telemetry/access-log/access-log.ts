import type { AccessLogModel } from '../../config/common-model.ts';
import type { Headers } from '../../filters/headers.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';

/** What a format string or a log filter can look at. Absent headers print as missing values. */
export interface FormatContext {
  readonly info: StreamInfo;
  readonly requestHeaders: Headers | undefined;
  readonly responseHeaders: Headers | undefined;
  readonly responseTrailers: Headers | undefined;
  /** %LOCAL_REPLY_BODY%. */
  readonly localReplyBody: string;
  /** %ACCESS_LOG_TYPE%, e.g. `DownstreamEnd`, `TcpConnectionEnd`, `DownstreamStart`, `DownstreamPeriodic`, `UpstreamEnd`, `NotSet`. */
  readonly accessLogType: string;
}

/** A compiled format string. `format` never throws and yields latin1 text: one character per byte. */
export interface TextFormatter {
  /** The whole text, where it holds no operator and so is the same for every stream. */
  readonly literal?: string | undefined;
  format(context: FormatContext): string;
}

/** One configured access log: its filter, its format and its sink. */
export interface AccessLogger {
  log(context: FormatContext): void;
}

/** Makes the loggers of this thread; loggers that write to the same file share one batched writer. */
export interface AccessLogFactory {
  create(model: AccessLogModel): AccessLogger;
}
