#!/bin/sh
# run.sh TEALE TEALE-RELAY WORKDIR [SCENE...]: the page of a node in Debian's Chromium, driven by playwright-core. Both
# packages of npm are installed once into WORKDIR. PAGE_SHOTS=1 puts pictures of every view into WORKDIR/shots; those of
# a scene that failed are always there. PAGE_FULL=1 takes the numbers of docs/performance.md, which cost time.
# Exit 77 (skipped) where there is no Chromium, or no package registry.
set -eu
teale=$(realpath "$1")
relay=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
mkdir -p "$3"
work=$(realpath "$3")
shift 3

chromium=$(command -v chromium) || {
    echo "skipped: chromium is not installed"
    exit 77
}
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
exec node "$here/run.mjs" "$teale" "$relay" "$chromium" "$work" "$@"
