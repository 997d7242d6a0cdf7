import type { TlsInfo } from '../../src/filters/stream-info.ts';
import type { ConnectionInput } from '../../src/proxy/codec/connection-io.ts';
import type { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { describeConnection } from '../../src/proxy/upstream/pool/connector.ts';
import type {
  ConnectOptions,
  Connector,
  UpstreamSocket,
  UpstreamSocketOwner,
} from '../../src/proxy/upstream/pool/connector.ts';

/** One upstream socket whose other end is the test. Closing is reported when the test says `settle()`, as sockets do later. */
export class FakeSocket implements UpstreamSocket {
  input: ConnectionInput | undefined = undefined;
  written = '';
  pauses = 0;
  bufferedBytes = 0;
  wasReset = false;
  writeEnded = false;
  closed: 'flush' | 'flush-no-delay' | 'abort' | 'reset' | undefined = undefined;
  readonly options: ConnectOptions;
  readonly #dispatcher: Dispatcher;
  readonly #owner: UpstreamSocketOwner;
  #gone = false;

  constructor(dispatcher: Dispatcher, options: ConnectOptions, owner: UpstreamSocketOwner) {
    this.#dispatcher = dispatcher;
    this.options = options;
    this.#owner = owner;
  }

  write(data: string | Uint8Array): boolean {
    this.written += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    return true;
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

  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void {
    this.closed ??= how;
  }

  /** The handshake is done. */
  connect(tls?: TlsInfo): void {
    this.#dispatcher.turn(() =>
      this.#owner.onConnected(
        describeConnection(this.options.connectionId, 0, undefined, '10.0.0.1', 80, '10.0.0.9', 1234, tls),
      ),
    );
  }

  /** The handshake failed. */
  refuse(): void {
    this.#end(false, { local: false, bind: false, reason: 'delayed connect error: Connection refused' });
  }

  /** Bytes from the upstream. */
  receive(text: string): void {
    this.#dispatcher.turn(() => this.input?.onData(Buffer.from(text, 'latin1')));
  }

  /** The upstream closed. */
  disconnect(): void {
    this.#dispatcher.turn(() => this.input?.onEnd());
    if (this.input?.allowsHalfClose !== true) this.#end(false, undefined);
  }

  /** If the proxy has closed it, it is gone now. */
  settle(): void {
    if (this.closed !== undefined) this.#end(true, undefined);
  }

  #end(local: boolean, failure: Parameters<UpstreamSocketOwner['onSocketClosed']>[1]): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dispatcher.turn(() => {
      this.input?.onClose();
      this.#owner.onSocketClosed(local, failure);
    });
  }
}

/** Connections that the test makes succeed or fail. */
export class FakeConnector {
  readonly sockets: FakeSocket[] = [];
  readonly connect: Connector = (dispatcher, options, owner) => {
    const socket = new FakeSocket(dispatcher, options, owner);
    this.sockets.push(socket);
    return socket;
  };

  /** The one that was opened last. */
  get last(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** Every socket that was closed by the proxy is gone now. */
  settle(): void {
    for (const socket of this.sockets) socket.settle();
  }
}
