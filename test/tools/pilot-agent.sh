#!/usr/bin/env bash
# Istio's pilot-agent with $ENVOY as its proxy, in the foreground. Starts istiod (ISTIOD_MTLS=1) too unless one
# answers already, all inside a network namespace with only a loopback (the agent and Istio's bootstrap bind 0.0.0.0).
#   pilot-agent.sh [sidecar|router] [COMMAND...]   with COMMAND: run it once the proxy is ready, then stop everything
#   pilot-agent.sh build
# env: ENVOY (binary; default: envoy on the PATH), POD_NAME, APP, VERSION, POD_NAMESPACE, SERVICE_ACCOUNT, INSTANCE_IP (default: client),
#      INTERCEPTION NONE|REDIRECT|TPROXY, DELTA 1|0, ADMIN_PORT 15000, STATUS_PORT 15020, ENVOY_STATUS_PORT 15021,
#      ENVOY_PROMETHEUS_PORT 15090, PROXY_LOG_LEVEL, SECRET_TTL (of certificates), OUT (folder for logs and the
#      bootstrap), and istiod.sh's
set -euo pipefail
. "$(dirname "$0")/lib.sh"
go_install istiod pilot-agent istio.io/istio/pilot/cmd/pilot-agent
[ "${1:-}" != build ] || exit 0
[ "${OUTRIGGER_LOOPBACK:-}" = 1 ] || exec "$tools/loopback.sh" bash "$0" "$@"
role=${1:-sidecar}
[ $# -eq 0 ] || shift
export POD_NAME=${POD_NAME:-client-1} POD_NAMESPACE=${POD_NAMESPACE:-default} INSTANCE_IP=${INSTANCE_IP:-127.0.1.1}
app=${APP:-client} version=${VERSION:-v1}
export SERVICE_ACCOUNT=${SERVICE_ACCOUNT:-$app}
out=${OUT:-$cache/run/pilot-agent-$POD_NAME}
mkdir -p "$out"
pids=
trap 'kill $pids 2>/dev/null || true; wait 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT
export ISTIOD_CA=${ISTIOD_CA:-$cache/run/ca}
. "$tools/istiod/certificates.sh" "$ISTIOD_CA"
. "$tools/istiod/token.sh"
if ! curl -sf -o /dev/null "http://127.0.0.1:${ISTIOD_HTTP_PORT:-15080}/ready"; then
  ISTIOD_MTLS=1 ISTIOD_OUT=$out/istiod "$tools/istiod.sh" >"$out/istiod.log" 2>&1 & pids=$!
  for _ in $(seq 300); do curl -sf -o /dev/null "http://127.0.0.1:${ISTIOD_HTTP_PORT:-15080}/ready" && break; sleep 0.1; done
fi
# The agent looks for everything relative to its working folder.
home=$out/home
mkdir -p "$home"/var/run/secrets/{istio,tokens} "$home/etc/istio/proxy" "$home/etc/istio/pod"
cp "$ISTIOD_CA/root-cert.pem" "$home/var/run/secrets/istio/root-cert.pem"
token "$POD_NAMESPACE" "$SERVICE_ACCOUNT" >"$home/var/run/secrets/tokens/istio-token"
labels='app="'$app'"\nversion="'$version'"\nservice.istio.io/canonical-name="'$app'"\nservice.istio.io/canonical-revision="'$version'"\n'
[ "$role" = sidecar ] || labels='app="'$app'"\nistio="ingressgateway"\n'
printf "$labels" >"$home/etc/istio/pod/labels"
istio=$(cd "$cache/src/istiod" && go list -m -f '{{.Dir}}' istio.io/istio)
export PROXY_CONFIG="{discoveryAddress: 127.0.0.1:${ISTIOD_TLS_PORT:-15012}, binaryPath: $(command -v "${ENVOY:-envoy}"), configPath: ./etc/istio/proxy,
  proxyBootstrapTemplatePath: $istio/tools/packaging/common/envoy_bootstrap.json, proxyAdminPort: ${ADMIN_PORT:-15000},
  statusPort: ${STATUS_PORT:-15020}, concurrency: 1, drainDuration: 1s, terminationDrainDuration: 1s}"
export ISTIO_META_CLUSTER_ID=Kubernetes ISTIO_META_WORKLOAD_NAME=$app ISTIO_META_MESH_ID=cluster.local ISTIO_META_INTERCEPTION_MODE=${INTERCEPTION:-NONE}
export ISTIO_META_NODE_NAME=node ISTIO_META_APP_CONTAINERS=$app TRUST_DOMAIN=cluster.local CLOUD_PLATFORM=none ISTIOD_SAN=istiod.istio-system.svc
export ENVOY_STATUS_PORT=${ENVOY_STATUS_PORT:-15021} ENVOY_PROMETHEUS_PORT=${ENVOY_PROMETHEUS_PORT:-15090}
[ "${DELTA:-1}" = 1 ] || export ISTIO_DELTA_XDS=false
cd "$home"
"$cache/bin/pilot-agent" proxy "$role" --domain "$POD_NAMESPACE.svc.cluster.local" --proxyLogLevel="${PROXY_LOG_LEVEL:-warning}" \
  --log_output_level=default:info >"$out/agent.log" 2>&1 & agent=$!
pids="$pids $agent"
for _ in $(seq 300); do
  kill -0 "$agent" 2>/dev/null || { tail -5 "$out/agent.log" >&2; exit 1; }
  curl -sf -o /dev/null "http://127.0.0.1:$ENVOY_STATUS_PORT/healthz/ready" && break
  sleep 0.1
done
cp etc/istio/proxy/envoy-rev.json "$out/" 2>/dev/null || true
grep -h 'Envoy command' "$out/agent.log" >&2 || true
if [ $# -gt 0 ]; then "$@"; else wait "$agent"; fi
