// The traffic of soak.ts and the upstreams that answer it, in a thread of their own: what the control plane does there
// is not to be seen in the latencies here.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2, { type ClientHttp2Session } from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';

export interface TrafficData {
  readonly root: string;
  readonly upstream: { readonly cert: string; readonly key: string };
}
/** Which ports to drive; `extra`: whether that listener is there. */
export type TrafficCommand =
  | { readonly start: { readonly main: number; readonly secure: number; readonly extra: number } }
  | { readonly step: string; readonly extra: boolean }
  | { readonly sample: true }
  | { readonly stop: true };
export type TrafficReport =
  | { readonly ports: Readonly<Record<'http1' | 'http2' | 'tls', readonly number[]>> }
  | {
      readonly requests: number;
      readonly failures: readonly string[];
      readonly connections: number;
      readonly p50: number;
      readonly p99: number;
      readonly max: number;
      /** How many values of `x-round`, server certificates and client certificates there were so far. */
      readonly rounds: number;
      readonly serverCertificates: number;
      readonly clientCertificates: number;
      readonly extraRequests: number;
      /** Requests that the HTTP/2 client kept to itself, and that went out on the next connection. */
      readonly unsent: number;
    };

const TIMEOUT_MS = 10_000;
const MAX_STREAM_ID = 2 ** 31 - 1;
const BODY = Buffer.alloc(10_240, 'x');
const { root, upstream } = workerData as TrafficData;

let requests = 0;
let extraRequests = 0;
let connections = 0;
let unsent = 0;
let failures: string[] = [];
let latencies: number[] = [];
let step = 'start';
const stopping = new AbortController();
let extra = false;
const rounds = new Set<string>();
const serverCertificates = new Set<string>();
const clientCertificates = new Set<string>();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const send = (report: TrafficReport): void => parentPort!.postMessage(report);

/** Answers a POST with as many bytes, anything else with its path; some only after a while. */
function answer(request: Pick<IncomingMessage, 'method' | 'url' | 'on'>, response: Pick<ServerResponse, 'end'>): void {
  let size = 0;
  request.on('data', (chunk: Buffer) => (size += chunk.length));
  request.on('end', () => {
    const body = request.method === 'POST' ? BODY.subarray(0, size) : request.url!;
    if (request.url!.endsWith('slow')) setTimeout(() => response.end(body), 200);
    else response.end(body);
  });
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function upstreams(count: number, make: () => Server): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => listen(make())));
}

const keepAlive = { keepAliveTimeout: 3_600_000, requestTimeout: 0 };
const plain = (): Server => http.createServer(keepAlive, answer);
const h2c = (): Server =>
  http2.createServer((request, response) => answer(request as never, response as never)) as unknown as Server;
const tls = (): Server =>
  https.createServer(
    { ...keepAlive, ...upstream, ca: root, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const { fingerprint256 } = (request.socket as TLSSocket).getPeerCertificate();
      clientCertificates.add(fingerprint256);
      answer(request, response);
    },
  );

interface Answer {
  readonly status: number;
  readonly round: string;
  readonly body: string;
}

/** One request; a failure is noted with the step before it. */
async function exchange(client: string, method: string, path: string, send: () => Promise<Answer>): Promise<void> {
  const started = performance.now();
  const during = step;
  try {
    const { status, round, body } = await send();
    if (status !== 200) throw new Error(`${status} ${body}`);
    if (body !== (method === 'POST' ? BODY.toString() : path)) throw new Error(`a body of ${body.length} bytes`);
    rounds.add(round);
    // The others measure the upstream.
    if (!path.endsWith('slow')) latencies.push(performance.now() - started);
  } catch (error) {
    const took = (performance.now() - started).toFixed(0);
    failures.push(`${new Date().toISOString()} ${client} ${method} ${path} (${during}, ${took} ms): ${String(error)}`);
    // So that a proxy that is gone isn't asked a million times.
    await sleep(50);
  }
  requests++;
}

function http1Request(port: number, method: string, path: string, agent: http.Agent, secure: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, agent, timeout: TIMEOUT_MS };
    const request = secure
      ? https.request({ ...options, ca: root, servername: 'localhost' })
      : http.request({ ...options, ...(method === 'POST' && { headers: { 'content-length': BODY.length } }) });
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          round: String(response.headers['x-round']),
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('socket', (socket) => {
      if (!request.reusedSocket) connections++;
      if (secure)
        socket.once('secureConnect', () =>
          serverCertificates.add((socket as TLSSocket).getPeerCertificate().fingerprint256),
        );
    });
    request.end(method === 'POST' ? BODY : undefined);
  });
}

function http2Request(session: ClientHttp2Session, method: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': path });
    const chunks: Buffer[] = [];
    let status = 0;
    let round = '';
    stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error('timed out')));
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
      round = String(headers['x-round']);
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode === 0) resolve({ status, round, body: Buffer.concat(chunks).toString() });
      else reject(new Error(`reset: ${stream.rstCode}`));
    });
    stream.end(method === 'POST' ? BODY : undefined);
  });
}

/** The n-th request of a client. */
function choose(n: number): [method: string, path: string] {
  const path = ['/', '/h2', '/secure'][n % 3]! + (n % 10 === 9 ? '/slow' : '');
  return [n % 4 === 3 ? 'POST' : 'GET', path];
}

async function http1Client(port: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let n = Math.floor(Math.random() * 60); !stopping.signal.aborted; n++) {
    const [method, path] = choose(n);
    await exchange('http/1.1', method, path, () => http1Request(port, method, path, agent, false));
    await sleep(20 + Math.random() * 40);
  }
  agent.destroy();
}

/** Several requests at a time on one connection; another when that one is going away. */
async function http2Client(port: number): Promise<void> {
  /** Was told that it is going to end, and that it takes every stream until then. */
  const noticed = new WeakSet<ClientHttp2Session>();
  let session: ClientHttp2Session | undefined;
  const current = (): ClientHttp2Session => {
    if (session === undefined || session.closed || session.destroyed) {
      connections++;
      const opened = http2.connect(`http://127.0.0.1:${port}`);
      opened.on('error', () => {});
      opened.on('goaway', (code, last) => {
        if (code === 0 && last === MAX_STREAM_ID) noticed.add(opened);
      });
      session = opened;
    }
    return session;
  };
  const lane = async (): Promise<void> => {
    for (let n = Math.floor(Math.random() * 60); !stopping.signal.aborted; n++) {
      const [method, path] = choose(n);
      await exchange('http/2', method, path, async () => {
        const on = current();
        try {
          return await http2Request(on, method, path);
        } catch (error) {
          // Node.js doesn't send a request any more that was waiting to be written when such a notice came.
          if (!noticed.has(on) || !String(error).includes('REFUSED_STREAM')) throw error;
          unsent++;
          return http2Request(current(), method, path);
        }
      });
      await sleep(20 + Math.random() * 40);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  session?.close();
}

/** A connection for each request. */
async function tlsClient(port: number): Promise<void> {
  const agent = new https.Agent({ keepAlive: false, maxCachedSessions: 0 });
  for (let n = 0; !stopping.signal.aborted; n++) {
    const path = ['/', '/h2', '/secure'][n % 3]!;
    await exchange('tls', 'GET', path, () => http1Request(port, 'GET', path, agent, true));
    await sleep(60 + Math.random() * 40);
  }
}

/** Of the listener that comes and goes: a connection from when it is there until it is about to go. */
async function extraClient(port: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  while (!stopping.signal.aborted) {
    if (extra) {
      await exchange('extra', 'GET', '/', () => http1Request(port, 'GET', '/', agent, false));
      extraRequests++;
    }
    await sleep(40);
  }
  agent.destroy();
}

function sample(): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
  send({
    requests,
    failures,
    connections,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    rounds: rounds.size,
    serverCertificates: serverCertificates.size,
    clientCertificates: clientCertificates.size,
    extraRequests,
    unsent,
  });
  requests = 0;
  connections = 0;
  failures = [];
  latencies = [];
}

const ports = {
  http1: await upstreams(3, plain),
  http2: await upstreams(2, h2c),
  tls: await upstreams(2, tls),
};
parentPort!.on('message', (command: TrafficCommand) => {
  if ('start' in command) {
    const { main, secure, extra: extraPort } = command.start;
    for (let i = 0; i < 8; i++) void http1Client(main);
    for (let i = 0; i < 2; i++) void http2Client(main);
    void tlsClient(secure);
    void extraClient(extraPort);
  } else if ('step' in command) {
    step = command.step;
    extra = command.extra;
  } else if ('stop' in command) stopping.abort();
  else sample();
});
send({ ports });
