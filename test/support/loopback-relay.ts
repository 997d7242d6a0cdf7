import { createServer, request } from 'node:http';

/**
 * Runs inside of a network namespace (see LoopbackNamespace), reached by a Unix socket, which namespaces share:
 *   node loopback-relay.ts SOCKET [NAME=ADDRESS:PORT...]
 * Requests in absolute form are passed on, answers come back. Each NAME is an HTTP application that answers with its
 * name, the request's path and headers as JSON; `/status/N` with that status.
 */
const [socketPath, ...applications] = process.argv.slice(2);

const relay = createServer((incoming, outgoing) => {
  const url = new URL(incoming.url!);
  const headers = { ...incoming.headers };
  const forwarded = request(
    {
      host: url.hostname,
      port: url.port,
      path: url.pathname + url.search,
      method: incoming.method!,
      headers,
      agent: false,
    },
    (response) => {
      outgoing.writeHead(response.statusCode!, response.rawHeaders);
      response.pipe(outgoing);
    },
  );
  forwarded.on('error', (error) => {
    outgoing.writeHead(599);
    outgoing.end(error.message);
  });
  incoming.pipe(forwarded);
});

const listening = applications.map((each) => {
  const [name, at] = each.split('=') as [string, string];
  const colon = at.lastIndexOf(':');
  const application = createServer(({ url, headers }, response) => {
    const status = /^\/status\/(\d+)/.exec(url!)?.[1] ?? '200';
    response.writeHead(Number(status), { 'content-type': 'application/json', 'x-internal': '1' });
    response.end(JSON.stringify({ name, path: url, headers }));
  });
  application.keepAliveTimeout = 60_000;
  return new Promise<void>((resolve) => application.listen(Number(at.slice(colon + 1)), at.slice(0, colon), resolve));
});
await Promise.all(listening);
relay.listen(socketPath, () => console.log(`ready ${process.pid}`));
