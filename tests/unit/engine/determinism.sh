#!/bin/sh
# One log whatever the compiler and the optimisation: builds the engine anew with gcc and clang at -O0 and
# -O3 and compares the heads of fifty stories, with one another and with the golden ones.  A golden head
# that changes needs a higher NVL_ENGINE_ABI; then write golden-heads.txt anew with  determinism.sh --golden
set -eu
cd "$(dirname "$0")/../../.."
here=tests/unit/engine
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base="rpc/base/alloc.c rpc/base/arena.c rpc/base/buf.c rpc/base/check.c rpc/base/map.c rpc/base/sha256.c rpc/base/utf8.c"
tried=0
for cc in gcc clang; do
    if ! command -v "$cc" >/dev/null; then
        echo "determinism: $cc is not installed; not compared" >&2
        continue
    fi
    for level in -O0 -O3; do
        "$cc" -std=gnu11 -D_GNU_SOURCE "$level" -fno-strict-aliasing -I. $base server/engine/*.c $here/heads.c -lcrypto -o "$work/heads"
        "$work/heads" $here/pack/*.tale >"$work/now"
        if [ "${1:-}" = --golden ]; then
            cp "$work/now" $here/golden-heads.txt
            exit 0
        fi
        if [ "$tried" -gt 0 ] && ! cmp -s "$work/first" "$work/now"; then
            echo "determinism: $cc $level tells other stories:" >&2
            diff "$work/first" "$work/now" >&2 | head -5
            exit 1
        fi
        cp "$work/now" "$work/first"
        tried=$((tried + 1))
    done
done
if ! cmp -s "$work/first" $here/golden-heads.txt; then
    if [ "$(head -1 "$work/first")" = "$(head -1 $here/golden-heads.txt)" ]; then
        echo "determinism: golden heads changed; raise NVL_ENGINE_ABI, then determinism.sh --golden" >&2
    else
        echo "determinism: the ABI was raised; write the new heads with determinism.sh --golden" >&2
    fi
    diff "$work/first" $here/golden-heads.txt >&2 | head -5
    exit 1
fi
echo "determinism: $tried builds, fifty stories, one log each"
