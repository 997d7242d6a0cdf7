# Sourced: token NAMESPACE SERVICE_ACCOUNT prints the bearer token of a service account, as a kubelet would write it
# into a pod; unsigned, since our istiod doesn't look.
token() {
  b64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
  printf '%s.%s.%s' "$(printf '{"alg":"RS256","typ":"JWT"}' | b64)" \
    "$(printf '{"iss":"outrigger.test","aud":["istio-ca"],"sub":"system:serviceaccount:%s:%s","exp":4102444800}' "$1" "$2" | b64)" \
    "$(printf unsigned | b64)"
}
