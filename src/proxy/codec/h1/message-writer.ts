import { currentRead, writeOther } from '../read-buffer.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import type { Dispatcher, Flushable } from '../../dispatcher.ts';
import { ChunkedBody, FixedBody, NoBody, type BodyKind } from './body-kind.ts';
import type { HeadSerializer } from './serializer.ts';

/** Bodies up to this leave as text together with their head. */
const SMALL = 2048;
/** Bodies up to this are copied behind the text that precedes them: cheaper than a second write. */
const COPIED = 16 * 1024;
/** Gathered text is written before the turn ends when there is more of it than this. */
const WRITE_AT = 32 * 1024;

/** Memory to join text and bytes in: as much as both can be. Used again unless a socket has kept it, as read buffers. */
const JOIN_BUFFER = WRITE_AT + COPIED + 1024;
const joining: { buffer: Buffer | undefined } = { buffer: undefined };

/**
 * Gathers what an HTTP/1 connection sends during a turn, so that a message whose parts come in one turn leaves in one
 * write, and frames the body of the message that is being sent.
 */
export class MessageWriter {
  /** The send buffer is over its high watermark. */
  blocked = false;
  /** Bytes of this message so far, on the wire. */
  wireBytes = 0;
  /** The body didn't match the declared length: the connection is of no more use. */
  broken = false;
  readonly #output: ConnectionOutput;
  readonly #dispatcher: Dispatcher;
  readonly #owner: Flushable;
  #pending = '';
  #dirty = false;
  #body: BodyKind = NoBody;
  #left = 0;

  constructor(output: ConnectionOutput, dispatcher: Dispatcher, owner: Flushable) {
    this.#output = output;
    this.#dispatcher = dispatcher;
    this.#owner = owner;
  }

  /** Begins a message. */
  head(text: string, serializer: HeadSerializer): void {
    this.#body = serializer.body;
    this.#left = serializer.bodyLength;
    this.#text(text);
  }

  /** A head without a message: 1xx. */
  informational(text: string): void {
    this.#text(text);
  }

  /** False: over the high watermark. */
  data(chunk: Buffer, endStream: boolean): boolean {
    const size = chunk.length;
    if (size > 0 && this.#body !== NoBody) {
      if (this.#body === ChunkedBody) {
        this.#text(size.toString(16) + '\r\n');
        this.#bytes(chunk, '\r\n');
      } else {
        if (this.#body === FixedBody) {
          this.#left -= size;
          // Sending on would make the surplus the next message.
          if (this.#left < 0) {
            this.broken = true;
            return true;
          }
        }
        this.#bytes(chunk, '');
      }
    }
    if (endStream) this.end();
    return !this.blocked;
  }

  trailers(trailers: HeaderMap, serializer: HeadSerializer, carried: boolean): void {
    if (this.#body === ChunkedBody && carried) this.#text(serializer.trailers(trailers));
    else this.end();
  }

  end(): void {
    if (this.#body === ChunkedBody) this.#text('0\r\n\r\n');
    else if (this.#body === FixedBody && this.#left > 0) this.broken = true;
  }

  /** Has the owner's `flush` called at the end of this turn. */
  schedule(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#dispatcher.markDirty(this.#owner);
  }

  /** Writes what was gathered. */
  flush(): void {
    this.#dirty = false;
    this.#write();
  }

  #text(text: string): void {
    this.wireBytes += text.length;
    this.#pending += text;
    if (this.#pending.length > WRITE_AT) this.#write();
    else this.schedule();
  }

  #bytes(chunk: Buffer, after: string): void {
    const size = chunk.length;
    if (size <= SMALL) return this.#text(chunk.toString('latin1') + after);
    this.wireBytes += size;
    const before = this.#pending;
    if (size <= COPIED && before.length + after.length > 0) {
      this.wireBytes += after.length;
      this.#pending = '';
      if (!writeJoined(this.#output, before, chunk, after)) this.blocked = true;
      return;
    }
    this.#write();
    if (!this.#output.write(chunk)) this.blocked = true;
    if (after !== '') this.#text(after);
  }

  #write(): void {
    const pending = this.#pending;
    if (pending === '') return;
    this.#pending = '';
    if (!this.#output.write(pending)) this.blocked = true;
  }
}

function writeJoined(output: ConnectionOutput, before: string, chunk: Buffer, after: string): boolean {
  const buffer = (joining.buffer ??= Buffer.allocUnsafeSlow(JOIN_BUFFER));
  let size = buffer.write(before, 0, 'latin1');
  buffer.set(chunk, size);
  size += chunk.length;
  size += buffer.write(after, size, 'latin1');
  const accepted = writeOther(output, buffer.subarray(0, size));
  if (currentRead.otherKept) joining.buffer = undefined;
  return accepted;
}
