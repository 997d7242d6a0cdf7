#!/usr/bin/env bash
# Packs the package, installs the tarball in an empty folder, and uses it as its users do: `npx outrigger` serves a
# config with a TypeScript filter, `createProxy` runs from a plain module, and its types resolve.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/node_modules/.bin
export PATH=$bin:$PATH # the Node.js that the repository pins
work=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "package: $*" >&2; exit 1; }

npm pack --silent --pack-destination "$work" >/dev/null
cd "$work"
tar -tzf outrigger-*.tgz | sed 's#^package/##' >files.txt
for wanted in bin/outrigger dist/main.js dist/worker.js dist/index.js dist/index.d.ts dist/api/generated/message-index.json README.md LICENSE; do
  grep -qx "$wanted" files.txt || fail "$wanted is not in the tarball"
done
if grep -E '^(src|test|bench|tools|proto|docs|node_modules|\.)|\.(tgz|log)$' files.txt; then fail 'these files do not belong into the tarball'; fi

echo '{"private":true}' >package.json
npm install --silent --no-audit --no-fund ./outrigger-*.tgz
cat >mark.ts <<'TS'
import { Continue, defineHttpFilter, jsonConfig } from 'outrigger';

export const filter = defineHttpFilter({
  name: 'mark',
  config: jsonConfig<{ mark: string }>({ type: 'object', properties: { mark: { type: 'string' } }, required: ['mark'] }),
  create: ({ mark }) => () => ({ onResponseHeaders: (headers) => (headers.set('x-mark', mark), Continue) }),
});
TS
cat >config.yaml <<'YAML'
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
    - name: hello
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: hello
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: packaged } } }]
                http_filters:
                  - name: mark
                    typed_config:
                      "@type": type.googleapis.com/outrigger.filters.http.typescript.v3.TypeScriptFilter
                      path: mark.ts
                      config: { mark: yes indeed }
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
YAML

npx --no-install outrigger --mode validate -c config.yaml
node_modules/.bin/outrigger -c config.yaml --concurrency 1 --admin-address-path admin.txt -l error &
pid=$!
for _ in $(seq 100); do [ -s admin.txt ] && break; sleep 0.1; done
[ -s admin.txt ] || fail 'the proxy did not start'
for _ in $(seq 100); do [ "$(curl -s "http://$(cat admin.txt)/ready")" = LIVE ] && break; sleep 0.1; done
listener=$(curl -s --retry 20 --retry-delay 1 --retry-all-errors "http://$(cat admin.txt)/listeners" | sed -n 's/^hello::\(.*\)$/\1/p')
answer=$(curl -si --retry 5 --retry-all-errors "http://$listener/" | tr -d '\r')
grep -qx packaged <<<"$answer" || fail "expected 'packaged', got '$answer'"
grep -qx 'x-mark: yes indeed' <<<"$answer" || fail "the TypeScript filter did not run: '$answer'"
kill -TERM "$pid"
wait "$pid" || fail 'the proxy did not exit 0 on SIGTERM'

cat >harness.mjs <<'JS'
import { createProxy } from 'outrigger';
import { readFileSync } from 'node:fs';

for (const concurrency of [0, 1]) {
  await using proxy = await createProxy({ config: readFileSync('config.yaml', 'utf8'), concurrency });
  const response = await fetch(`http://127.0.0.1:${proxy.port('hello')}/`);
  if ((await response.text()) !== 'packaged' || response.headers.get('x-mark') !== 'yes indeed') process.exit(1);
}
JS
node harness.mjs || fail 'createProxy does not serve'

cat >types.mts <<'TS'
import { createProxy, type Proxy } from 'outrigger';

const proxy: Proxy = await createProxy({ config: {} });
const port: number = proxy.port('hello');
// @ts-expect-error: a port is asked for by the listener's name
proxy.port(port);
TS
"$bin/tsc" --noEmit --strict --target es2024 --lib es2024,esnext.disposable --module nodenext \
  --typeRoots "${bin%/.bin}/@types" --types node mark.ts types.mts \
  || fail 'the types do not resolve'
echo 'package: the package serves'
