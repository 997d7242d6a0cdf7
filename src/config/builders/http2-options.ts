import type { Http2ProtocolOptions } from '../../api/generated/envoy/config/core/v3/protocol_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Http2KeepaliveModel, Http2OptionsModel } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const MEBIBYTE = 1 << 20;

/** core.v3.Http2ProtocolOptions; `problems` stands at it. Absent: Envoy's defaults. */
export function buildHttp2Options(
  message: Http2ProtocolOptions | undefined,
  types: TypeRegistry,
  problems: Problems,
): Http2OptionsModel {
  if (message !== undefined)
    reportUnsupportedFields(
      types,
      message,
      [
        'hpack_table_size',
        'max_concurrent_streams',
        'initial_stream_window_size',
        'initial_connection_window_size',
        'allow_connect',
        'max_outbound_frames',
        'max_outbound_control_frames',
        'max_consecutive_inbound_frames_with_empty_payload',
        'max_inbound_priority_frames_per_stream',
        'max_inbound_window_update_frames_per_data_frame_sent',
        'stream_error_on_invalid_http_messaging',
        'override_stream_error_on_invalid_http_message',
        'custom_settings_parameters',
        'connection_keepalive',
        // There is one codec.
        'use_oghttp2_codec',
      ],
      problems,
    );
  return {
    hpackTableSize: message?.hpackTableSize ?? 4096,
    maxConcurrentStreams: message?.maxConcurrentStreams ?? 1024,
    initialStreamWindowSize: message?.initialStreamWindowSize ?? 16 * MEBIBYTE,
    initialConnectionWindowSize: message?.initialConnectionWindowSize ?? 24 * MEBIBYTE,
    allowConnect: message?.allowConnect ?? false,
    maxOutboundFrames: message?.maxOutboundFrames ?? 10_000,
    maxOutboundControlFrames: message?.maxOutboundControlFrames ?? 1000,
    maxConsecutiveInboundFramesWithEmptyPayload: message?.maxConsecutiveInboundFramesWithEmptyPayload ?? 1,
    maxInboundPriorityFramesPerStream: message?.maxInboundPriorityFramesPerStream ?? 100,
    maxInboundWindowUpdateFramesPerDataFrameSent: message?.maxInboundWindowUpdateFramesPerDataFrameSent ?? 10,
    overrideStreamErrorOnInvalidHttpMessage:
      message?.overrideStreamErrorOnInvalidHttpMessage ?? message?.streamErrorOnInvalidHttpMessaging ?? false,
    keepalive: buildKeepalive(message?.connectionKeepalive),
    customSettings: (message?.customSettingsParameters ?? []).map(({ identifier, value }) => ({
      id: identifier ?? 0,
      value: value ?? 0,
    })),
  };
}

function buildKeepalive(message: Http2ProtocolOptions['connectionKeepalive']): Http2KeepaliveModel | undefined {
  if (message === undefined) return undefined;
  return {
    intervalMs: durationMs(message.interval) ?? 0,
    timeoutMs: durationMs(message.timeout) ?? 0,
    jitterPercent: message.intervalJitter?.value ?? 15,
    connectionIdleIntervalMs: durationMs(message.connectionIdleInterval) ?? 0,
  };
}
