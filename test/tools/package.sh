#!/usr/bin/env bash
# Packs the package, installs the tarball in an empty folder, and serves a request with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" >/dev/null
cd "$work"
echo '{"private":true}' >package.json
npm install --silent --no-audit --no-fund ./outrigger-*.tgz
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
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
YAML
npx --no-install outrigger --mode validate -c config.yaml
npx --no-install outrigger -c config.yaml --concurrency 1 --admin-address-path admin.txt -l error &
pid=$!
for _ in $(seq 100); do [ -s admin.txt ] && break; sleep 0.1; done
listener=$(curl -s --retry 20 --retry-delay 1 --retry-all-errors "http://$(cat admin.txt)/listeners" | sed -n 's/^hello::\(.*\)$/\1/p')
body=$(curl -s --retry 5 --retry-all-errors "http://$listener/")
[ "$body" = packaged ] || { echo "expected 'packaged', got '$body'" >&2; exit 1; }
kill -TERM "$pid"
wait "$pid" || { echo "the proxy did not exit 0 on SIGTERM" >&2; exit 1; }
echo "the package serves"
