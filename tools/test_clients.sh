#!/bin/sh
# Install the third-party Node clients that the tests run: the versions and hashes of
# tests/clients/package-lock.json, into tests/clients/node_modules.
#
# No script of a package is run. Without npm: nothing, because system_packages.sh has said what is
# missing and the tests that need it are skipped, or fail with CI=true.
set -eu

cd "$(dirname "$0")/../tests/clients"
installed=node_modules/.installed

command -v npm >/dev/null 2>&1 || exit 0
# The mark is a copy of the lock file: another lock file means another installation.
cmp -s package-lock.json "$installed" && exit 0

echo "tests: the clients of tests/clients/package-lock.json"
log=$(mktemp)
if ! npm ci --ignore-scripts >"$log" 2>&1 </dev/null; then
    cat "$log"
    exit 1
fi
rm -f "$log"
cp package-lock.json "$installed"
