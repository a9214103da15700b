"""Clients that work hard and mean well are not hurt by the limits: grpcio, grpc-js and grpc-go.  NOVEL_LONG_SECONDS=60
makes the streams last as long."""
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import unittest

import grpc

from harness import BUILD, ROOT
from test_abuse import Abuse
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1 import reflection_pb2 as v1, reflection_pb2_grpc as v1_stubs

HERE = pathlib.Path(__file__).parent
SECONDS = float(os.environ.get("NOVEL_LONG_SECONDS", "8"))
OWN = ("grpc.use_local_subchannel_pool", 1)
QUESTION = v1.ServerReflectionRequest(file_containing_symbol="novelengine.v1.NovelEngine")


class Honest(Abuse):
    def check_after(self):
        super().check_after()
        now = self.metrics()
        for name, value in self.before.items():
            if name.startswith("nrpc_abuse_total"):
                self.assertEqual(now[name], value, name)

    def channel(self, *options):
        channel = grpc.insecure_channel(self.server.address, options=[OWN, *options])
        self.addCleanup(channel.close)
        return channel

    def test_grpcio_streams_for_long(self):
        """A stream that rests, one that talks, and one that talks through a window of 64 KiB."""
        channel = self.channel(("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65535))
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        self.assertEqual(next(watch).status, 1)
        ended = threading.Event()
        watch.add_callback(ended.set)
        end, answers = time.monotonic() + SECONDS, 0

        def questions():
            while time.monotonic() < end:
                yield QUESTION
        for channel in (channel, self.channel()):
            for answer in v1_stubs.ServerReflectionStub(channel).ServerReflectionInfo(questions(), timeout=SECONDS + 60):
                self.assertTrue(answer.HasField("file_descriptor_response"))
                answers += 1
        self.assertGreater(answers, 10)
        self.assertFalse(ended.is_set())
        watch.cancel()

    def test_small_windows_at_full_speed(self):
        """40 MB through windows of 64 KiB, with and without the client's PINGs that probe the bandwidth."""
        for probe in (0, 1):
            channel = self.channel(("grpc.http2.bdp_probe", probe), ("grpc.http2.lookahead_bytes", 65535))
            stub, size = v1_stubs.ServerReflectionStub(channel), 0
            while size < 40 << 20:
                for answer in stub.ServerReflectionInfo(iter([QUESTION] * 200), timeout=60):
                    size += answer.ByteSize()

    def test_grpcio_hedges(self):
        """Of two calls that are under way the slower is cancelled, at once or a little later, 3,000 times."""
        stub = health_pb2_grpc.HealthStub(self.channel())
        codes = set()
        for i in range(3000):
            first = stub.Check.future(health_pb2.HealthCheckRequest(), timeout=20)
            second = stub.Check.future(health_pb2.HealthCheckRequest(), timeout=20)
            if i % 3 == 0:
                second.cancel()
            codes.add(first.code())
            second.cancel()
        self.assertEqual(codes, {grpc.StatusCode.OK})

    def test_many_calls_at_once(self):
        """1,000 calls on a new connection, before it has read how many streams it may open."""
        stub = health_pb2_grpc.HealthStub(self.channel())
        calls = [stub.Check.future(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(1000)]
        self.assertEqual({call.code() for call in calls}, {grpc.StatusCode.OK})

    def test_grpc_js(self):
        if not shutil.which("npm"):
            self.skipTest("npm is not installed: grpc-js was NOT tried")
        work = pathlib.Path(BUILD) / "js-honest"
        shutil.copytree(ROOT / "clients" / "js", work, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("node_modules", "example.js"))
        shutil.copy(HERE / "honest.js", work)
        install = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=work,
                                 capture_output=True, text=True, timeout=180)
        if install.returncode != 0:
            self.skipTest("npm cannot install here: grpc-js was NOT tried: " + install.stderr[-300:])
        out = subprocess.run(["node", "honest.js", self.server.address], cwd=work, capture_output=True, text=True,
                             timeout=120, env={**os.environ, "STUBS": str(pathlib.Path(BUILD) / "gen" / "python")})
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertRegex(out.stdout, r'"watched":"SERVING"', out.stdout)
        codes = set(re.findall(r'"(\w+)":\d+', out.stdout))
        self.assertLessEqual(codes, {"0", "1"}, out.stdout)  # ended or cancelled, never UNAVAILABLE

    def test_grpc_go(self):
        code = pathlib.Path("/usr/share/gocode")
        if not shutil.which("go") or not (code / "src/google.golang.org/grpc").is_dir():
            self.skipTest("golang-google-grpc-dev is not installed: grpc-go was NOT tried")
        binary = pathlib.Path(BUILD) / "tests" / "honest_go"
        binary.parent.mkdir(exist_ok=True)
        built = subprocess.run(["go", "build", "-o", str(binary), str(HERE / "honest.go")], capture_output=True, text=True,
                               timeout=300, env={**os.environ, "GO111MODULE": "off", "GOPATH": str(code), "GOFLAGS": "",
                                                 "GOCACHE": str(pathlib.Path(BUILD) / "go-cache")})
        self.assertEqual(built.returncode, 0, built.stderr)
        out = subprocess.run([str(binary), self.server.address, str(int(SECONDS))], capture_output=True, text=True,
                             timeout=SECONDS + 120)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        calls, cancelled = map(int, re.match(r"(\d+) calls, (\d+) cancelled", out.stdout).groups())
        self.assertGreater(calls, 10)


if __name__ == "__main__":
    unittest.main(defaultTest="Honest", verbosity=2)
