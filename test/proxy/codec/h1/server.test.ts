import { describe, expect, test } from 'vitest';
import { ServerHarness, response, type Serve } from './h1-harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n';
/** Leaves the requests to the test. */
const manual: Serve = {};
const hello = (fields: readonly (readonly [string, string])[]): Serve => ({
  onEnd(stream) {
    stream.sendHeaders(response(200, fields), false);
    stream.sendData(Buffer.from('hello'), true);
  },
});

function answer(requestText: string, serve: Serve, settings = {}): ServerHarness {
  const server = new ServerHarness(serve, settings);
  server.socket.feed(requestText);
  return server;
}

describe('how a response is framed', () => {
  test('head and small body leave in one write', () => {
    const { output } = answer(GET, hello([['content-length', '5']]));
    expect(output.writes).toEqual(['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello']);
    expect(output.closes).toEqual([]);
  });

  test('chunks without a length', () => {
    const { output } = answer(GET, hello([['x', 'y']]));
    expect(output.writes).toEqual([
      'HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ]);
  });

  test('a body of some kB is joined to its head, a large one follows it', () => {
    const sizes = [3000, 100_000];
    const written = sizes.map((size) => {
      const serve: Serve = {
        onEnd(stream) {
          stream.sendHeaders(response(200), false);
          stream.sendData(Buffer.alloc(size, 'x'), true);
        },
      };
      return answer(GET, serve).output.writes.map((text) => text.length);
    });
    const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'.length;
    expect(written).toEqual([
      [head + 'bb8\r\n'.length + 3000 + 2, 5],
      [head + '186a0\r\n'.length, 100_000, 2 + 5],
    ]);
  });

  test.each([
    ['GET', 200, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['GET', 204, 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 304, 'HTTP/1.1 304 Not Modified\r\n\r\n'],
    ['GET', 299, 'HTTP/1.1 299 Unknown\r\ncontent-length: 0\r\n\r\n'],
    ['HEAD', 200, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
  ])('%s, %i, no body', (method, status, expected) => {
    const serve: Serve = { onEnd: (stream) => stream.sendHeaders(response(status), true) };
    expect(answer(GET.replace('GET', method), serve).output.text).toBe(expected);
  });

  test('HEAD, 204 and 304 drop a body that is sent', () => {
    expect(answer(GET.replace('GET', 'HEAD'), hello([['content-length', '5']])).output.text).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
    );
    for (const status of [204, 304]) {
      const { text } = answer(GET, {
        onEnd(stream) {
          stream.sendHeaders(response(status), false);
          stream.sendData(Buffer.from('hello'), true);
        },
      }).output;
      expect(text).not.toContain('hello');
    }
  });

  test('framing fields of the header map are not written', () => {
    const { output } = answer(
      GET,
      hello([
        ['transfer-encoding', 'gzip'],
        ['keep-alive', '5'],
        ['proxy-connection', 'x'],
        ['upgrade', 'h2c'],
        ['connection', 'x'],
        ['content-length', '5'],
        ['content-length', '6'],
      ]),
    );
    expect(output.text).toBe('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello');
    expect(answer(GET, hello([['content-length', '5, 5']])).output.text).toContain('transfer-encoding: chunked');
  });

  test.each(['4', '6'])('a body that is not the declared %s bytes long closes the connection', (length) => {
    const server = answer(GET + GET, hello([['content-length', length]]));
    expect(server.output.closes).toEqual(['abort']);
    expect(server.streams).toHaveLength(1);
    expect(server.output.text.endsWith(length === '4' ? '\r\n\r\n' : 'hello')).toBe(true);
  });

  test('trailers', () => {
    const serve: Serve = {
      onEnd(stream) {
        stream.sendHeaders(response(200), false);
        stream.sendData(Buffer.from('hello'), false);
        stream.sendTrailers(response(0, [['x-t', 'v']]));
      },
    };
    const end = (enableTrailers: boolean): string =>
      answer(GET, serve, { enableTrailers }).output.text.split('hello')[1]!;
    expect(end(true)).toBe('\r\n0\r\nx-t: v\r\n\r\n');
    expect(end(false)).toBe('\r\n0\r\n\r\n');
  });

  test('header case', () => {
    const get = 'GET / HTTP/1.1\r\nHOST: h\r\n\r\n';
    const fields = [
      ['x-b3-traceid', '1'],
      ['foo$b', '2'],
    ] as const;
    expect(answer(get, hello(fields), { headerCase: 'proper' }).output.text).toContain(
      'X-B3-Traceid: 1\r\nFoo$B: 2\r\nTransfer-Encoding: chunked\r\n',
    );
    const preserving: Serve = {
      onHeaders(stream, headers) {
        expect(headers.originalHostName).toBe('HOST');
        headers.status = 200;
        headers.append('x-new', '3');
        stream.sendHeaders(headers, true);
      },
    };
    const server = answer('GET / HTTP/1.1\r\nHOST: h\r\nX-FOO: 1\r\nx-bar: 2\r\n\r\n', preserving, {
      headerCase: 'preserve',
    });
    expect(server.output.text).toContain('X-FOO: 1\r\nx-bar: 2\r\nx-new: 3\r\n');
  });

  test('obs-text goes through unchanged', () => {
    const value = Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('');
    const echo: Serve = {
      onHeaders(stream, headers) {
        headers.status = 200;
        stream.sendHeaders(headers, true);
      },
    };
    expect(answer(`GET / HTTP/1.1\r\nHost: h\r\nX: ${value}\r\n\r\n`, echo).output.text).toContain(`x: ${value}\r\n`);
  });

  test('informational responses come before', () => {
    const serve: Serve = {
      onHeaders: (stream) => stream.sendInformational(response(100)),
      onEnd(stream) {
        stream.sendHeaders(response(204), true);
        stream.sendInformational(response(100));
      },
    };
    expect(answer(GET, serve).output.text).toBe('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n');
    expect(answer('GET / HTTP/1.0\r\n\r\n', serve, { acceptHttp10: true }).output.text).toMatch(/^HTTP\/1\.0 204/);
  });
});

describe('whether the connection stays', () => {
  test('connection: close of the client', () => {
    const server = answer('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', hello([['content-length', '5']]));
    expect(server.output.text).toContain('content-length: 5\r\nconnection: close\r\n\r\nhello');
    expect(server.output.closes).toEqual(['flush-no-delay']);
  });

  test('connection: close of the owner, either way', () => {
    const asField = answer(GET, hello([['connection', 'close']]));
    const asCall = answer(GET, {
      onEnd(stream) {
        stream.closeAfterResponse(false);
        stream.sendHeaders(response(204), true);
      },
    });
    for (const { output } of [asField, asCall]) {
      expect(output.text.match(/connection: close/g)).toHaveLength(1);
      expect(output.closes).toEqual(['flush-no-delay']);
    }
  });

  test.each([
    ['', 'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello', ['flush-no-delay']],
    ['Connection: close\r\n', 'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello', ['flush-no-delay']],
    ['Connection: Keep-Alive\r\n', 'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhello', ['flush-no-delay']],
  ])('HTTP/1.0 with "%s" and no length', (fields, text, closes) => {
    const server = answer(`GET / HTTP/1.0\r\nHost: h\r\n${fields}\r\n`, hello([]), { acceptHttp10: true });
    expect([server.output.text, server.output.closes]).toEqual([text, closes]);
    expect(server.stream.protocol).toBe('HTTP/1.0');
  });

  test('HTTP/1.0 keep-alive with a length', () => {
    const server = answer('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', hello([['content-length', '5']]), {
      acceptHttp10: true,
    });
    expect(server.output.text).toBe('HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello');
    expect(server.output.closes).toEqual([]);
  });

  test('a response before the request is complete closes, and ends the events', () => {
    const server = answer(`${POST}abc`, { onHeaders: (stream) => stream.sendHeaders(response(204), true) });
    expect(server.output.text).toBe('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n');
    expect(server.output.closes).toEqual(['flush']);
    server.socket.feed(`def${GET}`);
    server.socket.close();
    expect(server.log.all).toEqual(['stream', 'headers POST / | authority=h | content-length: 6']);
  });

  test('a response that begins early closes even if the request becomes complete meanwhile', () => {
    const server = answer(`${POST}abc`, { onHeaders: (stream) => stream.sendHeaders(response(200), false) });
    server.socket.feed('def');
    server.socket.turn(() => server.stream.sendData(Buffer.from('x'), true));
    expect(server.output.text).toContain('connection: close');
    expect(server.output.closes).toEqual(['flush-no-delay']);
  });

  test('an owner that knows the client to be sending still lets it read', () => {
    const server = answer(GET, {
      onEnd(stream) {
        stream.closeAfterResponse(true);
        stream.sendHeaders(response(204), true);
      },
    });
    expect(server.output.closes).toEqual(['flush']);
  });

  test('a response in the event that ends the request keeps it open', () => {
    const server = answer(`${POST}abcdef`, { onEnd: (stream) => stream.sendHeaders(response(204), true) });
    expect([server.output.text, server.output.closes]).toEqual(['HTTP/1.1 204 No Content\r\n\r\n', []]);
  });

  test('reset flushes, unless the end would look like the end of the response', () => {
    const reset: Serve = {
      onEnd(stream) {
        stream.sendHeaders(response(200), false);
        stream.sendData(Buffer.from('x'), false);
        stream.reset('local reset');
      },
    };
    expect(answer(GET, reset).output.closes).toEqual(['flush']);
    const old = answer('GET / HTTP/1.0\r\n\r\n', reset, { acceptHttp10: true });
    expect(old.output.closes).toEqual(['abort']);
    old.socket.close();
    expect(old.log.all.filter((line) => line.startsWith('reset'))).toEqual([]);
  });
});

describe('the end from outside', () => {
  test('the client goes away while it is served', () => {
    const server = answer(GET, manual);
    server.socket.end();
    server.socket.close();
    expect(server.log.all.at(-1)).toBe('reset connection termination');
    server.socket.turn(() => server.stream.sendHeaders(response(200), true));
    expect(server.output.text).toBe('');
  });

  test('the client closes an idle connection', () => {
    const server = answer(GET, { onEnd: (stream) => stream.sendHeaders(response(204), true) });
    server.socket.end();
    server.socket.close();
    expect(server.log.all).toEqual(['stream', 'headers GET / | authority=h', 'end']);
  });

  test('bytes before a request make no stream', () => {
    const server = answer('\r\n\r\n', manual);
    expect(server.streams).toHaveLength(0);
  });
});

describe('pipelining', () => {
  test('requests are served in order, one at a time', () => {
    const server = answer(`${GET}${POST}abcdef${GET}`, manual);
    expect(server.streams).toHaveLength(1);
    for (const status of [201, 202, 203]) {
      server.socket.turn(() => server.stream.sendHeaders(response(status), true));
    }
    expect(server.streams).toHaveLength(3);
    expect(server.output.text.match(/ \d{3} /g)).toEqual([' 201 ', ' 202 ', ' 203 ']);
    expect(server.output.closes).toEqual([]);
  });

  test('answers at once share a write', () => {
    const server = answer(GET.repeat(3), hello([['content-length', '5']]));
    expect(server.output.writes).toHaveLength(1);
    expect(server.output.text.match(/hello/g)).toHaveLength(3);
  });

  test('an error waits for its turn', () => {
    const server = answer(`${GET}BLA\r\n\r\n`, manual);
    expect(server.log.all).toHaveLength(3);
    server.socket.turn(() => server.stream.sendHeaders(response(204), true));
    expect(server.log.all.slice(3)).toEqual(['stream', 'error 400 http1.codec_error']);
    expect(server.output.text).toMatch(/^HTTP\/1.1 204 .*\r\n\r\nHTTP\/1.1 400 /s);
  });

  test('reading stops when too much lies behind the request', () => {
    const server = new ServerHarness(manual, {}, { readAheadBytes: 100 });
    server.socket.feed(GET);
    server.socket.feed(GET.repeat(3));
    expect(server.output.pauses).toBe(0);
    server.socket.feed(GET);
    expect(server.output.pauses).toBe(1);
    for (let i = 0; i < 5; i++) server.socket.turn(() => server.stream.sendHeaders(response(204), true));
    expect(server.output.pauses).toBe(0);
    expect(server.streams).toHaveLength(5);
  });

  test('no further request is begun while the client does not take its responses', () => {
    const server = new ServerHarness(hello([['content-length', '5']]));
    server.output.full = true;
    server.socket.feed(GET);
    server.socket.feed(GET + GET);
    expect(server.streams).toHaveLength(1);
    server.output.full = false;
    server.socket.drain();
    expect(server.streams).toHaveLength(3);
  });
});

describe('backpressure', () => {
  test('pause stops data, within a chunk too; resume goes on in order', () => {
    const pausing: Serve = {
      onData(stream, _chunk, endStream) {
        if (!endStream) stream.pause();
      },
    };
    const server = new ServerHarness(pausing);
    const size = 9000;
    const chunk = (fill: string): string => `${size.toString(16)}\r\n${fill.repeat(size)}\r\n`;
    server.socket.feed(
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('a')}${chunk('b')}${chunk('c')}0\r\n\r\n`,
    );
    const received = (): string =>
      server.log.all
        .slice(2)
        .join('')
        .replaceAll('data ', '')
        .replaceAll(/(.)\1+/g, '$1');
    expect(received()).toBe('a');
    expect(server.output.pauses).toBe(1);
    server.socket.turn(() => server.stream.resume());
    expect(received()).toBe('ab');
    server.socket.feed(GET);
    server.socket.turn(() => server.stream.resume());
    server.socket.turn(() => server.stream.resume());
    expect(received()).toBe('abcend');
    expect(server.output.pauses).toBe(0);
    server.socket.turn(() => server.stream.sendHeaders(response(204), true));
    expect(server.streams).toHaveLength(2);
  });

  test('pauses are counted, and given back when the stream ends', () => {
    const server = answer(GET, manual);
    server.stream.pause();
    server.stream.pause();
    server.stream.resume();
    expect(server.output.pauses).toBe(1);
    server.socket.turn(() => server.stream.sendHeaders(response(204), true));
    expect(server.output.pauses).toBe(0);
  });

  test('a full socket is told once, and once when it has drained', () => {
    const server = answer(GET, manual);
    server.output.full = true;
    const big = Buffer.alloc(20_000, 'x');
    server.socket.turn(() => {
      server.stream.sendHeaders(response(200), false);
      expect(server.stream.sendData(big, false)).toBe(false);
      expect(server.stream.sendData(big, false)).toBe(false);
    });
    server.output.full = false;
    server.socket.drain();
    server.socket.drain();
    expect(server.log.all.filter((line) => line === 'writable')).toHaveLength(1);
    server.socket.turn(() => expect(server.stream.sendData(big, true)).toBe(true));
  });
});

describe('tunnels', () => {
  const upgrade = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  const fields = [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ] as const;

  test('bytes behind an upgrade wait for the 101, then flow raw both ways', () => {
    const server = answer(`${upgrade}early`, manual);
    expect(server.log.all).toHaveLength(2);
    server.socket.turn(() => server.stream.sendHeaders(response(101, fields), false));
    server.socket.feed('\r\n0\r\nraw');
    server.socket.turn(() => server.stream.sendData(Buffer.from('down'), false));
    expect(server.log.all.slice(2)).toEqual(['data early\r\n0\r\nraw']);
    expect(server.output.text).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\ndown',
    );
    // A client that ends has gone, as in Envoy: the owner of the connection sees to it.
    server.socket.end();
    expect(server.log.all.slice(3)).toEqual([]);
    server.socket.turn(() => server.stream.sendData(Buffer.from('bye'), true));
    expect(server.output.closes).toEqual(['flush']);
  });

  test('an upgrade that is refused closes; what came behind it is never looked at', () => {
    const server = answer(`${upgrade}${GET}`, manual);
    server.socket.turn(() => server.stream.sendHeaders(response(403), true));
    expect(server.output.text).toBe('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    expect(server.output.closes).toEqual(['flush']);
    expect(server.streams).toHaveLength(1);
  });

  test('CONNECT', () => {
    const server = answer('CONNECT x:80 HTTP/1.1\r\nHost: h\r\n\r\nearly', manual);
    server.socket.turn(() => server.stream.sendHeaders(response(200, [['content-length', '0']]), false));
    expect(server.output.text).toBe('HTTP/1.1 200 OK\r\n\r\n');
    expect(server.log.all.slice(2)).toEqual(['data early']);
  });

  test('a 101 from a protocol without these fields', () => {
    const server = answer(upgrade, manual);
    const headers = response(101);
    headers.protocol = 'websocket';
    server.socket.turn(() => server.stream.sendHeaders(headers, false));
    expect(server.output.text).toContain('connection: upgrade\r\nupgrade: websocket\r\n');
  });
});

test('wire bytes', () => {
  const server = answer(`\r\n${POST}abc`, manual);
  server.socket.feed(`def${GET}`);
  const { stream } = server;
  expect(stream.wireBytesReceived).toBe(POST.length + 6);
  server.socket.turn(() => {
    stream.sendInformational(response(100));
    stream.sendHeaders(response(204), true);
  });
  expect(stream.wireBytesSent).toBe('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'.length);
  expect(server.stream.wireBytesReceived).toBe(GET.length);
});
