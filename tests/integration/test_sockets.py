"""WebSockets over HTTP/2 (RFC 8441), spoken by hand: what test_streams.py has over HTTP/1.1, and what HTTP/2 adds."""
import socket
import struct
import sys
import time
import unittest

import test_streams
import test_wire
from test_wire import PREFACE, frame, literal

DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
ENABLE_CONNECT_PROTOCOL = 8


class Connection:
    """One connection of HTTP/2: streams by number, what came on each."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb")
        self.settings, self.data, self.heads, self.ended, self.reset = {}, {}, {}, set(), {}
        self.next_stream = 1
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        while not self.settings:
            self.pump()

    def pump(self):
        """Takes one frame; False at the connection's end."""
        head = self.input.read(9)
        if len(head) < 9:
            return False
        payload = self.input.read(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == SETTINGS and not flags & ACK:
            self.settings = {key: value for key, value in struct.iter_unpack(">HI", payload)}
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == HEADERS:
            self.heads.setdefault(stream, payload)
        elif kind == DATA:
            self.data[stream] = self.data.get(stream, b"") + payload
            if payload:
                size = struct.pack(">I", len(payload))
                self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, size)
                                    + (b"" if flags & END_STREAM else frame(WINDOW_UPDATE, 0, stream, size)))
        elif kind == RST_STREAM:
            self.reset[stream] = int.from_bytes(payload, "big")
            self.ended.add(stream)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)
        return True

    def request(self, fields, end=False):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        block = b"".join(literal(name.encode(), value.encode()) for name, value in fields)
        self.socket.sendall(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))
        return stream

    def status(self, stream):
        """Of the response; None when the stream was reset instead."""
        while stream not in self.heads and stream not in self.ended:
            assert self.pump(), "the connection ended"
        head = self.heads.get(stream)
        if head is None:
            return None
        known = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}  # RFC 7541, appendix A
        if head[0] & 0x80:
            return known[head[0] & 0x7f]
        assert head[0] & 0x0f in (8, 9, 10, 11, 12, 13, 14), head  # a literal with an indexed name
        size = head[1] & 0x7f
        text = head[2:2 + size]
        return int(huffman_digits(text) if head[1] & 0x80 else text)

    def close(self):
        self.input.close()
        self.socket.close()


def huffman_digits(data):
    """Three digits in the code of RFC 7541, appendix B: 0, 1, 2 are five bits, the others six."""
    bits = "".join(f"{byte:08b}" for byte in data)
    codes = {f"{code:05b}": str(code) for code in range(3)} | {f"{0x19 + n:06b}": str(n + 3) for n in range(7)}
    text, at = "", 0
    while len(text) < 3:
        size = 5 if bits[at:at + 5] in codes else 6
        text += codes[bits[at:at + size]]
        at += size
    return text


class Http2Socket(test_streams.WebSocket):
    """The same client on a stream of HTTP/2."""

    def __init__(self, port, path, headers=(), version="13", expect=200, protocol="websocket", connection=None):
        self.connection = connection or Connection(port)
        self.shared = connection is not None
        fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
                  (":authority", f"127.0.0.1:{port}"), ("sec-websocket-version", version)]
        fields += [(name.lower(), value) for name, _, value in (line.partition(": ") for line in headers)]
        self.stream = self.connection.request(fields)
        self.file = self
        self.status = self.connection.status(self.stream)
        if self.status != expect:
            raise AssertionError(f"{self.status}, not {expect}")

    def raw(self, data):
        for at in range(0, len(data), 16384):
            self.connection.socket.sendall(frame(DATA, 0, self.stream, data[at:at + 16384]))

    def read(self, size=None):
        """As a file it gives bytes; as a WebSocket, frames."""
        if size is None:
            return super().read()
        c = self.connection
        while len(c.data.get(self.stream, b"")) < size and self.stream not in c.ended and c.pump():
            pass
        data = c.data.get(self.stream, b"")
        c.data[self.stream] = data[size:]
        return data[:size]

    def end(self):
        self.connection.socket.sendall(frame(DATA, END_STREAM, self.stream))

    def close(self):
        if not self.shared:
            self.connection.close()


class SocketsOverHttp2(test_streams.Sockets):
    Socket = Http2Socket

    def test_it_is_announced(self):
        connection = Connection(self.port)
        self.assertEqual(connection.settings[ENABLE_CONNECT_PROTOCOL], 1)
        connection.close()

    def test_many_on_one_connection(self):
        connection = Connection(self.port)
        sockets = [Http2Socket(self.port, f"/rooms/r{n}/talk", connection=connection) for n in range(8)]
        for n, ws in enumerate(sockets):
            ws.send({"text": "hello", "number": n})
        for n, ws in reversed(list(enumerate(sockets))):
            self.assertEqual(ws.message(), {"room": f"r{n}", "text": "HELLO", "number": str(n + 1)})
        plain = connection.request([(":method", "GET"), (":scheme", "http"), (":path", "/livez"), (":authority", "x")],
                                   end=True)
        self.assertEqual(connection.status(plain), 200)
        for ws in sockets:
            ws.send("")
            self.assertEqual(ws.closed(), (1000, ""))
            self.assertEqual(ws.read(), (None, b""))
            ws.end()
        plain = connection.request([(":method", "GET"), (":scheme", "http"), (":path", "/livez"), (":authority", "x")],
                                   end=True)
        self.assertEqual(connection.status(plain), 200)
        self.assertEqual(connection.reset, {}, "the client may still answer the close frame")
        connection.close()

    def test_a_client_that_does_not_end_is_ended(self):
        ws = Http2Socket(self.port, "/rooms/b/talk")
        ws.send("")
        self.assertEqual(ws.closed(), (1000, ""))
        self.assertEqual(ws.read(), (None, b""))
        while ws.stream not in ws.connection.reset and ws.connection.pump():
            pass
        self.assertEqual(ws.connection.reset, {ws.stream: 0}, "NO_ERROR: we were done before the client was")
        ws.close()

    def test_a_stream_that_is_cut_off_cancels(self):
        for leave in (lambda ws: ws.end(),
                      lambda ws: ws.connection.socket.sendall(frame(RST_STREAM, 0, ws.stream, struct.pack(">I", 8)))):
            self.service.cancelled.clear()
            ws = Http2Socket(self.port, "/rooms/b/talk")
            ws.send({"text": "x"})
            ws.message()
            leave(ws)
            self.assertTrue(self.service.cancelled.wait(30))
            again = Http2Socket(self.port, "/rooms/b/talk", connection=ws.connection)  # the connection goes on
            again.send({"text": "y"})
            self.assertEqual(again.message()["text"], "Y")
            self.assertEqual(ws.connection.reset, {}, "an orderly end is answered with one")
            ws.close()

    def test_an_end_behind_the_close_frame(self):
        ws = Http2Socket(self.port, "/rooms/b/talk")
        ws.raw(ws.frame(8, struct.pack(">H", 1000)))
        ws.end()
        self.assertEqual(ws.closed()[0], 1000)
        ws.close()

    def test_what_is_no_socket(self):
        for path, status in (("/livez", 404), ("/openapi.json", 404), ("/nothing", 404)):
            Http2Socket(self.port, path, expect=status).close()
        Http2Socket(self.port, "/rooms/b/talk", protocol="connect-udp", expect=501).close()
        connection = Connection(self.port)
        # CONNECT without a protocol is for proxies; a protocol without CONNECT is malformed.
        plain = connection.request([(":method", "CONNECT"), (":authority", "example.org:443")], end=True)
        self.assertEqual(connection.status(plain), 501)
        odd = connection.request([(":method", "GET"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":path", "/rooms/b/talk"), (":authority", "x")], end=True)
        self.assertIsNone(connection.status(odd))
        connection.close()

    def test_drain_says_so(self):
        """A gateway that stops gives its sockets the grace, then ends."""
        gateway = test_streams.harness.start_gateway(f"127.0.0.1:{self.service.port}", "--descriptor-set",
                                                     self.service.descriptors, "--grace-ms", "500")
        ws = Http2Socket(gateway.port, "/rooms/b/talk")
        ws.send({"text": "x"})
        ws.message()
        started = time.monotonic()
        gateway.stop()
        self.assertLess(time.monotonic() - started, 20)
        ws.close()


class ServersOwnPort(test_wire.Stack):
    def test_grpc_does_not_offer_it(self):
        connection = Connection(self.server.port)
        self.assertNotIn(ENABLE_CONNECT_PROTOCOL, connection.settings)
        connection.close()


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
