// npm run bookinfo: the bookstore on this machine. --istiod has a real istiod as the control plane (in a checkout, with Go
// installed: it is built at first); --proxy PROGRAM runs another proxy (Envoy) in Outrigger's place; --port-offset N moves
// every port (not those of istiod's mesh); --verbose prints what the control plane sends, and everything else.
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Bookinfo } from './bookinfo.ts';

const { values } = parseArgs({
  options: {
    istiod: { type: 'boolean', default: false },
    proxy: { type: 'string' },
    'port-offset': { type: 'string', default: '0' },
    verbose: { type: 'boolean', default: false },
  },
});
const ISTIOD = join(import.meta.dirname, '../../test/tools/istiod.sh');
const live = join(import.meta.dirname, 'live');
const here = (path: string): string => relative(process.cwd(), join(import.meta.dirname, path));
let quiet = false;
/** What is only of interest when one wants to know: responses of the control plane, access logs, istiod's progress. */
const CHATTER = /^xds: .* (<-|has left)|^[\w-]+-proxy: \[[^\]]*\] "|^istiod: (?!.*\t(error|fatal)\t)/;
const log = (line: string): void => {
  if (!quiet && (values.verbose || !CHATTER.test(line))) console.log(line);
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

const controlPlane = values.istiod ? 'istiod (building it the first time takes minutes)' : 'a control plane';
console.log(`Starting six services, seven proxies and ${controlPlane} ...`);
bookinfo = await Bookinfo.start({
  live,
  portOffset: Number(values['port-offset']),
  istiod: values.istiod ? ISTIOD : undefined,
  ...(values.proxy !== undefined && { proxy: values.proxy }),
  log,
  signal: ending.signal,
}).catch((error: unknown) => {
  if (ending.signal.aborted) process.exit(0);
  console.error(`The bookstore could not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});

const rules = values.istiod ? 'istio/rules' : 'rules';
const copy = (rule: string, to: string): string => `cp ${here(`${rules}/${rule}.yaml`)} ${here(`live/${to}.yaml`)}`;
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
