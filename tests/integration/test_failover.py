"""Several servers behind one gateway: the load goes round, and one that dies takes no reader with it."""
import concurrent.futures
import pathlib
import sys
import tempfile
import threading
import time
import unittest

import harness


class Failover(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="novel-test-")
        self.servers = [self.start(i) for i in range(3)]
        self.gateway = harness.start_gateway(",".join(s.address for s in self.servers), "--cache-bytes", "0")

    def tearDown(self):
        try:
            self.gateway.stop()
            for server in self.servers:
                if server.process.poll() is None:
                    server.stop()
        finally:
            self.folder.cleanup()

    def start(self, i, listen="127.0.0.1:0"):
        return harness.start_server(pathlib.Path(self.folder.name) / str(i), "--log-calls", "all", listen=listen)

    def get(self):
        return harness.rest(self.gateway.port, "GET", "/characters/pilot")

    def test_calls_go_round(self):
        for _ in range(60):
            self.assertEqual(self.get().status, 200)
        for server in self.servers:
            served = sum('"GetCharacter"' in line or "GetCharacter" in line for line in list(server.lines))
            self.assertGreater(served, 5, "every server has its share")

    def test_killed_and_back(self):
        """Readers go on while servers are killed and started again, one after the other: no read fails."""
        stop, failed, served = threading.Event(), [], [0]
        def read():
            while not stop.is_set():
                answer = self.get()
                served[0] += 1
                if answer.status != 200:
                    failed.append((answer.status, answer.body[:200]))
        self.get()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            try:
                for i, server in enumerate(list(self.servers)):
                    address = server.address
                    server.kill()
                    before = served[0]
                    while served[0] < before + 100:
                        time.sleep(0.01)
                    self.servers[i] = self.start(i, address)
                    before = served[0]
                    while served[0] < before + 100:
                        time.sleep(0.01)
            finally:
                stop.set()
            for reader in readers:
                reader.result(60)
        self.assertEqual(failed, [])

    def test_circuits(self):
        """One server's circuit opens when it is gone and closes when it is back; /readyz counts."""
        def until(want):
            end = time.monotonic() + 20
            while True:
                self.get()
                answer = harness.rest(self.gateway.port, "GET", "/readyz")
                if answer.json()["circuits"] == want:
                    return answer
                self.assertLess(time.monotonic(), end, answer.body)
                time.sleep(0.02)
        until({"closed": 3, "open": 0, "half_open": 0})
        address = self.servers[0].address
        self.servers[0].kill()
        answer = until({"closed": 2, "open": 1, "half_open": 0})
        self.assertEqual((answer.status, answer.json()["status"]), (200, "ready"))
        self.servers[0] = self.start(0, address)
        until({"closed": 3, "open": 0, "half_open": 0})

    def test_all_gone(self):
        for server in self.servers:
            server.kill()
        answer = self.get()
        self.assertEqual(answer.status, 503)
        self.assertIn("retry-after", answer.headers)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
