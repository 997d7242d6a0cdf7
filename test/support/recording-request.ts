import type { StreamResetReason } from '../../src/proxy/codec/codec.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import type { Pool, PoolFailureReason, PoolRequest, UpstreamStream } from '../../src/proxy/upstream/upstream.ts';

/** A GET that goes out as soon as it has a stream, and writes down what happens to it. */
export class RecordingRequest implements PoolRequest {
  readonly log: string[] = [];
  stream: UpstreamStream | undefined = undefined;
  body = '';
  readonly #path: string;
  readonly #settled = Promise.withResolvers<void>();

  constructor(path = '/') {
    this.#path = path;
  }

  /** Resolves with the end of the response, a reset or a failure. */
  get done(): Promise<void> {
    return this.#settled.promise;
  }

  start(pool: Pool): this {
    const stream = pool.newStream(this);
    if (stream !== undefined) this.onPoolReady(stream);
    return this;
  }

  onPoolReady(stream: UpstreamStream): void {
    this.stream = stream;
    this.log.push('ready');
    const headers = new HeaderMap();
    headers.method = 'GET';
    headers.path = this.#path;
    headers.authority = 'backend';
    headers.scheme = 'http';
    stream.sendHeaders(headers, true);
  }

  onPoolFailure(reason: PoolFailureReason, transportFailure: string): void {
    this.#end(`failed: ${reason}${transportFailure === '' ? '' : ` (${transportFailure})`}`);
  }

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    this.log.push(`status ${headers.status}`);
    if (endStream) this.#end('end');
  }

  onData(chunk: Buffer, endStream: boolean): void {
    this.body += chunk.toString('latin1');
    if (endStream) this.#end('end');
  }

  onTrailers(): void {
    this.#end('end');
  }

  onReset(reason: StreamResetReason): void {
    this.#end(`reset: ${reason}`);
  }

  onWritable(): void {}

  #end(how: string): void {
    this.log.push(how);
    this.#settled.resolve();
  }
}
