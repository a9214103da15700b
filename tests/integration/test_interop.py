"""The public gRPC interop cases: our client and server against each other, and each against peers of other makes."""
import os
import shutil
import subprocess
import sys
import unittest

import grpc

from harness import BIN, BUILD, ROOT, Program

PEERS = ROOT / "tests" / "interop"
PYTHON = "/usr/bin/python3"
CPP = BUILD / "tests" / "interop_peer_cpp"
SHORT = ["--soak_iterations=3", "--iteration_interval=0", "--soak_per_iteration_max_acceptable_latency_ms=20000"]
CASE_SECONDS = 120


def case_names(*without):
    """All our cases but those that begin with one of these."""
    lines = subprocess.run([BIN / "interop_client", "--list"], capture_output=True, text=True, check=True).stdout
    return [line for line in lines.splitlines() if "skipped" not in line and not line.startswith(without)]


def run_client(port, case, *more):
    """Our client with one case; its output, and its exit status."""
    done = subprocess.run([BIN / "interop_client", "--server_host=127.0.0.1", f"--server_port={port}",
                           f"--test_case={case}", *SHORT, *more], capture_output=True, text=True, timeout=CASE_SECONDS)
    return done.returncode, done.stdout + done.stderr


def start_server(*more):
    return Program("interop_server", "--port=0", "--bind=127.0.0.1", "--loops=2", *more).ready()


class Peer(unittest.TestCase):
    """What every pairing does; a subclass names the peer."""

    def our_client(self, port, cases, *more):
        for case in cases:
            with self.subTest(case=case):
                status, output = run_client(port, case, *more)
                self.assertEqual(status, 0, output)

    def foreign_client(self, command):
        """Another client, all of its cases, with a server of ours whose gauges must be zero afterwards."""
        server = start_server()
        done = subprocess.run([*command(server.address), "all"], capture_output=True, text=True, timeout=CASE_SECONDS)
        server.stop()
        passed = [line.partition(":")[0] for line in done.stdout.splitlines() if line.endswith(": passed")]
        failed = [line for line in done.stdout.splitlines() if ": FAILED" in line]
        self.assertEqual(failed, [], done.stdout + done.stderr)
        self.assertGreaterEqual(len(passed), 20, done.stdout + done.stderr)


    def long_streams(self, command):
        """An honest peer, for INTEROP_STREAM_SECONDS (60 for the whole proof): no part of it may count as abuse."""
        seconds = os.environ.get("INTEROP_STREAM_SECONDS", "5")
        server = start_server()
        done = subprocess.run([*command, server.address, f"stream:{seconds}"], capture_output=True, text=True,
                              timeout=float(seconds) + CASE_SECONDS)
        server.stop()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Ours(Peer):
    def test_each_case_leaves_nothing(self):
        """A server a case: it exits 0 only when no connection, call, message or timer is left."""
        for case in case_names():
            with self.subTest(case=case):
                server = start_server()
                status, output = run_client(server.port, case)
                self.assertEqual(status, 0, output)
                server.stop()

    def test_all(self):
        server = start_server()
        status, output = run_client(server.port, "all", "--additional_metadata=x-one:1;x-two:2")
        server.stop()
        self.assertEqual(status, 0, output)
        self.assertIn(f"{len(case_names())} passed, 0 failed", output)

    def test_a_failing_case_is_seen(self):
        server = start_server()
        try:
            status, output = run_client(server.port, "rpc_soak", "--soak_response_size=1",
                                        "--soak_per_iteration_max_acceptable_latency_ms=0", "--soak_iterations=20",
                                        "--soak_request_size=4000000", "--soak_overall_timeout_seconds=60")
            self.assertEqual(status, 1, output)
            self.assertIn("rpc_soak failed", output)
        finally:
            server.stop()
        status, output = run_client(server.port, "empty_unary")  # nobody listens
        self.assertEqual(status, 1, output)
        self.assertIn("UNAVAILABLE", output)

    def test_health_and_reflection(self):
        """On the same port, by the bytes: Check says SERVING, and reflection lists the services."""
        server = start_server()
        with grpc.insecure_channel(server.address) as channel:
            self.assertEqual(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60), b"\x08\x01")
            for version in ("v1", "v1alpha"):
                ask = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
                answer, = ask(iter([b"\x3a\x00"]), timeout=60)  # list_services
                for name in (b"grpc.testing.TestService", b"grpc.testing.BenchmarkService", b"grpc.health.v1.Health"):
                    self.assertIn(name, answer)
                answer, = ask(iter([b"\x22\x18grpc.testing.TestService"]), timeout=60)  # file_containing_symbol
                self.assertIn(b"grpc/testing/test.proto", answer)
        server.stop()

    def test_flags(self):
        server = start_server()
        try:
            port = str(server.port)
            for words, status in ((["--server_port", port, "--use_tls", "false"], 0), (["-server_port=" + port], 0),
                                  (["--server_port=" + port, "--nouse_tls", "--use_test_ca=true"], 0),
                                  (["--server_port=" + port, "--test_case=orca_oob"], 77),
                                  (["--server_port=" + port, "--test_case=none"], 2), (["--server_port=x"], 2),
                                  (["--server_port=" + port, "--no_such_flag"], 2), (["--server_port"], 2),
                                  (["--server_port=" + port, "--additional_metadata=x"], 2)):
                with self.subTest(words=words):
                    done = subprocess.run([BIN / "interop_client", "--test_case=empty_unary", *words],
                                          capture_output=True, text=True, timeout=CASE_SECONDS)
                    self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        finally:
            server.stop()


class Grpcio(Peer):
    def test_our_client(self):
        peer = Program(PYTHON, str(PEERS / "peer_grpcio.py"), "server").ready()
        try:  # grpcio does not show a server the flag of a message
            self.our_client(peer.port, case_names("client_compressed"))
        finally:
            peer.kill()

    def test_our_server(self):
        self.foreign_client(lambda address: [PYTHON, PEERS / "peer_grpcio.py", "client", address])

    def test_long_streams(self):
        self.long_streams([PYTHON, PEERS / "peer_grpcio.py", "client"])


@unittest.skipUnless(CPP.exists(), "the C++ peer is not built: libgrpc++-dev is missing, or this is a sanitizer build")
class Cpp(Peer):
    def test_our_client(self):
        peer = Program(str(CPP), "server").ready()
        try:
            self.our_client(peer.port, case_names())
        finally:
            peer.kill()

    def test_our_server(self):
        self.foreign_client(lambda address: [CPP, "client", address])

    def test_long_streams(self):
        self.long_streams([CPP, "client"])


def install_js():
    """grpc-js, by the exact versions of the lockfile, into the build; the reason when that cannot be."""
    folder = BUILD / "tests" / "interop-node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "peer.js"):
        shutil.copy(PEERS / "node" / name, folder / name)
    lock = (folder / "package-lock.json").read_text()
    done = folder / "node_modules" / "installed-lock.json"
    if done.exists() and done.read_text() == lock:
        return None
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are missing"
    try:
        run = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, timeout=120,
                             capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return "npm ci takes longer than two minutes"
    if run.returncode != 0:
        return "npm ci failed: " + run.stderr.strip()[-200:]
    done.write_text(lock)
    return None


class Js(Peer):
    @classmethod
    def setUpClass(cls):
        why = install_js()
        if why is not None:
            print(f"SKIPPED: no grpc-js peer: {why}", file=sys.stderr)
            raise unittest.SkipTest(why)
        cls.command = [shutil.which("node"), BUILD / "tests" / "interop-node" / "peer.js",
                       BUILD / "gen" / "interop" / "interop.fds"]

    def test_our_client(self):
        peer = Program(*map(str, self.command), "server").ready()
        try:  # grpc-js neither shows a server the flag of a message nor sets it for one
            self.our_client(peer.port, case_names("client_compressed", "server_compressed"))
        finally:
            peer.kill()

    def test_our_server(self):
        self.foreign_client(lambda address: [*self.command, "client", address])


if __name__ == "__main__":
    unittest.main(verbosity=2)
