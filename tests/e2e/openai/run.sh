#!/bin/sh
# run.sh TEALE PARROT [WORKDIR]: the official OpenAI clients, npm and PyPI, unmodified, against `teale serve`
# sharing the parrot. The clients are installed once into WORKDIR. Exit 77 (skipped) only where a
# package registry cannot be reached.
set -eu
teale=$(realpath "$1")
parrot=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
work=${3:-$(mktemp -d)}
mkdir -p "$work"
home=$(mktemp -d)
pids=
end() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$home"
    [ -n "${3:-}" ] || rm -rf "$work"
}
trap 'end "$@"' EXIT
trap 'exit 1' INT TERM

# installed REGISTRY COMMAND...: runs it; where it fails and the registry is silent, skips.
installed() {
    registry=$1
    shift
    "$@" >"$home/install.log" 2>&1 && return 0
    if ! curl -sS -o /dev/null --max-time 20 "$registry" 2>/dev/null; then
        echo "skipped: $registry cannot be reached from here"
        exit 77
    fi
    cat "$home/install.log"
    exit 1
}

# wait_line FILE WORD: the first line of FILE that begins with WORD.
wait_line() {
    tries=0
    until grep -q "^$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "no line '$2' in $1:"
            cat "$1" "$home"/*.err
            exit 1
        fi
        sleep 0.05
    done
    grep -m1 "^$2" "$1"
}

cp "$here/package.json" "$here/package-lock.json" "$here/client.mjs" "$here/streams.mjs" "$here/requirements.txt" "$work/"
cd "$work"
if ! cmp -s package-lock.json installed-lock.json; then
    installed https://registry.npmjs.org/ npm ci --no-audit --no-fund
    cp package-lock.json installed-lock.json
fi
if ! cmp -s requirements.txt installed-requirements.txt; then
    rm -rf venv
    python3 -m venv venv
    installed https://pypi.org/simple/ venv/bin/pip install -r requirements.txt
    cp requirements.txt installed-requirements.txt
fi

"$parrot" --token-ms 2 --model parrot --model tool-call --model fail:status-400 --model fail:status-429 \
    --model fail:status-503 --model fail:close-mid --model fail:stall --model fail:hang \
    >"$home/parrot.out" 2>"$home/parrot.err" &
parrot_pid=$!
pids="$pids $parrot_pid"
parrot_url=$(wait_line "$home/parrot.out" "ready " | cut -d' ' -f2)

"$teale" --home "$home" serve --api 127.0.0.1:0 --share "$parrot_url" >"$home/teale.out" 2>"$home/teale.err" &
pids="$pids $!"
base_url=$(wait_line "$home/teale.out" "ready " | sed 's/.*api=\([^ ]*\).*/\1/')
key=$(cat "$home/api-key")

# The node has read the parrot's models.
tries=0
until curl -s "$base_url/models" | grep -q '"parrot"'; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "the parrot's models never came"; cat "$home/teale.err"; exit 1; }
    sleep 0.05
done

# A second node, for what the parrot does not speak: sound, pictures, answers.
"$work/venv/bin/python" "$here/../modelserver.py" m >"$home/model.out" 2>"$home/model.err" &
pids="$pids $!"
model_url=$(wait_line "$home/model.out" "ready " | cut -d' ' -f2)
"$teale" --home "$home/second" serve --api 127.0.0.1:0 --share "$model_url" >"$home/second.out" 2>"$home/second.err" &
pids="$pids $!"
second_url=$(wait_line "$home/second.out" "ready " | sed 's/.*api=\([^ ]*\).*/\1/')
tries=0
until curl -s "$second_url/models" | grep -q '"m"'; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "the model server's models never came"; cat "$home/second.err"; exit 1; }
    sleep 0.05
done

failed=0
ran=0
for client in openai-4 openai-6; do
    if node streams.mjs "$client"; then
        ran=$((ran + 1))
        key_for=$key
        [ "$client" = openai-4 ] || key_for=any-key-will-do-on-loopback
        node client.mjs "$client" "$base_url" "$key_for" "$parrot_url" || failed=1
    else
        echo "# $client was not run: it cannot read streams on this Node.js"
    fi
done
if [ $ran = 0 ]; then
    echo "not ok - no npm client works on this Node.js"
    failed=1
fi
venv/bin/python "$here/client.py" "$base_url" "$key" "$parrot_url" "$second_url" || failed=1

# With the model server dead, the clients see 503, and later retries would find it again.
kill "$parrot_pid"
wait "$parrot_pid" 2>/dev/null || true
code=$(curl -s -o "$home/dead.json" -w '%{http_code}' -H 'Content-Type: application/json' \
    -d '{"model":"parrot","messages":[{"role":"user","content":"x"}]}' "$base_url/chat/completions")
if [ "$code" = 503 ]; then
    echo "ok - a dead model server is 503: $(cat "$home/dead.json")"
else
    echo "not ok - a dead model server is 503: $code $(cat "$home/dead.json")"
    failed=1
fi
exit $failed
