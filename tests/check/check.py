#!/usr/bin/env python3
"""The static gate: include rules, sizes, banned calls, and words that must not be in the tree.

Run from the project's root: tests/check/check.py            prints every breach, exits 1 if there is one
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES, PARAMETERS = 800, 100, 7

# Who may include which of our headers (prefixes).  rpc layers: each sees itself and what is below it.
RPC_ORDER = ["base", "io", "h2", "grpc", "call"]
GENERATED = re.compile(r"\.(pb-c|nrpc)\.h$|^novel_engine_descriptors\.h$|_image\.h$|_embedded\.h$")
SYSTEM_ONLY = {
    "event2/": ("rpc/io/",),
    "nghttp2/": ("rpc/h2/", "tests/"),
    "sqlite3.h": ("server/store/", "tests/"),
    "openssl/": ("rpc/base/sha256.c", "gateway/websocket.c", "rpc/io/", "tests/"),
}
BANNED = re.compile(
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|rand|srand|malloc|calloc|realloc|strdup|strndup)\s*\(")
BANNED_FREE = {"rpc/base/alloc.c", "proto/plugin/embed.c"}


def allowed(path):
    """Prefixes of our own headers that the file may include."""
    parts = path.split("/")
    if parts[0] == "tests":
        return [""]
    if parts[0] == "rpc" and len(parts) > 2:
        layer = parts[1]
        if layer in RPC_ORDER:
            below = RPC_ORDER[: RPC_ORDER.index(layer) + 1]
            return ["rpc/nrpc.h"] + [f"rpc/{x}/" for x in below]
        return ["rpc/"]
    if parts[0] == "server" and parts[1] in ("engine", "narrator"):
        return ["rpc/base/", "server/engine/", "server/narrator/"] if parts[1] == "narrator" else ["rpc/base/", "server/engine/"]
    if path.startswith("server/tools/novel-verify"):
        return ["rpc/base/", "server/tools/novel-verify"]
    if parts[0] == "server":
        return ["rpc/nrpc.h", "rpc/base/", "server/"]
    if parts[0] == "gateway":
        # Connect's envelopes are compressed as gRPC's messages are, by the same bounded codec.
        return ["rpc/nrpc.h", "rpc/base/", "rpc/io/", "rpc/h2/", "rpc/grpc/compress.h", "gateway/"]
    if path.startswith("clients/load/"):  # libcurl's sockets and a timerfd are watched on the loop
        return ["rpc/nrpc.h", "rpc/base/", "rpc/io/watch.h", "clients/"]
    if parts[0] == "clients":
        return ["rpc/nrpc.h", "rpc/base/", "clients/", "server/service/document.h"]  # writers of the contract alone
    return ["rpc/nrpc.h", "rpc/base/", parts[0] + "/"]


def check_includes(path, lines, report):
    mine = allowed(path)
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if not found:
            continue
        header = found.group(1)
        for prefix, users in SYSTEM_ONLY.items():
            if header.startswith(prefix) and not path.startswith(users):
                report(path, number, f"<{header}> belongs to {', '.join(users)}")
        ours = '"' in line and not GENERATED.search(header)
        if ours and "/" in header and not any(header.startswith(m) for m in mine):
            report(path, number, f"may not include {header}")
        if path.startswith("gateway/") and "novel_engine" in header and "documented" not in header:
            report(path, number, "the gateway knows no service: no generated code of one")


def strip_comments(text):
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*',
                  lambda m: m.group(0) if m.group(0)[0] == '"' else blank(m), text, flags=re.S)


def check_sizes(path, lines, report):
    if len(lines) > FILE_LINES:
        report(path, len(lines), f"file has {len(lines)} lines, {FILE_LINES} are the limit")
    if not path.endswith(".c"):
        return
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start > FUNCTION_LINES:
                report(path, start, f"function has {number - start} lines, {FUNCTION_LINES} are the limit")
            start = None


def check_words(path, text, report):
    if not path.startswith(("tests/", "rpc/examples/")):  # examples stand outside, as users do
        code = strip_comments(text)
        for found in BANNED.finditer(code):
            if path not in BANNED_FREE and path.endswith((".c", ".h")):
                report(path, code.count("\n", 0, found.start()) + 1, f"banned call {found.group(1)}()")


def main():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split() if listed.returncode == 0 else [
        str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file() and "build" not in p.parts]
    breaches = []

    def report(path, line, what):
        breaches.append(f"{path}:{line}: {what}")

    count = 0
    for name in names:
        file = ROOT / name
        if not name.endswith((".c", ".h")) or not file.exists() or name.startswith("tests/bench/peers/"):
            continue  # the peers are other people's ways of doing it, on purpose
        count += 1
        text = file.read_text(encoding="utf-8")
        lines = text.split("\n")
        check_includes(name, lines, report)
        check_sizes(name, lines, report)
        check_words(name, text, report)
    print("\n".join(breaches) if breaches else f"{count} files keep the rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
