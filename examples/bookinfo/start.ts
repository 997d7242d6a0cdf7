// npm run bookinfo: the bookstore on this machine. --proxy PROGRAM runs another proxy (Envoy) in Outrigger's place;
// --port-offset N moves every port; --verbose shows what the control plane sends.
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Bookinfo } from './bookinfo.ts';

const { values } = parseArgs({
  options: {
    proxy: { type: 'string' },
    'port-offset': { type: 'string', default: '0' },
    verbose: { type: 'boolean', default: false },
  },
});
const live = join(import.meta.dirname, 'live');
const here = (path: string): string => relative(process.cwd(), join(import.meta.dirname, path));
let quiet = false;
const log = (line: string): void => {
  if (!quiet && (values.verbose || !/^xds: .* (<-|has left)/.test(line))) console.log(line);
};

const ending = new AbortController();
let bookinfo: Bookinfo | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // Ctrl-C under npm arrives twice: from the terminal, and passed on by npm.
    if (ending.signal.aborted) return;
    quiet = true;
    ending.abort();
    // While it still starts, the start ends everything.
    void bookinfo?.[Symbol.asyncDispose]().then(() => process.exit(0));
  });

console.log('Starting six services, seven proxies and a control plane ...');
bookinfo = await Bookinfo.start({
  live,
  portOffset: Number(values['port-offset']),
  ...(values.proxy !== undefined && { proxy: values.proxy }),
  log,
  signal: ending.signal,
}).catch((error: unknown) => {
  if (ending.signal.aborted) process.exit(0);
  console.error(`The bookstore could not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});

const copy = (rule: string, to: string): string => `cp ${here(`rules/${rule}.yaml`)} ${here(`live/${to}.yaml`)}`;
console.log(`
The bookstore is open. Ctrl-C ends it.

  page    ${bookinfo.url}/productpage
  admin   ${bookinfo.adminUrl('gateway')} (gateway), ${bookinfo.adminUrl('reviews-v2')} (sidecar of reviews-v2), ...
  mesh    ${here('live')}   (edit any file there: the running mesh follows)

Rules to copy into it:

  ${copy('reviews-v1', 'reviews')}             # no stars
  ${copy('reviews-v3', 'reviews')}             # red stars
  ${copy('reviews-80-20', 'reviews')}          # one of five sees v3
  ${copy('reviews-jason-v2', 'reviews')}       # sign in as jason: black stars
  ${copy('reviews-all', 'reviews')}            # all versions in turn
  ${copy('ratings-abort', 'ratings')}          # ratings fail
  ${copy('ratings-delay', 'ratings')}          # ratings take 7 seconds
  ${copy('ratings', 'ratings')}                # ratings work again
`);
