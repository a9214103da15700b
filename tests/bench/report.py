#!/usr/bin/env python3
"""report.py FOLDER OUT.md — turns one run of script/bench into a page.  Prints what was measured, nothing else."""
import csv
import pathlib
import platform
import re
import subprocess
import sys
import time

folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def words(name):
    path = folder / name
    text = path.read_text() if path.exists() else ""
    return dict(w.split("=", 1) for w in text.split() if "=" in w)


def command(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=10).stdout.strip()
    except OSError:
        return ""


rows = []
for name in ("peers.tsv", "idle_ours.tsv", "idle_peers.tsv"):
    with open(folder / name, newline="") as f:
        rows += csv.DictReader(f, delimiter="\t")
OURS = ("novel", "libnrpc")


def read_rows(*names):
    found = []
    for file in names:
        if (folder / file).exists():
            with open(folder / file, newline="") as f:
                found += csv.DictReader(f, delimiter="\t")
    return found


def table(endpoint, load, cores="1", rows=rows):
    found = [r for r in rows if r["endpoint"].replace("aria", "pilot") == endpoint and r["load"] == load
             and r["cores"] == cores and r["cpu_s_100k"]]
    return sorted(found, key=lambda r: float(r["cpu_s_100k"]))


def put_cells(lines, title, cells, rows=rows):
    lines += [f"## {title}", "", "| work | load | peer | CPU s per 100,000 | requests/s | mean ms | p99 ms | spread of requests/s |",
              "|---|---|---|---|---|---|---|---|"]
    for endpoint, load in cells:
        for r in table(endpoint, load, rows=rows):
            name = f"**{r['peer']}**" if r["peer"].startswith(OURS) else r["peer"]
            spread = re.search(r"spread (\S+)", r["note"])
            lines.append(f"| {endpoint} | {load} | {name} | {r['cpu_s_100k']} | {int(float(r['per_s'])):,} | {r['mean_ms']} "
                         f"| {r['p99_ms']} | {spread[1].rstrip(';') if spread else ''} |")
    lines.append("")


cpu_model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
lines = [
    "# Performance", "",
    "Written by `script/bench`; anyone can run it again. Server pinned to core 0, load generator to core 1, all in one run, "
    "loopback only. CPU seconds per 100,000 requests is the server's own time (both processes for REST): the figure that "
    "survives a noisy machine and a load generator that is the limit. Compare within a table only.", "",
    f"Run on {time.strftime('%Y-%m-%d')}: {cpu_model}, {len(command('nproc') or '0') and command('nproc')} cores, "
    f"Linux {platform.release()}, {command('gcc', '--version').splitlines()[0] if command('gcc', '--version') else ''}.", "",
]
put_cells(lines, "RPC, one core", [("GetHealth", "c8 m10"), ("GetHealth", "c64 m10"), ("GetHealth", "c1 m1"),
                                   ("GetCharacter", "c8 m10"), ("ListCharacters", "c8 m10")])
put_cells(lines, "REST, one core", [("/health", "c75"), ("/health", "c512"), ("/health", "c75 think 100 ms"),
                                    ("/characters", "c75"), ("/characters/pilot", "c75")])
put_cells(lines, "REST from the gateway's cache", [("/characters/pilot", "c75"), ("/health", "c75")],
          read_rows("cached.tsv", "cached304.tsv", "nginx.tsv"))
put_cells(lines, "libnrpc on the peers' contract, one core",
          [("GetHealth", "c8 m10"), ("GetHealth", "c64 m10"), ("GetHealth", "c1 m1"), ("GetHealth", "c1 m100"),
           ("GetCharacter", "c8 m10"), ("ListCharacters", "c8 m10"), ("StreamSimulation", "1 streams"),
           ("StreamSimulation", "8 streams"), ("StreamSimulation", "c8 m1")], read_rows("nrpc.tsv"))
lines += ["StreamSimulation counts events of 150 bytes; `N streams` are read by a C++ client, `c8 m1` by h2load.", ""]
put_cells(lines, "Up to 512 calls at once", [("GetHealth", f"c8 m{m}") for m in (1, 8, 32, 64)], read_rows("many.tsv"))
found = [dict(w.split("=", 1) for w in line.split()) for line in
         ((folder / "allocations.txt").read_text().split("\n") if (folder / "allocations.txt").exists() else []) if "=" in line]
if found:
    lines += ["| heap allocations a request | GetHealth | GetCharacter |", "|---|---|---|"]
    for peer in dict.fromkeys(r["peer"] for r in found):
        lines.append(f"| {peer} | " + " | ".join(r["allocations"] for r in found if r["peer"] == peer) + " |")
    lines.append("")
if (folder / "clients.txt").exists():
    lines += ["Clients, 100 unary calls in flight against novel-server:", "", "```", (folder / "clients.txt").read_text().rstrip(), "```", ""]
idle = [r for r in rows if r["endpoint"] == "idle connections"]
if idle:
    lines += ["## Memory", "", "Connections that made one request and stay open, in programs that were started for it.", "",
              "| peer | connections | resident MB with them | growth |", "|---|---|---|---|"]
    for r in sorted(idle, key=lambda r: float(r["rss_mb"] or 0)):
        name = f"**{r['peer']}**" if r["peer"] == "novel" else r["peer"]
        lines.append(f"| {name} | {r['load']} | {r['rss_mb']} | {r['note']} |")
    lines.append("")
text = (folder / "idle.txt").read_text().split("\n") if (folder / "idle.txt").exists() else []
sizes = [re.search(r"(\d+) kB", line) for line in text if "VmRSS" in line]
if len(sizes) == 2:
    lines += [f"Before any load: server {int(sizes[0][1]) / 1024:.1f} MB, gateway {int(sizes[1][1]) / 1024:.1f} MB resident.", ""]
lines += ["## Simulations and streams", "", "| work | figure |", "|---|---|"]
for name, what in (("simulate_3x3.txt", "simulations of 3 characters, 3 turns, stored durably and told, 16 in flight"),
                   ("simulate_3x10.txt", "the same with 10 turns")):
    w = words(name)
    if w:
        lines.append(f"| {what} | {float(w['per_s']):.0f} per second ({w['errors']} errors of {int(w['calls']) + int(w['errors'])}) |")
w = words("watch.txt")
if w:
    ticks = int(w.get("server_cpu_ticks", 0)) / int(w.get("ticks_per_s", 100))
    lines.append(f"| events of a stored simulation, 8 watchers over one connection | {float(w['per_s']):,.0f} per second, "
                 f"{ticks / int(w['items']) * 1e5:.3f} CPU s of the server per 100,000 |")
if (folder / "many.txt").exists():
    lines += ["", "Through the gateway:", "", "```", (folder / "many.txt").read_text().rstrip(), "```"]
if (folder / "watchers.txt").exists():
    lines += ["", "A thousand watchers that do not read, beside a fast caller:", "", "```",
              (folder / "watchers.txt").read_text().rstrip(), "```"]
lines.append("")
out.write_text("\n".join(lines))
print("\n".join(lines))
