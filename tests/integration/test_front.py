"""The gateway's front door beyond HTTP/1.1's basics: HTTP/2, content codings, entity tags."""
import gzip
import html
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import harness

CURL = shutil.which("curl")
NGHTTP = shutil.which("nghttp")
H2LOAD = shutil.which("h2load")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def curl(*arguments, data=None):
    done = subprocess.run([CURL, "-sS", "--max-time", "60", *arguments], input=data, stdout=subprocess.PIPE, timeout=90)
    if done.returncode != 0:
        raise AssertionError(f"curl {' '.join(arguments)}: exit {done.returncode}")
    return done.stdout


def split(raw):
    """Head and body of `curl -i`, interim answers left out."""
    head, _, body = raw.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/") and head.split()[1].startswith(b"1"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return lines[0], headers, body


@unittest.skipIf(CURL is None, "no curl")
class Http2(harness.Stack):
    def url(self, path):
        return f"http://127.0.0.1:{self.gateway.port}{path}"

    def h2(self, path, *arguments, data=None):
        return split(curl("-i", "--http2-prior-knowledge", *arguments, self.url(path), data=data))

    def test_same_answers_as_over_http1(self):
        for path in ("/characters", "/characters/pilot", "/characters/nobody", "/nope", "/meta/policy", "/livez"):
            status, headers, body = self.h2(path)
            plain = self.rest("GET", path)
            self.assertEqual(status.split()[:2], ["HTTP/2", str(plain.status)], path)
            if plain.status == 200:
                self.assertEqual(body, plain.body, path)
            for name in ("content-type", "cache-control", "x-content-type-options", "content-security-policy"):
                self.assertEqual(headers[name], [plain.headers[name]], (path, name))
            for name in ("connection", "keep-alive", "transfer-encoding"):
                self.assertNotIn(name, headers, path)

    def test_bodies_both_ways(self):
        request = json.dumps({"character_names": harness.CAST, "turns": 3, "seed": "7"})
        status, headers, body = self.h2("/simulations", "-X", "POST", "-H", "content-type: application/json",
                                        "--data-binary", "@-", data=request.encode())
        self.assertEqual(status.split()[1], "200", body)
        again = self.rest("POST", "/simulations", request)
        self.assertEqual(json.loads(body)["story"], again.json()["story"])
        # Without a length, in pieces.
        status, _, body = self.h2("/simulations", "-X", "POST", "-H", "content-type: application/json", "-T", "-",
                                  "-H", "content-length:", data=request.encode())
        self.assertEqual(status.split()[1], "200", body)

    def test_errors_keep_the_connection(self):
        status, _, body = self.h2("/simulations", "-X", "POST", "--data-binary", "{", "-H", "expect:")
        self.assertEqual(status.split()[1], "422", body)
        status, headers, _ = self.h2("/health", "-X", "DELETE")
        self.assertEqual(status.split()[1], "405")
        self.assertIn("GET", headers["allow"][0])
        status, headers, body = self.h2("/characters", "-I")
        self.assertEqual((status.split()[1], body), ("200", b""))
        self.assertGreater(int(headers["content-length"][0]), 10)

    def test_a_stream(self):
        status, headers, body = self.h2("/simulations:stream", "-N", "-X", "POST", "-H", "accept: text/event-stream",
                                        "-d", json.dumps({"character_names": harness.CAST, "turns": 2}))
        self.assertEqual(status.split()[1], "200")
        self.assertEqual(headers["content-type"], ["text/event-stream"])
        text = body.decode()
        self.assertTrue(text.startswith("retry: 3000\n"))
        self.assertIn("event: end\n", text)
        self.assertIn("event: result\n", text)

    @unittest.skipIf(NGHTTP is None, "no nghttp")
    def test_an_answer_before_the_body_is_through(self):
        """413 at once, then RST_STREAM(NO_ERROR) (RFC 9113 section 8.1)."""
        with tempfile.NamedTemporaryFile() as large:
            large.write(b"x" * (5 << 20))
            large.flush()
            done = subprocess.run([NGHTTP, "-v", "-d", large.name, self.url("/simulations")], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertIn(":status: 413", done.stdout)
        self.assertIn("BODY_TOO_LARGE", done.stdout)
        self.assertRegex(done.stdout, r"recv RST_STREAM[^\n]*\n[^\n]*NO_ERROR")

    @unittest.skipIf(H2LOAD is None, "no h2load")
    def test_many_streams_at_once(self):
        done = subprocess.run([H2LOAD, "-n", "4000", "-c", "4", "-m", "50", self.url("/characters/pilot")],
                              stdout=subprocess.PIPE, text=True, timeout=120)
        self.assertIn("4000 succeeded, 0 failed, 0 errored, 0 timeout", done.stdout)
        self.assertIn("status codes: 4000 2xx", done.stdout)

    def test_a_preface_in_pieces(self):
        with socket.create_connection(("127.0.0.1", self.gateway.port), 30) as s:
            for byte in PREFACE + SETTINGS:
                s.sendall(bytes([byte]))
            head = b""
            while len(head) < 9:
                piece = s.recv(65536)
                self.assertTrue(piece)
                head += piece
            self.assertEqual(head[3], 4, "SETTINGS come first")

    def test_almost_a_preface(self):
        for sent in (b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\n", b"PRINT / HTTP/1.1\r\nHost: a\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.gateway.port), 30) as s:
                s.sendall(sent)
                answer = s.recv(65536)
                self.assertRegex(answer, rb"^HTTP/1\.1 (400|404|405|501|505) ", sent)

    def test_a_client_that_leaves_cancels(self):
        process = subprocess.Popen([CURL, "-sSN", "--http2-prior-knowledge", "-X", "POST", "-H",
                                    "accept: text/event-stream", "-d",
                                    json.dumps({"character_names": harness.CAST, "turns": 90}),
                                    self.url("/simulations:stream")], stdout=subprocess.PIPE)
        self.assertTrue(process.stdout.readline())
        process.kill()
        process.wait(30)
        process.stdout.close()
        self.assertEqual(self.h2("/health")[0].split()[1], "200")


@unittest.skipIf(CURL is None, "no curl")
class Http2Drain(unittest.TestCase):
    def test_sigterm_lets_answers_finish(self):
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            server = harness.start_server(pathlib.Path(folder) / "data")
            gateway = harness.start_gateway(server.address)
            process = subprocess.Popen(
                [CURL, "-sSN", "--http2-prior-knowledge", "-X", "POST", "-H", "accept: application/x-ndjson", "-d",
                 json.dumps({"character_names": harness.CAST, "turns": 20}),
                 f"http://127.0.0.1:{gateway.port}/simulations:stream"], stdout=subprocess.PIPE)
            self.assertTrue(process.stdout.readline(), "the stream has begun")
            gateway.stop()
            rest = process.stdout.read()
            process.stdout.close()
            self.assertEqual(process.wait(60), 0)
            self.assertIn("result", json.loads(rest.splitlines()[-1]))
            server.stop()


class Codings(harness.Stack):
    def get(self, path, accept, **headers):
        return self.rest("GET", path, headers={"Accept-Encoding": accept, **headers})

    def test_gzip_is_the_same_text(self):
        plain = self.rest("GET", "/characters/pilot")
        packed = self.get("/characters/pilot", "gzip")
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body), len(plain.body) * 0.7)
        for answer in (plain, packed):
            self.assertIn("Accept-Encoding", answer.headers["vary"])
        self.assertNotEqual(plain.headers["etag"], packed.headers["etag"])

    def test_brotli_is_preferred(self):
        self.assertEqual(self.get("/characters/pilot", "gzip, deflate, br").headers["content-encoding"], "br")
        self.assertEqual(self.get("/characters/pilot", "br;q=0.5, gzip").headers["content-encoding"], "gzip")
        self.assertNotIn("content-encoding", self.get("/characters/pilot", "gzip;q=0").headers)

    @unittest.skipIf(shutil.which("brotli") is None, "no brotli program")
    def test_brotli_is_the_same_text(self):
        packed = self.get("/characters/pilot", "br").body
        text = subprocess.run(["brotli", "-dc"], input=packed, stdout=subprocess.PIPE, check=True, timeout=30).stdout
        self.assertEqual(text, self.rest("GET", "/characters/pilot").body)

    @unittest.skipIf(shutil.which("zstd") is None, "no zstd program")
    def test_zstd_is_the_same_text(self):
        answer = self.get("/characters/pilot", "gzip, deflate, br, zstd")
        self.assertEqual(answer.headers["content-encoding"], "zstd")
        text = subprocess.run(["zstd", "-dc"], input=answer.body, stdout=subprocess.PIPE, check=True, timeout=30).stdout
        plain = self.rest("GET", "/characters/pilot")
        self.assertEqual(text, plain.body)
        self.assertLess(len(answer.body), len(plain.body) * 0.7)
        # The tag names the representation; any of a resource's tags saves the body.
        self.assertEqual(answer.headers["etag"], plain.headers["etag"][:-1] + '-zs"')
        again = self.get("/characters/pilot", "gzip", **{"If-None-Match": answer.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    @unittest.skipIf(shutil.which("zstd") is None, "no zstd program")
    def test_a_stream_in_zstd_is_flushed_by_event(self):
        body = json.dumps({"character_names": harness.CAST, "turns": 3})
        with socket.create_connection(("127.0.0.1", self.gateway.port), 60) as s:
            s.sendall(b"POST /simulations:stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
                      b"Accept-Encoding: zstd, gzip;q=0.5\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode()))
            raw = s.makefile("rb")
            head = b"".join(iter(raw.readline, b"\r\n")).lower()
            self.assertIn(b"content-encoding: zstd\r\n", head)
            chunks = []
            while (size := int(raw.readline(), 16)) > 0:
                chunks.append(raw.read(size))
                raw.readline()

        def read(n):  # of a frame that is cut off, the program shows what it can read
            return subprocess.run(["zstd", "-dcq"], input=b"".join(chunks[:n]), stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, timeout=30)
        self.assertTrue(read(1).stdout.startswith(b"retry: 3000\n: connected\n\n"), "the first chunk, at once")
        self.assertTrue(read(5).stdout.endswith(b"\n\n"))
        self.assertLess(len(read(5).stdout), len(read(6).stdout))
        whole = read(len(chunks))
        self.assertEqual(whole.returncode, 0, "the frame ends properly")
        self.assertIn(b"event: end\n", whole.stdout)

    def test_short_answers_stay_as_they_are(self):
        self.assertNotIn("content-encoding", self.get("/livez", "gzip").headers)

    def test_events_arrive_one_by_one(self):
        """Each event can be read when it comes, not when the stream ends."""
        with socket.create_connection(("127.0.0.1", self.gateway.port), 60) as s:
            body = json.dumps({"character_names": harness.CAST, "turns": 4}).encode()
            s.sendall(b"POST /simulations:stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
                      b"Accept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            raw = s.makefile("rb")
            head = {}
            while (line := raw.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                head[name.lower()] = value.strip()
            self.assertEqual(head["content-encoding"], "gzip")
            unpack = zlib.decompressobj(31)
            text, events_seen = b"", []
            while (size := int(raw.readline(), 16)) > 0:
                text += unpack.decompress(raw.read(size))
                raw.readline()
                events_seen.append(text.count(b"\n\n"))
            text += unpack.flush()
            self.assertTrue(unpack.eof, "the coding ends properly")
            self.assertIn(b"event: end", text)
            self.assertGreater(len(events_seen), 5)
            self.assertEqual(sorted(events_seen), events_seen)
            self.assertEqual(events_seen[0] > 0, True, "the first chunk can be read at once")

    def test_a_coded_request_is_refused(self):
        body = gzip.compress(json.dumps({"character_names": harness.CAST}).encode())
        answer = self.rest("POST", "/simulations", body.decode("latin1").encode("latin1"),
                           {"Content-Encoding": "gzip"})
        self.assert_problem(answer, 415)
        self.assertEqual(answer.headers["accept-encoding"], "identity")


class EntityTags(harness.Stack):
    CHARACTER = {"character_id": "tagged", "name": "Tag Ged", "background_summary": "Born in a header field."}

    def test_a_tag_saves_the_body(self):
        first = self.rest("GET", "/characters/pilot")
        tag = first.headers["etag"]
        for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = self.rest("GET", "/characters/pilot", headers={"If-None-Match": given})
            self.assertEqual((again.status, again.body), (304, b""), given)
            self.assertEqual(again.headers["etag"], tag)
        packed = self.rest("GET", "/characters/pilot", headers={"Accept-Encoding": "gzip"})
        again = self.rest("GET", "/characters/pilot",
                          headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
        self.assertEqual((again.status, again.headers["etag"]), (304, packed.headers["etag"]))
        other = self.rest("GET", "/characters/pilot", headers={"If-None-Match": '"other"'})
        self.assertEqual(other.status, 200)

    def test_a_change_wants_the_tag_that_was_read(self):
        made = self.rest("POST", "/characters", self.CHARACTER)
        self.assertEqual(made.status, 201, made.body)
        tag = self.rest("GET", "/characters/tagged").headers["etag"]
        stale = self.rest("PATCH", "/characters/tagged", {"name": "No"}, {"If-Match": '"stale"'})
        self.assert_problem(stale, 412)
        done = self.rest("PATCH", "/characters/tagged", {"name": "Yes"}, {"If-Match": tag})
        self.assertEqual(done.status, 200, done.body)
        self.assertEqual(done.json()["name"], "Yes")
        self.assert_problem(self.rest("DELETE", "/characters/tagged", headers={"If-Match": tag}), 412)
        for bad in ('W/"weak"', '"a", "b"', "unquoted"):
            self.assert_problem(self.rest("PATCH", "/characters/tagged", {"name": "No"}, {"If-Match": bad}), 422)
        tag = self.rest("GET", "/characters/tagged", headers={"Accept-Encoding": "gzip"}).headers["etag"]
        self.assertEqual(self.rest("DELETE", "/characters/tagged", headers={"If-Match": tag}).status, 204)


class Documents(harness.Stack):
    def test_openapi(self):
        answer = self.rest("GET", "/openapi.json")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.json()["openapi"], "3.1.0")
        self.assertEqual(self.rest("GET", "/api/openapi.json").body, answer.body)
        same = self.rest("GET", "/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
        self.assertEqual(same.status, 304)
        self.assertEqual(self.rest("POST", "/openapi.json", {}).status, 405)
        for path, item in answer.json()["paths"].items():
            allowed = self.rest("OPTIONS", path.replace("{", "").replace("}", "")).headers["allow"]
            for method in item:
                self.assertIn(method.upper(), allowed, path)

    def test_collection(self):
        answer = self.rest("GET", "/api/postman/collection")
        self.assertEqual(answer.status, 200)
        items = answer.json()["item"]
        names = [item["name"] for item in items]
        self.assertEqual(len(names), len(set(names)))
        run = next(item for item in items if item["name"].startswith("RunSimulation (POST /simulations)"))
        self.assertEqual(run["request"]["url"], "{{base_url}}/simulations")
        self.assertIn("character_names", json.loads(run["request"]["body"]["raw"]))

    def test_page(self):
        page = self.rest("GET", "/docs")
        self.assertIn("script-src 'self'", page.headers["content-security-policy"])
        for path, kind in (("/docs/app.js", "text/javascript"), ("/docs/style.css", "text/css")):
            answer = self.rest("GET", path)
            self.assertEqual((answer.status, answer.headers["content-type"].split(";")[0]), (200, kind))
        self.assertNotIn("http://", page.body.decode())
        self.assertNotIn("https://", page.body.decode())

    @unittest.skipIf(shutil.which("chromium") is None, "no chromium")
    def test_page_in_a_browser(self):
        with tempfile.TemporaryDirectory() as profile:
            done = subprocess.run(
                ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                 "--virtual-time-budget=10000", "--dump-dom", f"http://127.0.0.1:{self.gateway.port}/docs"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120)
        self.assertIn("NovelEngine API v1", done.stdout)
        self.assertIn("/characters/{character_id}", done.stdout)
        document = self.rest("GET", "/openapi.json").json()
        for operation in (o for item in document["paths"].values() for o in item.values()):
            self.assertIn(html.escape(operation["summary"], quote=False), done.stdout)


class Inside(unittest.TestCase):
    def test_what_is_for_operators_stays_inside(self):
        """By reflection the gateway sees all services of a server; it offers those that are for callers."""
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            server = harness.start_server(pathlib.Path(folder) / "data", "--channelz")
            gateway = harness.start_gateway(server.address, "--descriptors", "reflection")
            for path, status in (("/grpc.health.v1.Health/Check", 200), ("/grpc.channelz.v1.Channelz/GetServers", 404),
                                 ("/nrpc.cache.v1.Invalidation/Subscribe", 404),
                                 ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", 404)):
                self.assertEqual(harness.rest(gateway.port, "POST", path, {}).status, status, path)
            self.assertEqual(harness.rest(gateway.port, "GET", "/characters").status, 200)
            gateway.stop()
            server.stop()


class RateLimits(harness.Stack):
    gateway_args = ("--rate-limit", "1", "--rate-burst", "4", "--trusted-proxy", "127.0.0.1")

    def get(self, client, path="/health"):
        return self.rest("GET", path, headers={"X-Forwarded-For": client})

    def test_one_client_too_many(self):
        seen = [self.get("10.0.0.1") for _ in range(6)]
        self.assertEqual([a.status for a in seen[:4]], [200] * 4)
        self.assertEqual([int(a.headers["ratelimit-remaining"]) for a in seen[:4]], [3, 2, 1, 0])
        self.assertEqual({a.headers["ratelimit-limit"] for a in seen}, {"4"})
        self.assertIn(429, [a.status for a in seen[4:]])
        refused = next(a for a in seen if a.status == 429)
        problem = self.assert_problem(refused, 429)
        self.assertEqual(problem["code"], "RATE_LIMITED")
        self.assertGreaterEqual(int(refused.headers["retry-after"]), 1)

    def test_others_are_not_touched(self):
        for _ in range(6):
            self.get("10.0.0.2")
        self.assertEqual(self.get("10.0.0.3").status, 200)
        self.assertEqual(self.get("10.0.0.3, 127.0.0.1").status, 200)
        self.assertEqual(self.get("1.2.3.4, 10.0.0.2").status, 429, "only the nearest address is believed")

    def test_probes_are_free(self):
        for _ in range(8):
            self.assertEqual(self.get("10.0.0.4", "/livez").status, 200)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
