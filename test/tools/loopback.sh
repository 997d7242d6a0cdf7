#!/usr/bin/env bash
# Runs a command in a network namespace that has nothing but a loopback interface: no port conflicts with other
# programs, and servers that insist on 0.0.0.0 can't be reached from anywhere. Inside such a namespace already, it just
# runs the command. Takes root, or user namespaces.
#   loopback.sh COMMAND [ARG...]
set -euo pipefail
[ "${OUTRIGGER_LOOPBACK:-}" != 1 ] || exec "$@"
[ "$(id -u)" = 0 ] && flags=(-n) || flags=(-rn)
# Without --fork: unshare would swallow SIGTERM.
exec unshare "${flags[@]}" env OUTRIGGER_LOOPBACK=1 bash -c 'ip link set lo up && exec "$@"' _ "$@"
