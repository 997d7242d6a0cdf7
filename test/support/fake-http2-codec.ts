import type { Http2Settings } from '../../src/proxy/codec/server-codec.ts';
import type { StreamEvents, StreamResetReason } from '../../src/proxy/codec/codec.ts';
import type { ConnectionOutput } from '../../src/proxy/codec/connection-io.ts';
import type { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import type {
  Http2Codec,
  Http2CodecFactory,
  Http2CodecOwner,
  Http2CodecStream,
} from '../../src/proxy/upstream/pool/http2-codec.ts';

/** An HTTP/2 codec of which the test says what the peer does. Nothing is written. */
export class FakeHttp2Codec implements Http2Codec {
  readonly streams: FakeHttp2Stream[] = [];
  readonly settings: Http2Settings;
  readonly owner: Http2CodecOwner;
  readonly output: ConnectionOutput;
  readonly dispatcher: Dispatcher;
  maxConcurrentStreams: number;
  peerAllowsConnect = false;

  constructor(output: ConnectionOutput, dispatcher: Dispatcher, settings: Http2Settings, owner: Http2CodecOwner) {
    this.output = output;
    this.dispatcher = dispatcher;
    this.settings = settings;
    this.owner = owner;
    this.maxConcurrentStreams = settings.maxConcurrentStreams;
  }

  newStream(events: StreamEvents): Http2CodecStream {
    const stream = new FakeHttp2Stream(this, events);
    this.streams.push(stream);
    return stream;
  }

  /** Streams that are not over. */
  get open(): FakeHttp2Stream[] {
    return this.streams.filter((stream) => !stream.over);
  }

  goAway(): void {}
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}
  flush(): void {}
  onClose(): void {
    for (const stream of this.open) stream.break('connection termination');
  }

  // ---- the peer

  announce(maxConcurrentStreams: number): void {
    this.maxConcurrentStreams = Math.min(maxConcurrentStreams, this.settings.maxConcurrentStreams);
    this.dispatcher.turn(() => this.owner.onSettings());
  }

  /** GOAWAY; the last `refused` streams will not be served. */
  sayGoAway(refused = 0): void {
    this.dispatcher.turn(() => {
      const { open } = this;
      this.owner.onGoAway();
      for (const stream of open.slice(open.length - refused)) stream.break('remote refused stream reset');
    });
  }

  breakProtocol(): void {
    this.dispatcher.turn(() => {
      this.owner.onProtocolError();
      for (const stream of this.open) stream.break('protocol error');
      this.output.close('flush');
    });
  }
}

export class FakeHttp2Stream implements Http2CodecStream {
  readonly wireBytesSent = 0;
  readonly wireBytesReceived = 0;
  readonly headerBytesSent = 0;
  readonly headerBytesReceived = 0;
  over = false;
  readonly #codec: FakeHttp2Codec;
  readonly #events: StreamEvents;

  constructor(codec: FakeHttp2Codec, events: StreamEvents) {
    this.#codec = codec;
    this.#events = events;
  }

  sendInformational(): void {}
  sendHeaders(): void {}
  sendData(): boolean {
    return true;
  }
  sendTrailers(): void {}
  pause(): void {}
  resume(): void {}

  reset(reason: StreamResetReason): void {
    if (this.over) return;
    this.over = true;
    this.#codec.owner.onStreamEnd(this, reason);
  }

  // ---- the peer

  respond(status = 200): void {
    const headers = new HeaderMap();
    headers.status = status;
    this.#codec.dispatcher.turn(() => {
      this.over = true;
      this.#events.onHeaders(headers, true);
      this.#codec.owner.onStreamEnd(this, undefined);
    });
  }

  break(reason: StreamResetReason): void {
    this.#codec.dispatcher.turn(() => {
      this.over = true;
      this.#events.onReset(reason, '');
      this.#codec.owner.onStreamEnd(this, reason);
    });
  }
}

/** Keeps the codecs that pools make. */
export class FakeHttp2Codecs {
  readonly all: FakeHttp2Codec[] = [];
  readonly create: Http2CodecFactory = (output, dispatcher, settings, owner) => {
    const codec = new FakeHttp2Codec(output, dispatcher, settings, owner);
    this.all.push(codec);
    return codec;
  };
}
