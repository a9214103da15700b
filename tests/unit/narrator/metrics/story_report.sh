#!/usr/bin/env bash
# story_report.sh NOVEL-METRICS — a hundred seeds of one request through script/story-report: it runs, the same seeds
# give the same page and figures, and no law is broken.  Gates that are missed are printed; they don't fail this test.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
export NOVEL_METRICS=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() {
  local status=0
  STORY_REPORT=$work/$1 script/story-report --only 2 --seeds 100 "${@:3}" >"$work/$2" 2>"$work/said" || status=$?
  if [[ $status -gt 1 ]]; then
    echo "story-report ended with status $status:" >&2
    cat "$work/said" >&2
    exit 1
  fi
}
run a figures
run b figures-again
cmp "$work/figures" "$work/figures-again"
cmp "$work/a/index.html" "$work/b/index.html"
grep -q '</html>' "$work/a/index.html"
if grep -Eq '(src|href)="?http|<script|<link' "$work/a/index.html"; then
  echo "the page is not self-contained" >&2
  exit 1
fi
run c json --json
grep -q '"measure":"law violations","value":0,' "$work/json" || {
  echo "a law is broken" >&2
  exit 1
}
cat "$work/figures"
