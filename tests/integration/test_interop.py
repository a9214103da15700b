"""The public gRPC interop cases: our client and server against each other, and each against peers of other makes,
plain and with TLS.  INTEROP_STREAM_SECONDS: how long the honest streams run (5; 60 for the whole proof)."""
import base64
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc

from harness import BIN, BUILD, ROOT, Program

PEERS = ROOT / "tests" / "interop"
PYTHON = "/usr/bin/python3"
CPP, GO = BUILD / "tests" / "interop_peer_cpp", BUILD / "tests" / "interop_peer_go"
SHORT = ["--soak_iterations=3", "--iteration_interval=0", "--soak_per_iteration_max_acceptable_latency_ms=20000"]
CASE_SECONDS = 120
NAME = "foo.test.google.fr"
sys.path.insert(0, str(PEERS))
from interop_protos import protos  # noqa: E402 (where it is, is known only here)


def load_report():
    return protos.factory.GetPrototype(protos.pool.FindMessageTypeByName("xds.data.orca.v3.OrcaLoadReport"))


class Certificates:
    """A CA, a server's certificate by it, and another CA that signed nothing."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="interop-tls-")
        self.ca, self.other = self.make("ca", "basicConstraints=critical,CA:TRUE")[0], \
            self.make("other", "basicConstraints=critical,CA:TRUE")[0]
        self.certificate, self.key = self.make(
            "server", "subjectAltName=DNS:*.test.google.fr,DNS:localhost,IP:127.0.0.1", "ca")

    def make(self, name, extension, ca=None):
        path = str(pathlib.Path(self.folder.name) / name)
        signer = [] if ca is None else ["-CA", f"{self.folder.name}/{ca}.pem", "-CAkey", f"{self.folder.name}/{ca}.key"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}", "-days", "2", "-addext", extension, *signer,
                        "-keyout", path + ".key", "-out", path + ".pem"], check=True, capture_output=True)
        return path + ".pem", path + ".key"


def setUpModule():
    global certificates
    certificates = Certificates()


def tearDownModule():
    certificates.folder.cleanup()


def case_names(*without):
    """All our cases but those that begin with one of these."""
    lines = subprocess.run([BIN / "interop_client", "--list"], capture_output=True, text=True, check=True).stdout
    return [line for line in lines.splitlines() if "skipped" not in line and not line.startswith(without)]


def run_client(port, case, *more):
    """Our client with one case: its exit status and its output."""
    done = subprocess.run([BIN / "interop_client", "--server_host=127.0.0.1", f"--server_port={port}",
                           f"--test_case={case}", *SHORT, *more], capture_output=True, text=True, timeout=CASE_SECONDS)
    return done.returncode, done.stdout + done.stderr


def start_server(tls=False, run=()):
    secure = ["--use_tls=true", f"--tls_cert_file={certificates.certificate}", f"--tls_key_file={certificates.key}"]
    command = [*run, str(BIN / "interop_server"), "--port=0", "--bind=127.0.0.1", "--loops=2", *(secure if tls else [])]
    return Program(*command).ready()


def trust(tls):
    """Flags of our client."""
    return ["--use_tls", "--use_test_ca=true", f"--ca_file={certificates.ca}",
            f"--server_host_override={NAME}"] if tls else []


class Pairing:
    """One other make, in both roles.  command: how its program is started; left_out: cases of ours that its server
    cannot play, beside those with load reports."""

    left_out = ()
    streams = False

    def our_client(self, tls):
        secure = ["--tls", certificates.certificate, certificates.key] if tls else []
        peer = Program(*map(str, self.command), "server", *secure).ready()
        try:
            for case in case_names("orca", *self.left_out):
                with self.subTest(case=case):
                    status, output = run_client(peer.port, case, *trust(tls))
                    self.assertEqual(status, 0, output)
        finally:
            peer.kill()

    def run_peer(self, tls, what, seconds=CASE_SECONDS):
        """Its client, with a server of ours that must end with nothing left."""
        server = start_server(tls)
        secure = ["--tls", certificates.ca, NAME] if tls else []
        done = subprocess.run([*self.command, "client", server.address, what, *secure], capture_output=True, text=True,
                              timeout=seconds)
        server.stop()
        return done

    def our_server(self, tls):
        done = self.run_peer(tls, "all")
        passed = [line for line in done.stdout.splitlines() if line.endswith(": passed")]
        failed = [line for line in done.stdout.splitlines() if ": FAILED" in line]
        self.assertEqual(failed, [], done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreaterEqual(len(passed), 20, done.stdout + done.stderr)

    def test_our_client(self):
        self.our_client(False)

    def test_our_client_tls(self):
        self.our_client(True)

    def test_our_server(self):
        self.our_server(False)

    def test_our_server_tls(self):
        self.our_server(True)

    def test_long_streams(self):
        """A fast stream each way and a ping-pong: no part of it may count as abuse."""
        if not self.streams:
            self.skipTest("this peer streams in the cases only")
        seconds = os.environ.get("INTEROP_STREAM_SECONDS", "5")
        done = self.run_peer(False, f"stream:{seconds}", float(seconds) + CASE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("streamed", done.stdout)


    def test_many_small_calls(self):
        """Each side returns the windows of many small messages, which is not abuse either."""
        if not self.streams:
            self.skipTest("this peer streams in the cases only")
        seconds = os.environ.get("INTEROP_STREAM_SECONDS", "3")
        done = self.run_peer(False, f"small:{seconds}", float(seconds) + CASE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("called", done.stdout)
        peer = Program(*map(str, self.command), "server").ready()
        try:
            status, output = run_client(peer.port, "rpc_soak", "--soak_iterations=1500", "--soak_request_size=10",
                                        "--soak_response_size=10")
            self.assertEqual(status, 0, output[-2000:])
        finally:
            peer.kill()


class Grpcio(Pairing, unittest.TestCase):
    command = [PYTHON, PEERS / "peer_grpcio.py"]
    left_out = ("client_compressed",)  # it does not show a server the flag of a message
    streams = True


@unittest.skipUnless(CPP.exists(), "the C++ peer is not built: libgrpc++-dev is missing, or this is a sanitizer build")
class Cpp(Pairing, unittest.TestCase):
    command = [CPP]
    streams = True


@unittest.skipUnless(GO.exists(), "the Go peer is not built: Debian's Go packages are missing, or this is a sanitizer build")
class Go(Pairing, unittest.TestCase):
    command = [GO]
    left_out = ("client_compressed", "server_compressed")  # this version shows no flags, and answers as it was asked
    streams = True


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


class Js(Pairing, unittest.TestCase):
    left_out = ("client_compressed", "server_compressed")  # it neither shows the flag of a message nor sets it for one

    @classmethod
    def setUpClass(cls):
        why = install_js()
        if why is not None:
            print(f"SKIPPED: no grpc-js peer: {why}", file=sys.stderr)
            raise unittest.SkipTest(why)
        cls.command = [shutil.which("node"), BUILD / "tests" / "interop-node" / "peer.js",
                       BUILD / "gen" / "interop" / "interop.fds"]


class Ours(unittest.TestCase):
    def test_each_case_leaves_nothing(self):
        """A server a case: it exits 0 only when no connection, call, message or timer is left."""
        for tls in (False, True):
            for case in case_names():
                with self.subTest(case=case, tls=tls):
                    server = start_server(tls)
                    status, output = run_client(server.port, case, *trust(tls))
                    self.assertEqual(status, 0, output)
                    server.stop()

    def test_all(self):
        server = start_server()
        status, output = run_client(server.port, "all", "--additional_metadata=x-one:1;x-two:2")
        server.stop()
        self.assertEqual(status, 0, output)
        self.assertIn(f"{len(case_names())} passed, 0 failed", output)

    def test_clients_beside_each_other(self):
        """Six clients with all cases at once: what the thread sanitizer's preset is for."""
        server = start_server()
        clients = [subprocess.Popen([BIN / "interop_client", "--server_host=127.0.0.1", f"--server_port={server.port}",
                                     "--test_case=all", *SHORT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    text=True) for _ in range(6)]
        for client in clients:
            output, _ = client.communicate(timeout=3 * CASE_SECONDS)
            self.assertEqual(client.returncode, 0, output)
        server.stop()

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

    def test_trust(self):
        """A certificate by another CA, one for another name, and plain words to a TLS port: no call is made."""
        server = start_server(True)
        for flags in (["--use_tls", f"--ca_file={certificates.other}", f"--server_host_override={NAME}"],
                      ["--use_tls", f"--ca_file={certificates.ca}", "--server_host_override=elsewhere.test"], []):
            with self.subTest(flags=flags):
                status, output = run_client(server.port, "empty_unary", *flags)
                self.assertEqual(status, 1, output)
                self.assertIn("UNAVAILABLE", output)
        server.stop()

    def test_a_certificate_of_its_own(self):
        """--use_tls alone: the server says whom to trust, and its certificate names a host."""
        server = Program("interop_server", "--port=0", "--bind=127.0.0.1", "--use_tls=true")
        ready = server.wait_event("ready")
        public = "gocode" in ready["ca_file"]
        status, output = run_client(ready["port"], "large_unary", "--use_tls=true", f"--ca_file={ready['ca_file']}",
                                    *([f"--server_host_override={NAME}"] if public else []))
        self.assertEqual(status, 0, output)
        server.stop()

    def test_health_and_reflection(self):
        """On the same port, by the bytes: Check says SERVING, and reflection lists the services."""
        server = start_server()
        with grpc.insecure_channel(server.address) as channel:
            self.assertEqual(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60), b"\x08\x01")
            for version in ("v1", "v1alpha"):
                ask = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
                answer, = ask(iter([b"\x3a\x00"]), timeout=60)  # list_services
                for name in (b"grpc.testing.TestService", b"grpc.testing.BenchmarkService", b"grpc.health.v1.Health",
                             b"xds.service.orca.v3.OpenRcaService"):
                    self.assertIn(name, answer)
                answer, = ask(iter([b"\x22\x18grpc.testing.TestService"]), timeout=60)  # file_containing_symbol
                self.assertIn(b"grpc/testing/test.proto", answer)
        server.stop()

    def test_load_report_of_a_call(self):
        """In the trailers, as curl shows them: grpcio keeps this one to itself."""
        report = {"cpu_utilization": .25, "utilization": {"c": .125}, "request_cost": {"a": 1, "b": 2}}
        request = protos.SimpleRequest(orca_per_query_report={**report, "memory_utilization": .5}).SerializeToString()
        server = start_server()
        shown = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", os.devnull, "-m", "60",
                                "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-",
                                f"http://{server.address}/grpc.testing.TestService/UnaryCall"],
                               input=b"\0" + len(request).to_bytes(4, "big") + request, capture_output=True, check=True)
        server.stop()
        value, = (line.split(b": ")[1] for line in shown.stdout.splitlines()
                  if line.startswith(b"endpoint-load-metrics-bin"))
        got = load_report().FromString(base64.b64decode(value + b"=" * (-len(value) % 4)))
        self.assertEqual(got, load_report()(mem_utilization=.5, **report))

    def test_load_reports_out_of_band(self):
        """Out of band, as grpcio reads them: what was set, within bounds, until the stream or the server ends."""
        report = protos.TestOrcaReport(cpu_utilization=.25, memory_utilization=.5, request_cost={"a": 1, "b": 2},
                                       utilization={"c": .125})
        large = protos.TestOrcaReport(utilization={str(i): 1 for i in range(65)})
        server = start_server()
        with grpc.insecure_channel(server.address) as channel:
            unary = channel.unary_unary("/grpc.testing.TestService/UnaryCall", protos.SimpleRequest.SerializeToString)
            duplex = channel.stream_stream("/grpc.testing.TestService/FullDuplexCall",
                                           protos.StreamingOutputCallRequest.SerializeToString)
            metrics = channel.unary_stream("/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
                                           response_deserializer=load_report().FromString)

            one = protos.StreamingOutputCallRequest(response_parameters=[{"size": 1}], orca_oob_report=report)
            first, second = queue.Queue(), queue.Queue()
            reports = metrics(b"", timeout=60)  # no interval
            self.assertEqual(next(reports), load_report()())
            first.put(one)
            holder = duplex(iter(first.get, None), timeout=60)
            next(holder)
            while (got := next(reports)) == load_report()():
                pass
            self.assertEqual(got, load_report()(cpu_utilization=.25, mem_utilization=.5, utilization={"c": .125}))
            one.orca_oob_report.cpu_utilization = 1
            second.put(one)
            waiter = duplex(iter(second.get, None), timeout=60)
            self.assertEqual(next(reports).cpu_utilization, .25)  # the other call still holds it
            first.put(None)
            self.assertEqual(list(holder), [])
            next(waiter)
            while next(reports).cpu_utilization != 1:
                pass
            second.put(None)
            self.assertEqual(list(waiter), [])
            while next(reports) != load_report()():
                pass

            for refuse in (lambda: unary(protos.SimpleRequest(orca_per_query_report=large), timeout=60),
                           lambda: list(duplex(iter([protos.StreamingOutputCallRequest(orca_oob_report=large)]),
                                               timeout=60))):
                with self.assertRaises(grpc.RpcError) as caught:
                    refuse()
                self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            list(reports)  # it ends with the drain, and well
            self.assertEqual(reports.code(), grpc.StatusCode.OK)
            stopping.join()

    def test_flags(self):
        server = start_server()
        try:
            port = str(server.port)
            for words, status in ((["--server_port", port, "--use_tls", "false"], 0), (["-server_port=" + port], 0),
                                  (["--server_port=" + port, "--nouse_tls", "--use_test_ca=true"], 0),
                                  (["--server_port=" + port, "--test_case=jwt_token_creds"], 77),
                                  (["--server_port=" + port, "--test_case=none"], 2), (["--server_port=x"], 2),
                                  (["--server_port=" + port, "--no_such_flag"], 2), (["--server_port"], 2),
                                  (["--server_port=" + port, "--additional_metadata=x"], 2),
                                  (["--server_port=" + port, "--use_tls", "--ca_file=/dev/null"], 2)):
                with self.subTest(words=words):
                    done = subprocess.run([BIN / "interop_client", "--test_case=empty_unary", *words],
                                          capture_output=True, text=True, timeout=CASE_SECONDS)
                    self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        finally:
            server.stop()


@unittest.skipUnless(os.environ.get("INTEROP_VALGRIND"), "takes a minute: ctest -C valgrind -R interop_valgrind")
class Valgrind(unittest.TestCase):
    """Both programs over all cases, plain and TLS, without an error and without a leak."""

    command = ["/usr/bin/valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
               "--errors-for-leak-kinds=definite,indirect,possible"]

    def test_all(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                server = start_server(tls, run=self.command)
                client = subprocess.run([*self.command, BIN / "interop_client", "--server_host=127.0.0.1",
                                         f"--server_port={server.port}", "--test_case=all", *SHORT, *trust(tls)],
                                        capture_output=True, text=True, timeout=900)
                self.assertEqual(client.returncode, 0, client.stdout + client.stderr)
                server.stop(120)


if __name__ == "__main__":
    unittest.main(verbosity=2)
