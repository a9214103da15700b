"""Bytes on the wire that no honest client sends, and clients that are not gRPC: clean answers, the server lives."""
import json
import socket
import struct
import subprocess
import unittest

from harness import Stack, rest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """HPACK literal without indexing, no Huffman."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


HEADERS = b"".join(literal(k, v) for k, v in [
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/novelengine.v1.NovelEngine/GetHealth"),
    (b":authority", b"x"), (b"content-type", b"application/grpc"), (b"te", b"trailers")])


def read_frames(connection, seconds=5):
    """All frames until the peer closes or is silent for a while after a stream ended."""
    connection.settimeout(seconds)
    data, frames = b"", []
    while True:
        while len(data) >= 9:
            size = int.from_bytes(data[:3], "big")
            if len(data) < 9 + size:
                break
            frames.append((data[3], data[4], int.from_bytes(data[5:9], "big") & 0x7fffffff, data[9:9 + size]))
            data = data[9 + size:]
            if frames[-1][0] in (3, 7) or (frames[-1][0] in (0, 1) and frames[-1][1] & 1):
                return frames
        try:
            more = connection.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return frames
        if not more:
            return frames
        data += more


class Wire(Stack):
    def open(self, *frames):
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(PREFACE + frame(4, 0, 0) + b"".join(frames))
        return connection

    def assert_alive(self):
        out = subprocess.run(["nghttp", "-nv", "-H", ":method: POST", "-H", "content-type: application/grpc",
                              "-H", "te: trailers", "-d", self.empty_message(),
                              f"http://{self.server.address}/novelengine.v1.NovelEngine/GetHealth"],
                             capture_output=True, text=True, timeout=30)
        self.assertRegex(out.stdout, r"grpc-status.*0", out.stdout + out.stderr)

    def empty_message(self):
        path = self.data.parent / "empty.bin"
        path.write_bytes(b"\0\0\0\0\0")
        return str(path)

    def test_nghttp(self):
        self.assert_alive()

    def test_every_byte_alone(self):
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.addCleanup(connection.close)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE + frame(4, 0, 0) + frame(1, 4, 1, HEADERS) + frame(0, 1, 1, b"\0\0\0\0\0"):
            connection.sendall(bytes([byte]))
        frames = read_frames(connection)
        self.assertTrue(any(f[0] == 0 and b"healthy" in f[3] for f in frames), frames)

    def test_length_prefix_of_4_gib(self):
        connection = self.open(frame(1, 4, 1, HEADERS), frame(0, 0, 1, b"\0\xff\xff\xff\xff" + b"x" * 100))
        frames = read_frames(connection)
        self.assertTrue(any(f[0] == 1 and f[2] == 1 for f in frames), frames)
        self.assert_alive()

    def test_truncated_message(self):
        connection = self.open(frame(1, 4, 1, HEADERS), frame(0, 1, 1, b"\0\0\0\0\x09abc"))
        frames = read_frames(connection)
        self.assertTrue(any(f[0] in (1, 3) and f[2] == 1 for f in frames), frames)
        self.assert_alive()

    def test_garbage(self):
        for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\0" * 100, b"\xff" * 1000,
                     PREFACE + b"\xff" * 100, PREFACE + frame(4, 0, 0) + frame(1, 4, 2, HEADERS),
                     PREFACE + frame(4, 0, 0) + frame(9, 4, 1, b"x"), PREFACE + frame(4, 0, 0) + frame(1, 4, 1, b"\xff" * 64)):
            connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
            connection.sendall(junk)
            read_frames(connection, 2)
            connection.close()
        self.assert_alive()

    def test_plain_http2_gets_415(self):
        out = subprocess.run(["nghttp", "-v", f"http://{self.server.address}/"], capture_output=True, text=True, timeout=30)
        self.assertRegex(out.stdout, r":status: (415|405|404)")


class RawHttp(Stack):
    """The gateway's own parser against raw bytes."""

    def send(self, data, piecewise=False):
        connection = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=10)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        if piecewise:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                connection.sendall(bytes([byte]))
        else:
            connection.sendall(data)
        return connection

    def answer(self, data, **more):
        connection = self.send(data, **more)
        connection.shutdown(socket.SHUT_WR)
        out = b""
        try:
            while chunk := connection.recv(65536):
                out += chunk
        except ConnectionResetError:
            pass
        return out

    def test_pipelining_keeps_order(self):
        one = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        two = b"GET /no-such HTTP/1.1\r\nHost: x\r\n\r\n"
        out = self.answer(one + two + one)
        import re
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d{3})", out), [b"200", b"404", b"200"])

    def test_half_closed_too_early(self):
        head = b"POST /simulations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        for cut in (head + b"Content-Length: 40\r\n\r\n{\"turns\": 1", head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
                    head + b"Content-Length: 40\r\n\r\n", head[:40]):
            out = self.answer(cut)
            self.assertTrue(out.startswith(b"HTTP/1.1 400"), (cut, out[:200]))
            self.assertIn(b"Connection: close", out)
            self.assertIn(b"MALFORMED_REQUEST", out)
        for silent in (b"", b"\r\n"):
            self.assertEqual(self.answer(silent), b"")

    def test_byte_by_byte(self):
        body = json.dumps({"character_names": ["pilot", "engineer"], "turns": 1, "seed": 3}).encode()
        head = b"POST /simulations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        chunked = b"".join(b"1\r\n" + bytes([c]) + b"\r\n" for c in body) + b"0\r\n\r\n"
        for data in (head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
                     head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked):
            out = self.answer(data, piecewise=True)
            self.assertTrue(out.startswith(b"HTTP/1.1 200"), out[:300])

    def test_smuggling_table(self):
        rows = [
            b"GET /livez HTTP/1.1\r\n\r\n",                                                  # no Host
            b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /livez HTTP/1.1\nHost: a\n\n",
            b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
            b"GET /li\x00vez HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /livez HTTP/1.2 \r\nHost: a\r\n\r\n",
            b"GET /livez\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
            b"POST /simulations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            b"POST /simulations HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
            b"GET /livez HTTP/3.0\r\nHost: a\r\n\r\n",
            b"GET livez HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n",
            b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 100000 + b"\r\n\r\n",
        ]
        for row in rows:
            with self.subTest(row=row[:70]):
                out = self.answer(row + b"GET /livez HTTP/1.1\r\nHost: smuggled\r\n\r\n")
                if out:
                    self.assertRegex(out[:12], rb"HTTP/1.1 [45]\d\d", out[:200])
                self.assertNotIn(b"HTTP/1.1 200", out)
        self.assertEqual(rest(self.gateway.port, "GET", "/livez").status, 200)

    def test_broken_percent_encoding(self):
        for path in (b"/%zz", b"/characters/%", b"/characters/%c3%28", b"/characters?page_size=%zz"):
            out = self.answer(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertRegex(out[:12], rb"HTTP/1.1 4\d\d", out[:200])

    def test_expect_continue(self):
        body = json.dumps({"character_names": ["pilot", "engineer"], "turns": 1, "seed": 3}).encode()
        connection = self.send(b"POST /simulations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
                               b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 100"))
        connection.sendall(body)
        out = b""
        while chunk := connection.recv(65536):
            out += chunk
        self.assertIn(b"HTTP/1.1 200", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
