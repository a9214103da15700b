"""The gateway's cache: what it saves, and that it never shows what was before an acknowledged change."""
import concurrent.futures
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

import harness

CHARACTER = {"character_id": "cached", "name": "0", "background_summary": "Kept for a while."}


def metrics(gateway):
    return harness.rest(gateway.port, "GET", "/cache/metrics").json()


def wait_coherent(gateway, expected=True, seconds=30):
    end = time.monotonic() + seconds
    while metrics(gateway)["coherent"] != expected:
        if time.monotonic() > end:
            raise AssertionError(f"the cache did not become {'coherent' if expected else 'invalid'}")
        time.sleep(0.02)


class Routes(harness.Stack):
    gateway_args = ("--threads", "1")

    def setUp(self):
        wait_coherent(self.gateway)

    def test_hits(self):
        before = metrics(self.gateway)
        answers = [self.rest("GET", "/characters/pilot") for _ in range(5)]
        after = metrics(self.gateway)
        self.assertEqual(len({a.body for a in answers}), 1)
        self.assertEqual(len({a.headers["etag"] for a in answers}), 1)
        self.assertGreaterEqual(after["hits"] - before["hits"], 4)
        packed = [self.rest("GET", "/characters/pilot", headers={"Accept-Encoding": "gzip"}) for _ in range(2)]
        self.assertEqual([a.headers["content-encoding"] for a in packed], ["gzip", "gzip"])
        same = self.rest("GET", "/characters/pilot", headers={"If-None-Match": answers[0].headers["etag"]})
        self.assertEqual((same.status, same.body), (304, b""))
        head = self.rest("HEAD", "/characters/pilot")
        self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(answers[0].body))))
        for key in ("hits", "misses", "stores", "evictions", "entries", "bytes"):
            self.assertIsInstance(after[key], int)

    def test_what_goes_past_it(self):
        self.rest("GET", "/characters/engineer")
        for headers in ({"Authorization": "Bearer x"}, {"Cache-Control": "no-store"}, {"Cache-Control": "no-cache"}):
            before = metrics(self.gateway)["hits"]
            self.assertEqual(self.rest("GET", "/characters/engineer", headers=headers).status, 200)
            self.assertEqual(metrics(self.gateway)["hits"], before, headers)
        for path in ("/health", "/characters/nobody", "/simulations"):
            before = metrics(self.gateway)
            self.rest("GET", path)
            self.rest("GET", path)
            after = metrics(self.gateway)
            self.assertEqual((after["hits"], after["entries"]), (before["hits"], before["entries"]), path)

    def test_invalidate(self):
        for path in ("/characters", "/characters/pilot", "/characters/test", "/api/characters/test"):
            self.rest("GET", path)
        def invalidate(*tags):
            answer = self.rest("POST", "/cache/invalidate", {"all_of": list(tags)})
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json()["removed"]
        self.assertEqual(invalidate("character:test", "characters"), 0)
        self.assertEqual(invalidate("character:test"), 2)
        self.assertEqual(invalidate("character:test"), 0)
        self.assertEqual(invalidate("characters"), 1)
        for bad in ({}, {"all_of": []}, {"all_of": "characters"}, {"all_of": [1]}, {"any_of": ["x"]}, [], "{", {"all_of": [["x"]]}):
            answer = self.rest("POST", "/api/cache/invalidate", bad)
            self.assertIn(answer.status, (400, 422), bad)
            self.assertEqual(answer.headers["content-type"], "application/problem+json")
        self.assertEqual(self.rest("GET", "/cache/invalidate").status, 405)
        self.assertEqual(self.rest("DELETE", "/cache/metrics").status, 405)

    def test_a_change_is_seen_at_once(self):
        self.assertEqual(self.rest("POST", "/characters", CHARACTER).status, 201)
        self.assertIn("cached", self.rest("GET", "/characters").json()["characters"])
        for n in range(1, 30):
            self.assertEqual(self.rest("PATCH", "/characters/cached", {"name": str(n)}).status, 200)
            self.assertEqual(self.rest("GET", "/characters/cached").json()["name"], str(n))
        self.assertEqual(self.rest("DELETE", "/characters/cached").status, 204)
        self.assertEqual(self.rest("GET", "/characters/cached").status, 404)
        self.assertNotIn("cached", self.rest("GET", "/characters").json()["characters"])


class Coherence(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="novel-test-")
        self.server = harness.start_server(pathlib.Path(self.folder.name) / "data")
        self.gateways = [harness.start_gateway(self.server.address, "--threads", "2") for _ in range(2)]
        for gateway in self.gateways:
            wait_coherent(gateway)
        harness.rest(self.gateways[0].port, "POST", "/characters", CHARACTER)

    def tearDown(self):
        try:
            for gateway in self.gateways:
                gateway.stop()
            self.server.stop()
        finally:
            self.folder.cleanup()

    def name(self, gateway):
        return int(harness.rest(gateway.port, "GET", "/characters/cached").json()["name"])

    def change(self, gateway, n):
        answer = harness.rest(gateway.port, "PATCH", "/characters/cached", {"name": str(n)})
        self.assertEqual(answer.status, 200, answer.body)

    def test_no_reader_of_any_gateway_goes_back(self):
        """Readers at both doors, a writer at one: whoever asks after a change was acknowledged sees it or a later one."""
        acknowledged, stop, wrong = [0], threading.Event(), []
        def read(gateway):
            while not stop.is_set():
                least = acknowledged[0]
                seen = self.name(gateway)
                if seen < least:
                    wrong.append((seen, least))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(read, self.gateways[i % 2]) for i in range(6)]
            try:
                for n in range(1, 120):
                    self.change(self.gateways[0], n)
                    acknowledged[0] = n
            finally:
                stop.set()
            for reader in readers:
                reader.result(60)
        self.assertEqual(wrong, [])
        self.assertGreater(sum(metrics(g)["hits"] for g in self.gateways), 0)

    def test_a_stopped_gateway_is_not_trusted(self):
        """Frozen, it cannot acknowledge: the change waits for its lease, and thawed it shows nothing stale."""
        self.name(self.gateways[1])
        os.kill(self.gateways[1].process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.change(self.gateways[0], 7)
            self.assertLess(time.monotonic() - began, 20)
        finally:
            os.kill(self.gateways[1].process.pid, signal.SIGCONT)
        self.assertEqual(self.name(self.gateways[1]), 7)
        wait_coherent(self.gateways[1])
        self.assertEqual(self.name(self.gateways[1]), 7)

    def test_a_lost_server_empties_it(self):
        self.name(self.gateways[1])
        self.assertGreater(metrics(self.gateways[1])["entries"], 0)
        address = self.server.address
        self.server.kill()
        wait_coherent(self.gateways[1], False)
        self.assertEqual(metrics(self.gateways[1])["entries"], 0)
        self.server = harness.start_server(pathlib.Path(self.folder.name) / "data", listen=address)
        wait_coherent(self.gateways[1])
        self.change(self.gateways[0], 9)
        self.assertEqual(self.name(self.gateways[1]), 9)

    def test_a_gateway_that_leaves_delays_nobody(self):
        self.gateways.pop().stop()
        began = time.monotonic()
        for n in range(1, 6):
            self.change(self.gateways[0], n)
        self.assertEqual(self.name(self.gateways[0]), 5)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
