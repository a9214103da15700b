"""The cost of a client: unary calls, many in flight, ours beside gRPC C++ and grpc-go in the same run.
  clients.py ADDRESS BENCH_CLIENT [CALLS] [SECONDS] [ROUNDS]
ADDRESS serves GetHealth; the clients run in turn, ROUNDS times; the median of CPU seconds per 100,000 calls is told, and
how it relates to ours.  Pin the server and this elsewhere (taskset) for steady figures."""
import os
import statistics
import subprocess
import sys

BIN = os.environ.get("PEERS_DIR", "/tmp/peers") + "/bin"


def main():
    address, ours = sys.argv[1:3]
    calls, seconds, rounds = (sys.argv[3:] + ["100", "2", "5"][len(sys.argv) - 3:])[:3]
    clients = {"ours": [ours, "unary"], "C++": [BIN + "/cpp_unary_client"], "Go": [BIN + "/go_unary"]}
    clients = {name: argv for name, argv in clients.items() if os.path.exists(argv[0])}
    cost = {name: [] for name in clients}
    for _ in range(int(rounds)):
        for name, argv in clients.items():
            done = subprocess.run(argv + [address, calls, seconds], check=True, capture_output=True, text=True)
            got = dict(pair.split("=") for pair in done.stdout.split())
            cost[name].append(float(got["cpu_s"]) * 1e5 / float(got["calls"]))
    base = statistics.median(cost["ours"])
    for name, list_ in cost.items():
        middle = statistics.median(list_)
        print(f"{name:5} {middle:7.3f} CPU s per 100,000 calls ({min(list_):.3f} to {max(list_):.3f}), {middle / base:5.2f} x ours")


main()
