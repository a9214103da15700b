"""TLS and inherited sockets of the programs: novel-server, novel-gateway on both sides, novelctl; certificates are made
by openssl when the test runs, so nothing here expires."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

import harness
from grpc_channelz.v1 import channelz_pb2 as cz, channelz_pb2_grpc as cz_stubs  # noqa: E402
from novelengine.v1 import novel_engine_pb2 as pb  # noqa: E402
from novelengine.v1 import novel_engine_pb2_grpc as stubs  # noqa: E402

HERE = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Certificates:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="novel-tls-")
        for ca in ("ca", "other-ca"):
            self.make(ca, f"/CN={ca}", "basicConstraints=critical,CA:TRUE")
        self.make("server", "/CN=server", HERE, "ca")
        self.make("front", "/CN=front", HERE, "ca")
        self.make("gateway", "/O=Novel/CN=gateway", "subjectAltName=DNS:gateway.test", "ca")
        self.make("stranger", "/CN=stranger", "subjectAltName=DNS:gateway.test", "other-ca")

    def __getitem__(self, file):
        return str(pathlib.Path(self.folder.name) / file)

    def make(self, name, subject, extension, ca=None):
        def openssl(*args, **kw):
            return subprocess.run(["openssl", *args], check=True, stderr=subprocess.DEVNULL, **kw)

        request = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                   "-keyout", self[name + ".key"]]
        if ca is None:
            openssl("req", "-x509", *request, "-days", "2", "-addext", extension, "-out", self[name + ".pem"])
            return
        openssl("req", *request, "-out", self["request.pem"])
        openssl("x509", "-req", "-in", self["request.pem"], "-CA", self[ca + ".pem"], "-CAkey", self[ca + ".key"],
                "-days", "2", "-extfile", "/dev/stdin", "-out", self[name + ".pem"], input=extension.encode())


def novelctl(*args):
    done = subprocess.run([str(harness.BIN / "novelctl"), *args], capture_output=True, text=True, timeout=60,
                          env={k: v for k, v in os.environ.items() if not k.startswith("NOVELCTL")})
    return done.returncode, done.stdout, done.stderr


def subject_at(port):
    said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2"], input="",
                          capture_output=True, text=True, timeout=20).stdout
    return next((line.split("=", 1)[1].strip() for line in said.splitlines() if line.startswith("subject=")), None)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certs = Certificates()
        c = cls.certs
        cls.data = tempfile.TemporaryDirectory(prefix="novel-test-")
        cls.server = harness.start_server(
            cls.data.name, "--tls-cert", c["server.pem"], "--tls-key", c["server.key"], "--tls-client-ca", c["ca.pem"],
            "--channelz")
        cls.gateway = harness.start_gateway(
            f"localhost:{cls.server.port}", "--backend-ca", c["ca.pem"], "--backend-cert", c["gateway.pem"],
            "--backend-key", c["gateway.key"], "--tls-cert", c["front.pem"], "--tls-key", c["front.key"])
        cls.identity = ("--ca", c["ca.pem"], "--cert", c["gateway.pem"], "--key", c["gateway.key"])

    @classmethod
    def tearDownClass(cls):
        try:
            cls.gateway.stop()
            cls.server.stop()
        finally:
            cls.data.cleanup()
            cls.certs.folder.cleanup()

    def curl(self, *args):
        done = subprocess.run(["curl", "-sS", "-m", "20", "--cacert", self.certs["ca.pem"], *args],
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def channel(self, cert="gateway"):
        c = self.certs
        read = lambda name: pathlib.Path(c[name]).read_bytes()  # noqa: E731
        credentials = grpc.ssl_channel_credentials(read("ca.pem"), read(cert + ".key") if cert else None,
                                                   read(cert + ".pem") if cert else None)
        return grpc.secure_channel(f"localhost:{self.server.port}", credentials)

    def test_grpcio(self):
        with self.channel() as channel:
            health = stubs.NovelEngineStub(channel).GetHealth(pb.GetHealthRequest(), timeout=10)
            self.assertEqual(health.status, "healthy")
        for cert in (None, "stranger"):
            with self.channel(cert) as channel, self.assertRaises(grpc.RpcError) as caught:
                stubs.NovelEngineStub(channel).GetHealth(pb.GetHealthRequest(), timeout=5)
            self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_channelz_names_the_cipher(self):
        with self.channel() as channel:
            z = cz_stubs.ChannelzStub(channel)
            server = z.GetServers(cz.GetServersRequest(), timeout=10).server[0]
            sockets = z.GetServerSockets(cz.GetServerSocketsRequest(server_id=server.ref.server_id), timeout=10)
            found = [z.GetSocket(cz.GetSocketRequest(socket_id=ref.socket_id), timeout=10).socket.security.tls.standard_name
                     for ref in sockets.socket_ref]
        self.assertTrue(any(name.startswith("TLS_AES_") or name.startswith("TLS_CHACHA20_") for name in found), found)

    def test_gateway_in_the_middle(self):
        for version, name in (("--http1.1", "1.1"), ("--http2", "2")):
            code, out, err = self.curl(version, "-w", "\n%{http_version} %{http_code}",
                                       f"https://localhost:{self.gateway.port}/health")
            self.assertEqual(code, 0, err)
            body, _, told = out.rpartition("\n")
            self.assertEqual(told, f"{name} 200", body)
            self.assertEqual(json.loads(body)["status"], "healthy")
        code, out, _ = self.curl("-i", f"http://127.0.0.1:{self.gateway.port}/health")
        self.assertIn("400 Bad Request", out)
        self.assertIn("speaks TLS", out)

    def test_a_simulation_streams_through_both(self):
        context = ssl.create_default_context(cafile=self.certs["ca.pem"])
        connection = http.client.HTTPSConnection("localhost", self.gateway.port, timeout=60, context=context)
        connection.request("POST", "/simulations:stream", json.dumps(
            {"character_names": harness.CAST, "turns": 2, "setting": "a station", "scenario": "a signal", "seed": 7}),
            {"Content-Type": "application/json", "Accept": "text/event-stream"})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        events = list(harness.sse_events(response))
        self.assertGreater(len(events), 5)
        connection.close()

    def test_novelctl(self):
        address = f"localhost:{self.server.port}"
        code, out, err = novelctl("health", "--server", address, *self.identity)
        self.assertEqual(code, 0, err)
        cases = [
            (("--ca", self.certs["ca.pem"]), "asks for a client certificate (--cert FILE --key FILE?)"),
            (("--ca", self.certs["other-ca.pem"]), "unable to get local issuer certificate (--ca FILE?)"),
            (("--server-name", "elsewhere.test", *self.identity), "ostname mismatch (--server-name NAME?)"),
            ((), "the server speaks TLS (--tls?)"),
        ]
        for flags, text in cases:
            code, out, err = novelctl("health", "--server", address, *flags)
            self.assertEqual(code, 4, err)
            self.assertIn(text, err)
            self.assertNotIn("Start it with", err)
        code, _, err = novelctl("health", "--server", address, "--ca", "/nonexistent.pem")
        self.assertEqual(code, 2)
        self.assertIn("No such file", err)
        code, _, err = novelctl("health", "--server", address, "--cert", self.certs["gateway.pem"])
        self.assertEqual(code, 2)
        self.assertIn("belong together", err)

    def test_python_example(self):
        c = self.certs
        done = subprocess.run(["/usr/bin/python3", str(harness.ROOT / "clients/python/example.py"),
                               f"localhost:{self.server.port}", "--ca", c["ca.pem"], "--cert", c["gateway.pem"], "--key",
                               c["gateway.key"]], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PYTHONPATH": str(harness.STUBS)})
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("each once", done.stdout)

    def test_checked_without_starting(self):
        c = self.certs
        cases = [
            ("novel-server", ("--tls-cert", c["server.pem"]), "belong together"),
            ("novel-server", ("--tls-cert", c["server.pem"], "--tls-key", c["front.key"]), "does not belong"),
            ("novel-server", ("--tls-cert", c["server.pem"], "--tls-key", c["server.key"], "--tls-client-ca", "/none"),
             "No such file"),
            ("novel-gateway", ("--tls-cert", "/none", "--tls-key", c["front.key"]), "No such file"),
            ("novel-gateway", ("--backend-cert", c["gateway.pem"]), "belong together"),
            ("novel-gateway", ("--backend-ca", c["front.key"]), "CA file"),
        ]
        for program, flags, text in cases:
            done = subprocess.run([str(harness.BIN / program), "--check-config", *flags], capture_output=True, text=True,
                                  timeout=20)
            self.assertEqual(done.returncode, 2, (program, flags))
            self.assertIn(text, done.stderr)
        good = subprocess.run([str(harness.BIN / "novel-server"), "--check-config", "--tls-cert", c["server.pem"],
                               "--tls-key", c["server.key"]], capture_output=True, text=True, timeout=20,
                              env={**os.environ, "NOVEL_SERVER_TLS_MIN_VERSION": "1.3"})
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("tls-min-version: \"1.3\"", good.stdout.replace("'", '"'))


class Reload(unittest.TestCase):
    """New certificates reach new connections by SIGHUP and by themselves; no call fails meanwhile."""

    def test_reload_under_load(self):
        c = Certificates()
        for end in ("pem", "key"):
            shutil.copy(c["server." + end], c["live." + end])
        with tempfile.TemporaryDirectory() as data:
            server = harness.start_server(data, "--tls-cert", c["live.pem"], "--tls-key", c["live.key"])
            gateway = harness.start_gateway(f"localhost:{server.port}", "--backend-ca", c["ca.pem"], "--tls-cert",
                                            c["live.pem"], "--tls-key", c["live.key"])
            stop, failures, calls = threading.Event(), [], [0]

            def load():
                context = ssl.create_default_context(cafile=c["ca.pem"])
                while not stop.is_set():
                    try:
                        connection = http.client.HTTPSConnection("localhost", gateway.port, timeout=20, context=context)
                        for _ in range(5):
                            connection.request("GET", "/health")
                            response = connection.getresponse()
                            body = response.read()
                            if response.status != 200 or json.loads(body)["status"] != "healthy":
                                failures.append((response.status, body))
                            calls[0] += 1
                        connection.close()
                    except Exception as e:  # pylint: disable=broad-except
                        failures.append(e)

            threads = [threading.Thread(target=load) for _ in range(3)]
            for t in threads:
                t.start()
            try:
                for round_ in range(3):
                    c.make("server", f"/CN=server{round_}", HERE, "ca")
                    shutil.copy(c["server.key"], c["live.key"])
                    for program in (server, gateway):
                        program.process.send_signal(signal.SIGHUP)
                        entry = program.wait_event("certificates_kept")  # the certificate is still the old one
                        self.assertIn("does not belong", entry["error"])
                    shutil.copy(c["server.pem"], c["live.pem"])
                    for program in (server, gateway):
                        if round_ < 2:
                            program.process.send_signal(signal.SIGHUP)
                        program.wait_event("certificates_read")  # in the last round without being asked
                        self.assertEqual(subject_at(program.port), f"CN = server{round_}")
            finally:
                stop.set()
                for t in threads:
                    t.join()
            self.assertEqual(failures, [])
            self.assertGreater(calls[0], 20)
            gateway.stop()
            server.stop()
        c.folder.cleanup()


class Inherited(unittest.TestCase):
    """Sockets that the parent opened."""

    def launch(self, program, *args, sockets, names=None, listen_pid=True):
        """As a service manager does: descriptors from 3 on, LISTEN_PID set in the child."""
        script = ("import os,sys\n"
                  "fds=[int(f) for f in sys.argv[1].split(',')]\n"
                  "high=[os.dup2(f, 50 + i) for i, f in enumerate(fds)]\n"
                  "[os.dup2(f, 3 + i, inheritable=True) for i, f in enumerate(high)]\n"
                  "[os.close(f) for f in high]\n"
                  "os.environ['LISTEN_FDS'] = str(len(fds))\n"
                  "os.environ['LISTEN_PID'] = str(os.getpid() if sys.argv[2] == '1' else 1)\n"
                  "os.environ['LISTEN_FDNAMES'] = sys.argv[3]\n"
                  "os.execv(sys.argv[4], sys.argv[4:])\n")
        fds = [s.fileno() for s in sockets]
        return subprocess.Popen(
            ["/usr/bin/python3", "-c", script, ",".join(map(str, fds)), "1" if listen_pid else "0", names or "",
             str(harness.BIN / program), *args], pass_fds=fds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def listening():
        s = socket.create_server(("127.0.0.1", 0), backlog=16)
        return s, s.getsockname()[1]

    def ready(self, process):
        for line in process.stdout:
            if '"event":"ready"' in line:
                return
        self.fail(f"ended: {process.wait(5)}")

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        self.assertEqual(process.wait(30), 0)
        process.stdout.close()

    def test_server_and_gateway(self):
        (a, a_port), (b, b_port), (c, c_port) = self.listening(), self.listening(), self.listening()
        with tempfile.TemporaryDirectory() as data:
            # A connection made before the program runs is served once it does.
            early = grpc.insecure_channel(f"127.0.0.1:{a_port}")
            future = stubs.NovelEngineStub(early).GetHealth.future(pb.GetHealthRequest(), timeout=30, wait_for_ready=True)
            server = self.launch("novel-server", "--listen", "systemd", "--data", data, sockets=(a, b), names="grpc:more")
            self.ready(server)
            self.assertEqual(future.result().status, "healthy")
            early.close()
            code, _, err = novelctl("health", "--server", f"127.0.0.1:{b_port}")
            self.assertEqual(code, 0, err)
            gateway = self.launch("novel-gateway", "--listen", "systemd:http", "--backend", f"127.0.0.1:{a_port}",
                                  sockets=(c,), names="http")
            self.ready(gateway)
            self.assertEqual(harness.rest(c_port, "GET", "/health").json()["status"], "healthy")
            self.end(gateway)
            self.end(server)
            for s in (a, b, c):
                s.close()

    def test_by_number(self):
        a, port = self.listening()
        with tempfile.TemporaryDirectory() as data:
            server = self.launch("novel-server", "--listen", "fd:3", "--data", data, sockets=(a,), listen_pid=False)
            self.ready(server)
            code, _, err = novelctl("health", "--server", f"127.0.0.1:{port}")
            self.assertEqual(code, 0, err)
            self.end(server)
        a.close()

    def test_nothing_handed_over(self):
        with tempfile.TemporaryDirectory() as data:
            for address in ("systemd", "systemd:grpc"):
                done = subprocess.run([str(harness.BIN / "novel-server"), "--listen", address, "--data", data],
                                      capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 1)
                self.assertIn("no such socket was handed over", done.stderr)

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "no systemd-socket-activate")
    def test_systemds_own_launcher(self):
        free, port = self.listening()
        free.close()
        with tempfile.TemporaryDirectory() as data:
            process = subprocess.Popen(
                ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=grpc", str(harness.BIN / "novel-server"),
                 "--listen", "systemd:grpc", "--data", data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            end = time.monotonic() + 20
            while True:  # it starts the server when somebody comes
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
            self.ready(process)
            code, _, err = novelctl("health", "--server", f"127.0.0.1:{port}")
            self.assertEqual(code, 0, err)
            self.end(process)


if __name__ == "__main__":
    unittest.main(verbosity=2)
