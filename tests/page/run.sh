#!/bin/sh
# run.sh TEALE TEALE-RELAY WORKDIR [SCENE...]: the page of a node in Debian's Chromium, driven by playwright-core, which
# install.sh puts into WORKDIR. PAGE_SHOTS=1 puts pictures of every view into WORKDIR/shots; those of a scene that failed
# are always there. PAGE_FULL=1 takes the numbers of docs/performance.md, which cost time.
# "1/2" and "2/2" as a SCENE are the two halves that run side by side.
# Exit 77 (skipped) where there is no Chromium, or no package registry.
set -eu
export TEALE_LAN="${TEALE_LAN-off}" # a test announces nothing to the network of whoever runs it
teale=$(realpath "$1")
relay=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
"$here/install.sh" "$3"
work=$(realpath "$3")
shift 3
exec node "$here/run.mjs" "$teale" "$relay" "$(command -v chromium)" "$work" "$@"
