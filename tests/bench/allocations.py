"""Heap allocations a request, by preloading count_malloc.so: ours beside the peers.
  allocations.py COUNT_MALLOC_SO BENCH_SERVER [PEERS_BIN]"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DATA = str(HERE / "peers/data/characters.json")
CALLS = 20000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port):
    for _ in range(500):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise SystemExit("the server does not listen")


def frame(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


def load(port, method, body, calls):
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        done = subprocess.run(["h2load", "-n", str(calls), "-c", "1", "-m", "10", "-d", file.name, "-H",
                               "content-type: application/grpc", "-H", "te: trailers",
                               f"http://127.0.0.1:{port}/novelengine.v1.NovelEngine/{method}"],
                              capture_output=True, text=True, timeout=120)
        if f"{calls} succeeded" not in done.stdout:
            raise SystemExit(f"{method}: {done.stdout}")


def count(process, log):
    seen = log.stat().st_size
    process.send_signal(signal.SIGUSR1)
    for _ in range(500):
        text = log.read_bytes()[seen:]
        found = re.search(rb"(\d+)\n", text)
        if found:
            return int(found[1])
        time.sleep(0.01)
    raise SystemExit("no count came: is the preloaded library there?")


def main():
    preload, ours = sys.argv[1:3]
    peers = sys.argv[3] if len(sys.argv) > 3 else "/tmp/peers/bin"
    servers = {"libnrpc": [ours, "127.0.0.1:{}", DATA, "1"], "cpp-cq": [peers + "/cpp_server_cq", "127.0.0.1:{}", DATA, "1"]}
    for name, argv in servers.items():
        if not os.path.exists(argv[0]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            log, port = pathlib.Path(folder) / "log", free_port()
            with open(log, "wb") as err:
                process = subprocess.Popen([a.format(port) for a in argv], stderr=err, env={**os.environ, "LD_PRELOAD": preload})
            try:
                wait_port(port)
                for method, body in (("GetHealth", frame(b"")), ("GetCharacter", frame(b"\x0a\x04aria"))):
                    load(port, method, body, 2000)
                    before = count(process, log)
                    load(port, method, body, CALLS)
                    print(f"peer={name} method={method} allocations={(count(process, log) - before) / CALLS:.2f}")
            finally:
                process.terminate()
                process.wait(30)


main()
