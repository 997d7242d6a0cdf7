import { describe, expect, test } from 'vitest';
import { ClientHarness, request } from './h1-harness.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';
const okEvents = ['headers 200 | content-length: 5', 'data hello', 'end'];

function sent(
  method: string,
  fields: readonly (readonly [string, string])[] = [],
  body?: string,
  settings = {},
): string {
  const client = new ClientHarness(settings);
  const stream = client.open();
  client.socket.turn(() => {
    stream.sendHeaders(request(method, '/x?y', fields), body === undefined);
    if (body !== undefined) stream.sendData(Buffer.from(body), true);
  });
  expect(client.output.writes).toHaveLength(1);
  return client.output.text;
}

describe('how a request is written', () => {
  test.each(['GET', 'HEAD', 'DELETE', 'TRACE'])('%s has no length without a body', (method) => {
    expect(sent(method)).toBe(`${method} /x?y HTTP/1.1\r\nhost: h\r\n\r\n`);
  });

  test.each(['POST', 'PUT', 'PATCH', 'OPTIONS', 'PROPFIND'])('%s has a length of zero', (method) => {
    expect(sent(method)).toBe(`${method} /x?y HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n`);
  });

  test('a body with and without a length', () => {
    expect(sent('POST', [['content-length', '2']], 'ab')).toBe(
      'POST /x?y HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab',
    );
    expect(sent('POST', [['a', 'b']], 'ab')).toBe(
      'POST /x?y HTTP/1.1\r\nhost: h\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    );
  });

  test('trailers', () => {
    for (const enableTrailers of [true, false]) {
      const client = new ClientHarness({ enableTrailers });
      const stream = client.open();
      client.socket.turn(() => {
        stream.sendHeaders(request('POST', '/'), false);
        stream.sendTrailers(request('', '', [['x-t', 'v']]));
      });
      expect(client.output.text.split('\r\n\r\n').slice(1).join('|')).toBe(enableTrailers ? '0\r\nx-t: v|' : '0|');
    }
  });

  test('header case', () => {
    expect(sent('POST', [['x-a', '1']], undefined, { headerCase: 'proper' })).toBe(
      'POST /x?y HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n',
    );
    const client = new ClientHarness({ headerCase: 'preserve' });
    const headers = request('GET', '/');
    headers.originalNames = [];
    headers.originalHostName = 'HoSt';
    headers.append('x-a', '1');
    headers.originalNames[0] = 'X-a';
    client.get(headers);
    expect(client.output.text).toBe('GET / HTTP/1.1\r\nHoSt: h\r\nX-a: 1\r\n\r\n');
  });

  test('a fully qualified target', () => {
    const client = new ClientHarness({ sendFullyQualifiedUrl: true });
    const headers = request('GET', '/x');
    headers.scheme = 'https';
    client.get(headers);
    expect(client.output.text).toBe('GET https://h/x HTTP/1.1\r\nhost: h\r\n\r\n');
  });

  test('an upgrade and CONNECT', () => {
    const upgrade = request('GET', '/');
    upgrade.protocol = 'websocket';
    const connect = request('CONNECT', '');
    connect.authority = 'x:80';
    const texts = [upgrade, connect].map((headers) => {
      const client = new ClientHarness();
      client.socket.turn(() => client.open().sendHeaders(headers, false));
      return client.output.text;
    });
    expect(texts).toEqual([
      'GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n',
    ]);
  });

  test('a body over its length is cut off and ends the connection', () => {
    const client = new ClientHarness();
    const stream = client.open();
    client.socket.turn(() => {
      stream.sendHeaders(request('POST', '/', [['content-length', '2']]), false);
      stream.sendData(Buffer.from('abc'), true);
    });
    expect(client.output.text).not.toContain('abc');
    expect(client.output.closes).toEqual(['abort']);
    client.socket.close();
    expect(client.log.all).toEqual(['reset connection termination']);
    expect(client.ends).toEqual(['reset']);
  });
});

describe('exchanges', () => {
  test('one after the other', () => {
    const client = new ClientHarness();
    for (let i = 0; i < 3; i++) {
      client.get();
      client.socket.feed(OK);
    }
    expect(client.log.all).toEqual([...okEvents, ...okEvents, ...okEvents]);
    expect(client.ends).toEqual(['reusable', 'reusable', 'reusable']);
    expect(client.output.writes).toHaveLength(3);
  });

  test('a response that comes before its request is sent lets the user finish', () => {
    const client = new ClientHarness();
    const stream = client.open();
    client.socket.turn(() => stream.sendHeaders(request('POST', '/', [['content-length', '4']]), false));
    client.socket.feed(OK);
    expect(client.log.all).toEqual(okEvents);
    expect(client.ends).toEqual([]);
    client.socket.turn(() => {
      stream.sendData(Buffer.from('abcd'), true);
      expect(client.ends).toEqual([]);
    });
    expect(client.ends).toEqual(['reusable']);
  });

  test('... or give up, which closes the connection', () => {
    const client = new ClientHarness();
    const stream = client.open();
    client.socket.turn(() => stream.sendHeaders(request('POST', '/', [['content-length', '4']]), false));
    client.socket.feed(OK);
    client.socket.turn(() => stream.reset('local reset'));
    client.socket.close();
    expect([client.ends, client.output.closes, client.log.all]).toEqual([['reset'], ['abort'], okEvents]);
  });

  test('reset is silent', () => {
    const client = new ClientHarness();
    const stream = client.get();
    client.socket.turn(() => stream.reset('local reset'));
    client.socket.feed(OK);
    client.socket.close();
    expect([client.ends, client.output.closes, client.log.all]).toEqual([['reset'], ['abort'], []]);
  });

  test('reset from inside an event', () => {
    const client = new ClientHarness();
    const stream = client.open({ onHeaders: () => stream.reset('local reset') });
    client.socket.turn(() => stream.sendHeaders(request('GET', '/'), true));
    client.socket.feed(OK);
    expect([client.ends, client.output.closes]).toEqual([['reset'], ['abort']]);
    expect(client.log.all).toEqual(okEvents.slice(0, 1));
  });

  test('anything on an idle connection closes it', () => {
    for (const act of [(c: ClientHarness) => c.socket.feed('x'), (c: ClientHarness) => c.socket.end()]) {
      const client = new ClientHarness();
      client.get();
      client.socket.feed(OK);
      act(client);
      expect(client.output.closes).toEqual(['abort']);
      expect(client.ends).toEqual(['reusable']);
    }
  });

  test('a stream on a connection that is gone is reset', () => {
    const client = new ClientHarness();
    client.socket.close();
    client.get();
    expect(client.log.all).toEqual(['reset connection termination']);
  });
});

describe('the end from outside', () => {
  const cases: readonly (readonly [name: string, bytes: string, how: 'end' | 'close', last: string])[] = [
    ['no response', '', 'end', 'reset connection termination'],
    ['no response, cut', '', 'close', 'reset connection termination'],
    ['inside the head', 'HTTP/1.1 2', 'end', 'reset protocol error http1.codec_error'],
    ['inside the head, cut', 'HTTP/1.1 2', 'close', 'reset connection termination'],
    ['inside the body', OK.slice(0, -2), 'end', 'reset protocol error http1.codec_error'],
    [
      'inside chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab',
      'end',
      'reset protocol error http1.codec_error',
    ],
    ['behind a 100', 'HTTP/1.1 100 Continue\r\n\r\n', 'end', 'reset connection termination'],
    ['a body until the end', 'HTTP/1.1 200 OK\r\n\r\nhello', 'end', 'end'],
    ['a body until the end, cut', 'HTTP/1.1 200 OK\r\n\r\nhello', 'close', 'reset connection termination'],
  ];
  test.each(cases)('%s', (_, bytes, how, last) => {
    const client = new ClientHarness();
    client.get();
    if (bytes !== '') client.socket.feed(bytes);
    client.socket[how]();
    client.socket.close();
    expect(client.log.all.at(-1)).toBe(last);
    expect(client.log.all.filter((line) => line.startsWith('reset'))).toHaveLength(last === 'end' ? 0 : 1);
    expect(client.ends).toEqual([last === 'end' ? 'close' : 'reset']);
  });
});

describe('backpressure', () => {
  test('pause holds the rest, and the end behind it', () => {
    const client = new ClientHarness();
    const stream = client.open({ onHeaders: () => stream.pause() });
    client.socket.turn(() => stream.sendHeaders(request('GET', '/'), true));
    client.socket.feed('HTTP/1.1 200 OK\r\n\r\nhel');
    client.socket.feed('lo');
    client.socket.end();
    expect(client.log.all).toEqual(['headers 200']);
    expect(client.output.pauses).toBe(1);
    client.socket.turn(() => stream.resume());
    expect(client.log.all).toEqual(['headers 200', 'data hello', 'end']);
    expect([client.output.pauses, client.ends]).toEqual([0, ['close']]);
  });

  test('a full socket', () => {
    const client = new ClientHarness();
    const stream = client.open();
    client.output.full = true;
    client.socket.turn(() => {
      stream.sendHeaders(request('POST', '/'), false);
      expect(stream.sendData(Buffer.alloc(20_000), false)).toBe(false);
    });
    client.output.full = false;
    client.socket.drain();
    client.socket.drain();
    expect(client.log.all).toEqual(['writable']);
  });
});

test('tunnels are raw both ways and never used again', () => {
  const client = new ClientHarness();
  const stream = client.open();
  const headers = request('GET', '/');
  headers.protocol = 'websocket';
  client.socket.turn(() => stream.sendHeaders(headers, false));
  client.socket.feed('HTTP/1.1 101 SP\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 raw');
  client.socket.turn(() => stream.sendData(Buffer.from('up'), false));
  expect(client.output.text.endsWith('\r\n\r\nup')).toBe(true);
  client.socket.turn(() => stream.sendData(Buffer.from('!'), true));
  client.socket.feed('\r\nmore');
  client.socket.end();
  client.socket.close();
  expect(client.log.all).toEqual([
    'headers 101 | protocol=websocket | upgrade: websocket | connection: Upgrade',
    'data HTTP/1.1 raw\r\nmore',
    // As in Envoy: an upstream that leaves a tunnel resets it.
    'reset connection termination',
  ]);
  expect(client.ends).toEqual(['reset']);
});

test("the end of a CONNECT's payload is a half-close", () => {
  const client = new ClientHarness();
  const stream = client.open();
  const headers = request('CONNECT', '');
  headers.authority = 'x:80';
  client.socket.turn(() => stream.sendHeaders(headers, false));
  client.socket.feed('HTTP/1.1 200 OK\r\n\r\n');
  client.socket.turn(() => stream.sendData(Buffer.from('last'), true));
  expect(client.output.halfClosed).toBe(true);
  client.socket.feed('answer');
  expect(client.log.all).toEqual(['headers 200', 'data answer']);
});

test('wire bytes', () => {
  const client = new ClientHarness();
  const stream = client.get();
  client.socket.feed(OK);
  expect(stream.wireBytesReceived).toBe(OK.length);
  expect(stream.wireBytesSent).toBe(client.output.text.length);
  client.get();
  expect(stream.wireBytesSent).toBe(client.output.writes[0]!.length);
});
