import type { HeaderMap } from '../../http/headers.ts';
import type { StreamResetReason } from '../codec.ts';
import type { FieldSection, SectionProblem } from './field-section.ts';
import type { HpackEncoder } from './hpack/encoder.ts';
import type { H2Stream } from './stream.ts';

/** What is different between a server and a client. */
export interface SessionSide {
  readonly isServer: boolean;
  /** HEADERS with an identifier of the peer's that is new. Undefined: a connection error. Server only. */
  accept(id: number): H2Stream | 'ignored' | 'refused' | undefined;
  /** The section of `stream` is complete, and no trailers. Writes the fields' verdict or delivers. */
  onSection(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined;
  /** HEADERS of `stream` go out. */
  writeHeaders(encoder: HpackEncoder, stream: H2Stream, headers: HeaderMap): void;
  /** A stream is over; once each. `reason` as in Http2CodecOwner. Not from inside a call of its user, unless that was `reset`. */
  onStreamEnd(stream: H2Stream, reason: StreamResetReason | undefined): void;
  onSettings(): void;
  /** `last`: the last stream that the peer will serve. */
  onGoAway(last: number): void;
  onConnectionError(flood: boolean): void;
  onKeepaliveTimeout(): void;
  /** What `flush` does first: work that was put off. */
  onFlush(): void;
}
