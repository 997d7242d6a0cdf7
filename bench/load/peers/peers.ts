import { join } from 'node:path';
import type { BenchCase } from '../cases.ts';
import { envoyLike } from './envoy-like.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import type { Peer } from './peer.ts';

/** A proxy in Node.js that shows what another way of building one costs. */
const node = (name: string, script: string, can: (test: BenchCase) => boolean): Peer => ({
  name,
  can: (test) => test.config === 'plain' && can(test),
  command: ({ port, upstream }) => [
    process.execPath,
    join(import.meta.dirname, script),
    String(port),
    String(upstream),
  ],
});

const plainHttp1 = (test: BenchCase): boolean => test.downstream === 'http1' && test.upstream === 'http1';

export const PEERS: readonly Peer[] = [
  envoyLike('outrigger', join(import.meta.dirname, '../../../bin/outrigger')),
  envoyLike('envoy', 'envoy'),
  nginx,
  haproxy,
  node('relay', 'relay.ts', (test) => plainHttp1(test) || test.downstream === 'tcp' || test.downstream === 'websocket'),
  node('undici', 'undici.ts', plainHttp1),
  node('http-proxy', 'http-proxy.ts', plainHttp1),
  node('node:http2', 'node-http2.ts', (test) => test.downstream === 'http2'),
];
