import { connect } from 'node:net';
import { HpackDecoder } from '../../src/proxy/codec/h2/hpack/decoder.ts';
import {
  data,
  F,
  frame,
  headers,
  parseFrames,
  PREFACE,
  reset,
  settings,
  settingsAck,
  show,
  T,
  windowUpdate,
} from './h2-frames.ts';
import type { Fields, Frame } from './h2-frames.ts';

/** What an HTTP/2 client does, one after the other; `stream` is 1 unless given. */
export type H2Step =
  | { readonly headers: Fields; readonly end?: boolean; readonly stream?: number }
  | { readonly data: string; readonly end?: boolean; readonly stream?: number }
  | { readonly trailers: Fields; readonly stream?: number }
  | { readonly reset: number; readonly stream?: number }
  | { readonly waitMs: number }
  | { readonly bytes: Buffer };

export interface H2Exchange {
  /** A line a frame: those of streams, and GOAWAY. DATA of a stream that comes in pieces is joined. */
  readonly lines: readonly string[];
  readonly end: 'closed' | 'reset' | 'complete' | 'timeout';
}

/** When everything is over, what may still come (RST_STREAM behind the end of a response, GOAWAY) has so long. */
const GRACE_MS = 60;
const BIG = 0x7fff_0000;

/** Speaks cleartext HTTP/2 to a port on the loopback interface and records what comes back, frame by frame. */
export function h2Exchange(port: number, steps: readonly H2Step[], timeoutMs = 1_000): Promise<H2Exchange> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const decoder = new HpackDecoder();
    const lines: string[] = [];
    const open = new Set<number>();
    const bodies = new Map<number, string>();
    let rest: Buffer = Buffer.alloc(0);
    let done = false;
    let stepsLeft = true;
    let grace: NodeJS.Timeout | undefined;
    const finish = (end: H2Exchange['end']): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      clearTimeout(grace);
      socket.destroy();
      resolve({ lines, end });
    };
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    const settle = (): void => {
      if (!stepsLeft && open.size === 0) grace ??= setTimeout(() => finish('complete'), GRACE_MS);
    };
    const decode = (block: Buffer): string => {
      const fields: string[] = [];
      const error = decoder.decode(block, 0, block.length, {
        onField: (name, value) => {
          fields.push(`${name}: ${value}`);
          return true;
        },
      });
      return error === undefined ? `\n${fields.join('\n')}\n` : `undecodable: ${error}`;
    };
    const onFrame = (each: Frame): void => {
      const { type, flags, stream, payload } = each;
      const ends = (type === T.DATA || type === T.HEADERS) && (flags & F.END_STREAM) !== 0;
      if (type === T.SETTINGS && (flags & F.ACK) === 0) socket.write(settingsAck);
      else if (type === T.PING && (flags & F.ACK) === 0) socket.write(frame(T.PING, F.ACK, 0, payload));
      else if (type === T.DATA) {
        const text = (bodies.get(stream) ?? '') + payload.toString('latin1');
        const last = lines.length - 1;
        const line = `DATA ${stream} ${text.length > 1000 ? `(${text.length} bytes)` : text}${ends ? ' END' : ''}`;
        if (bodies.has(stream) && lines[last]!.startsWith(`DATA ${stream} `)) lines[last] = line;
        else lines.push(line);
        bodies.set(stream, text);
      } else if (type === T.HEADERS || type === T.RST_STREAM || type === T.GOAWAY) lines.push(show(each, decode));
      if (ends || type === T.RST_STREAM) open.delete(stream);
      settle();
    };
    socket.on('connect', () => {
      socket.write(Buffer.concat([PREFACE, settings([[4, BIG]]), windowUpdate(0, BIG - 65_535)]));
      const run = async (): Promise<void> => {
        // What comes without a wait between leaves in one write, so that it arrives together.
        let gathered: Buffer[] = [];
        const flush = (): void => {
          if (gathered.length > 0) socket.write(Buffer.concat(gathered));
          gathered = [];
        };
        for (const step of steps) {
          if ('waitMs' in step) {
            flush();
            await new Promise((wake) => setTimeout(wake, step.waitMs));
          } else if ('bytes' in step) gathered.push(step.bytes);
          else {
            const stream = step.stream ?? 1;
            if ('headers' in step) {
              open.add(stream);
              gathered.push(headers(stream, step.headers, step.end ?? true));
            } else if ('trailers' in step) gathered.push(headers(stream, step.trailers));
            else if ('data' in step) gathered.push(data(stream, step.data, step.end ?? false));
            else {
              open.delete(stream);
              gathered.push(reset(stream, step.reset));
            }
          }
        }
        flush();
        stepsLeft = false;
        settle();
      };
      void run();
    });
    socket.on('data', (chunk: Buffer) => {
      const parsed = parseFrames(Buffer.concat([rest, chunk]));
      rest = parsed.rest;
      for (const each of parsed.frames) onFrame(each);
    });
    socket.on('end', () => finish('closed'));
    socket.on('error', () => finish('reset'));
    socket.on('close', () => finish('closed'));
  });
}
