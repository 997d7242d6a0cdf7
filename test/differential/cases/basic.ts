import type { Case } from '../harness.ts';
import type { ListenerParts } from '../config.ts';

export const listeners: Readonly<Record<string, ListenerParts>> = {
  basic: {},
};

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\nHost: example.com\n${more}\n`;
const basic = (name: string, send: string, more: Partial<Case> = {}): Case => ({
  name,
  listener: 'basic',
  send,
  responses: 1,
  ...more,
});

export const cases: readonly Case[] = [
  basic('a plain GET', get('/')),
  basic('a GET with a query', get('/a/b?c=d&e=%20f')),
  basic('a POST with a body', 'POST /p HTTP/1.1\nHost: example.com\nContent-Length: 5\n\nhello'),
  basic('a chunked POST', 'POST /p HTTP/1.1\nHost: example.com\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n'),
  basic('a HEAD', 'HEAD / HTTP/1.1\nHost: example.com\n\n', { methods: ['HEAD'] }),
  basic('a 204', get('/', 'x-up: status:204\n')),
  basic('a chunked response', get('/', 'x-up: chunked\n')),
  basic('a response until close', get('/', 'x-up: until-close\n')),
  basic('connection: close', get('/', 'Connection: close\n'), { responses: undefined }),
  basic('two pipelined requests', get('/1') + get('/2'), { responses: 2 }),
  basic('no host', 'GET / HTTP/1.1\n\n', { responses: undefined }),
  basic('not HTTP', 'hello\n\n', { responses: undefined }),
  basic('HTTP/1.0', 'GET / HTTP/1.0\nHost: a\n\n', { responses: undefined }),
];
