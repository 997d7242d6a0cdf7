// What an own proxy on node:http and undici's fastest interface costs.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const [port, upstream] = process.argv.slice(2).map(Number) as [number, number];
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 256, pipelining: 1 });
createServer((request, response) => {
  pool.dispatch(
    {
      path: request.url!,
      method: request.method as 'GET',
      headers: request.rawHeaders.filter((_, i, all) => all[i - (i % 2)]!.toLowerCase() !== 'connection'),
      body: request.method === 'GET' || request.method === 'HEAD' ? null : request,
    },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        response.writeHead(status, headers as Record<string, string>);
      },
      onResponseData(controller, chunk) {
        if (response.write(chunk)) return;
        controller.pause();
        response.once('drain', () => controller.resume());
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError() {
        response.destroy();
      },
    },
  );
}).listen({ port, host: '127.0.0.1', backlog: 4096 });
