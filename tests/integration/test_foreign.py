"""Services that the gateway was not built with: one of every field kind, served by grpcio, and the public interop
TestService; known by descriptor set or by reflection, without a line of gateway code."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import grpc
from google.protobuf import any_pb2, descriptor_pb2, json_format

from harness import ROOT, Program, Stack, rest, start_gateway

GENERATED = tempfile.TemporaryDirectory(prefix="novel-foreign-")
FDS = pathlib.Path(GENERATED.name) / "foreign.fds"
subprocess.run(["protoc", f"-I{ROOT}/tests/unit/gateway", f"-I{ROOT}/proto", "-I/usr/include", "--include_imports",
                f"--descriptor_set_out={FDS}", f"--python_out={GENERATED.name}", "foreign.proto"], check=True)
sys.path.insert(0, GENERATED.name)
import foreign_pb2  # noqa: E402
from google.api import httpbody_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: E402

EVERYTHING = {
    "fDouble": 0.1, "fFloat": 1.5, "fInt64": "-9223372036854775808", "fUint64": "18446744073709551615",
    "fInt32": -2147483648, "fFixed64": "18446744073709551615", "fFixed32": 4294967295, "fBool": True,
    "fString": "k", "fBytes": "AP/+", "fUint32": 4294967295, "fEnum": "COLOR_DARK_BLUE", "fSint32": -5,
    "fSint64": "-6", "fMessage": {"text": "t", "number": 3, "inner": {"list": ["a", "b"]}}, "rInt32": [1, 2, 3],
    "rDouble": [0.5, "NaN", "-Infinity"], "rString": ["", "x"], "rMessage": [{}, {"text": "y"}],
    "rEnum": ["COLOR_RED", "COLOR_NEGATIVE"], "rBool": [True, False], "mString": {"a": "b", "": "c"},
    "mMessage": {"-7": {"number": 1}}, "mBool": {"true": 2.5}, "oMessage": {"text": "one of"}, "wBool": False,
    "wInt32": 0, "wInt64": "-1", "wUint64": "1", "wDouble": 2.5, "wString": "", "wBytes": "AQ==",
    "timestamp": "2030-01-31T12:00:00.500Z", "duration": "-1.500s", "mask": "fString,fMessage.inner",
    "structure": {"a": [1, None, {"b": "c"}]}, "value": [True, None], "listValue": [1, "two"],
    "any": {"@type": "type.googleapis.com/foreign.v1.Inner", "text": "in any"}, "empty": {},
    "rTimestamp": ["1970-01-01T00:00:00Z"], "rWrapper": [0, 7], "mValue": {"n": None, "o": {}},
}


def echo(request, context):
    return request


def patch(request, context):
    answer = foreign_pb2.Everything(f_message=foreign_pb2.Inner(text=request.everything.f_string))
    answer.f_message.list.extend(request.update_mask.paths)
    return answer


def lock(request, context):
    """Fails with details: one that is in the set, one that nobody knows."""
    details = status_pb2.Status(code=5, message="no such shelf")
    details.details.add().Pack(error_details_pb2.BadRequest(field_violations=[
        error_details_pb2.BadRequest.FieldViolation(field="inner.text", description="is bad")]))
    details.details.append(any_pb2.Any(type_url="type.googleapis.com/none.Unknown", value=b"\1\2"))
    context.set_trailing_metadata([("grpc-status-details-bin", details.SerializeToString())])
    context.abort(grpc.StatusCode.NOT_FOUND, "no such shelf")


def cover(request, context):
    answer = foreign_pb2.Document(title="not seen")
    if request.name != "bare":
        answer.cover.content_type, answer.cover.data = "image/x-cover", b"\0\1" + request.name.encode()
    return answer


def tail(request, context):
    for i in range(request.count):
        yield foreign_pb2.Tick(number=request.after + i + 1, kind=1, text=f"tick {i}")


def book(request, context):
    return foreign_pb2.Everything(f_string=request.name)


class Reflection(reflection_pb2_grpc.ServerReflectionServicer):
    """v1alpha alone, and each file without what it imports: the least that a server may offer."""

    def __init__(self, data):
        self.files = {f.name: f for f in descriptor_pb2.FileDescriptorSet.FromString(data).file}

    def ServerReflectionInfo(self, requests, context):
        for request in requests:
            answer = reflection_pb2.ServerReflectionResponse(original_request=request)
            kind = request.WhichOneof("message_request")
            name = "foreign.proto" if kind == "file_containing_symbol" else request.file_by_filename
            if kind == "list_services":
                answer.list_services_response.service.add(name="foreign.v1.Shelf")
                answer.list_services_response.service.add(name="grpc.reflection.v1alpha.ServerReflection")
            elif name in self.files:
                answer.file_descriptor_response.file_descriptor_proto.append(self.files[name].SerializeToString())
            else:
                answer.error_response.error_code = 5
            yield answer


def start_grpcio():
    """The foreign service on grpcio; its port."""
    p = foreign_pb2
    unary = grpc.unary_unary_rpc_method_handler
    methods = {"PutEverything": (echo, p.Everything), "Query": (echo, p.Everything), "StoreDocument": (echo, p.Document), "GetCover": (cover, p.BookRequest),
               "PatchInner": (patch, p.Patch),
               "Lock": (lock, p.BookRequest), "GetShelf": (book, p.BookRequest), "GetBook": (book, p.BookRequest),
               "GetAny": (book, p.BookRequest)}
    handlers = {name: unary(function, request_deserializer=kind.FromString,
                            response_serializer=lambda m: m.SerializeToString())
                for name, (function, kind) in methods.items()}
    handlers["Tail"] = grpc.unary_stream_rpc_method_handler(
        tail, request_deserializer=p.TailRequest.FromString, response_serializer=lambda m: m.SerializeToString())
    handlers["Upload"] = unary(echo)

    def join(pieces, context):
        pieces = list(pieces)
        if any(p.data == b"stop" for p in pieces):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
        kinds = {p.content_type for p in pieces}
        assert all(len(p.data) <= 65536 for p in pieces)
        return httpbody_pb2.HttpBody(content_type=",".join(kinds),
                                     data=hashlib.sha256(b"".join(p.data for p in pieces)).digest())
    handlers["UploadPieces"] = grpc.stream_unary_rpc_method_handler(
        join, httpbody_pb2.HttpBody.FromString, httpbody_pb2.HttpBody.SerializeToString)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("foreign.v1.Shelf", handlers),))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(Reflection(FDS.read_bytes()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class ForeignShelf:
    """What holds however the gateway came to know the service."""

    @classmethod
    def setUpClass(cls):
        cls.server, cls.backend = start_grpcio()
        cls.gateway = start_gateway(f"127.0.0.1:{cls.backend}", "--descriptors", cls.descriptors())

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.server.stop(0)

    def call(self, *args, **more):
        return rest(self.gateway.port, *args, **more)

    def test_every_kind_of_field_there_and_back(self):
        sent = json_format.ParseDict(EVERYTHING, foreign_pb2.Everything())
        wanted = json.loads(json_format.MessageToJson(sent))
        for path in ("/v1/everything/k", "/foreign.v1.Shelf/PutEverything"):
            for document in (EVERYTHING, json.loads(json_format.MessageToJson(sent, preserving_proto_field_name=True))):
                with self.subTest(path=path):
                    method = "PUT" if path.startswith("/v1") else "POST"
                    answer = self.call(method, path, document)
                    self.assertEqual(answer.status, 200, answer.body)
                    self.assertEqual(answer.json(), wanted)

    def test_what_json_cannot_be_is_told(self):
        for document, where in (('{"fInt32": 2147483648}', "fInt32"), ('{"fInt32": 1, "f_int32": 2}', "f_int32"),
                                ('{"timestamp": "today"}', "timestamp"), ('{"fEnum": "COLOR_REDD"}', "COLOR_RED"),
                                ('{"any": {"@type": "type.googleapis.com/none.Unknown"}}', "any")):
            answer = self.call("PUT", "/v1/everything/k", document)
            self.assertEqual(answer.status, 400)
            self.assertIn(where, answer.body.decode())
        answer = self.call("PUT", "/v1/everything/k", '{"rInt32": [1, "x"]}')
        reason, request = answer.json()["details"]
        self.assertEqual((reason["reason"], reason["domain"]), ("INVALID_ARGUMENT", "novel-gateway"))
        self.assertEqual(request["fieldViolations"][0]["field"], "rInt32[1]")
        answer = self.call("PUT", "/v1/everything/k", '{"rInt32": [1, "x"]}',
                           headers={"Accept": "application/problem+json"})
        self.assertEqual(answer.json()["fields"], [
            {"field": "r_int32[1]", "json_path": "rInt32[1]",
             "message": "expected a whole number from -2147483648 to 2147483647, found a string"}])

    def test_query_parameters(self):
        answer = self.call("GET", "/v1/query?f_message.inner.text=x&rInt32=1&rInt32=2&m_string[a]=b&timestamp="
                           "1970-01-01T00:00:01Z&duration=2s&mask=fString&w_int32=0&fEnum=2&value=%7B%22a%22:1%7D")
        self.assertEqual(answer.json(), {
            "fMessage": {"inner": {"text": "x"}}, "rInt32": [1, 2], "mString": {"a": "b"}, "wInt32": 0,
            "timestamp": "1970-01-01T00:00:01Z", "duration": "2s", "mask": "fString", "fEnum": "COLOR_DARK_BLUE",
            "value": {"a": 1}})
        for query, word in (("fInt23=1", "fInt32"), ("r_message=x", "send it in a body")):
            answer = self.call("GET", f"/v1/query?{query}")
            self.assertEqual(answer.status, 400)
            self.assertIn(word, answer.body.decode())

    def test_partial_answers(self):
        answer = self.call("PUT", "/v1/everything/k?$fields=f_int32,fMessage.inner.list", EVERYTHING)
        self.assertEqual(answer.json(), {"fInt32": -2147483648, "fMessage": {"inner": {"list": ["a", "b"]}}})
        answer = self.call("GET", "/v1/tail?count=2&$fields=number", headers={"Accept": "application/x-ndjson"})
        self.assertEqual(answer.body, b'{"number":"1"}\n{"number":"2"}\n')
        for query, word in (("$fields=fInt23", "fInt32"), ("$field=a", "there are $fields"), ("$fields=a&$fields=b", "twice"),
                            ("fInt32=1&$fields=fInt32", "from its body")):
            answer = self.call("PUT", f"/v1/everything/k?{query}", EVERYTHING)
            self.assertEqual(answer.status, 400)
            self.assertIn(word, answer.body.decode())

    def test_paths(self):
        for path, name in (("/v1/shelves/a%2Fb", "a/b"), ("/v1/shelves/1/books/2%2F3", "shelves/1/books/2%2F3"),
                           ("/v1/files/a/b%20c/d", "a/b c/d"), ("/v1/shelves/user:123", "user:123")):
            self.assertEqual(self.call("GET", path).json(), {"fString": name})

    def test_patch_tells_what_the_body_names(self):
        answer = self.call("PATCH", "/v1/patch/k", {"fInt32": None, "rInt32": [], "mString": {"a": "b"},
                                                    "fMessage": {"text": None, "inner": {"number": 0}}})
        self.assertEqual(answer.status, 202, answer.body)
        self.assertEqual(answer.json()["list"],
                         ["f_int32", "r_int32", "m_string", "f_message.text", "f_message.inner.number"])

    def test_error_details_reach_the_client(self):
        answer = self.call("POST", "/v1/shelves/x:lock", {})
        self.assertEqual(answer.status, 404)
        status = answer.json()
        self.assertEqual((status["code"], status["message"]), (5, "no such shelf"))
        by_type = {d["@type"].rpartition(".")[2]: d for d in status["details"]}
        self.assertEqual(by_type["BadRequest"]["fieldViolations"][0]["field"], "inner.text")
        self.assertEqual(by_type["Unknown"], {"@type": "type.googleapis.com/none.Unknown", "value": "AQI="})
        problem = self.call("POST", "/v1/shelves/x:lock", {}, headers={"Accept": "application/problem+json"})
        self.assertEqual(problem.headers["content-type"], "application/problem+json")
        self.assertEqual(problem.json()["fields"][0]["field"], "inner.text")

    def test_streams(self):
        answer = self.call("GET", "/v1/tail?count=3", headers={"Accept": "application/x-ndjson"})
        self.assertEqual([json.loads(line)["number"] for line in answer.body.splitlines()], ["1", "2", "3"])

    def test_upload_in_pieces(self):
        """A stream of HttpBody takes the body as it comes, of any size, and no byte is JSON."""
        big = bytes(range(256)) * 40000  # over the limit of one message
        for body in (big, b"{", b""):
            answer = self.call("POST", "/v1/pieces", body, headers={"Content-Type": "image/x-test"})
            self.assertEqual((answer.status, answer.body), (200, hashlib.sha256(body).digest()))
            self.assertEqual(answer.headers["content-type"], "image/x-test" if body else "application/octet-stream")
        self.assertEqual(self.call("POST", "/v1/pieces", b"stop").status, 429)

    def test_upload(self):
        answer = self.call("POST", "/v1/upload", b"\0\1raw", headers={"Content-Type": "image/x-test"})
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"\0\1raw", "image/x-test"))


    def test_raw_answers(self):
        """An HttpBody that response_body names is the answer itself."""
        answer = self.call("GET", "/v1/covers/x")
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"\0\1x", "image/x-cover"))
        answer = self.call("GET", "/v1/covers/bare")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.call("GET", "/v1/query?f_enum=color_red").json(), {"fEnum": "COLOR_RED"})

    def curl(self, path, *arguments):
        done = subprocess.run(["curl", "-sS", *arguments, f"http://127.0.0.1:{self.gateway.port}{path}"],
                              capture_output=True, check=True, timeout=30)
        return json.loads(done.stdout)

    def test_forms_of_files(self):
        """As curl sends them: a picture into an HttpBody, pages into a list, texts and JSON beside them."""
        with tempfile.TemporaryDirectory() as folder:
            picture, page = pathlib.Path(folder) / "p.png", pathlib.Path(folder) / "page.txt"
            picture.write_bytes(bytes(range(256)) * 4096)
            page.write_text("one\r\n--two\n")
            answer = self.curl("/v1/documents/t", "-F", f"cover=@{picture};type=image/png", "-F", f"pages=@{page}",
                               "-F", f"pages=@{page};type=text/x-page", "-F", "authors=A", "-F", "authors=B",
                               "-F", f"signature=@{page}", "-F", 'inner={"number":3};type=application/json')
        text = base64.b64encode(b"one\r\n--two\n").decode()
        self.assertEqual(answer, {
            "title": "t", "authors": ["A", "B"], "inner": {"number": 3}, "signature": text,
            "cover": {"contentType": "image/png", "data": base64.b64encode(bytes(range(256)) * 4096).decode()},
            "pages": [{"contentType": "text/plain", "data": text}, {"contentType": "text/x-page", "data": text}]})
        self.assertIn("did you mean", self.curl("/v1/documents/t", "-F", "autors=A")["message"])
        self.assertEqual(self.curl("/v1/documents/t", "-F", "title=u")["code"], 3)


class ByDescriptorSet(ForeignShelf, unittest.TestCase):
    @classmethod
    def descriptors(cls):
        cls.file = pathlib.Path(GENERATED.name) / "served.fds"
        shutil.copy(FDS, cls.file)
        return str(cls.file)

    def reload(self, data, event):
        new = self.file.with_suffix(".new")
        new.write_bytes(data)
        new.rename(self.file)
        self.gateway.process.send_signal(signal.SIGHUP)
        return self.gateway.wait_event(event)

    def test_reload(self):
        """A route changes its path; a stream that began before goes on; a set that is broken changes nothing."""
        old = FDS.read_bytes()
        new = old.replace(b"/v1/query", b"/v2/query")
        self.assertEqual(self.call("GET", "/v2/query").status, 404)
        self.reload(new, "reloaded")
        self.assertEqual(self.call("GET", "/v2/query?f_int32=1").json(), {"fInt32": 1})
        self.assertEqual(self.call("GET", "/v1/query").status, 404)
        self.assertIn("not a FileDescriptorSet", self.reload(b"\xff\xff", "reload_failed")["reason"])
        self.assertEqual(self.call("GET", "/v2/query?f_int32=1").status, 200)
        self.reload(old, "reloaded")
        self.assertEqual(self.call("GET", "/v1/query").status, 200)

    def test_requests_go_on_over_reloads(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            end = time.monotonic() + 1.5
            def work(_):
                done = 0
                while time.monotonic() < end:
                    answer = self.call("PUT", "/v1/everything/k", EVERYTHING)
                    assert answer.status == 200, answer.body
                    done += 1
                return done
            workers = [pool.submit(work, i) for i in range(8)]
            for _ in range(10):
                self.reload(FDS.read_bytes(), "reloaded")
            self.assertGreater(sum(w.result() for w in workers), 8)


class ByReflection(ForeignShelf, unittest.TestCase):
    @classmethod
    def descriptors(cls):
        return "reflection"


class Interop(unittest.TestCase):
    """The public TestService, served by our runtime, which the gateway asks what it is."""

    @classmethod
    def setUpClass(cls):
        cls.server = Program("interop_server", "--port=0", "--bind=127.0.0.1").ready()
        cls.rules = pathlib.Path(GENERATED.name) / "rules.yaml"
        cls.rules.write_text("""
type: google.api.Service
config_version: 3
http:
  rules:
    - selector: grpc.testing.TestService.EmptyCall
      get: /v1/empty
    - selector: grpc.testing.TestService.UnaryCall
      post: /v1/unary/{response_size}
      body: payload
      response_body: payload
""")
        cls.gateway = start_gateway(f"127.0.0.1:{cls.server.port}", "--descriptors", "reflection",
                                    "--http-rules", str(cls.rules))

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.server.stop()

    def test_rules_from_a_file(self):
        self.assertEqual(rest(self.gateway.port, "GET", "/v1/empty").json(), {})
        answer = rest(self.gateway.port, "POST", "/v1/unary/7?fill_username=false", {"body": "AAAA"})
        self.assertEqual(len(base64.b64decode(answer.json()["body"])), 7)
        self.assertEqual(rest(self.gateway.port, "POST", "/v1/unary/x", {}).status, 400)

    def call(self, method, body):
        return rest(self.gateway.port, "POST", f"/grpc.testing.TestService/{method}", body)

    def test_unary(self):
        self.assertEqual(self.call("EmptyCall", {}).json(), {})
        body = base64.b64encode(bytes(1000)).decode()
        answer = self.call("UnaryCall", {"responseSize": 314, "payload": {"body": body}}).json()
        self.assertEqual(len(base64.b64decode(answer["payload"]["body"])), 314)

    def test_errors(self):
        answer = self.call("UnaryCall", {"responseStatus": {"code": 2, "message": "test status message"}})
        self.assertEqual((answer.status, answer.json()["code"]), (500, 2))
        self.assertEqual(self.call("UnimplementedCall", {}).status, 501)
        self.assertEqual(self.call("NoSuchCall", {}).status, 404)

    def test_stream(self):
        answer = self.call("StreamingOutputCall", {"responseParameters": [{"size": 3}, {"size": 5}]})
        sizes = [len(base64.b64decode(json.loads(line)["payload"]["body"])) for line in answer.body.splitlines()]
        self.assertEqual(sizes, [3, 5])


class KeptAnswers(Stack):
    """What the gateway has kept is of the table that it was read from."""

    def test_reload_forgets(self):
        answers = [self.rest("GET", "/characters/pilot") for _ in range(3)]
        self.gateway.process.send_signal(signal.SIGHUP)
        self.gateway.wait_event("reloaded")
        answers += [self.rest("GET", "/characters/pilot") for _ in range(3)]
        self.assertEqual({(a.status, a.body, a.headers["etag"]) for a in answers},
                         {(200, answers[0].body, answers[0].headers["etag"])})


class WithoutReflection(unittest.TestCase):
    def test_says_why_it_does_not_start(self):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        gateway = Program("novel-gateway", "--listen", "127.0.0.1:0", "--backend", f"127.0.0.1:{port}",
                          "--descriptors", "reflection")
        self.assertIn("does not have the reflection service", gateway.wait_event("start_failed")["reason"])
        self.assertEqual(gateway.process.wait(10), 1)
        server.stop(0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
