import type { Http2Settings } from '../server-codec.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
  DEFAULT_WINDOW_SIZE,
  ErrorCode,
  MAX_MAX_FRAME_SIZE,
  MAX_WINDOW_SIZE,
  Setting,
} from './frame.ts';

/** SETTINGS as Envoy sends them, custom parameters in front of the known ones that they don't replace. */
export function encodeSettings(settings: Http2Settings, client: boolean): Buffer {
  const entries: [number, number][] = client ? [[Setting.ENABLE_PUSH, 0]] : [];
  for (const { id, value } of settings.customSettings) if (id !== Setting.ENABLE_PUSH) entries.push([id, value]);
  const known: [number, number][] = [
    [Setting.HEADER_TABLE_SIZE, settings.hpackTableSize],
    [Setting.ENABLE_CONNECT_PROTOCOL, settings.allowConnect ? 1 : 0],
    [Setting.MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams],
    [Setting.INITIAL_WINDOW_SIZE, settings.initialStreamWindowSize],
  ];
  for (const entry of known) if (!entries.some(([id]) => id === entry[0])) entries.push(entry);
  const payload = Buffer.alloc(6 * entries.length);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return payload;
}

/** What the peer has set; until then the defaults (RFC 9113 section 6.5.2). */
export class PeerSettings {
  headerTableSize = 4096;
  maxConcurrentStreams = Infinity;
  initialWindowSize = DEFAULT_WINDOW_SIZE;
  maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
  enableConnectProtocol = false;

  /** Takes over the entries in order. Returns the error code of the first that isn't allowed, or NO_ERROR. */
  apply(payload: Buffer, from: number, to: number, fromServer: boolean): number {
    for (let at = from; at < to; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      switch (payload.readUInt16BE(at)) {
        case Setting.HEADER_TABLE_SIZE:
          this.headerTableSize = value;
          break;
        case Setting.ENABLE_PUSH:
          if (value > (fromServer ? 0 : 1)) return ErrorCode.PROTOCOL_ERROR;
          break;
        case Setting.MAX_CONCURRENT_STREAMS:
          this.maxConcurrentStreams = value;
          break;
        case Setting.INITIAL_WINDOW_SIZE:
          if (value > MAX_WINDOW_SIZE) return ErrorCode.FLOW_CONTROL_ERROR;
          this.initialWindowSize = value;
          break;
        case Setting.MAX_FRAME_SIZE:
          if (value < DEFAULT_MAX_FRAME_SIZE || value > MAX_MAX_FRAME_SIZE) return ErrorCode.PROTOCOL_ERROR;
          this.maxFrameSize = value;
          break;
        case Setting.ENABLE_CONNECT_PROTOCOL:
          // Once on it stays on (RFC 8441 section 3).
          if (value > 1 || (value === 0 && this.enableConnectProtocol)) return ErrorCode.PROTOCOL_ERROR;
          this.enableConnectProtocol = value === 1;
          break;
      }
    }
    return ErrorCode.NO_ERROR;
  }
}
