# Sourced by the scripts beside it: where things are, and a Go build that is done once per version of its sources.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OUTRIGGER_TOOLS:-$HOME/.cache/outrigger-tools}
mkdir -p "$cache/bin" "$cache/run"

# go_install DIR OUTPUT PACKAGE : builds PACKAGE of the module in DIR (beside this file) into $cache/bin/OUTPUT, unless
# that is there already.
go_install() {
  local dir=$1 out=$2 package=$3 src stamp
  src=$cache/src/$dir
  stamp=$(cat "$tools/$dir"/{go.mod,go.sum} $(ls "$tools/$dir"/*.go 2>/dev/null) | sha256sum | cut -c1-16)-$package
  [ -x "$cache/bin/$out" ] && [ "$(cat "$cache/bin/$out.stamp" 2>/dev/null)" = "$stamp" ] && return
  command -v go >/dev/null || { echo "go is needed to build $out" >&2; return 1; }
  echo "building $out (once)" >&2
  rm -rf "$src"
  mkdir -p "$src"
  cp "$tools/$dir"/{go.mod,go.sum} $(ls "$tools/$dir"/*.go 2>/dev/null) "$src/"
  (cd "$src" && go build -ldflags '-s -w' -o "$cache/bin/$out.tmp" "$package" && mv "$cache/bin/$out.tmp" "$cache/bin/$out") || return
  echo "$stamp" >"$cache/bin/$out.stamp"
}
