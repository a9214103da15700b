"""Connect's streams of every kind, spoken by hand as its document has them (connectrpc.com/docs/protocol): messages of
the client in envelopes, both ways at once over HTTP/2, gzip by message, metadata at the end."""
import gzip
import http.client
import json
import struct
import sys
import unittest

import harness
import test_streams
from test_sockets import Connection, DATA, END_STREAM, frame

MOOD = {"x-mood": ["calm", "warm"], "x-raw-bin": ["AAECAw"]}


def envelope(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def read_envelopes(data, coded=False):
    """Messages and the end of a whole body; coded: whether some were compressed, too."""
    messages, end, packed = [], None, 0
    while data:
        flag, size = struct.unpack(">BI", data[:5])
        piece, data = data[5:5 + size], data[5 + size:]
        assert len(piece) == size and end is None
        if flag & 1:
            piece = gzip.decompress(piece)
            packed += 1
        if flag & 2:
            end = json.loads(piece)
        else:
            messages.append(piece)
    return (messages, end, packed) if coded else (messages, end)


class Stream:
    """A call over HTTP/2 whose two sides take turns as they like."""

    def __init__(self, port, method, kind, **headers):
        self.connection = Connection(port)
        fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/chat.v1.Chat/{method}"), (":authority", "x"),
                  ("content-type", f"application/connect+{kind}"), ("connect-protocol-version", "1")]
        self.stream = self.connection.request(fields + [(k.replace("_", "-"), v) for k, v in headers.items()])
        self.buffer = b""

    def send(self, message, flag=0, end=False):
        self.raw(envelope(message, flag), end)

    def raw(self, data, end=False):
        self.connection.socket.sendall(frame(DATA, END_STREAM if end else 0, self.stream, data))

    def take(self, size):
        c = self.connection
        while len(c.data.get(self.stream, b"")) < size and self.stream not in c.ended and c.pump():
            pass
        data = c.data.get(self.stream, b"")
        c.data[self.stream] = data[size:]
        return data[:size]

    def read(self):
        flag, size = struct.unpack(">BI", self.take(5))
        return flag, self.take(size)

    def close(self):
        self.connection.close()


class ConnectStreams(test_streams.Chat):
    def line(self, codec, **fields):
        if codec == "json":
            return json.dumps(fields).encode()
        return self.service.pb.Line(**fields).SerializeToString()

    def read_line(self, codec, data):
        line = json.loads(data) if codec == "json" else self.service.pb.Line.FromString(data)
        return (line["text"], int(line["number"])) if codec == "json" else (line.text, line.number)

    def post(self, method, body, kind, **headers):
        return harness.rest(self.port, "POST", f"/chat.v1.Chat/{method}", body,
                            {"Content-Type": kind, "Connect-Protocol-Version": "1",
                             **{k.replace("_", "-"): v for k, v in headers.items()}})

    def test_both_ways(self):
        for codec in ("json", "proto"):
            call = Stream(self.port, "Talk", codec)
            for n in range(5):
                call.send(self.line(codec, text=f"word {n}", number=n))
                flag, message = call.read()  # before anything more is said
                self.assertEqual((flag, self.read_line(codec, message)), (0, (f"WORD {n}", n + 1)))
            call.raw(b"", end=True)
            flag, end = call.read()
            self.assertEqual((flag, json.loads(end)), (2, {"metadata": MOOD}))
            self.assertEqual(call.take(1), b"")
            call.close()

    def test_a_stream_of_the_client(self):
        for codec in ("json", "proto"):
            for lines in ((), (20, 22), range(2000)):
                body = b"".join(envelope(self.line(codec, number=n, text="x" * 50)) for n in lines)
                answer = self.post("Post", body, f"application/connect+{codec}")
                self.assertEqual((answer.status, answer.headers["content-type"]), (200, f"application/connect+{codec}"))
                messages, end = read_envelopes(answer.body)
                self.assertEqual((len(messages), end), (1, {"metadata": MOOD}))
                if codec == "json":
                    said = json.loads(messages[0])
                    said = said.get("lines", 0), int(said.get("sum", 0))
                else:
                    summary = self.service.pb.Summary.FromString(messages[0])
                    said = summary.lines, summary.sum
                self.assertEqual(said, (len(lines), sum(lines)))

    def test_every_byte_alone(self):
        call = Stream(self.port, "Talk", "json")
        for byte in envelope(b'{"text":"slow","number":1}') + envelope(b"{}"):
            call.raw(bytes([byte]))
        self.assertEqual(self.read_line("json", call.read()[1]), ("SLOW", 2))
        self.assertEqual(json.loads(call.read()[1])["number"], "1")
        call.close()

    def test_compressed_messages(self):
        long = "again and " * 500
        for codec in ("json", "proto"):
            body = b"".join(envelope(gzip.compress(self.line(codec, text=long, number=n)), 1) if n % 2
                            else envelope(self.line(codec, text=long, number=n)) for n in range(6))
            answer = self.post("Talk", body, f"application/connect+{codec}", Connect_Content_Encoding="gzip",
                               Connect_Accept_Encoding="br, gzip")
            self.assertEqual(answer.headers["connect-content-encoding"], "gzip")
            messages, end, packed = read_envelopes(answer.body, coded=True)
            self.assertEqual([self.read_line(codec, m) for m in messages], [(long.upper(), n + 1) for n in range(6)])
            self.assertEqual((packed, end), (6, {"metadata": MOOD}))
            self.assertLess(len(answer.body), 3000)
            plain = self.post("Talk", body, f"application/connect+{codec}", Connect_Content_Encoding="gzip")
            self.assertNotIn("connect-content-encoding", plain.headers)
            self.assertEqual(read_envelopes(plain.body)[0], messages)

    def test_compressed_server_streams_and_unary_calls(self):
        answer = self.post("Count", envelope(gzip.compress(b'{"to":3}'), 1), "application/connect+json",
                           Connect_Content_Encoding="gzip")
        self.assertEqual(len(read_envelopes(answer.body)[0]), 3)
        self.assertEqual(read_envelopes(answer.body)[1], {})

    def test_what_is_wrong_is_at_the_end(self):
        bad = [(envelope(b"{"), "invalid_argument"), (envelope(b'{"unknown":1}'), "invalid_argument"),
               (envelope(b"{}")[:-1], "invalid_argument"), (b"\0\0", "invalid_argument"), (envelope(b"{}", 2), "invalid_argument"),
               (envelope(b"{}", 1), "invalid_argument"), (b"\0\x7f\xff\xff\xff", "resource_exhausted"),
               (envelope(b'{"text":"refuse"}'), "invalid_argument")]
        for body, code in bad:
            answer = self.post("Post", body, "application/connect+json")
            messages, end = read_envelopes(answer.body)
            self.assertEqual((answer.status, messages, end["error"]["code"]), (200, [], code), body)
        self.assertEqual(end["metadata"], MOOD, "of the server's own error")
        for data, code in ((b"not gzip", "invalid_argument"), (gzip.compress(bytes(8 << 20)), "resource_exhausted")):
            answer = self.post("Post", envelope(data, 1), "application/connect+proto", Connect_Content_Encoding="gzip")
            self.assertEqual(read_envelopes(answer.body)[1]["error"]["code"], code)
        answer = self.post("Post", envelope(b"{}"), "application/connect+json", Connect_Content_Encoding="br")
        self.assertEqual(read_envelopes(answer.body)[1]["error"]["code"], "unimplemented")
        answer = self.post("Talk", envelope(b'{"text":"a"}') + envelope(b'{"text":"fail"}'), "application/connect+json")
        messages, end = read_envelopes(answer.body)
        self.assertEqual((len(messages), end["error"]["code"]), (1, "permission_denied"))
        # Unary framing of a stream, and gRPC-Web, which has no such stream.
        self.assertEqual(self.post("Post", "{}", "application/json").json()["code"], "unimplemented")
        web = self.post("Talk", envelope(b""), "application/grpc-web+proto")
        self.assertIn(b"grpc-status:12", web.body)

    def test_a_client_that_leaves_cancels(self):
        self.service.cancelled.clear()
        call = Stream(self.port, "Talk", "proto")
        call.send(self.line("proto", text="x"))
        call.read()
        call.close()
        self.assertTrue(self.service.cancelled.wait(30))

    def test_more_than_any_buffer(self):
        """20 MB while the server sleeps now and then: the client waits, nothing is lost."""
        def pieces():
            for n in range(10000):
                yield envelope(self.line("proto", text="slow" if n % 3000 == 0 else "y" * 2000, number=1))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/chat.v1.Chat/Post", pieces(), {"Content-Type": "application/connect+proto"},
                           encode_chunked=True)
        messages, _ = read_envelopes(connection.getresponse().read())
        self.assertEqual(self.service.pb.Summary.FromString(messages[0]).lines, 10000)
        connection.close()


class Unary(harness.Stack):
    def test_gzip(self):
        for kind in ("json", "proto"):
            body = gzip.compress(b'{"characterId":"pilot"}' if kind == "json" else b"\x0a\x05pilot")
            answer = self.rest("POST", "/novelengine.v1.NovelEngine/GetCharacter", body,
                               {"Content-Type": f"application/{kind}", "Connect-Protocol-Version": "1",
                                "Content-Encoding": "gzip"})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertIn(b"Alex Chen", answer.body)
            answer = self.rest("POST", "/novelengine.v1.NovelEngine/GetCharacter", body[:-4],
                               {"Content-Type": f"application/{kind}", "Connect-Protocol-Version": "1",
                                "Content-Encoding": "gzip"})
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid_argument"))
            answer = self.rest("POST", "/novelengine.v1.NovelEngine/GetCharacter", body,
                               {"Content-Type": f"application/{kind}", "Connect-Protocol-Version": "1",
                                "Content-Encoding": "br"})
            self.assertEqual((answer.status, answer.json()["code"]), (501, "unimplemented"))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
