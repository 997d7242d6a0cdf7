#!/usr/bin/env bash
# Istio's discovery server without Kubernetes, in the foreground, on loopback ports.
#   istiod.sh [FLAG...]        istiod.sh build
# env: ISTIOD_GRPC_PORT 15010 (plaintext xDS), ISTIOD_TLS_PORT 15012 (xDS + CA), ISTIOD_HTTP_PORT 15080 (/ready, /debug/*),
#      ISTIOD_MONITORING_PORT 15014, ISTIOD_CONFIG (folder of Istio YAML, watched; default: a fresh copy of istiod/config),
#      ISTIOD_KUBE (folder of Kubernetes YAML, read at start), ISTIOD_MTLS 0|1 (1: needs proxies with certificates),
#      ISTIOD_EXTENSIONS stock|istio (stock: nothing that needs Istio's build of Envoy), ISTIOD_OUT and
#      ISTIOD_CA (folders for what it runs with, and for the root CA)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
go_install istiod istiod .
[ "${1:-}" != build ] || exit 0
run=${ISTIOD_OUT:-$cache/run/istiod-${ISTIOD_GRPC_PORT:-15010}}
mkdir -p "$run"
cp "$tools/istiod/mesh.yaml" "$run/mesh.yaml"
if [ -z "${ISTIOD_CONFIG:-}" ]; then
  rm -rf "$run/config"; mkdir "$run/config"
  cp "$tools"/istiod/config/*.yaml "$run/config/"
  [ "${ISTIOD_MTLS:-0}" = 1 ] && cp "$tools"/istiod/mtls/*.yaml "$run/config/" || cp "$tools"/istiod/plaintext/*.yaml "$run/config/"
fi
kube=${ISTIOD_KUBE:-}
if [ "${ISTIOD_MTLS:-0}" = 1 ]; then
  sed -i 's/^enableAutoMtls: .*/enableAutoMtls: true/' "$run/mesh.yaml"
  ca=${ISTIOD_CA:-$cache/run/ca}
  . "$tools/istiod/certificates.sh" "$ca"
  export ROOT_CA_DIR=$ca
  if [ -z "$kube" ]; then
    kube=$run/kube; mkdir -p "$kube"
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: edge-cert, namespace: default}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n' \
      "$(base64 -w0 "$ca/edge.pem")" "$(base64 -w0 "$ca/edge-key.pem")" >"$kube/edge-cert.yaml"
  fi
fi
if [ "${ISTIOD_EXTENSIONS:-stock}" = stock ]; then
  export PILOT_ENABLE_METADATA_EXCHANGE=false PILOT_ENABLE_ALPN_FILTER=false
else
  echo 'defaultProviders: {metrics: [prometheus]}' >>"$run/mesh.yaml"
fi
export UNSAFE_ENABLE_ADMIN_ENDPOINTS=true ENABLE_DEBUG_ENDPOINT_AUTH=false
echo "istiod.sh: config folder ${ISTIOD_CONFIG:-$run/config}" >&2
cd "$run"
exec "$cache/bin/istiod" -configDir "${ISTIOD_CONFIG:-$run/config}" -kubeDir "$kube" -meshConfig "$run/mesh.yaml" \
  -grpcAddr "127.0.0.1:${ISTIOD_GRPC_PORT:-15010}" -secureGRPCAddr "127.0.0.1:${ISTIOD_TLS_PORT:-15012}" \
  -httpAddr "127.0.0.1:${ISTIOD_HTTP_PORT:-15080}" -monitoringAddr "127.0.0.1:${ISTIOD_MONITORING_PORT:-15014}" "$@"
