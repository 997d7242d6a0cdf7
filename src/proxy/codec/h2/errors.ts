import type { StreamResetReason } from '../codec.ts';
import { ErrorCode } from './frame.ts';

/** What went wrong with a stream or connection, as Envoy's response_code_details spell it. */
export const Http2Detail = {
  /** A field that no message may have. */
  header: 'http2.invalid.header.field',
  /** Fields that don't make a message together, or a body that isn't what they said. */
  messaging: 'http2.violation.of.messaging.rule',
  /** A frame that its stream can't have. */
  frame: 'http2.unknown.nghttp2.error',
  tooManyHeaders: 'http2.too_many_headers',
  headersTooLarge: 'http2.header_list_size_too_large',
  cookiesTooLarge: 'http2.cookies_total_bytes_too_large',
  underscore: 'http2.unexpected_underscore',
  emptyFrames: 'http2.inbound_empty_frames_flood',
  remoteReset: 'http2.remote_reset',
  remoteRefused: 'http2.remote_refuse',
  /** Of the streams that a connection error takes along. */
  connection: 'codec_error:The_user_callback_function_failed',
  priorityFlood: 'codec_error:Too_many_PRIORITY_frames',
  windowUpdateFlood: 'codec_error:Too_many_WINDOW_UPDATE_frames',
  emptyFramesFlood: 'codec_error:Too_many_consecutive_frames_with_an_empty_payload',
  outboundFlood: 'codec_error:Too_many_frames_in_the_outbound_queue.',
  controlFlood: 'codec_error:Too_many_control_frames_in_the_outbound_queue.',
} as const;

/** The error code with which a stream is reset that its user gives up; those of its peer's faults are the session's. */
export function errorCodeOf(reason: StreamResetReason): number {
  switch (reason) {
    case 'local refused stream reset':
      return ErrorCode.REFUSED_STREAM;
    case 'remote error with CONNECT request':
      return ErrorCode.CONNECT_ERROR;
    default:
      return ErrorCode.INTERNAL_ERROR;
  }
}

/** What the peer's error code means to the user of a stream. */
export function reasonOf(code: number): StreamResetReason {
  switch (code) {
    case ErrorCode.REFUSED_STREAM:
      return 'remote refused stream reset';
    case ErrorCode.PROTOCOL_ERROR:
      return 'protocol error';
    case ErrorCode.CONNECT_ERROR:
      return 'remote error with CONNECT request';
    default:
      return 'remote reset';
  }
}
