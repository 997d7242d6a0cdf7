import type { Http2Settings } from '../../src/proxy/codec/server-codec.ts';

/** Envoy's defaults. */
export const defaultHttp2Settings: Http2Settings = {
  hpackTableSize: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 16 * 1024 * 1024,
  initialConnectionWindowSize: 24 * 1024 * 1024,
  allowConnect: false,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1000,
  maxConsecutiveInboundFramesWithEmptyPayload: 1,
  maxInboundPriorityFramesPerStream: 100,
  maxInboundWindowUpdateFramesPerDataFrameSent: 10,
  overrideStreamErrorOnInvalidHttpMessage: false,
  keepalive: undefined,
  customSettings: [],
  maxHeadersCount: 100,
  maxHeadersBytes: 60 * 1024,
  bufferLimitBytes: 1024 * 1024,
};
