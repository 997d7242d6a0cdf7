import { beforeEach, expect, test } from 'vitest';
import type { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { connectPreamble, TcpTunnel } from '../../../src/proxy/router/tcp-tunnel.ts';
import type { PoolRequest, UpstreamStream } from '../../../src/proxy/upstream/upstream.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeHost } from '../../support/fake-cluster.ts';
import { FakeTcpPool, type FakeUpstreamConnection } from '../../support/fake-tcp-pool.ts';
import { request, streamInfo } from '../../support/route-table.ts';

/** Records what a tunnel tells the attempt that it serves. */
class Recorder implements PoolRequest {
  readonly events: string[] = [];
  stream: UpstreamStream | undefined = undefined;

  onPoolReady(stream: UpstreamStream): void {
    this.stream = stream;
  }
  onPoolFailure(reason: string): void {
    this.events.push(`failure ${reason}`);
  }
  onHeaders(headers: HeaderMap, endStream: boolean): void {
    this.events.push(`headers ${headers.status}${endStream ? ' end' : ''}`);
  }
  onData(chunk: Buffer, endStream: boolean): void {
    this.events.push(`data ${chunk.toString()}${endStream ? ' end' : ''}`);
  }
  onTrailers(): void {}
  onReset(reason: string): void {
    this.events.push(`reset ${reason}`);
  }
  onWritable(): void {
    this.events.push('writable');
  }
}

let dispatcher: Dispatcher;
let pool: FakeTcpPool;
let recorder: Recorder;
beforeEach(() => {
  dispatcher = new Dispatcher(new FakeClock());
  pool = new FakeTcpPool(dispatcher);
  pool.host = new FakeHost('10.0.0.1:80');
  recorder = new Recorder();
});

const turn = (body: () => void): void => dispatcher.turn(body);

function open(preamble?: Uint8Array): { connection: FakeUpstreamConnection; stream: UpstreamStream } {
  new TcpTunnel(pool, dispatcher, preamble).newStream(recorder);
  const connection = pool.ready();
  const stream = recorder.stream!;
  turn(() => {
    stream.sendHeaders(request('', { method: 'CONNECT' }), false);
    expect(recorder.events, 'no event from within a call').toEqual([]);
  });
  return { connection, stream };
}

test('answers 200 itself, and carries bytes both ways', () => {
  const { connection, stream } = open();
  expect(recorder.events).toEqual(['headers 200']);
  expect(stream.protocol).toBe('');
  turn(() => stream.sendData(Buffer.from('up'), false));
  turn(() => connection.input!.onData(Buffer.from('down')));
  expect(connection.written).toBe('up');
  expect(recorder.events).toEqual(['headers 200', 'data down']);
  expect([stream.wireBytesSent, stream.wireBytesReceived]).toEqual([2, 4]);
});

test('either end is a half-close, both close the connection', () => {
  const { connection, stream } = open();
  turn(() => stream.sendData(Buffer.from('last'), true));
  expect([connection.writeEnded, connection.closed]).toEqual([true, undefined]);
  turn(() => connection.input!.onData(Buffer.from('late')));
  turn(() => connection.input!.onEnd());
  expect(recorder.events.slice(1)).toEqual(['data late', 'data  end']);
  expect(connection.closed).toBe('flush-no-delay');
});

test('an upstream that goes away resets the stream; after its end it may', () => {
  open();
  turn(() => pool.connections[0]!.input!.onClose());
  expect(recorder.events).toEqual(['headers 200', 'reset connection termination']);
  recorder = new Recorder();
  open();
  turn(() => pool.connections[1]!.input!.onEnd());
  turn(() => pool.connections[1]!.input!.onClose());
  expect(recorder.events).toEqual(['headers 200', 'data  end']);
});

test('a reset closes the connection, and nothing is told afterwards', () => {
  const { connection, stream } = open();
  turn(() => stream.reset('local reset'));
  expect(connection.closed).toBe('abort');
  turn(() => connection.input!.onData(Buffer.from('late')));
  turn(() => connection.input!.onClose());
  expect(recorder.events).toEqual(['headers 200']);
});

test('backpressure both ways', () => {
  const { connection, stream } = open();
  connection.writable = false;
  turn(() => expect(stream.sendData(Buffer.from('much'), false)).toBe(false));
  turn(() => connection.input!.onDrain());
  turn(() => connection.input!.onDrain());
  expect(recorder.events).toEqual(['headers 200', 'writable']);
  stream.pause();
  expect(connection.pauses).toBe(1);
  stream.resume();
  expect(connection.pauses).toBe(0);
});

test('no connection', () => {
  const tunnel = new TcpTunnel(pool, dispatcher, undefined);
  tunnel.newStream(recorder);
  pool.fail('remote connection failure');
  expect(recorder.events).toEqual(['failure remote connection failure']);
  const cancelled = new TcpTunnel(pool, dispatcher, undefined);
  cancelled.newStream(recorder);
  cancelled.cancel();
  expect(pool.waiting).toEqual([]);
});

test('a PROXY protocol header goes first', () => {
  const { remoteIp, remotePort, localIp, localPort } = streamInfo().connection;
  const preamble = connectPreamble({ allowPost: false, proxyProtocol: 'v1' }, streamInfo().connection);
  const { connection, stream } = open(preamble);
  turn(() => stream.sendData(Buffer.from('payload'), false));
  expect(connection.written).toBe(`PROXY TCP4 ${remoteIp} ${localIp} ${remotePort} ${localPort}\r\npayload`);
  expect(connectPreamble({ allowPost: false, proxyProtocol: undefined }, streamInfo().connection)).toBeUndefined();
  expect(connectPreamble({ allowPost: false, proxyProtocol: 'v2' }, streamInfo().connection)?.[12]).toBe(0x21);
});
