"""Foreign witnesses of TLS: grpcio in both roles, curl and openssl.  Usage: witness_tls.py ECHO_SERVER ECHO_CLIENT

Certificates are made by openssl when the test runs, so nothing here expires."""
import concurrent.futures
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc

SERVER, CLIENT = sys.argv[1:3]
HERE = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Certificates:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for ca in ("ca", "other-ca"):
            self.make(ca, f"/CN={ca}", "basicConstraints=critical,CA:TRUE")
        self.make("server", "/CN=server", HERE, "ca")
        self.make("client", "/O=Tests/CN=alice", "subjectAltName=DNS:alice.test", "ca")
        self.make("stranger", "/O=Tests/CN=mallory", "subjectAltName=DNS:alice.test", "other-ca")
        self.make("expired", "/CN=server", HERE, "ca", days=-1)
        self.make("elsewhere", "/CN=elsewhere", "subjectAltName=DNS:elsewhere.test", "ca")

    def make(self, name, subject, extension, ca=None, days=2):
        def openssl(*args, **kw):
            return subprocess.run(["openssl", *args], check=True, stderr=subprocess.DEVNULL, **kw)

        request = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                   "-keyout", self.path(name + ".key")]
        if ca is None:
            openssl("req", "-x509", *request, "-days", str(days), "-addext", extension, "-out", self.path(name + ".pem"))
            return
        openssl("req", *request, "-out", self.path("request.pem"))
        openssl("x509", "-req", "-in", self.path("request.pem"), "-CA", self.path(ca + ".pem"),
                "-CAkey", self.path(ca + ".key"), "-days", str(days), "-extfile", "/dev/stdin",
                "-out", self.path(name + ".pem"), input=extension.encode())

    def path(self, file):
        return str(self.folder / file)

    def read(self, file):
        return (self.folder / file).read_bytes()


class Server:
    def __init__(self, *args):
        self.process = subprocess.Popen([SERVER, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.port = self.address.rsplit(":", 1)[1]

    def reload(self):
        self.process.stdin.write("reload\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def stop(self):
        self.process.stdin.close()
        gauges = ""
        while not gauges.startswith("connections="):  # behind what it had to log
            gauges = self.process.stdout.readline()
            assert gauges, "it ended without its gauges"
        assert self.process.wait(30) == 0
        assert all(p.endswith("=0") for p in gauges.split()), gauges


def secure(certs, address, ca="ca.pem", cert=None, name=None):
    credentials = grpc.ssl_channel_credentials(
        certs.read(ca), certs.read(cert + ".key") if cert else None, certs.read(cert + ".pem") if cert else None)
    options = [("grpc.max_receive_message_length", -1)]
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(address.replace("127.0.0.1", "localhost"), credentials, options=options)


def unary(channel, body=b"hello", **kw):
    return channel.unary_unary("/test.Echo/Unary")(body, timeout=10, **kw)


def refused(channel):
    try:
        unary(channel)
    except grpc.RpcError as e:
        assert e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), e
        return
    raise AssertionError("no error")


def ours(*args):
    """What echo_client says: (code, text)."""
    done = subprocess.run([CLIENT, *args], capture_output=True, text=True, timeout=30)
    assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
    code, _, text = done.stdout.strip().partition(" ")
    return int(code), text


def grpcio_calls_us(certs):
    server = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"))
    with secure(certs, server.address) as channel:
        assert unary(channel) == b"hello"
        assert unary(channel, b"subject") == b"-"
        for size in (0, 1, 16379, 16384, 100_000, 3_000_000):
            assert unary(channel, bytes(size)) == bytes(size)
        assert len(unary(channel, b"big:20000000")) == 20_000_000
        stream = channel.unary_stream("/test.Echo/Stream")
        assert [len(m) for m in stream(b"count:5000:200")] == [200] * 5000
        futures = [channel.unary_unary("/test.Echo/Unary").future(b"%d" % i) for i in range(500)]
        assert [f.result() for f in futures] == [b"%d" % i for i in range(500)]
    for kw in ({"ca": "other-ca.pem"}, {"name": "elsewhere.test"}):
        with secure(certs, server.address, **kw) as channel:
            refused(channel)
    with grpc.insecure_channel(server.address) as channel:
        refused(channel)
    server.stop()
    server = Server("127.0.0.1:0", certs.path("expired.pem"), certs.path("expired.key"))
    with secure(certs, server.address) as channel:
        refused(channel)
    server.stop()


def grpcio_shows_who_it_is(certs):
    server = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"), certs.path("ca.pem"))
    with secure(certs, server.address, cert="client") as channel:
        assert unary(channel, b"subject") == b"CN=alice,O=Tests"
    for cert in (None, "stranger"):
        with secure(certs, server.address, cert=cert) as channel:
            refused(channel)
    server.stop()


def we_call_grpcio(certs):
    class Health(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method != "/grpc.health.v1.Health/Check":
                return None
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")

    for mutual in (False, True):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((Health(),))
        credentials = grpc.ssl_server_credentials([(certs.read("server.key"), certs.read("server.pem"))],
                                                  certs.read("ca.pem") if mutual else None, mutual)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        identity = [f"cert={certs.path('client.pem')}", f"key={certs.path('client.key')}"] if mutual else []
        trust = f"ca={certs.path('ca.pem')}"
        for target in (f"localhost:{port}", f"127.0.0.1:{port}"):
            assert ours(target, "200", trust, *identity) == (0, ""), target
        if mutual:
            assert ours(f"localhost:{port}", "1", trust)[0] == 14
        server.stop(None)


def our_errors_say_what_to_do(certs):
    server = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"))
    mutual = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"), certs.path("ca.pem"))
    expired = Server("127.0.0.1:0", certs.path("expired.pem"), certs.path("expired.key"))
    plain = Server("127.0.0.1:0")
    trust = f"ca={certs.path('ca.pem')}"
    cases = [
        (server.address, [f"ca={certs.path('other-ca.pem')}"], "unable to get local issuer certificate (--ca FILE?)"),
        (server.address, [trust, "name=elsewhere.test"], "ostname mismatch (--server-name NAME?)"),
        (server.address, [], "the server speaks TLS (--tls?)"),
        (expired.address, [trust], "certificate has expired"),
        (mutual.address, [trust], "asks for a client certificate (--cert FILE --key FILE?)"),
        (plain.address, [trust], "does not speak TLS (a plain port?)"),
    ]
    for address, options, text in cases:
        began = time.monotonic()
        code, said = ours(address, "1", *options)
        assert code == 14 and text in said, (address, options, code, said)
        assert time.monotonic() - began < 5, "no hang"
    assert ours(server.address, "10", "insecure") == (0, "")
    assert ours(server.address, "10", trust, "name=localhost") == (0, "")
    identity = [f"cert={certs.path('client.pem')}", f"key={certs.path('client.key')}"]
    assert ours(mutual.address, "10", trust, *identity) == (0, "")
    for s in (server, mutual, expired, plain):
        s.stop()


def tools(certs):
    server = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"))

    def s_client(*args):
        done = subprocess.run(["openssl", "s_client", "-connect", server.address, "-CAfile", certs.path("ca.pem"),
                               *args], input="", capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr

    for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        said = s_client(version, "-alpn", "h2")
        assert "ALPN protocol: h2" in said and name in said and "Verify return code: 0" in said, said
    assert "alert protocol version" in s_client("-tls1_1", "-alpn", "h2", "-cipher", "ALL:@SECLEVEL=0")
    assert "handshake failure" in s_client("-tls1_2", "-alpn", "h2", "-cipher", "AES128-GCM-SHA256")
    assert "handshake failure" in s_client("-tls1_2", "-alpn", "h2", "-cipher", "ECDHE-ECDSA-AES128-SHA")
    assert "no application protocol" in s_client("-alpn", "http/1.1")
    assert "no application protocol" in s_client()
    said = s_client("-tls1_2", "-alpn", "h2")
    assert "Secure Renegotiation IS supported" in said and "Compression: NONE" in said
    if shutil.which("curl"):
        def curl(*args):
            return subprocess.run(["curl", "-s", "-m", "10", "--cacert", certs.path("ca.pem"), "-o", "/dev/null", "-w",
                                   "%{http_version} %{http_code}", *args], capture_output=True, text=True).stdout
        assert curl("--http2", f"https://localhost:{server.port}/") == "2 405", curl("--http2", f"https://localhost:{server.port}/")
        assert curl("--http1.1", f"https://localhost:{server.port}/") == "0 000"
        assert curl(f"http://localhost:{server.port}/") == "1.1 400"
    server.stop()


def half_open_and_silent(certs):
    """Peers that connect and say nothing, or half a hello, hold no one up and are gone in the end."""
    server = Server("127.0.0.1:0", certs.path("server.pem"), certs.path("server.key"))
    peers = []
    for i in range(100):
        s = socket.create_connection(("127.0.0.1", int(server.port)))
        if i % 2:
            s.send(b"\x16\x03\x01\x01\x00")
        peers.append(s)
    with secure(certs, server.address) as channel:
        assert unary(channel) == b"hello"
    for s in peers[:50]:
        s.close()
    server.stop()  # with 50 of them still there


def reload_under_load(certs):
    """Certificates change while clients come and call; no call fails, and new connections get the new one."""
    for end in ("pem", "key"):
        shutil.copy(certs.path("server." + end), certs.path("live." + end))
    server = Server("127.0.0.1:0", certs.path("live.pem"), certs.path("live.key"))
    stop, failures, calls = threading.Event(), [], [0, 0, 0, 0]
    standing = secure(certs, server.address)
    assert unary(standing) == b"hello"

    def load(i):
        while not stop.is_set():
            try:
                with secure(certs, server.address) as channel:
                    for _ in range(5):
                        assert unary(channel) == b"hello"
                        calls[i] += 1
            except Exception as e:  # pylint: disable=broad-except
                failures.append(e)

    threads = [threading.Thread(target=load, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    serials = set()
    for round_ in range(10):
        certs.make("server", f"/CN=server{round_}", HERE, "ca")
        shutil.copy(certs.path("server.pem"), certs.path("live.pem"))
        assert "does not belong" in server.reload()  # the key is still the old one: nothing changed
        shutil.copy(certs.path("server.key"), certs.path("live.key"))
        assert server.reload() == "reloaded"
        said = subprocess.run(["openssl", "s_client", "-connect", server.address, "-alpn", "h2"], input="",
                              capture_output=True, text=True, timeout=20).stdout
        assert f"subject=CN = server{round_}\n" in said, said
        serials.add(round_)
        assert unary(standing) == b"hello"
    stop.set()
    for t in threads:
        t.join()
    standing.close()
    assert not failures, failures[:3]
    assert min(calls) > 0
    server.stop()


def main():
    with tempfile.TemporaryDirectory() as folder:
        certs = Certificates(folder)
        for step in (grpcio_calls_us, grpcio_shows_who_it_is, we_call_grpcio, our_errors_say_what_to_do, tools,
                     half_open_and_silent, reload_under_load):
            step(certs)
            print("ok", step.__name__, flush=True)


main()
