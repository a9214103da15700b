"""A foreign witness: grpcio talks to our echo_server.  Usage: witness_grpcio.py ECHO_SERVER"""
import subprocess
import sys
import threading
import time

import grpc


class Server:
    def __init__(self, program, address="127.0.0.1:0"):
        self.process = subprocess.Popen([program, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def counts(self):
        self.command("counts")
        return dict(p.split("=") for p in self.process.stdout.readline().split())

    def wait_for(self, key, value):
        end = time.time() + 20
        while int(self.counts()[key]) < value:
            assert time.time() < end, f"{key} stays below {value}: {self.counts()}"
            time.sleep(0.02)

    def stop(self):
        self.process.stdin.close()
        gauges = self.process.stdout.readline().strip()
        assert self.process.wait(30) == 0
        assert gauges and all(p.endswith("=0") for p in gauges.split()), gauges


def expect(code, call):
    try:
        call()
    except grpc.RpcError as e:
        assert e.code() == code, f"{e.code()} {e.details()}"
        return e
    raise AssertionError(f"no error, {code} expected")


def unary(channel):
    call = channel.unary_unary("/test.Echo/Unary")
    assert call(b"hello") == b"hello"
    assert call(b"") == b""
    for size in (1, 16379, 16384, 100_000, 3_000_000):
        body = bytes(size)
        assert call(body) == body, size
    futures = [call.future(str(i).encode()) for i in range(500)]
    assert [f.result() for f in futures] == [str(i).encode() for i in range(500)]


def metadata(channel):
    sent = (("x-a", "1"), ("x-b-bin", bytes(range(256))), ("x-a", "2"), ("x-empty", ""))
    answer, call = channel.unary_unary("/test.Echo/Unary").with_call(b"m", metadata=sent)
    assert answer == b"m"
    head = [(k, v) for k, v in call.initial_metadata() if k.startswith("x-")]
    assert head == list(sent), head
    tail = [(k, v) for k, v in call.trailing_metadata() if k.startswith("x-")]
    assert tail == [("x-a-t", "1"), ("x-b-t-bin", bytes(range(256))), ("x-a-t", "2"), ("x-empty-t", "")], tail
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED,
           lambda: channel.unary_unary("/test.Echo/Unary")(b"m", metadata=(("x-big", "v" * 20000),)))
    assert channel.unary_unary("/test.Echo/Unary")(b"after") == b"after"


def statuses(channel):
    call = channel.unary_unary("/test.Echo/Unary")
    for code in grpc.StatusCode:
        if code != grpc.StatusCode.OK:
            e = expect(code, lambda: call(f"fail:{code.value[0]}:Grüße\t100 % 😈\n".encode()))
            assert e.details() == "Grüße\t100 % 😈\n", e.details()
            details = dict(e.trailing_metadata())["grpc-status-details-bin"]
            assert b"type.googleapis.com/google.rpc.ErrorInfo" in details
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/test.Echo/Nope")(b""))
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/test.Nope/Unary")(b""))
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/test.Echo/Missing")(b""))
    expect(grpc.StatusCode.INVALID_ARGUMENT, lambda: channel.unary_unary("/test.Echo/Typed")(b"\xff\xff"))
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: call(bytes(5_000_000)))
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: call(b"big:70000000"))
    expect(grpc.StatusCode.UNIMPLEMENTED,
           lambda: channel.stream_unary("/test.Echo/Unary")(iter([b"a", b"b"])))
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.stream_unary("/test.Echo/Unary")(iter([])))


def compression(channel):
    """Requests in both encodings; answers in them, message by message."""
    call = channel.unary_unary("/test.Echo/Unary")
    for which, number in ((grpc.Compression.Gzip, 1), (grpc.Compression.Deflate, 2)):
        assert call(b"flag" + bytes(5000), compression=which) == b"1 %d 5004" % number
        assert call(b"echo" * 100_000, compression=which) == b"echo" * 100_000
        assert call(b"squeeze:%d:300000" % number) == bytes(300_000)
        assert list(channel.unary_stream("/test.Echo/Stream")(b"squeeze:%d:50000" % number)) == [bytes(50_000)] * 4
        chat = channel.stream_stream("/test.Echo/Chat")
        sent = [b"x" * 1000 * i for i in range(20)]
        assert list(chat(iter(sent), compression=which)) == sent
        # Small on the wire, over the limit behind it.
        expect(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: call(bytes(60_000_000), compression=which))
    assert call(b"flag" + bytes(5000)) == b"0 0 5004"


def big(channel):
    answer = channel.unary_unary("/test.Echo/Unary")(b"big:20000000")
    assert len(answer) == 20_000_000


def streams(channel):
    call = channel.unary_stream("/test.Echo/Stream")
    assert list(call(b"one")) == [b"one"]
    assert list(call(b"count:0:5")) == []
    assert [len(m) for m in call(b"count:10000:20")] == [20] * 10000
    assert [len(m) for m in call(b"count:20:500000")] == [500000] * 20
    assert channel.stream_unary("/test.Echo/Collect")(iter([b"x" * 1000] * 300)) == b"300:300000"
    assert list(channel.stream_stream("/test.Echo/Chat")(iter([b"a", b"b", b"c"]))) == [b"a", b"b", b"c"]


def slow_reader(server, channel):
    """The server may run ahead by windows and queues, not by the whole stream."""
    before = int(server.counts()["sent"])
    it = channel.unary_stream("/test.Echo/Stream")(b"count:2000:100000")
    next(it)
    time.sleep(0.5)
    ahead = int(server.counts()["sent"]) - before
    assert ahead < 1000, f"{ahead} messages of 100 kB taken from the handler"
    assert sum(1 for _ in it) == 1999


def deadline_and_cancel(server, channel):
    call = channel.unary_unary("/test.Echo/Unary")
    before = int(server.counts()["cancelled"])
    began = time.time()
    expect(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: call(b"sleep", timeout=0.3))
    assert time.time() - began < 5
    server.wait_for("cancelled", before + 1)
    # The server's own timer, with a client that would wait longer.
    slow = channel.unary_unary("/test.Echo/Unary")
    e = expect(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: slow(b"sleep", timeout=0.2))
    assert e is not None
    server.wait_for("cancelled", before + 2)
    future = call.future(b"sleep")
    time.sleep(0.1)
    future.cancel()
    server.wait_for("cancelled", before + 3)
    it = channel.unary_stream("/test.Echo/Stream")(b"count:1000000:1000")
    next(it)
    it.cancel()
    server.wait_for("cancelled", before + 4)
    # Initial metadata goes out before any message.
    pending = channel.unary_stream("/test.Echo/Unary")(b"headers", timeout=20)
    assert pending.initial_metadata() is not None
    pending.cancel()
    server.wait_for("cancelled", before + 5)


def health(server, channel):
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"") == b"\x08\x01"
    assert check(b"\x0a\x09test.Echo") == b"\x08\x01"
    expect(grpc.StatusCode.NOT_FOUND, lambda: check(b"\x0a\x04nope"))
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\x0a\x09test.Echo")
    unknown = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\x0a\x04nope")
    assert next(watch) == b"\x08\x01"
    assert next(unknown) == b"\x08\x03"
    server.command("serving 0")
    assert next(watch) == b"\x08\x02"
    assert check(b"\x0a\x09test.Echo") == b"\x08\x02"
    server.command("serving 1")
    assert next(watch) == b"\x08\x01"
    assert b"test.Echo" in channel.unary_unary("/grpc.health.v1.Health/List")(b"")
    return watch


def drain(server, channel, watch):
    """A call in flight ends well, a watcher hears NOT_SERVING, new connections are refused."""
    it = channel.unary_stream("/test.Echo/Stream")(b"count:300:10000")
    next(it)
    got = []
    reader = threading.Thread(target=lambda: got.append(sum(1 for _ in it)))
    reader.start()
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    assert next(watch) == b"\x08\x02"
    expect(grpc.StatusCode.UNAVAILABLE, lambda: next(watch))
    reader.join(30)
    assert got == [299], got
    stopper.join(30)
    expect(grpc.StatusCode.UNAVAILABLE, lambda: channel.unary_unary("/test.Echo/Unary")(b"x", timeout=5))


def main():
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    for address in ("127.0.0.1:0", "unix:/tmp/novel-echo-%d.sock" % time.time_ns()):
        server = Server(sys.argv[1], address)
        with grpc.insecure_channel(server.address, options=options) as channel:
            for step in (unary, metadata, statuses, compression, big, streams):
                step(channel)
                print("ok", address.split(":")[0], step.__name__, flush=True)
            for step in (slow_reader, deadline_and_cancel):
                step(server, channel)
                print("ok", address.split(":")[0], step.__name__, flush=True)
            drain(server, channel, health(server, channel))
            print("ok", address.split(":")[0], "health, drain", flush=True)


main()
