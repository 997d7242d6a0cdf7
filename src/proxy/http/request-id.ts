import type { Random } from '../../lib/random.ts';

/** Ids made at a time: one string, which they are slices of. */
const BATCH = 64;
const LENGTH = 36;
/** Where Envoy keeps the reason for tracing: the UUID's version digit. */
const TRACE_DIGIT = 14;
const HEX = Uint8Array.from('0123456789abcdef', (char) => char.charCodeAt(0));

/** Why a request is traced, as x-request-id tells the next hop (Envoy's UUIDRequestIDExtension). */
export type TraceReason = 'not-traceable' | 'sampling' | 'service-forced' | 'client-forced';

const REASON_DIGITS = { 'not-traceable': '4', sampling: '9', 'service-forced': 'a', 'client-forced': 'b' } as const;

/** Makes UUIDs of version 4 (RFC 9562 section 5.4). One for each worker; `Random` decides how strong they are. */
export class UuidSource {
  readonly #random: Random;
  readonly #bytes = Buffer.alloc(BATCH * LENGTH);
  #text = '';
  #next = BATCH;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    if (this.#next === BATCH) this.#fill();
    const from = this.#next++ * LENGTH;
    return this.#text.slice(from, from + LENGTH);
  }

  #fill(): void {
    const bytes = this.#bytes;
    let at = 0;
    for (let id = 0; id < BATCH; id++) {
      for (let word = 0; word < 4; word++) {
        let value = this.#random.below(0x1_0000_0000);
        if (word === 1) value = ((value & 0xffff0fff) | 0x4000) >>> 0;
        else if (word === 2) value = ((value & 0x3fffffff) | 0x80000000) >>> 0;
        for (let digit = 0; digit < 8; digit++) {
          if (digit === 4 && word !== 0 && word !== 3) bytes[at++] = 0x2d;
          else if (digit === 0 && (word === 1 || word === 2)) bytes[at++] = 0x2d;
          bytes[at++] = HEX[value >>> 28]!;
          value = (value << 4) >>> 0;
        }
      }
    }
    this.#text = bytes.toString('latin1', 0, at);
    this.#next = 0;
  }
}

/** The reason that `id` carries; `not-traceable` for anything that isn't a UUID. */
export function traceReason(id: string): TraceReason {
  if (id.length !== LENGTH) return 'not-traceable';
  switch (id.charCodeAt(TRACE_DIGIT)) {
    case 0x39:
      return 'sampling';
    case 0x61:
      return 'service-forced';
    case 0x62:
      return 'client-forced';
    default:
      return 'not-traceable';
  }
}

/** `id` carrying `reason`; unchanged if it isn't a UUID. */
export function withTraceReason(id: string, reason: TraceReason): string {
  if (id.length !== LENGTH) return id;
  return id.slice(0, TRACE_DIGIT) + REASON_DIGITS[reason] + id.slice(TRACE_DIGIT + 1);
}
