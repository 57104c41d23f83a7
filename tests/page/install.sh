#!/bin/sh
# install.sh WORKDIR: the two packages of npm that drive the page, of the versions in package-lock.json, put into
# WORKDIR/node_modules once. Exit 77 (skipped) where there is no Chromium, or no package registry.
set -eu
here=$(dirname "$(realpath "$0")")
mkdir -p "$1"
work=$(realpath "$1")

command -v chromium >/dev/null || {
    echo "skipped: chromium is not installed"
    exit 77
}
exec 9>"$work/install.lock" # two runs may begin at once
flock 9
cp "$here/package.json" "$here/package-lock.json" "$work"
if ! [ -d "$work/node_modules/playwright-core" ] || ! cmp -s "$work/package-lock.json" "$work/installed.json"; then
    if ! (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund) >"$work/install.log" 2>&1; then
        curl -sS -o /dev/null --max-time 20 https://registry.npmjs.org/ 2>/dev/null || {
            echo "skipped: https://registry.npmjs.org/ cannot be reached from here"
            exit 77
        }
        cat "$work/install.log"
        exit 1
    fi
    cp "$work/package-lock.json" "$work/installed.json"
fi
