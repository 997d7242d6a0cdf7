// npm start: two versions of a small upstream, and Outrigger in front of them with examples/quickstart.yaml.
import { join } from 'node:path';
import { createProxy } from '../../src/index.ts';
import { startUpstream } from './upstream.ts';

const configPath = join(import.meta.dirname, '../quickstart.yaml');

const fail = (error: unknown): never => {
  const message = error instanceof Error ? error.message : String(error);
  const place = /127\.0\.0\.1:\d+/.exec(message)?.[0];
  console.error(
    place === undefined || !/EADDRINUSE|already in use/.test(message)
      ? `The demo could not start: ${message}`
      : `The demo needs ${place}, and another program has it. Stop that program, then run npm start again.`,
  );
  process.exit(1);
};

const upstreams = await Promise.all([startUpstream('v1', 8081), startUpstream('v2', 8082)]).catch(fail);
const proxy = await createProxy({ configPath, concurrency: 1 }).catch(fail);

console.log(`
Outrigger is running examples/quickstart.yaml. Ctrl-C ends it.

  proxy      http://127.0.0.1:10000   (nine of ten requests go to v1, the tenth to v2)
  admin      http://127.0.0.1:9901    (stats, config dump, clusters, ...)
  upstreams  http://127.0.0.1:8081 (v1), http://127.0.0.1:8082 (v2)

Try:

  curl -i http://127.0.0.1:10000/                        # the weighted split
  curl -i -H 'end-user: jason' http://127.0.0.1:10000/   # a header match: always v2
  curl -i http://127.0.0.1:10000/flaky                   # the upstream fails every other time; a retry hides it

And http://127.0.0.1:10000/fault for an injected delay or abort. Access log lines follow.
`);

let ending = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // Ctrl-C under npm arrives twice: from the terminal, and passed on by npm.
    if (ending) return;
    ending = true;
    for (const upstream of upstreams) {
      upstream.close();
      upstream.closeAllConnections();
    }
    void proxy.close().then(() => process.exit(0));
  });
