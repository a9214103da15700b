"""What people ask of gateways, tried at a service that does what it is told: headers and metadata both ways, deadlines,
JSON as the request wants it, errors, and more requests at once than the server takes."""
import concurrent.futures
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

import harness
import test_foreign
from test_foreign import foreign_pb2, httpbody_pb2


def shelf(request, context):
    """Fails as the name says, or tells what it was sent."""
    if request.name.startswith("code"):
        context.set_trailing_metadata((("x-trail", "of an error"),))
        context.abort(list(grpc.StatusCode)[int(request.name[4:])], "inner matters")
    context.send_initial_metadata((("x-shown", "a"), ("x-shown", "b"), ("x-hidden", "h"), ("x-raw-bin", b"\0\1\2\3")))
    context.set_trailing_metadata((("x-trail", "t"),))
    left = context.time_remaining()
    told = {"metadata": {k: str(v) for k, v in context.invocation_metadata()}, "left": None if left > 1e9 else left}
    return foreign_pb2.Everything(f_string=json.dumps(told))


def tail(request, context):
    context.send_initial_metadata((("x-shown", "a"),))
    context.set_trailing_metadata((("x-trail", "t"), ("x-trail", "u"), ("x-hidden", "h")))
    for number in range(1, request.count + 1):
        if number == request.fail_at:
            context.abort(grpc.StatusCode.NOT_FOUND, "no more")
        yield foreign_pb2.Tick(number=number, kind=1)


def pieces(request, context):
    for tick in tail(request, context):
        yield httpbody_pb2.HttpBody(content_type="text/x-count", data=b"%d;" % tick.number)


def start_service(*options, gate=None):
    def waiting(request, context):
        gate.wait(60)
        return shelf(request, context)
    handlers = {
        "GetShelf": grpc.unary_unary_rpc_method_handler(shelf if gate is None else waiting,
                                                        foreign_pb2.BookRequest.FromString,
                                                        foreign_pb2.Everything.SerializeToString),
        "Query": grpc.unary_unary_rpc_method_handler(lambda request, context: request, foreign_pb2.Everything.FromString,
                                                     foreign_pb2.Everything.SerializeToString),
        "Tail": grpc.unary_stream_rpc_method_handler(tail, foreign_pb2.TailRequest.FromString,
                                                     foreign_pb2.Tick.SerializeToString),
        "Pieces": grpc.unary_stream_rpc_method_handler(pieces, foreign_pb2.TailRequest.FromString,
                                                       httpbody_pb2.HttpBody.SerializeToString)}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("foreign.v1.Shelf", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class Asks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server, port = start_service()
        cls.backend = f"127.0.0.1:{port}"
        cls.gateway = cls.start("--pass-metadata", "x-shown,x-trail,x-raw-bin", "--cors-origin", "https://a.example",
                                "--timeout-ms", "20000", "--timeout-max-ms", "50000")

    @classmethod
    def start(cls, *args):
        return harness.start_gateway(cls.backend, "--descriptors", str(test_foreign.FDS), *args)

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.server.stop(0)

    def get(self, path, gateway=None, **headers):
        return harness.rest((gateway or self.gateway).port, "GET", path,
                            headers={k.replace("_", "-"): v for k, v in headers.items()})

    def told(self, gateway=None, **headers):
        return json.loads(self.get("/v1/shelves/a", gateway, **headers).json()["fString"])

    # ---- metadata ----

    def test_what_is_declared_passes(self):
        answer = self.get("/v1/shelves/a", Origin="https://a.example")
        shown = [v for k, v in answer.headers.items() if k.startswith("x-") and "hidden" in k]
        self.assertEqual(shown, [])
        self.assertEqual((answer.headers["x-shown"], answer.headers["x-trail"], answer.headers["x-raw-bin"]),
                         ("b", "t", "AAECAw"))  # the last of two lines is what this client keeps
        for name in ("x-shown", "x-trail", "x-raw-bin"):
            self.assertIn(name, answer.headers["access-control-expose-headers"])
        self.assertEqual(self.get("/v1/shelves/code5").headers["x-trail"], "of an error")
        stream = self.get("/v1/tail?count=1", Accept="text/event-stream")
        self.assertEqual(stream.headers["x-shown"], "a")
        self.assertTrue(stream.body.endswith(b'event: end\ndata: {"code":"OK","trailers":{"x-trail":["t","u"]}}\n\n'), stream.body)

    def test_nothing_passes_undeclared(self):
        gateway = self.start()
        answer = self.get("/v1/shelves/a", gateway)
        self.assertEqual([k for k in answer.headers if k in ("x-shown", "x-trail", "x-hidden", "x-raw-bin")], [])
        stream = self.get("/v1/tail?count=1", gateway, Accept="text/event-stream")
        self.assertIn(b'data: {"code":"OK"}\n', stream.body)
        gateway.stop()

    # ---- how a stream ended ----

    def ended(self, path, http, *headers):
        """Exit code of curl, body, and the fields that came behind it."""
        with tempfile.NamedTemporaryFile() as dump:
            done = subprocess.run(["curl", "-sS", "--max-time", "30", f"--{http}", "-D", dump.name,
                                   *(w for h in headers for w in ("-H", h)), f"http://127.0.0.1:{self.gateway.port}{path}"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
            head, _, behind = dump.read().decode().lower().partition("\r\n\r\n")
        if head:  # of a stream that is reset at once curl may show nothing at all
            self.assertEqual("trailer: grpc-status, grpc-message, x-shown, x-trail, x-raw-bin" in head,
                             any(h.startswith("TE:") for h in headers) and http != "http1.0", head)
        return done.returncode, done.stdout, [tuple(l.split(": ", 1)) for l in behind.split("\r\n") if l]

    @unittest.skipIf(shutil.which("curl") is None, "no curl")
    def test_trailers_for_those_who_take_them(self):
        good = [("grpc-status", "0"), ("x-trail", "t"), ("x-trail", "u")]
        for http in ("http1.1", "http2-prior-knowledge"):
            for accept, path in (("application/x-ndjson", "/v1/tail"), ("application/json", "/v1/tail"),
                                 ("text/event-stream", "/v1/tail"), ("*/*", "/v1/raw")):
                where = (http, accept, path)
                code, body, behind = self.ended(path + "?count=2", http, "TE: trailers", f"Accept: {accept}")
                self.assertEqual((code, behind), (0, good), where)
                again = self.ended(path + "?count=2", http, f"Accept: {accept}")
                self.assertEqual(again, (0, body, []), where)
                coded = self.ended(path + "?count=2", http, "TE: deflate;q=0.5, Trailers", f"Accept: {accept}",
                                   "Accept-Encoding: gzip")
                self.assertEqual((coded[0], coded[2]), (0, good), where)
            code, body, behind = self.ended("/v1/tail?count=2&fail_at=2", http, "TE: trailers", "Accept: application/x-ndjson")
            self.assertEqual(json.loads(body.splitlines()[-1])["error"]["message"], "no more")
            self.assertEqual((code, behind), (0, [("grpc-status", "5"), ("grpc-message", "no more"), *good[1:]]), http)
        self.assertEqual(self.ended("/v1/tail?count=1", "http1.0", "TE: trailers", "Accept: application/x-ndjson")[2], [])

    @unittest.skipIf(shutil.which("curl") is None, "no curl")
    def test_what_was_cut_off_does_not_look_whole(self):
        for http, code in (("http1.1", 18), ("http2-prior-knowledge", 92)):
            for headers in ((), ("TE: trailers",)):
                got, body, _ = self.ended("/v1/raw?count=3&fail_at=3", http, *headers)
                self.assertEqual(got, code, (http, headers))
                got, array, _ = self.ended("/v1/tail?count=3&fail_at=3", http, "Accept: application/json", *headers)
                self.assertEqual(got, code, (http, headers))
                if http == "http1.1":  # over HTTP/2 curl keeps to itself what came with the reset
                    self.assertEqual((body, json.loads(array)[-1]["error"]["message"]), (b"1;2;", "no more"))

    def test_a_last_line_for_those_who_ask(self):
        def lines(query):
            answer = self.get("/v1/tail?count=2&" + query, Accept="application/x-ndjson")
            return [json.loads(line) for line in answer.body.splitlines()]
        plain = lines("")
        self.assertEqual(lines("$end"), plain + [{"end": {"code": "OK", "trailers": {"x-trail": ["t", "u"]}}}])
        self.assertEqual(lines("$end=false"), plain)
        self.assertEqual([sorted(l) for l in lines("$end=1&fail_at=1")], [["error"]])
        self.assertEqual(self.get("/v1/tail?$end=maybe").status, 400)
        array = self.get("/v1/tail?count=2&$end", Accept="application/json").json()
        self.assertEqual(array, plain, "an array has its bracket")

    def test_headers_of_ours_are_not_for_servers(self):
        for name in ("content-type", "ETag", "grpc-status", "access-control-allow-origin", "a b", "retry-after"):
            gateway = harness.Program("novel-gateway", "--listen", "127.0.0.1:0", "--backend", self.backend,
                                      "--pass-metadata", name)
            self.assertIn("--pass-metadata", gateway.wait_event("start_failed")["reason"])
            self.assertEqual(gateway.process.wait(10), 1)

    def test_servers_hear_who_asks(self):
        told = self.told(X_Forwarded_For="9.9.9.9", X_Forwarded_Proto="https", Host="shop.example", Cookie="a=b",
                         X_Evil="1", Grpc_Metadata_X="1")["metadata"]
        self.assertEqual((told["x-forwarded-for"], told["x-forwarded-host"], told["x-forwarded-proto"]),
                         ("127.0.0.1", "shop.example", "http"))
        self.assertEqual([k for k in told if k in ("cookie", "x-evil", "grpc-metadata-x", "x")], [])
        gateway = self.start("--trusted-proxy", "127.0.0.1")
        told = self.told(gateway, X_Forwarded_For="9.9.9.9", X_Forwarded_Proto="https",
                         X_Forwarded_Host="front.example")["metadata"]
        self.assertEqual((told["x-forwarded-for"], told["x-forwarded-host"], told["x-forwarded-proto"]),
                         ("9.9.9.9, 127.0.0.1", "front.example", "https"))
        gateway.stop()

    # ---- deadlines ----

    def test_deadlines_are_read_or_refused(self):
        for name, value, seconds in (("Grpc_Timeout", "3S", 3), ("Grpc_Timeout", "2500m", 2.5), ("X_Request_Timeout", "4", 4),
                                     ("X_Server_Timeout", "2.5", 2.5), ("Connect_Timeout_Ms", "1500", 1.5),
                                     ("Grpc_Timeout", "99999999H", 50), ("X_Request_Timeout", "51", 50),
                                     ("User_Agent", "none", 20)):
            self.assertAlmostEqual(self.told(**{name: value})["left"], seconds, delta=1, msg=(name, value))
        for name, value in (("Grpc_Timeout", "x"), ("Grpc_Timeout", "S"), ("Grpc_Timeout", "123456789S"),
                            ("Grpc_Timeout", "5"), ("Connect_Timeout_Ms", "1.5"), ("X_Request_Timeout", "0"),
                            ("X_Request_Timeout", "-1"), ("X_Server_Timeout", "1.2.3")):
            answer = self.get("/v1/shelves/a", **{name: value})
            self.assertEqual(answer.status, 400, (name, value))
            self.assertIn(name.replace("_", "-").lower(), answer.json()["message"])

    # ---- JSON as the request wants it ----

    def test_styles(self):
        self.assertEqual(self.get("/v1/query?fInt64=5&fEnum=1").json(), {"fInt64": "5", "fEnum": "COLOR_RED"})
        self.assertEqual(self.get("/v1/query?fInt64=5&fEnum=1&$int64=numbers&$enums=numbers&$names=proto").json(),
                         {"f_int64": 5, "f_enum": 1})
        whole = self.get("/v1/query?fInt64=5&$defaults").json()
        self.assertEqual((whole["fInt32"], whole["fString"], whole["rInt32"], whole["fEnum"]), (0, "", [], "COLOR_UNSPECIFIED"))
        for query in ("$int64=x", "$defaults=yes", "$enums=numbers&$enums=names", "$nothing=1"):
            answer = self.get("/v1/query?" + query)
            self.assertEqual(answer.status, 400, query)
            self.assertIn("$", answer.json()["message"])

    def test_pretty_everywhere(self):
        for path in ("/v1/query?fInt32=x&pretty", "/v1/nowhere?$pretty=1", "/v1/shelves/code5?%24pretty", "/v1/query?pretty=1&x=1"):
            answer = self.get(path)
            self.assertGreaterEqual(answer.status, 400)
            self.assertTrue(answer.body.startswith(b'{\n  "'), answer.body)
            answer.json()
        for path in ("/v1/shelves/code5?pretty=0", "/v1/shelves/code5?prettyplease", "/v1/nowhere?x=pretty"):
            self.assertNotIn(b"\n", self.get(path).body.rstrip(b"\n"), path)
        array = self.get("/v1/tail?count=2&pretty", Accept="application/json")
        self.assertEqual(array.body.count(b'\n  "number"'), 2)
        self.assertEqual([t["number"] for t in array.json()], ["1", "2"])
        lines = self.get("/v1/tail?count=2&fail_at=2&pretty", Accept="application/x-ndjson").body.splitlines()
        self.assertEqual(len(lines), 2, "a line each, whatever the client likes")

    # ---- errors ----

    def test_every_code(self):
        expected = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501,
                    13: 500, 14: 503, 15: 500, 16: 401}
        for code, status in expected.items():
            answer = self.get(f"/v1/shelves/code{code}")
            self.assertEqual((answer.status, answer.json()["code"]), (status, code))
            self.assertEqual("retry-after" in answer.headers, status in (429, 503), code)
            self.assertEqual("www-authenticate" in answer.headers, status == 401, code)
            if status == 500:
                self.assertNotIn("inner matters", answer.body.decode())
                self.assertEqual(answer.json()["details"], [{"@type": "type.googleapis.com/google.rpc.RequestInfo",
                                                             "requestId": answer.headers["x-request-id"]}])
            else:
                self.assertEqual(answer.json()["message"], "inner matters")
        for code in (9, 10):
            self.assertEqual(self.get(f"/v1/shelves/code{code}", If_Match='"x"').status, 412)

    def test_what_is_no_route_speaks_like_the_rest(self):
        for path, status in (("/nowhere", 404), ("/v1/upload", 405)):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"))
            self.assertEqual(set(answer.json()), {"code", "message", "details"})
            problem = self.get(path, Accept="application/problem+json")
            self.assertEqual(problem.headers["content-type"], "application/problem+json")
            self.assertEqual(problem.json()["status"], status)

    def test_a_limit_names_its_route(self):
        answer = harness.rest(self.gateway.port, "PUT", "/v1/everything/k", b"x" * 5000000)
        self.assertEqual(answer.status, 413)
        self.assertIn("4194304 bytes for PUT /v1/everything/{f_string}", answer.json()["message"])


class Crowd(unittest.TestCase):
    """One stream a connection: whoever comes more than four at a time waits in the gateway."""

    def crowd(self, *args):
        gate = threading.Event()
        server, port = start_service(("grpc.max_concurrent_streams", 1), gate=gate)
        gateway = harness.start_gateway(f"127.0.0.1:{port}", "--descriptors", str(test_foreign.FDS), "--threads", "1", *args)
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            asked = [pool.submit(harness.rest, gateway.port, "GET", "/v1/shelves/a") for _ in range(60)]
            # Until nothing has moved for a second: by then all of them have asked.
            refused_at_once, since, end = 0, time.monotonic(), time.monotonic() + 20
            while time.monotonic() < min(since + 1, end):
                time.sleep(0.05)
                if (done := sum(a.done() for a in asked)) != refused_at_once:
                    refused_at_once, since = done, time.monotonic()
            gate.set()
            answers = [a.result() for a in asked]
        gateway.stop()
        server.stop(0)
        return answers, refused_at_once

    def test_all_are_served(self):
        answers, early = self.crowd()
        self.assertEqual((early, {a.status for a in answers}), (0, {200}))

    def test_the_rest_hears_so_at_once(self):
        answers, early = self.crowd("--max-waiting", "10")
        refused = [a for a in answers if a.status != 200]
        self.assertGreaterEqual(len(refused), 40)
        self.assertEqual(early, len(refused))
        self.assertGreaterEqual(len(answers) - len(refused), 10)
        for answer in refused:
            self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
            self.assertEqual(answer.json()["details"][0]["reason"], "OVERLOADED")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
