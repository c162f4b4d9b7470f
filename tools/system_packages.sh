#!/bin/sh
# Install the system packages that the tests run or start private instances of, when missing.
#
# As root: through apt-get, without starting any service. Otherwise: say what to install; the tests
# that need one are skipped. With CI=true a missing one is a failure.
set -eu

missing=""

need() { # need PACKAGE NAME...: one of the programs or files must be there
    package=$1
    shift
    for name in "$@"; do
        # Unquoted: a pattern stands for every version of a program.
        for path in $name; do
            if [ -e "$path" ] || command -v "$path" >/dev/null 2>&1; then
                return 0
            fi
        done
    done
    missing="$missing $package"
}

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
need postgresql "/usr/lib/postgresql/*/bin/initdb" initdb
need nginx nginx
# For promtool, which checks the alert rules; its server is never started.
need prometheus promtool
need gcc gcc
need libc6-dev /usr/include/stdio.h
# Two clients of port 4370 that the tests run are Node programs; npm fetches them.
need nodejs node
need npm npm

[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing system packages:$missing"
    echo "  install them with: apt-get install$missing"
    if [ "${CI:-}" = "true" ]; then
        exit 1
    fi
    echo "  until then, the tests that need them are skipped"
    exit 0
fi

echo "system packages:$missing"
# Debian starts a service when its package is installed, unless this file says no. Ours are private
# instances, started by the tests on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# Unquoted: one argument for each package.
if ! { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing; } \
    >"$log" 2>&1 </dev/null; then
    cat "$log"
    exit 1
fi
rm -f "$log"
