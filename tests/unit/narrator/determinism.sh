#!/bin/sh
# One story whatever the compiler and the optimisation: builds engine and narrator anew with gcc and clang at -O0 and
# -O3, and compares the stories of several casts, lengths and styles byte for byte.
set -eu
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base="rpc/base/alloc.c rpc/base/arena.c rpc/base/buf.c rpc/base/check.c rpc/base/map.c rpc/base/sha256.c rpc/base/utf8.c"
driver="tests/unit/narrator/print_story.c tests/unit/narrator/stage.c"
tell() {
    "$work/tell" -t 3 -r 1 engineer pilot scientist 2>/dev/null
    "$work/tell" -t 6 -r 2 -x "a distress signal from an abandoned mining station" engineer pilot scientist 2>/dev/null
    "$work/tell" -t 10 -r 3 -S "a fantasy realm" pilot scientist engineer smuggler 2>/dev/null
    "$work/tell" -t 4 -r 4 -s noir -S "a noir city in the rain" pilot smuggler 2>/dev/null
    "$work/tell" -t 20 -r 5 -s fable -p omniscient engineer test 2>/dev/null
    "$work/tell" -t 1 -r 6 -s tactical -w 300 scientist test 2>/dev/null
}
tried=0
for cc in gcc clang; do
    if ! command -v "$cc" >/dev/null; then
        echo "determinism: $cc is not installed; not compared" >&2
        continue
    fi
    for level in -O0 -O3; do
        "$cc" -std=gnu11 -D_GNU_SOURCE "$level" -fno-strict-aliasing -I. $base server/engine/*.c server/narrator/*.c $driver \
            -lcrypto -o "$work/tell"
        tell >"$work/now"
        if [ "$tried" -gt 0 ] && ! cmp -s "$work/first" "$work/now"; then
            echo "determinism: $cc $level tells it otherwise:" >&2
            diff "$work/first" "$work/now" >&2 | head -5
            exit 1
        fi
        cp "$work/now" "$work/first"
        tried=$((tried + 1))
    done
done
[ "$(wc -w <"$work/first")" -gt 2000 ] || { echo "determinism: hardly a word was told" >&2; exit 1; }
echo "determinism: $tried builds, six stories, $(wc -w <"$work/first") words, the same bytes"
