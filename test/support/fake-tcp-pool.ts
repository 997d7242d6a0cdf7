import type { ConnectionInfo } from '../../src/filters/stream-info.ts';
import type { ConnectionInput } from '../../src/proxy/codec/connection-io.ts';
import type { Dispatcher } from '../../src/proxy/dispatcher.ts';
import type {
  Host,
  PoolFailureReason,
  TcpPool,
  TcpPoolRequest,
  UpstreamConnection,
} from '../../src/proxy/upstream/upstream.ts';
import { streamInfo } from './route-table.ts';

/** A TCP pool whose connections the test opens, fails and drives. */
export class FakeTcpPool implements TcpPool {
  host: Host | undefined = undefined;
  transportKey: string | undefined = undefined;
  readonly waiting: TcpPoolRequest[] = [];
  readonly connections: FakeUpstreamConnection[] = [];
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  newConnection(request: TcpPoolRequest): void {
    this.waiting.push(request);
  }

  cancel(request: TcpPoolRequest): void {
    const at = this.waiting.indexOf(request);
    if (at !== -1) this.waiting.splice(at, 1);
  }

  ready(): FakeUpstreamConnection {
    const connection = new FakeUpstreamConnection(this.host!, this.#dispatcher);
    this.connections.push(connection);
    const request = this.waiting.shift()!;
    this.#dispatcher.turn(() => request.onPoolReady(connection));
    return connection;
  }

  fail(reason: PoolFailureReason, transportFailure = ''): void {
    const request = this.waiting.shift()!;
    this.#dispatcher.turn(() => request.onPoolFailure(reason, transportFailure, this.host));
  }
}

/** An upstream connection; what is written to it is recorded, what comes from it is up to the test. */
export class FakeUpstreamConnection implements UpstreamConnection {
  readonly host: Host;
  readonly info: ConnectionInfo = streamInfo().connection;
  input: ConnectionInput | undefined = undefined;
  written = '';
  writeEnded = false;
  closed: string | undefined = undefined;
  pauses = 0;
  /** What `write` answers. */
  writable = true;
  bufferedBytes = 0;
  wasReset = false;
  readonly #dispatcher: Dispatcher;

  constructor(host: Host, dispatcher: Dispatcher) {
    this.host = host;
    this.#dispatcher = dispatcher;
  }

  write(data: string | Uint8Array): boolean {
    if (this.writeEnded || this.closed !== undefined) throw new Error('written after the end');
    this.written += Buffer.from(data as Uint8Array).toString('latin1');
    return this.writable;
  }
  endWrite(): void {
    this.writeEnded = true;
  }
  pauseRead(): void {
    this.pauses++;
  }
  resumeRead(): void {
    this.pauses--;
  }
  close(how: string): void {
    this.closed = how;
  }

  data(text: string): void {
    // As a socket's buffer, which is used again.
    const chunk = Buffer.from(text, 'latin1');
    this.#dispatcher.turn(() => this.input?.onData(chunk));
    chunk.fill(0x21);
  }
  end(): void {
    this.#dispatcher.turn(() => this.input?.onEnd());
  }
  drain(): void {
    this.writable = true;
    this.#dispatcher.turn(() => this.input?.onDrain());
  }
  gone(): void {
    const { input } = this;
    this.input = undefined;
    this.#dispatcher.turn(() => input?.onClose());
  }
}
