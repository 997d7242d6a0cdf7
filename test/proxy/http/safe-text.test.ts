import { expect, test } from 'vitest';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { safeTarget } from '../../../src/proxy/http/safe-text.ts';
import { ClientHarness, ServerHarness, request, response } from '../codec/h1/h1-harness.ts';

// U+010A is a line feed once it is cut to a byte.
const ATTACKS = ['a\r\nx-evil: 1', 'a\nx-evil: 1', 'a\rx-evil: 1', 'a\u010dx-evil: 1\u010ax', 'a\0b'];

test('a value that a filter sets cannot end its line', () => {
  for (const value of ATTACKS) {
    const headers = new HeaderMap();
    headers.append('x-a', value);
    headers.append('x-b', 'b');
    headers.set('x-b', value);
    for (const name of ['x-a', 'x-b']) expect(headers.get(name)).toMatch(/^a  ?(x-evil: 1|b) ?x?$/);
  }
  const kept = '\t!~\x80\xff \x7f';
  expect(HeaderMap.of([['x', kept]]).get('x')).toBe(kept);
});

test('a name that is none is left out', () => {
  const headers = HeaderMap.of(['', 'a b', 'a:', 'a\r\nb', '\u0161', '\xe9'].map((name) => [name, 'v'] as const));
  expect(headers.size).toBe(0);
  headers.append('x-ok_1!', 'v');
  expect(headers.size).toBe(1);
});

test('a rewritten target cannot end the request line', () => {
  const client = new ClientHarness();
  const headers = request('GET', '/a b\r\nx: y\u010a\xe9');
  headers.authority = 'h\r\nx: y';
  client.get(headers);
  expect(client.output.text).toBe('GET /a%20b%0D%0Ax:%20y%C4%8A%E9 HTTP/1.1\r\nhost: h%0D%0Ax:%20y\r\n\r\n');
  expect(safeTarget('/a%20b?c=\\"#')).toBe('/a%20b?c=\\"#');
});

test('nor can what a response says', () => {
  for (const value of ATTACKS) {
    const server = new ServerHarness(
      {
        onEnd(stream) {
          const headers = response(200, [['location', value]]);
          headers.reason = value;
          stream.sendHeaders(headers, true);
        },
      },
      { headerCase: 'preserve', forwardReasonPhrase: true },
    );
    server.socket.feed('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    const bytes = Buffer.from(server.output.text, 'latin1').toString('latin1');
    expect(bytes.split('\r\n')).toHaveLength(5);
    expect(bytes).not.toMatch(/[\0]|[^\r]\n|\r[^\n]/);
  }
});
