import { createServer, type Server } from 'node:http';
import { once } from 'node:events';

/** The demo's upstream: says which version answered, and fails every other request to /flaky. */
export async function startUpstream(version: string, port: number): Promise<Server> {
  let flaky = 0;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/flaky') === true && flaky++ % 2 === 0) {
      response.writeHead(503).end('not this time\n');
      return;
    }
    response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(`hello from ${version}: ${request.method} ${request.url}\n`);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
