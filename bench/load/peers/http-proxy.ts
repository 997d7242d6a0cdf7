// The best known proxy library of the npm registry.
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

// It lets some resets of clients and upstreams through as uncaught exceptions, which would end the benchmark.
process.on('uncaughtException', () => {});

const [port, upstream] = process.argv.slice(2).map(Number) as [number, number];
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstream}`,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
});
proxy.on('error', (_error, _request, response) => void response.destroy());
createServer((request, response) => proxy.web(request, response)).listen({ port, host: '127.0.0.1', backlog: 4096 });
