#!/usr/bin/env bash
# go-control-plane's own integration test, with $ENVOY as the proxy that it drives.
#   go-control-plane.sh test MODE [FLAG...]   MODE: ads xds rest delta delta-ads; FLAGs are the test's own:
#                                             -tls -mux -u 3 -r 5 -clusters 4 -http 2 ... Exits with 0 if it passed.
#   go-control-plane.sh build                 only builds it
# env: ENVOY (default: envoy), RTDS_LAYERS, LOG_LEVEL, OUT (folder for logs)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
command=${1:-}
[ $# -eq 0 ] || shift
build() {
  go_install go-control-plane gcp-test github.com/envoyproxy/go-control-plane/pkg/test/main
  go_install go-control-plane gcp-upstream github.com/envoyproxy/go-control-plane/internal/upstream
}
case $command in
  build) build ;;
  test)
    build
    # its servers listen on every interface and on fixed ports
    exec "$tools/loopback.sh" bash "$0" _test "$@" ;;
  _test)
    mode=${1:?ads, xds, rest, delta or delta-ads}; shift
    out=${OUT:-$cache/run/gcp-$mode}; mkdir -p "$out"
    layers=${RTDS_LAYERS:-1}; [ "$mode" != ads ] || layers=${RTDS_LAYERS:-2}
    RTDS_LAYERS=$layers "$tools/go-control-plane/bootstrap.sh" "$mode" >"$out/bootstrap.yaml"
    message='Hi, there!'
    "$cache/bin/gcp-upstream" -message="$message" 2>"$out/upstream.log" & pids=$!
    # shellcheck disable=SC2086 # ENVOY may be a command with arguments
    ${ENVOY:-envoy} -c "$out/bootstrap.yaml" --drain-time-s 1 --concurrency 1 -l "${LOG_LEVEL:-info}" >"$out/proxy.log" 2>&1 & pids="$pids $!"
    "$cache/bin/gcp-test" --xds="$mode" --runtimes="$layers" -debug -message="$message" "$@" >"$out/test.log" 2>&1 & test=$!
    trap 'kill $pids $test 2>/dev/null || true; wait 2>/dev/null || true' EXIT
    trap 'exit 143' TERM INT
    status=0
    wait "$test" || status=$?
    grep -E 'request batch|server callbacks|passed|failed all|timeout|panic' "$out/test.log" || true
    exit $status ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
