"""novel-load against the real programs, and against servers that misbehave: what it says must be what happened."""
import asyncio
import concurrent.futures
import itertools
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

import test_tls
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from harness import BIN, ROOT, Stack, start_gateway, start_server

SCHEMA = json.loads((ROOT / "docs" / "novel-load.schema.json").read_text())
HEALTH = json.dumps({"status": "healthy", "api": "running", "timestamp": "2026-01-01T00:00:00Z", "version": "1.0.0",
                     "config": "loaded", "uptime": 1.5}).encode()


def novel_load(*args, code=0, timeout=120):
    """Runs it with --json; the results.  code None: any."""
    out = subprocess.run([str(BIN / "novel-load"), *map(str, args), "--json"], capture_output=True, text=True, timeout=timeout)
    if code is not None and out.returncode != code:
        raise AssertionError(f"exit {out.returncode}, not {code}: {out.stdout[-2000:]}{out.stderr[-2000:]}")
    results = json.loads(out.stdout)
    check_schema(results, SCHEMA)
    return results


def check_schema(value, schema, at="results"):
    """As much of JSON Schema as ours uses."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None)}
    if "const" in schema:
        assert value == schema["const"], at
    if "enum" in schema:
        assert value in schema["enum"], f"{at}: {value}"
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        good = any(isinstance(value, kinds[n]) and (n == "boolean" or not isinstance(value, bool)) for n in names)
        assert good, f"{at}: {value!r} is no {names}"
    if "minimum" in schema:
        assert value >= schema["minimum"], f"{at}: {value}"
    if "maximum" in schema:
        assert value <= schema["maximum"], f"{at}: {value}"
    for name in schema.get("required", ()):
        assert name in value, f"{at}: no {name}"
    if isinstance(value, dict):
        for name, member in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if isinstance(inner, dict):
                check_schema(member, inner, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            check_schema(item, schema["items"], f"{at}[{i}]")


class Misbehaving:
    """An HTTP/1.1 server in a thread; answer(i, path) is a coroutine that gives (status, body), or None to say nothing
    more, or bytes to write as they are and close."""

    def __init__(self, answer):
        self.answer = answer
        self.count = 0
        self.started = time.monotonic()
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)

        async def start():
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
            self.port = self.server.sockets[0].getsockname()[1]
            self.ready.set()
        self.loop.run_until_complete(start())
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                if path == "/meta/system-status":  # the probe is always answered
                    answer = (200, b'{"version":"9","components":{"api":"operational"}}')
                else:
                    self.count += 1
                    answer = await self.answer(self.count, path)
                if answer is None:
                    await asyncio.sleep(3600)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    break
                status, body = answer
                writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                             % (status, len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        async def end():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            self.server.close()
            await asyncio.sleep(0.01)
            self.loop.stop()
        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(5)
        self.loop.close()


class Misbehaviour(unittest.TestCase):
    def run_against(self, answer, *args, users=4, duration=1):
        server = Misbehaving(answer)
        self.addCleanup(server.stop)
        results = novel_load("load", "--http", server.url, "--endpoints", "health", "--users", users, "--think", 20, "--duration",
                             duration, *args, code=None)
        self.assertEqual(len(results["rows"]), 1)
        self.server = server
        return results["rows"][0]

    def only(self, row, kind):
        self.assertGreater(row["errors"][kind], 0, row["errors"])
        self.assertEqual(sum(row["errors"].values()), row["errors"][kind], row["errors"])

    def test_good(self):
        async def answer(i, path):
            return 200, HEALTH
        row = self.run_against(answer)
        self.assertEqual(sum(row["errors"].values()), 0)
        self.assertEqual(row["requests"], self.server.count)
        self.assertEqual(row["good"], self.server.count)

    def test_500(self):
        async def answer(i, path):
            return (500, b'{"detail":"no luck"}') if i % 3 == 0 else (200, HEALTH)
        row = self.run_against(answer)
        self.only(row, "status")
        self.assertEqual(row["statuses"], {"500": row["errors"]["status"]})
        self.assertIn("no luck", row["first_errors"]["status"])
        self.assertEqual(row["errors"]["status"], self.server.count // 3)

    def test_wrong_body(self):
        async def answer(i, path):
            return (200, HEALTH.replace(b"healthy", b"wealthy")) if i % 2 else (200, HEALTH)
        row = self.run_against(answer)
        self.only(row, "bad_body")
        self.assertEqual(row["errors"]["bad_body"], (self.server.count + 1) // 2)
        self.assertIn("'status' is 'wealthy', not 'healthy'", row["first_errors"]["bad_body"])

    def test_stall(self):
        async def answer(i, path):
            return None if i % 5 == 0 else (200, HEALTH)
        row = self.run_against(answer, "--timeout", 0.3)
        self.only(row, "timeout")
        self.assertEqual(row["errors"]["timeout"], self.server.count // 5)
        self.assertIn("within 0.3 s", row["first_errors"]["timeout"])

    def test_cut_off(self):
        async def answer(i, path):
            return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{" if i % 4 == 0 else (200, HEALTH)
        row = self.run_against(answer)
        self.only(row, "lost")
        self.assertEqual(row["errors"]["lost"], self.server.count // 4)

    def test_no_http(self):
        async def answer(i, path):
            return b"hello\r\n"
        row = self.run_against(answer)
        self.assertEqual(row["good"], 0)
        self.assertEqual(row["error_percent"], 100)

    def test_slow(self):
        async def answer(i, path):
            await asyncio.sleep(0.2)
            return 200, HEALTH
        row = self.run_against(answer, duration=1.5)
        self.assertEqual(sum(row["errors"].values()), 0)
        self.assertGreaterEqual(row["latency_ms"]["min"], 200)
        self.assertLess(row["latency_ms"]["p50"], 260)
        self.assertFalse(row["generator"]["cpu_percent"] > 90)

    def test_stress_names_the_knee(self):
        gate = []

        async def answer(i, path):  # one at a time, 4 ms each: 250 a second
            async with gate[0]:
                await asyncio.sleep(0.004)
            return 200, HEALTH
        server = Misbehaving(answer)
        self.addCleanup(server.stop)
        gate.append(asyncio.Lock())
        results = novel_load("stress", "--http", server.url, "--endpoints", "health", "--users", "5,10", "--think", 50,
                             "--duration", 1, "--p95", 60, "--max-users", 300, code=None)
        knee = results["knees"][0]
        self.assertTrue(knee["broke"], knee)
        self.assertIn("p95", knee["why"])
        self.assertTrue(10 < knee["users"] <= 60, knee)
        self.assertLess(knee["best_users"], knee["users"])

    def test_nothing_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            out = subprocess.run([str(BIN / "novel-load"), "quick", "--http", f"http://127.0.0.1:{s.getsockname()[1]}"],
                                 capture_output=True, text=True, timeout=60)
        self.assertEqual(out.returncode, 4, out.stderr)
        self.assertIn("nothing answers", out.stderr)


class Omission(unittest.TestCase):
    """A server that stands still for a second in the midst: with one user only one request saw it; by the clock, each
    that was due in that second did."""

    def start(self):
        async def answer(i, path):
            at = time.monotonic() - server.first
            if 1 < at < 2:
                await asyncio.sleep(2 - at)
            return 200, HEALTH

        async def note(i, path):
            if i == 1:
                server.first = time.monotonic()
            return await answer(i, path)
        server = Misbehaving(note)
        self.addCleanup(server.stop)
        return server

    def test_closed_and_open(self):
        server = self.start()
        closed = novel_load("load", "--http", server.url, "--endpoints", "health", "--users", 1, "--think", 5, "--duration", 3,
                            code=None)["rows"][0]
        self.assertLess(closed["latency_ms"]["p90"], 100)
        self.assertGreater(closed["latency_ms"]["max"], 800)
        server = self.start()
        row = novel_load("load", "--http", server.url, "--endpoints", "health", "--users", 2, "--rate", 100, "--duration", 3,
                         code=None)["rows"][0]
        self.assertEqual(row["requests"], 300)
        self.assertEqual(sum(row["errors"].values()), 0)
        self.assertEqual(server.count, 300)
        # A third of all were due while it stood still, and waited for half a second on average.
        self.assertGreater(row["latency_ms"]["p90"], 500)
        self.assertGreater(row["latency_ms"]["mean"], 100)
        self.assertLess(row["latency_ms"]["p50"], 100)

    def test_what_was_never_sent_is_counted(self):
        async def answer(i, path):
            return None
        server = Misbehaving(answer)
        self.addCleanup(server.stop)
        row = novel_load("load", "--http", server.url, "--endpoints", "health", "--users", 2, "--rate", 50, "--duration", 1,
                         "--timeout", 0.5, code=None)["rows"][0]
        self.assertGreater(row["errors"]["unsent"], 0)
        self.assertEqual(row["requests"] + row["errors"]["unsent"], 50)
        self.assertEqual(row["requests"], server.count)
        self.assertEqual(row["error_percent"], 100)


class Agreement(unittest.TestCase):
    """The same load by wrk and h2load, on a server whose delays are known: 5 to 55 ms, evenly."""

    @classmethod
    def setUpClass(cls):
        async def answer(i, path):
            await asyncio.sleep(0.005 + (i * 37 % 100) / 2000)
            return 200, HEALTH
        cls.server = Misbehaving(answer)
        cls.row = novel_load("load", "--http", cls.server.url, "--endpoints", "health", "--users", 8, "--think", 0, "--duration", 4,
                             code=None)["rows"][0]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def near(self, ours, theirs, what):
        # Both sample the same delays; a busy machine adds its own to each.
        self.assertLess(abs(ours - theirs), 2.5 + 0.06 * theirs, f"{what}: ours {ours} ms, theirs {theirs} ms")

    def test_wrk(self):
        if not shutil.which("wrk"):
            self.skipTest("wrk is not installed: percentiles were NOT compared with it")
        out = subprocess.run(["wrk", "-t1", "-c8", "-d4s", "--latency", self.server.url + "/health"], capture_output=True, text=True,
                             timeout=60).stdout
        for name, key in (("50", "p50"), ("90", "p90"), ("99", "p99")):
            value, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)\b", out).groups()
            self.near(self.row["latency_ms"][key], float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], key)

    def test_h2load(self):
        if not shutil.which("h2load"):
            self.skipTest("h2load is not installed: the mean was NOT compared with it")
        out = subprocess.run(["h2load", "--h1", "-t1", "-c8", "-n", "800", self.server.url + "/health"], capture_output=True,
                             text=True, timeout=60).stdout
        line = re.search(r"time for request:\s+(\S+)\s+(\S+)\s+(\S+)", out)
        value, unit = re.match(r"([\d.]+)(us|ms|s)", line.group(3)).groups()
        self.near(self.row["latency_ms"]["mean"], float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], "mean")


class Delaying(stubs.NovelEngineServicer):
    """Answers as late as the server of Agreement."""

    def __init__(self):
        self.numbers = itertools.count(1)

    def GetHealth(self, request, context):
        time.sleep(0.005 + (next(self.numbers) * 37 % 100) / 2000)
        return pb.Health(status="healthy", api="running", timestamp="2026-01-01T00:00:00Z", version="1.0.0")

    def GetSystemStatus(self, request, context):
        return pb.SystemStatus(status="operational", version="9")


class RpcAgreement(unittest.TestCase):
    """The same calls by h2load, each of which it logs: percentiles of RPC, with and without shared connections."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("h2load"):
            raise unittest.SkipTest("h2load is not installed: percentiles of RPC were NOT compared with it")
        cls.server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
        stubs.add_NovelEngineServicer_to_server(Delaying(), cls.server)
        cls.address = f"127.0.0.1:{cls.server.add_insecure_port('127.0.0.1:0')}"
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop(None).wait()

    def h2load(self, connections, streams):
        """Durations in ms, in order."""
        with tempfile.TemporaryDirectory() as folder:
            body, log = pathlib.Path(folder) / "body", pathlib.Path(folder) / "log"
            body.write_bytes(bytes(5))  # not compressed, no bytes: an empty message
            subprocess.run(["h2load", "-t1", f"-c{connections}", f"-m{streams}", "-n800", "-d", body, f"--log-file={log}",
                            "-H", "content-type: application/grpc", "-H", "te: trailers",
                            f"http://{self.address}/novelengine.v1.NovelEngine/GetHealth"], capture_output=True, timeout=60, check=True)
            rows = [line.split("\t") for line in log.read_text().splitlines()]
        self.assertEqual({row[1] for row in rows}, {"200"})
        return sorted(int(row[2]) / 1000 for row in rows)

    def compare(self, connections, streams):
        # Both at the same time: what a busy machine adds, it adds to both.
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            theirs = other.submit(self.h2load, connections, streams)
            row = novel_load("load", "--rpc", self.address, "--endpoints", "health", "--users", connections * streams, "--streams",
                             streams, "--think", 0, "--duration", 3, code=None)["rows"][0]
            theirs = theirs.result()
        self.assertEqual(sum(row["errors"].values()), 0, row["errors"])
        for key, share, slack in (("p50", 0.5, 0.1), ("p95", 0.95, 0.1), ("p99", 0.99, 0.25)):  # p99: eight calls decide
            ours, other = row["latency_ms"][key], theirs[int(share * len(theirs))]
            self.assertLess(abs(ours - other), 2.5 + slack * other, f"{key}: ours {ours} ms, theirs {other} ms")

    def test_a_connection_each(self):
        self.compare(8, 1)

    def test_shared_connections(self):
        self.compare(2, 4)


class Real(Stack):
    """The real server and gateway."""

    def logs(self):
        folder = pathlib.Path(self.folder.name)
        names = []
        for program in (self.server, self.gateway):
            path = folder / f"{program.name}.log"
            path.write_text("\n".join(program.lines) + "\n")
            names += ["--ready", path]
        return names

    def requests_logged(self):
        """Once no more come: the log is flushed now and then."""
        count, seen = -1, 0
        while seen != count:
            count = seen
            time.sleep(0.7)
            seen = sum('"event":"request"' in line for line in self.gateway.lines)
        return seen

    def test_quick_is_ready(self):
        """The ten-second smoke: everything once, through both doors, found by the ready lines."""
        before = self.requests_logged()
        folder = pathlib.Path(self.folder.name)
        begin = time.monotonic()
        results = novel_load("quick", *self.logs(), "--output", folder / "r.json", "--markdown", folder / "r.md", "--html",
                             folder / "r.html", code=0)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(json.loads((folder / "r.json").read_text()), results)
        self.assertEqual({r["door"] for r in results["rows"]}, {"http", "rpc"})
        self.assertEqual({r["section"] for r in results["rows"]}, {"baseline", "load", "simulations"})
        for row in results["rows"]:
            self.assertEqual(sum(row["errors"].values()), 0, row)
            self.assertGreater(row["good"], 0)
        self.assertEqual(self.requests_logged() - before, results["targets"]["http_requests"])
        self.assertEqual(results["judgement"]["verdict"], "incomplete")
        said = (folder / "r.md").read_text()
        self.assertIn("only a part of what the verdict needs", said.replace("\n", " "))
        self.assertIn(" Judged: baseline, load /health, simulations, processes", said)
        # It leaves the deployment as it found it.
        self.assertEqual(self.rest("GET", "/simulations").json()["simulations"], [])
        novel_load("simulations", "--rpc", self.server.address, "--users", 2, "--keep", code=None)
        self.assertEqual(len(self.rest("GET", "/simulations").json()["simulations"]), 4)
        names = {p["name"]: p for p in results["processes"]}
        self.assertEqual(set(names), {"novel-server", "novel-gateway", "novel-load"})
        for p in names.values():
            self.assertFalse(p["ended"])
            self.assertGreater(p["samples"][-1]["rss_mb"], 1)
            self.assertGreater(p["samples"][-1]["threads"], 0)
            self.assertGreater(p["samples"][-1]["descriptors"], 3)
        self.assertIn("## Readiness by component", (folder / "r.md").read_text())
        self.assertIn("<svg", (folder / "r.html").read_text())

    def test_counts_agree_with_the_access_log(self):
        before = self.requests_logged()
        results = novel_load("load", "--http", f"http://{self.gateway.address}", "--users", "7,40", "--think", 0, "--duration", 1,
                             "--threads", 2, code=None)
        sent = sum(r["requests"] for r in results["rows"]) + 1  # and the probe
        self.assertEqual(results["targets"]["http_requests"], sent)
        self.assertGreater(sent, 1000)
        self.assertEqual(self.requests_logged() - before, sent)

    def test_open_loop_keeps_its_rate(self):
        for door in (("--http", f"http://{self.gateway.address}"), ("--rpc", self.server.address)):
            row = novel_load("load", *door, "--users", 20, "--rate", 200, "--duration", 2, "--threads", 2, "--endpoints", "mixed",
                             code=None)["rows"][0]
            self.assertEqual(row["requests"], 400)
            self.assertEqual(row["good"], 400)
            self.assertTrue(1.95 < row["seconds"] < 2.6, row["seconds"])
            few = novel_load("load", *door, "--users", 2, "--rate", 50, "--duration", 1, "--threads", 4, "--endpoints", "health",
                             code=None)["rows"][0]
            self.assertEqual(few["requests"] + few["errors"]["unsent"], 50, "threads without users have no share")

    def test_rpc_users_that_share_a_connection(self):
        row = novel_load("load", "--rpc", self.server.address, "--users", 20, "--streams", 10, "--think", 0, "--duration", 0.5,
                         "--endpoints", "details", code=None)["rows"][0]
        self.assertEqual(row["good"], row["requests"])

    def test_interrupt_keeps_what_was_measured(self):
        path = pathlib.Path(self.folder.name) / "interrupted.json"
        process = subprocess.Popen([str(BIN / "novel-load"), "load", "--rpc", self.server.address, "--users", "3", "--endpoints",
                                    "health", "--duration", "60", "--output", str(path), "--plain"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        process.terminate()
        self.assertEqual(process.wait(20), 130)
        results = json.loads(path.read_text())
        check_schema(results, SCHEMA)
        self.assertTrue(results["interrupted"])
        self.assertGreater(results["rows"][0]["good"], 10)
        self.assertEqual(sum(results["rows"][0]["errors"].values()), 0)

    def test_more_users_than_descriptors(self):
        out = subprocess.run(["bash", "-c", f"ulimit -n 256; exec {BIN}/novel-load load --rpc {self.server.address} --users 300"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(out.returncode, 1)
        self.assertIn("ulimit -n", out.stderr)

    def test_compare(self):
        folder = pathlib.Path(self.folder.name)
        old = novel_load("load", "--http", f"http://{self.gateway.address}", "--users", 4, "--endpoints", "health", "--think", 5,
                         "--duration", 2, code=None)
        (folder / "old.json").write_text(json.dumps(old))
        for row in old["rows"]:
            for name in ("p50", "p95", "p99"):
                row["latency_ms"][name] *= 3
                for part in row["slices"]:
                    part[name] *= 3
        (folder / "new.json").write_text(json.dumps(old))

        def compare(a, b, *more):
            return subprocess.run([str(BIN / "novel-load"), "compare", folder / a, folder / b, *more], capture_output=True, text=True)
        same = compare("old.json", "old.json")
        self.assertEqual(same.returncode, 0, same.stdout + same.stderr)
        self.assertIn("How noise was judged", same.stdout)
        worse = compare("old.json", "new.json")
        self.assertEqual(worse.returncode, 3, worse.stdout + worse.stderr)
        self.assertIn("WORSE", worse.stdout)
        machine = json.loads(compare("old.json", "new.json", "--json").stdout)
        self.assertGreaterEqual(machine["worse"], 1)
        self.assertEqual(compare("new.json", "old.json").returncode, 0)
        (folder / "broken.json").write_text("{")
        self.assertEqual(compare("old.json", "broken.json").returncode, 2)

    def test_a_report_of_a_strange_file(self):
        """A results file may come from anywhere: its page ends, and holds no markup of the file's."""
        folder = pathlib.Path(self.folder.name)
        results = novel_load("load", "--http", f"http://me:secret@{self.gateway.address}", "--users", 1, "--endpoints", "health",
                             "--duration", 1, "--heade", "authorization: Bearer secret", code=None)
        self.assertNotIn("secret", json.dumps(results))
        results["started"] = "<script>alert(1)</script>"
        for row in results["rows"]:
            row["door"] = row["endpoint"] = "<b>"
            row["latency_ms"].update({name: 1.5e308 for name in ("p50", "p95", "p99", "max")})
        again = dict(results["rows"][0], at_s=1e17, users=2)
        again["latency_ms"] = dict(again["latency_ms"], p50=5e-324, p95=5e-324)
        results["rows"].append(again)
        for i, part in enumerate(p for row in results["rows"] for p in row["slices"]):
            part["at_s"] = 1e17 + i * 16
        (folder / "strange.json").write_text(json.dumps(results))
        out = subprocess.run([str(BIN / "novel-load"), "report", folder / "strange.json", "--html", folder / "strange.html"],
                             capture_output=True, text=True, timeout=20)
        self.assertIn(out.returncode, (0, 3), out.stderr)
        page = (folder / "strange.html").read_text()
        self.assertNotIn("<script>", page)
        self.assertNotIn("<td><b>", page)
        self.assertLess(len(page), 200000)


class OverTls(unittest.TestCase):
    def test_both_doors(self):
        c = test_tls.Certificates()
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            server = start_server(pathlib.Path(folder) / "data", "--tls-cert", c["server.pem"], "--tls-key", c["server.key"],
                                  "--tls-client-ca", c["ca.pem"])
            gateway = start_gateway(f"localhost:{server.port}", "--backend-ca", c["ca.pem"], "--backend-cert", c["gateway.pem"],
                                    "--backend-key", c["gateway.key"], "--tls-cert", c["front.pem"], "--tls-key", c["front.key"])
            doors = ("--http", f"https://localhost:{gateway.port}", "--rpc", f"localhost:{server.port}", "--rpc-tls")
            results = novel_load("quick", *doors, "--ca", c["ca.pem"], "--cert", c["gateway.pem"], "--key", c["gateway.key"], code=0)
            self.assertEqual({r["door"] for r in results["rows"]}, {"http", "rpc"})
            for row in results["rows"]:
                self.assertEqual(sum(row["errors"].values()), 0, row)
            self.assertNotIn("pem", results["command"])
            out = subprocess.run([str(BIN / "novel-load"), "quick", *doors], capture_output=True, text=True, timeout=60)
            self.assertEqual(out.returncode, 4)  # an unknown CA
            gateway.stop()
            server.stop()
        c.folder.cleanup()


class Killed(unittest.TestCase):
    """The server dies in mid-run."""

    def test_both_doors_tell(self):
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            for door in ("http", "rpc"):
                server = start_server(pathlib.Path(folder) / door)
                gateway = start_gateway(server.address)
                address = f"http://{gateway.address}" if door == "http" else server.address
                timer = threading.Timer(1.5, server.kill)
                timer.start()
                results = novel_load("load", f"--{door}", address, "--users", 5, "--think", 10, "--duration", 3, "--endpoints",
                                     "health", "--pid", f"novel-server={server.process.pid}", code=3)
                row = results["rows"][0]
                self.assertGreater(row["good"], 50)
                ended = next(p for p in results["processes"] if p["name"] == "novel-server")
                self.assertTrue(ended["ended"])
                if door == "http":  # the gateway lives on and says what is missing
                    self.assertEqual(set(row["statuses"]) | {"503"}, set(row["statuses"]), row)
                    self.assertEqual(row["errors"]["connect"], 0)
                else:
                    self.assertGreater(row["errors"]["connect"], 0, row["errors"])
                    self.assertLess(row["errors"]["connect"], 200)  # a dead server is not hammered
                    self.assertEqual(row["errors"]["status"], 0, row)
                self.assertEqual(results["judgement"]["verdict"], "not ready")
                gateway.stop()

    def test_gateway_killed(self):
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            server = start_server(pathlib.Path(folder) / "data")
            gateway = start_gateway(server.address)
            timer = threading.Timer(1.2, gateway.kill)
            timer.start()
            row = novel_load("load", "--http", f"http://{gateway.address}", "--users", 5, "--think", 10, "--duration", 2.5,
                             "--endpoints", "health", code=3)["rows"][0]
            self.assertGreater(row["good"], 50)
            self.assertGreater(row["errors"]["connect"], 0)
            self.assertEqual(row["errors"]["status"], 0)
            server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
