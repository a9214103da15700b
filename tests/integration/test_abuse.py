"""The table of HTTP/2 attacks, one by one, against the running server over raw sockets: each ends the connection or the
stream within its budget, is counted by its kind, and costs bounded memory.  And honest clients are not hurt."""
import json
import os
import pathlib
import socket
import struct
import tempfile
import threading
import time
import unittest
import urllib.request

import grpc

from harness import start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
CALM, PROTOCOL, CANCEL = 11, 1, 8
HEALTH = "/novelengine.v1.NovelEngine/GetHealth"
WATCH = "/grpc.health.v1.Health/Watch"
BURST = 1000          # frames without progress
MEMORY = 24 << 20     # what one attack may leave behind, allocator included
STALL, HANDSHAKE = 1.5, 2.0


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(prefix_bits, first, value):
    """An HPACK integer behind the bits of `first`."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytes([first | limit]), value - limit
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def literal(name, value, first=0x00):
    """A literal without indexing (or with, first=0x40), no Huffman."""
    return bytes([first]) + number(7, 0, len(name)) + name + number(7, 0, len(value)) + value


def request(path=HEALTH, *more):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()), (b":authority", b"x"),
              (b"content-type", b"application/grpc"), (b"te", b"trailers"), *more]
    return b"".join(literal(name, value) for name, value in fields)


def message(payload=b""):
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Peer:
    """A connection that writes what it likes and reads on a thread of its own, or not at all."""

    def __init__(self, port, reads=True, settings=b"", greet=True, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames, self.closed, self.stream = [], threading.Event(), -1
        self.arrived = threading.Condition()
        if reads:
            threading.Thread(target=self._read, daemon=True).start()
        if greet:
            self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))

    def _read(self):
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
                while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                    size = 9 + int.from_bytes(data[:3], "big")
                    with self.arrived:
                        self.frames.append((data[3], data[4], int.from_bytes(data[5:9], "big") & 0x7fffffff, data[9:size]))
                        self.arrived.notify_all()
                    data = data[size:]
        except OSError:
            pass
        self.closed.set()
        with self.arrived:
            self.arrived.notify_all()

    def send(self, data):
        """False once the server has closed."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def next_stream(self):
        self.stream += 2
        return self.stream

    def until(self, what, seconds=20):
        """The first frame for which what(kind, flags, stream, payload) holds; None when the server closed before."""
        end = time.monotonic() + seconds
        with self.arrived:
            while True:
                for f in self.frames:
                    if what(*f):
                        return f
                if self.closed.is_set():
                    return None
                if not self.arrived.wait(max(0, end - time.monotonic())):
                    raise AssertionError(f"nothing came: {self.frames[-5:]}")

    def goaway(self):
        """(code, reason) of the last GOAWAY."""
        said = [f[3] for f in list(self.frames) if f[0] == GOAWAY]
        return (int.from_bytes(said[-1][4:8], "big"), said[-1][8:]) if said else (None, b"")

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the reader, whose recv would keep the connection open
        except OSError:
            pass
        self.socket.close()


class Abuse(unittest.TestCase):
    args = ("--admin", "127.0.0.1:0", "--handshake-ms", str(int(HANDSHAKE * 1000)), "--stall-ms", str(int(STALL * 1000)))

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="novel-test-")
        cls.server = start_server(pathlib.Path(cls.folder.name) / "data", *cls.args)
        cls.ready = next(e for e in map(json.loads, cls.server.lines) if e.get("event") == "ready")
        with grpc.insecure_channel(cls.server.address) as channel:  # what is made once is made before memory is read
            stubs.NovelEngineStub(channel).GetHealth(pb.GetHealthRequest(), timeout=20)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.server.stop()
        finally:
            cls.folder.cleanup()

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.ready['admin']}/metrics", timeout=20) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def count(self, kind):
        return self.metrics()[f'nrpc_abuse_total{{kind="{kind}"}}']

    def setUp(self):
        self.before = self.metrics()
        self.addCleanup(self.check_after)

    def check_after(self):
        """All is given back, and others are served."""
        end = time.monotonic() + 20
        while True:
            after = self.metrics()
            live = {k: v for k, v in after.items() if k.startswith("nrpc_live") and "timers" not in k}
            if not any(live.values()) or time.monotonic() > end:
                break
            time.sleep(0.05)
        self.assertFalse(any(live.values()), live)
        grown = after["process_resident_memory_bytes"] - self.before["process_resident_memory_bytes"]
        if not os.environ.get("NOVEL_SANITIZE"):  # its quarantine keeps what was freed
            self.assertLess(grown, MEMORY)
        with grpc.insecure_channel(self.server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = stubs.NovelEngineStub(channel).GetHealth(pb.GetHealthRequest(), timeout=20)
        self.assertEqual(answer.status, "healthy")

    def peer(self, **more):
        peer = Peer(self.server.port, **more)
        self.addCleanup(peer.close)
        return peer

    def assert_counted(self, kind, times=1):
        before = self.before[f'nrpc_abuse_total{{kind="{kind}"}}']
        self.assertEqual(self.count(kind) - before, times, kind)

    def flood(self, peer, make, limit=200000):
        """Sends make() until the server closes; how many went out."""
        sent = 0
        while sent < limit and not peer.closed.is_set():
            if not peer.send(b"".join(make() for _ in range(50))):
                break
            sent += 50
            if sent % 1000 == 0:
                time.sleep(0.001)  # lets the reader see the end
        self.assertTrue(peer.closed.wait(10), "the server lets it go on")
        return sent

    def assert_flood_ends(self, peer, make, kind, reason=b"too many frames without progress"):
        self.flood(peer, make)
        self.assertEqual(peer.goaway(), (CALM, reason))
        self.assert_counted(kind)


class Floods(Abuse):
    """Frames that bring nothing forward; the answers are read."""

    def test_ping(self):
        self.assert_flood_ends(self.peer(), lambda: frame(PING, 0, 0, b"flooding"), "ping", b"too_many_pings")

    def test_ping_answers_to_nothing(self):
        self.assert_flood_ends(self.peer(), lambda: frame(PING, ACK, 0, b"flooding"), "ping")

    def test_settings(self):
        self.assert_flood_ends(self.peer(), lambda: frame(SETTINGS, 0, 0), "settings")

    def test_settings_of_many_entries(self):
        peer = self.peer()
        peer.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 33))
        self.assertTrue(peer.closed.wait(10))
        self.assertEqual(peer.goaway()[0], CALM)
        self.assert_counted("settings_entries")

    def test_priority(self):
        self.assert_flood_ends(self.peer(), lambda: frame(PRIORITY, 0, 1001, b"\0\0\0\0\x10"), "priority")

    def test_window_update(self):
        self.assert_flood_ends(self.peer(), lambda: frame(WINDOW, 0, 0, b"\0\0\0\1"), "window_update")

    def test_unknown_frames(self):
        self.assert_flood_ends(self.peer(), lambda: frame(0xfa, 0, 0, b"what"), "unknown_frame")

    def test_goaway(self):
        peer = self.peer()
        peer.send(frame(HEADERS, END_HEADERS, peer.next_stream(), request(WATCH)))
        self.assert_flood_ends(peer, lambda: frame(GOAWAY, 0, 0, b"\0" * 8), "goaway")

    def test_empty_data(self):
        peer = self.peer()
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS, stream, request()))
        self.assert_flood_ends(peer, lambda: frame(DATA, 0, stream), "empty_data")

    def test_padding_only(self):
        peer = self.peer()
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS, stream, request()))
        self.assert_flood_ends(peer, lambda: frame(DATA, PADDED, stream, b"\3\0\0\0"), "empty_data")

    def test_rapid_reset(self):
        peer = self.peer()

        def make():
            stream = peer.next_stream()
            return frame(HEADERS, END_HEADERS, stream, request()) + frame(RST, 0, stream, struct.pack(">I", CANCEL))
        sent = self.flood(peer, make)
        self.assertEqual(peer.goaway()[0], CALM)
        self.assertGreaterEqual(sent, BURST)
        self.assert_counted("reset_received")

    def test_early_resets(self):
        peer = self.peer()
        peer.send(frame(HEADERS, END_HEADERS, peer.next_stream(), request(WATCH)))
        self.assert_flood_ends(peer, lambda: frame(RST, 0, peer.next_stream(), struct.pack(">I", CANCEL)), "reset_received")

    def assert_resets_end(self, peer, make):
        """Each reset that the peer makes us send is waited for, so that never many streams are open."""
        resets = 0
        while peer.send(make()) and peer.until(lambda kind, flags, id_, payload: id_ == peer.stream and kind == RST):
            resets += 1
            self.assertLess(resets, 200)
        self.assertGreater(resets, 50)
        self.assertEqual(peer.goaway()[0], CALM)
        self.assert_counted("reset_sent")

    def test_made_you_reset(self):
        peer = self.peer()

        def make():
            stream = peer.next_stream()
            return frame(HEADERS, END_HEADERS, stream, request()) + frame(WINDOW, 0, stream, b"\x7f\xff\xff\xff")
        self.assert_resets_end(peer, make)

    def test_malformed_headers(self):
        peer = self.peer()
        block = request() + literal(b"Upper-Case", b"x")
        self.assert_resets_end(peer, lambda: frame(HEADERS, END_HEADERS | END_STREAM, peer.next_stream(), block))

    def test_malformed_headers_all_at_once(self):
        """Over the limit of open streams before the first reset is out: another end, as soon."""
        peer = self.peer()
        block = request() + literal(b"Upper-Case", b"x")
        self.flood(peer, lambda: frame(HEADERS, END_HEADERS | END_STREAM, peer.next_stream(), block))
        self.assertIn(peer.goaway()[0], (CALM, PROTOCOL))
        self.assertEqual(sum(self.count(kind) - self.before[f'nrpc_abuse_total{{kind="{kind}"}}']
                             for kind in ("reset_sent", "protocol_error")), 1)

    def test_continuation(self):
        peer = self.peer()
        peer.send(frame(HEADERS, 0, peer.next_stream(), request()))
        self.flood(peer, lambda: frame(CONTINUATION, 0, 1, literal(b"a", b"b")))
        self.assertEqual(peer.goaway()[0], CALM)
        self.assert_counted("continuation")

    def test_answers_that_are_not_read(self):
        """PINGs whose answers pile up: bounded, whatever ends it."""
        peer = self.peer(reads=False, receive_buffer=4096)
        end = time.monotonic() + 20
        while peer.send(frame(PING, 0, 0, b"unread!!") * 100):
            self.assertLess(time.monotonic(), end, "the server takes PINGs for ever")
        self.assert_counted("ping")


class Streams(Abuse):
    def test_more_streams_than_allowed(self):
        """The limit of 100 was acknowledged: the 101st is a connection error or a refused stream, the rest goes on."""
        peer = self.peer()
        peer.until(lambda kind, flags, *_: kind == SETTINGS and flags & ACK)
        for _ in range(100):
            peer.send(frame(HEADERS, END_HEADERS, peer.next_stream(), request(WATCH)))
        self.assertLessEqual(self.metrics()['nrpc_live{kind="calls"}'], 100)
        peer.send(frame(HEADERS, END_HEADERS, peer.next_stream(), request(WATCH)))
        peer.until(lambda kind, flags, stream, payload: kind in (GOAWAY, RST) and (kind == GOAWAY or stream == 201))

    def test_streams_before_the_settings_are_acknowledged(self):
        peer = self.peer(greet=False)
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.flood(peer, lambda: frame(HEADERS, END_HEADERS, peer.next_stream(), request(WATCH)))
        self.assertEqual(peer.goaway()[0], CALM)
        self.assert_counted("reset_sent")

    def test_header_bomb(self):
        """16 KiB that unfold to 50 MB: nothing of it is kept."""
        peer = self.peer()
        bomb = request() + literal(b"k", b"v" * 4000, 0x40)
        bomb += b"\xbe" * (16384 - len(bomb))
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, bomb))
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == RST and id_ == stream))
        self.assert_counted("header_list")
        self.flood(peer, lambda: frame(HEADERS, END_HEADERS | END_STREAM, peer.next_stream(), bomb), 5000)
        self.assertEqual(peer.goaway()[0], CALM)

    def test_three_thousand_tiny_headers(self):
        peer = self.peer()
        block = request() + literal(b"a", b"b") * 3000
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block[:16384]) if len(block) <= 16384 else
                  frame(HEADERS, END_STREAM, stream, block[:16384]) + frame(CONTINUATION, END_HEADERS, stream, block[16384:]))
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == RST and id_ == stream))
        self.assert_counted("header_list")

    def test_a_large_header_is_answered(self):
        """Over the limit, but not by far: an honest mistake gets a status."""
        peer = self.peer()
        block = request(HEALTH, (b"big", b"x" * 15000), (b"more", b"y" * 5000))
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_STREAM, stream, block[:16384]) + frame(CONTINUATION, END_HEADERS, stream, block[16384:]))
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == HEADERS and id_ == stream))
        self.assertFalse(peer.closed.is_set())

    def test_a_message_of_4_gib(self):
        peer = self.peer()
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS, stream, request()) + frame(DATA, 0, stream, b"\0\xff\xff\xff\xff" + b"x" * 50))
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == HEADERS and id_ == stream))

    def test_messages_that_only_begin(self):
        """30 times 4 MiB announced on one connection: taken up one by one as the budget allows, then ended."""
        peer = self.peer()
        for _ in range(30):
            stream = peer.next_stream()
            peer.send(frame(HEADERS, END_HEADERS, stream, request()) + frame(DATA, 0, stream, b"\0\0\x3f\xff\xff" + b"x" * 50))
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == HEADERS and id_ == stream, 60))
        self.assertGreaterEqual(self.count("slow_request"), 1)


class Slow(Abuse):
    """Peers that take their time."""

    def assert_closes(self, peer, least, most):
        began = time.monotonic()
        self.assertTrue(peer.closed.wait(most), "it is let be")
        self.assertGreaterEqual(time.monotonic() - began, least)

    def dribble(self, peer, data, pause=0.2):
        for byte in data:
            if peer.closed.wait(pause) or not peer.send(bytes([byte])):
                return

    def test_silence(self):
        self.assert_closes(self.peer(greet=False), HANDSHAKE - 0.5, HANDSHAKE + 10)
        self.assert_counted("slow_handshake")

    def test_a_dribbled_preface(self):
        peer = self.peer(greet=False)
        self.dribble(peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assertTrue(peer.closed.wait(10))
        self.assert_counted("slow_handshake")

    def test_settings_that_are_never_acknowledged(self):
        peer = self.peer(greet=False)
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.assert_closes(peer, 0, HANDSHAKE + 10)
        self.assert_counted("slow_handshake")

    def test_dribbled_headers(self):
        peer = self.peer()
        self.dribble(peer, frame(HEADERS, END_HEADERS, 1, request()))
        self.assertTrue(peer.closed.wait(10))
        self.assertEqual(peer.goaway()[0], CALM)
        self.assert_counted("slow_headers")

    def test_headers_that_stop(self):
        peer = self.peer()
        peer.send(frame(HEADERS, 0, 1, request()))
        self.assert_closes(peer, HANDSHAKE - 0.5, HANDSHAKE + 10)
        self.assert_counted("slow_headers")

    def test_dribbled_data(self):
        peer = self.peer()
        peer.send(frame(HEADERS, END_HEADERS, 1, request()))
        threading.Thread(target=self.dribble, args=(peer, frame(DATA, 0, 1, b"\0\0\0\1\0" + b"x" * 256)), daemon=True).start()
        self.assertIsNotNone(peer.until(lambda kind, flags, id_, payload: kind == HEADERS and flags & END_STREAM))
        self.assert_counted("slow_request")
        peer.close()

    def test_many_half_open_connections(self):
        peers = [self.peer(greet=False) for _ in range(300)]
        for peer in peers[::2]:
            peer.send(b"PRI * HTTP")
        for peer in peers:
            self.assertTrue(peer.closed.wait(HANDSHAKE + 20))
        self.assert_counted("slow_handshake", 300)

    def big_answers(self, peer, count):
        """Reflection answers of some 40 KB, `count` a stream."""
        question = bytes([0x22]) + number(7, 0, len(b"novelengine.v1.NovelEngine")) + b"novelengine.v1.NovelEngine"
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS, stream,
                        request("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")))
        peer.send(frame(DATA, 0, stream, message(question) * count))
        return stream

    def test_a_window_that_never_opens(self):
        peer = self.peer(settings=struct.pack(">HI", 4, 0))
        streams = [self.big_answers(peer, 50) for _ in range(20)]
        for stream in streams:  # the trailers pass a window that is shut
            self.assertIsNotNone(peer.until(
                lambda kind, flags, id_, payload: kind == HEADERS and flags & END_STREAM and id_ == stream))
        self.assert_counted("stalled_stream", 20)
        self.assertFalse(peer.closed.is_set())
        peer.close()

    def test_a_window_that_opens_byte_by_byte(self):
        peer = self.peer(settings=struct.pack(">HI", 4, 1))
        stream = self.big_answers(peer, 5)

        def open_a_byte():
            while not peer.closed.wait(0.05) and peer.send(frame(WINDOW, 0, stream, b"\0\0\0\1")):
                pass
        threading.Thread(target=open_a_byte, daemon=True).start()
        self.assertIsNotNone(peer.until(lambda kind, flags, *_: kind == HEADERS and flags & END_STREAM))
        self.assert_counted("stalled_stream")
        peer.close()

    def test_a_peer_that_never_reads(self):
        peer = self.peer(reads=False, receive_buffer=4096,
                         settings=struct.pack(">HI", 4, 0x7fffffff))
        peer.send(frame(WINDOW, 0, 0, b"\x7f\x00\x00\x00"))
        for _ in range(20):
            self.big_answers(peer, 400)
        end = time.monotonic() + 30
        while self.count("not_reading") == self.before['nrpc_abuse_total{kind="not_reading"}']:
            self.assertLess(time.monotonic(), end, "it is let be")
            time.sleep(0.1)
        peer.close()


class Logged(Abuse):
    def test_one_line_a_connection(self):
        peer = self.peer()
        for _ in range(5):  # a stream each
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, peer.next_stream(), request() + literal(b"k", b"v") * 240))
        peer.until(lambda kind, flags, id_, payload: kind == RST and id_ == peer.stream)
        own = "%s:%d" % peer.socket.getsockname()
        self.assert_counted("header_list", 5)
        lines = [line for line in self.server.lines if '"http2_abuse"' in line and own in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn('"kind":"header_list"', lines[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
