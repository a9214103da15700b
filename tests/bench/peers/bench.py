"""Measures the peers and, beside them in the same run, a server that runs already. Called by run.sh;
../README.md says what the columns mean."""
import collections
import fcntl
import http.client
import os
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

import idle

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("PEERS_DIR", "/tmp/peers")
BIN = WORK + "/bin"
TMP = WORK + "/run"
SHM = "/dev/shm/novel-peers"
DATA = HERE + "/data/characters.json"
REPS = int(os.environ.get("REPS", "3"))
SECS = float(os.environ.get("SECS", "2.5"))
IDLE = int(os.environ.get("IDLE", "5000"))
ONLY = set(filter(None, re.split(r"[, ]+", os.environ.get("CELLS", ""))))  # rpc stream rest idle; empty: all
OUT = os.environ.get("OUT", HERE + "/results.tsv")
LOCK = os.environ.get("CPU_LOCK", "/tmp/cpu.lock")
SERVICE = "novelengine.v1.NovelEngine"
TICK = os.sysconf("SC_CLK_TCK")
HOLD_MAX = 60  # seconds of exclusive lock before it is let go between two cells

PY = "/usr/bin/python3"
NODE = shutil.which("node") or "node"


# --- the exclusive lock that keeps builds off the cores while a cell runs ---
class Cores:
    def __init__(self):
        self.file, self.since = None, 0

    def take(self):
        if os.environ.get("NO_LOCK") or self.file and time.monotonic() - self.since < HOLD_MAX:
            return
        self.release()
        self.file = open(LOCK, "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.since = time.monotonic()

    def release(self):
        if self.file:
            self.file.close()
            self.file = None
            time.sleep(0.3)


cores = Cores()


# --- /proc ---
def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        part = f.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / TICK


def rss_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024


def pss_of(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


def family(pid):
    """pid and its descendants."""
    out = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in f.read().split():
                    out += family(int(child))
        except OSError:
            pass
    return out


def free_port():
    """A port below the ephemeral range, the next one free too: clients' own ports never meet it."""
    while True:
        port = random.randrange(20000, 30000, 2)
        try:
            for p in (port, port + 1):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", p))
            return port
        except OSError:
            pass


def wait_port(port, proc, secs=20):
    end = time.monotonic() + secs
    while time.monotonic() < end:
        if proc and proc.poll() is not None:
            raise RuntimeError("the server ended with status %d" % proc.returncode)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("no answer on port %d" % port)


# --- the peers ---
class Peer:
    """kind: rpc, rest. starts: list of functions (ports, width) -> (argv, env). One port each, started in order;
    the last one is measured. width: threads or workers, 1 pinned and 2 unpinned."""
    who = "aria"

    def __init__(self, name, kind, *starts, limit=False, path=None, widths=(1, 2), stream=True, h2port=False,
                 get=False):
        self.name, self.kind, self.starts, self.limit = name, kind, starts, limit
        self.path, self.widths, self.stream, self.h2port, self.get = path, widths, stream, h2port, get

    def start(self, pinned):
        shutil.rmtree(TMP, ignore_errors=True)
        os.makedirs(TMP + "/www/" + SERVICE)
        self.procs, ports = [], []
        width = 1 if pinned else 2
        for make in self.starts:
            ports.append(free_port())
            argv, env = make(ports, width)
            argv = (["taskset", "-c", "0"] if pinned else []) + argv
            log = open(WORK + f"/server-{self.name}.log", "wb")
            proc = subprocess.Popen(argv, env={**os.environ, **env}, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                    start_new_session=True)
            self.procs.append(proc)
            wait_port(ports[-1], proc)
        time.sleep(0.3)
        self.port = ports[-1] + (1 if self.h2port else 0)
        self.groups = [family(p.pid) for p in self.procs]

    def pids(self):
        return [pid for group in self.groups for pid in group]

    def stop(self):
        for p in reversed(self.procs):
            p.send_signal(signal.SIGTERM)
        for p in self.procs:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()


class Target:
    """A server that someone else started: TARGET_RPC + TARGET_PID, TARGET_REST + TARGET_REST_PIDS."""
    limit, path, widths, get = False, None, (1, 2), False
    stream = False  # its StreamSimulation simulates: ../stream_client measures its streams
    who = os.environ.get("TARGET_CHARACTER", "pilot")

    def __init__(self, name, kind, addr, pids):
        self.name, self.kind = name, kind
        self.port = int(addr.rsplit(":", 1)[1])
        self.roots = [int(p) for p in re.split(r"[, ]+", pids.strip())]

    def start(self, pinned):
        wait_port(self.port, None)
        self.groups = [family(p) for p in self.roots]
        self.was = {}
        if pinned:
            for pid in self.pids():
                for tid in os.listdir(f"/proc/{pid}/task"):
                    self.was[int(tid)] = os.sched_getaffinity(int(tid))
                    os.sched_setaffinity(int(tid), {0})

    def pids(self):
        return [pid for group in self.groups for pid in group]

    def stop(self):
        for tid, cpus in self.was.items():
            try:
                os.sched_setaffinity(tid, cpus)
            except OSError:
                pass


def addr(port):
    return "127.0.0.1:%d" % port


def fill(name, ports, width):
    with open(f"{HERE}/conf/{name}.in") as f:
        text = f.read()
    for key, value in {"PORT2": ports[-1] + 1, "PORT": ports[-1], "WORKERS": width, "DIR": TMP,
                       "UPSTREAM": ports[0]}.items():
        text = text.replace(f"@{key}@", str(value))
    with open(f"{TMP}/{name}", "w") as f:
        f.write(text)
    return f"{TMP}/{name}"


HEALTH = ('{"status":"healthy","api":"running","timestamp":"2025-01-01T00:00:00.000Z","version":"1.0.0",'
          '"config":"loaded","uptime":1234.567891}')


def cpp(ports, width):
    return [BIN + "/cpp_server_callback", addr(ports[-1]), DATA], {}


def cpp_cq(ports, width):
    return [BIN + "/cpp_server_cq", addr(ports[-1]), DATA, str(width)], {}


def go(ports, width):
    return [BIN + "/go_server", addr(ports[-1]), DATA], {}


def nrpc(ports, width):
    return [os.environ.get("NRPC_BENCH_SERVER", HERE + "/../../../build/tests/bench_server"), addr(ports[-1]), DATA, str(width)], {}


def go_gateway(ports, width):
    return [BIN + "/go_gateway", addr(ports[-1]), addr(ports[-2])], {}


def node_grpc(ports, width):
    return [NODE, WORK + "/node/grpc.js", addr(ports[-1]), DATA, HERE + "/bench.proto"], {}


def node_rest(file):
    return lambda ports, width: ([NODE, f"{WORK}/node/{file}.js", "127.0.0.1", str(ports[-1]), DATA], {})


def fastapi(workers):
    def make(ports, width):
        return ([PY, "-m", "uvicorn", "app:app", "--app-dir", HERE + "/src/py", "--host", "127.0.0.1", "--port",
                 str(ports[-1]), "--workers", str(workers), "--no-access-log", "--log-level", "warning",
                 "--timeout-keep-alive", "120", "--backlog", "4096"],
                {"CHARACTERS": DATA, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": HERE + "/src/py"})
    return make


def nginx(ports, width):
    return ["/usr/sbin/nginx", "-p", TMP, "-c", fill("nginx.conf", ports, width)], {}


def nginx_proxy(ports, width):
    return ["/usr/sbin/nginx", "-p", TMP, "-c", fill("nginx-proxy.conf", ports, width)], {}


def h2o(ports, width):
    with open(TMP + "/www/health", "w") as f:
        f.write(HEALTH)
    return ["/usr/bin/h2o", "-c", fill("h2o.conf", ports, width)], {}


def nghttpd(ports, width):
    with open(f"{TMP}/www/{SERVICE}/GetHealth", "w") as f:
        f.write(HEALTH)
    return ["/usr/sbin/nghttpd", "--no-tls", "-n", str(width), "-a", "127.0.0.1", "-d", TMP + "/www",
            str(ports[-1])], {}


def floor(ports, width):
    return [BIN + "/c_nghttp2_floor", str(ports[-1]), str(width)], {}


def evhttp(ports, width):
    return [BIN + "/c_evhttp_server", str(ports[-1]), str(width)], {}


def raw(mode):
    return lambda ports, width: ([BIN + "/c_raw_server", str(ports[-1]), str(width), mode], {})


PEERS = [
    Peer("libnrpc", "rpc", nrpc),
    Peer("cpp-callback", "rpc", cpp),
    Peer("cpp-cq", "rpc", cpp_cq),
    Peer("go-grpc", "rpc", go),
    Peer("node-grpc", "rpc", node_grpc),
    Peer("nghttp2-floor", "rpc", floor, limit=True),
    Peer("nghttpd", "rpc", nghttpd, limit=True, stream=False),
    Peer("nginx-h2", "rpc", nginx, limit=True, path="/health", stream=False, h2port=True),
    Peer("h2o-h2", "rpc", h2o, limit=True, path="/health", stream=False, get=True),
    Peer("go-gateway", "rest", go, go_gateway),
    Peer("go-gateway+cpp", "rest", cpp, go_gateway),
    Peer("fastapi-w1", "rest", fastapi(1)),
    Peer("fastapi-w2", "rest", fastapi(2), widths=(2,)),
    Peer("node-fastify", "rest", node_rest("fastify")),
    Peer("node-http", "rest", node_rest("http")),
    Peer("evhttp", "rest", evhttp, limit=True),
    Peer("raw-bev", "rest", raw("bev"), limit=True),
    Peer("raw-fd", "rest", raw("fd"), limit=True),
    Peer("nginx", "rest", nginx, limit=True),
    Peer("nginx-proxy+raw", "rest", raw("fd"), nginx_proxy, limit=True),
    Peer("h2o", "rest", h2o, limit=True),
]

# --- the cells: (endpoint, connections, streams) pinned and unpinned ---
# RPC_CELLS="GetHealth:8:64" instead
CALLS = [(c.split(":")[0], int(c.split(":")[1]), int(c.split(":")[2])) for c in os.environ.get("RPC_CELLS", "").split()]
RPC_1 = CALLS or [("GetHealth", 1, 1), ("GetHealth", 1, 100), ("GetHealth", 8, 10), ("GetHealth", 64, 1), ("GetHealth", 64, 10),
         ("GetCharacter", 8, 10), ("ListCharacters", 8, 10)]
RPC_2 = [("GetHealth", 8, 10), ("GetHealth", 64, 10), ("GetCharacter", 8, 10)]
# REST_CELLS="/characters/aria:75 /health:512" instead
WIDTHS = [int(w) for w in os.environ.get("WIDTHS", "1 2").split()]  # 1: the server pinned to one core; 2: it may use both
OTHER = [(c.rsplit(":", 1)[0], int(c.rsplit(":", 1)[1])) for c in os.environ.get("REST_CELLS", "").split()]
REST_1 = OTHER or [("/health", 1), ("/health", 75), ("/health", 512), ("/characters", 75), ("/characters/aria", 75)]
REST_2 = [("/health", 75), ("/health", 512), ("/characters/aria", 75)]


def limits(cells, peer):
    return [c for c in cells if c[0] in ("GetHealth", "/health")] if peer.limit else cells


def message(endpoint, who="aria"):
    if endpoint == "GetCharacter":
        m = b"\x0a" + bytes([len(who)]) + who.encode()
    elif endpoint == "StreamSimulation":
        m = b"".join(b"\x0a" + bytes([len(n)]) + n for n in (b"aria", b"bront", b"celes", b"dorian")) + b"\x10\xe8\x07"
    else:
        m = b""
    return b"\0" + len(m).to_bytes(4, "big") + m


def body_file(endpoint, who="aria"):
    path = f"{SHM}/{endpoint}.bin"
    with open(path, "wb") as f:
        f.write(message(endpoint, who))
    return path


def client(pinned):
    return ["taskset", "-c", "1"] if pinned else []


def run_tool(argv, limit=30):
    """Its stdout, wall seconds and CPU seconds. A stalled tool is ended: the lock is not held for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout.decode(errors="replace"), wall, cpu


def h2load(peer, endpoint, c, m, n, pinned, log=None):
    url = "http://%s%s" % (addr(peer.port), peer.path or f"/{SERVICE}/{endpoint}")
    argv = client(pinned) + ["h2load", "-t", "1", "-c", str(c), "-m", str(m), "-n", str(n)]
    if not peer.get:
        argv += ["-d", body_file(endpoint, peer.who), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    if log:
        argv.append("--log-file=" + log)
    text, wall, cpu = run_tool(argv + [url])
    got = re.search(r"finished in ([\d.]+)(us|ms|s|m)[\w\s]*, ([\d.]+) req/s", text)
    ok = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    codes = re.search(r"status codes: (\d+) 2xx", text)
    if not got or not ok:
        raise RuntimeError("h2load said: " + text[-600:])
    secs = float(got[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[got[2]]
    return {"n": int(codes[1]), "errors": n - int(ok[1]) + int(ok[1]) - int(codes[1]), "secs": secs, "client": cpu}


def percentiles(log):
    took = []
    with open(log) as f:
        for line in f:
            took.append(int(line.split("\t")[2]))
    os.unlink(log)
    took.sort()
    return sum(took) / len(took) / 1000, took[int(len(took) * 0.99)] / 1000


def with_cpu(peer, make):
    groups = peer.groups
    before = [[cpu_of(p) for p in g] for g in groups]
    start = time.monotonic()
    row = make()
    row["wall"] = time.monotonic() - start
    spent = [sum(cpu_of(p) for p in g) - sum(b) for g, b in zip(groups, before)]
    row["cpu"], row["parts"] = sum(spent), spent
    row["rss"] = sum(rss_of(p) for p in peer.pids())
    row["pss"] = sum(pss_of(p) for p in peer.pids())
    return row


def cell_rpc(peer, cell, pinned):
    endpoint, c, m = cell
    cores.take()
    n = max(c * m, 500)
    for _ in range(2):  # to a rate for the counted run; it also warms the server
        got = h2load(peer, endpoint, c, m, n, pinned)
        rate = n / got["secs"]
        n = max(c * m * 2, int(rate * 0.3))
    n = max(c * m * 4, int(rate * SECS))
    log = SHM + "/h2load.log"
    if os.path.exists(log):
        os.unlink(log)
    row = with_cpu(peer, lambda: h2load(peer, endpoint, c, m, n, pinned, log))
    row["mean"], row["p99"] = percentiles(log)
    return dict(row, endpoint=endpoint, load=f"c{c} m{m}", tool="h2load")


def cell_stream_h2load(peer, cell, pinned):
    c = cell
    cores.take()
    n = 4 * c
    for _ in range(2):
        got = h2load(peer, "StreamSimulation", c, 1, n, pinned)
        rate = n / got["secs"]
        n = max(2 * c, int(rate * 0.5))
    n = max(4 * c, int(rate * SECS))
    log = SHM + "/h2load.log"
    if os.path.exists(log):
        os.unlink(log)
    row = with_cpu(peer, lambda: h2load(peer, "StreamSimulation", c, 1, n, pinned, log))
    row["mean"], row["p99"] = percentiles(log)
    row["n"] *= 4000
    return dict(row, endpoint="StreamSimulation", load=f"c{c} m1", tool="h2load")


def cell_stream_client(peer, streams, pinned):
    cores.take()
    argv = client(pinned) + [BIN + "/cpp_stream_client", addr(peer.port), str(streams)]
    run_tool(argv + ["0.5"])

    def make():
        text, _, cpu = run_tool(argv + [str(SECS)])
        got = dict(part.split("=") for part in text.split() if "=" in part)
        return {"n": int(got["events"]), "secs": float(got["seconds"]), "errors": int(got["errors"]), "client": cpu,
                "mean": None, "p99": None}
    return dict(with_cpu(peer, make), endpoint="StreamSimulation", load=f"{streams} streams", tool="c++ client")


def cell_rest(peer, cell, pinned, think=False):
    path, c = cell
    cores.take()
    url = "http://" + addr(peer.port) + path.replace("aria", peer.who)

    def wrk(secs):
        text, _, cpu = run_tool(client(pinned) + ["wrk", "-t1", f"-c{c}", f"-d{secs}s", "--timeout", "10s", "-s",
                                                  f"{HERE}/conf/{'think' if think else 'report'}.lua", url])
        if "REPORT" not in text:
            raise RuntimeError("wrk said: " + text[-600:])
        got = dict(part.split("=") for part in re.search(r"REPORT (.*)", text)[1].split())
        return {"n": int(got["requests"]), "secs": int(got["duration_us"]) / 1e6, "errors": int(got["errors"]),
                "client": cpu, "mean": float(got["mean_us"]) / 1000, "p99": int(got["p99_us"]) / 1000}
    wrk(1)
    row = with_cpu(peer, lambda: wrk(max(1, round(SECS + 0.1))))
    return dict(row, endpoint=path, load=f"c{c}" + (" think 100 ms" if think else ""), tool="wrk")


def cell_idle(peer):
    kind = "h2" if peer.kind == "rpc" else "h1"
    path = (peer.path or f"/{SERVICE}/GetHealth") if kind == "h2" else "/health"
    cores.take()
    if kind == "h2":
        h2load(peer, "GetHealth", 8, 10, 2000, True)
    else:
        run_tool(["taskset", "-c", "1", "wrk", "-t1", "-c8", "-d1s", "http://" + addr(peer.port) + path])
    time.sleep(0.5)
    before = sum(pss_of(p) for p in peer.pids())
    held = idle.hold(kind, ("127.0.0.1", peer.port), path, IDLE)
    time.sleep(1)
    after = sum(pss_of(p) for p in peer.pids())
    cpu0, t0 = sum(cpu_of(p) for p in peer.pids()), time.monotonic()
    time.sleep(1)
    cpu = (sum(cpu_of(p) for p in peer.pids()) - cpu0) / (time.monotonic() - t0)
    for s in held:
        s.close()
    resident = sum(rss_of(p) for p in peer.pids())
    return {"endpoint": "idle connections", "load": f"{IDLE} {kind}", "tool": "idle.py", "n": 0, "errors": 0, "secs": 0,
            "client": 0, "wall": 0, "cpu": cpu, "parts": [], "mean": 0, "p99": 0, "rss": resident, "pss": after,
            "grew": after - before}


def check(peer):
    """Fails unless the peer answers the contract."""
    if peer.kind == "rest":
        h = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
        wanted = [("/health", 200)] + ([] if peer.limit else [("/characters", 200), ("/characters/" + peer.who, 200),
                                                              ("/characters/nobody", 404)])
        for path, code in wanted:
            h.request("GET", path)
            r = h.getresponse()
            text = r.read()
            if r.status != code:
                raise RuntimeError(f"{peer.name} {path}: {r.status} {text[:200]}")
        return
    if peer.path or peer.name == "nghttpd":
        return
    wanted = [("GetHealth", None, "0")] + ([("StreamSimulation", None, "0")] if peer.stream else [])
    if not peer.limit:
        wanted += [("ListCharacters", None, "0"), ("GetCharacter", None, "0"),
                   ("GetCharacter", b"\0\0\0\0\x04\x0a\x02zz", "5")]
    for endpoint, sent, code in wanted:
        path = body_file(endpoint, peer.who)
        if sent:
            path = SHM + "/missing.bin"
            with open(path, "wb") as f:
                f.write(sent)
        text, _, _ = run_tool(["nghttp", "-nv", "-d", path, "-H", "content-type: application/grpc", "-H",
                               "te: trailers", f"http://{addr(peer.port)}/{SERVICE}/{endpoint}"])
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        if f"grpc-status: {code}" not in plain:
            raise RuntimeError(f"{peer.name} {endpoint}: no grpc-status {code}:\n{plain[-1500:]}")


FIELDS = ["peer", "endpoint", "cores", "load", "tool", "per_s", "mean_ms", "p99_ms", "cpu_s_100k", "per_core_s",
          "srv_util", "cli_util", "rss_mb", "pss_mb", "errors", "note"]


def measured(peer, pinned, row, out):
    n = row["n"]
    out[(peer.name, row["endpoint"], "1" if pinned else "2", row["load"], row["tool"])].append(row)
    say(f"  {peer.name:15s} {row['endpoint']:18s} {row['load']:16s} {'pinned' if pinned else 'free  '} "
        f"{n / row['secs'] if row['secs'] else 0:10.0f}/s  cpu/100k {row['cpu'] / n * 1e5 if n else 0:7.3f}  "
        f"srv {row['cpu'] / row['secs'] if row['secs'] else 0:4.2f} cli {row['client'] / row['secs'] if row['secs'] else 0:4.2f}"
        f"  rss {row['rss']:.1f}  errors {row['errors']}" + (f"  grew {row['grew']:.1f} MB" if "grew" in row else ""))


def say(text):
    print(text, file=sys.stderr, flush=True)


def wants(kind):
    return not ONLY or kind in ONLY


def session(peer, pinned, out, checked):
    cells = []
    if peer.kind == "rpc":
        if wants("rpc"):
            cells += [(cell_rpc, c) for c in limits(RPC_1 if pinned else RPC_2, peer)]
        if wants("stream") and peer.stream:
            cells += [(cell_stream_client, s) for s in ((1, 8) if pinned else (8,))]
            cells += [(cell_stream_h2load, c) for c in ((1, 8) if pinned else (8,))]
    else:
        if wants("rest"):
            cells += [(cell_rest, c) for c in limits(REST_1 if pinned else REST_2, peer)]
        if wants("think") and pinned:
            cells.append((lambda p, c, pin: cell_rest(p, c, pin, think=True), ("/health", 75)))
    run_cells(peer, pinned, cells, out, checked)
    if wants("idle") and pinned:  # in a fresh server, whose heap no earlier load has grown
        run_cells(peer, pinned, [(lambda p, c, pin: cell_idle(p), None)], out, checked)


def run_cells(peer, pinned, cells, out, checked):
    if not cells:
        return
    peer.start(pinned)
    try:
        if peer.name not in checked:
            check(peer)
            checked.add(peer.name)
        for cell, arg in cells:
            try:
                measured(peer, pinned, cell(peer, arg, pinned), out)
            except Exception as e:
                say(f"  {peer.name} {arg}: FAILED: {e}")
    finally:
        cores.release()
        peer.stop()


def table(out):
    rows = []
    for (name, endpoint, width, load, tool), reps in out.items():
        def mid(f):
            return statistics.median(f(r) for r in reps)

        def figure(key):
            return "" if reps[0][key] is None else f"{mid(lambda r: r[key]):.3f}"
        if endpoint == "idle connections":
            grew = mid(lambda r: r["grew"])
            rows.append([name, endpoint, width, load, tool, "", "", "", "", "", f"{mid(lambda r: r['cpu']):.3f}", "",
                         f"{mid(lambda r: r['rss']):.1f}", f"{mid(lambda r: r['pss']):.1f}", sum(r["errors"] for r in reps),
                         f"grew {grew:.1f} MB, {grew * 1024 / IDLE:.2f} KiB each"])
            continue
        if not all(r["n"] for r in reps):
            rows.append([name, endpoint, width, load, tool] + [""] * 9 + [sum(r["errors"] for r in reps), "no answer"])
            continue
        cpu = mid(lambda r: r["cpu"] / r["n"] * 1e5)
        note = ""
        if len(reps[0]["parts"]) > 1:
            note = "cpu by process: " + " + ".join(
                f"{statistics.median(r['parts'][i] / r['n'] * 1e5 for r in reps):.3f}" for i in range(len(reps[0]["parts"])))
        rates = [r["n"] / r["secs"] for r in reps]
        note = f"spread {min(rates):.0f}..{max(rates):.0f}" + ("; " + note if note else "")
        rows.append([name, endpoint, width, load, tool, f"{statistics.median(rates):.0f}", figure("mean"), figure("p99"), f"{cpu:.3f}", f"{1e5 / cpu:.0f}" if cpu else "",
                     f"{mid(lambda r: r['cpu'] / r['secs']):.2f}", f"{mid(lambda r: r['client'] / r['secs']):.2f}",
                     f"{mid(lambda r: r['rss']):.1f}", f"{mid(lambda r: r['pss']):.1f}", sum(r["errors"] for r in reps), note])
    return rows


def main():
    if os.sched_getaffinity(0) < {0, 1}:
        say("note: fewer than two cores")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.makedirs(SHM, exist_ok=True)
    peers = list(PEERS)
    name = os.environ.get("TARGET_NAME", "target")
    if os.environ.get("TARGET_REST"):
        peers.insert(0, Target(name, "rest", os.environ["TARGET_REST"], os.environ["TARGET_REST_PIDS"]))
    if os.environ.get("TARGET_RPC"):
        peers.insert(0, Target(name, "rpc", os.environ["TARGET_RPC"], os.environ["TARGET_PID"]))
    peers_all = peers
    asked = sys.argv[1:]
    if asked:
        unknown = set(asked) - {p.name for p in peers} - {"none"}
        if unknown:
            sys.exit("no such peer: %s; there are: %s" % (" ".join(sorted(unknown)), " ".join(p.name for p in peers)))
        peers = [p for p in peers if p.name in asked or isinstance(p, Target)]
    out, checked, failed = collections.defaultdict(list), set(), set()
    start = time.monotonic()
    for rep in range(REPS):
        for peer in peers:
            if peer.name in failed:
                continue
            say(f"[{time.monotonic() - start:6.0f} s] repetition {rep + 1} of {REPS}: {peer.name}")
            for width in WIDTHS:
                if width in peer.widths:
                    try:
                        session(peer, width == 1, out, checked)
                    except Exception as e:
                        say(f"  {peer.name}: FAILED: {e}")
                        failed.add(peer.name)
    rows = table(out)
    if os.environ.get("KEEP") and os.path.exists(OUT):
        new = {row[0] for row in rows}
        with open(OUT) as f:
            rows = [r for r in (line.rstrip("\n").split("\t") for line in f) if r[0] not in new | {"peer"}] + rows
        order = {p.name: i for i, p in enumerate(peers_all)}
        rows.sort(key=lambda r: order.get(r[0], -1))
    with open(OUT, "w") as f:
        f.write("\t".join(FIELDS) + "\n")
        for row in rows:
            f.write("\t".join(map(str, row)) + "\n")
    wide = [max(len(str(r[i])) for r in rows + [FIELDS]) for i in range(len(FIELDS))]
    for row in [FIELDS] + rows:
        print("  ".join(str(v).ljust(w) if i < 5 or i == len(FIELDS) - 1 else str(v).rjust(w)
                        for i, (v, w) in enumerate(zip(row, wide))).rstrip())
    if failed:
        sys.exit("failed: " + " ".join(sorted(failed)))


main()
