#!/usr/bin/env python3
"""What many clients cost the gateway: watchers of one simulation by SSE, then connections that all ask at once.  Not a
test, but it checks what it gets: every watcher has every event in order and the end, every request a 200,
or a 503 with Retry-After where more wait for the server than the gateway queues.

Run with python3:  NOVEL_BUILD=build python3 tests/bench/many.py [WATCHERS [CONNECTIONS [ROUNDS]]]
The connections are as many as the limit of open files allows, 10,000 at most.
"""
import os
import pathlib
import re
import resource
import select
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import CAST, rest, start_gateway, start_server  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(program):
    fields = pathlib.Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(program, name="VmRSS"):
    text = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(name + r":\s+(\d+)", text)[1]) / 1024


def connect(port, n):
    found = {}
    poll = select.epoll()
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port), timeout=60)
        s.setblocking(False)
        found[s.fileno()] = s
        poll.register(s, select.EPOLLIN)
    return found, poll


def receive(sockets, poll, whole, seconds=300):
    """Reads until whole(bytes) holds for every socket; what each got."""
    got = {fd: bytearray() for fd in sockets}
    left, end = set(sockets), time.monotonic() + seconds
    while left:
        if time.monotonic() > end:
            raise SystemExit(f"{len(left)} of {len(sockets)} are not served after {seconds} s")
        for fd, _ in poll.poll(1):
            data = sockets[fd].recv(262144)
            if not data and fd in left:
                raise SystemExit(f"closed too early: {bytes(got[fd][-200:])}")
            got[fd] += data
            if fd in left and whole(got[fd]):
                left.discard(fd)
    return got


def close(sockets, poll):
    poll.close()
    for s in sockets.values():
        s.close()


def watchers(server, gateway, n):
    where = rest(gateway.port, "POST", "/simulations:submit",
                 {"character_names": CAST, "turns": 50, "seed": 5}).headers["location"]
    sockets, poll = connect(gateway.port, n)
    before, began = (cpu(gateway), cpu(server)), time.monotonic()
    ask = f"GET {where}/events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n".encode()
    for s in sockets.values():
        s.sendall(ask)
    got = receive(sockets, poll, lambda data: data.endswith(b"0\r\n\r\n"))
    took = time.monotonic() - began
    ids = None
    for data in got.values():
        mine = [int(i) for i in re.findall(rb"\nid: (\d+)\n", b"\n" + data)]
        if b"event: end" not in data or mine != sorted(mine) or (ids is not None and mine != ids):
            raise SystemExit("a watcher missed events")
        ids = mine
    print(f"{n} SSE watchers of one simulation: {len(ids)} events each, {len(ids) * n / took:,.0f} events/s, {took:.2f} s, "
          f"CPU gateway {cpu(gateway) - before[0]:.2f} s, server {cpu(server) - before[1]:.2f} s, "
          f"memory gateway {memory_mib(gateway, 'VmHWM'):.0f} MiB at most", flush=True)
    close(sockets, poll)


def connections(gateway, n, rounds):
    idle = memory_mib(gateway)
    sockets, poll = connect(gateway.port, n)
    opened, before, began = memory_mib(gateway), cpu(gateway), time.monotonic()
    shed = 0
    for _ in range(rounds):
        for s in sockets.values():
            s.sendall(b"GET /characters/pilot HTTP/1.1\r\nHost: bench\r\n\r\n")
        got = receive(sockets, poll, lambda data: data.endswith(b"}"))
        for data in got.values():
            if data[9:12] == b"503" and b"\r\nRetry-After: " in data:
                shed += 1
            elif data[9:12] != b"200":
                raise SystemExit(f"refused: {bytes(data[:900])}")
    took = time.monotonic() - began
    print(f"{n} connections, all asking at once, {rounds} times: {n * rounds / took:,.0f} answers/s, "
          f"{shed} of {n * rounds} told to come again (503), CPU gateway {(cpu(gateway) - before) / n / rounds * 1e5:.2f} s per 100,000, memory gateway "
          f"{idle:.1f} MiB before, {opened:.1f} open, {memory_mib(gateway):.1f} under load "
          f"({(memory_mib(gateway) - idle) * 1024 / n:.1f} KiB each)", flush=True)
    close(sockets, poll)


def main():
    n, many, rounds = (int(a) for a in (sys.argv[1:] + ["1000", "10000", "5"][len(sys.argv) - 1:])[:3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="novel-bench-") as folder:
        server = start_server(folder + "/data", "--threads", "1", "--log-calls", "errors")
        try:
            for work in ("watchers", "connections"):
                gateway = start_gateway(server.address, "--threads", "1", "--cache-bytes", "0", "--max-connections", str(many + 100))
                try:
                    if work == "watchers":
                        watchers(server, gateway, min(n, hard - 100))
                    else:
                        connections(gateway, min(many, hard - 100), rounds)
                finally:
                    gateway.stop()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
