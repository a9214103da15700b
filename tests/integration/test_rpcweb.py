"""gRPC-Web and Connect at the gateway, spoken by hand as their documents have it."""
import base64
import gzip
import json
import struct
import sys
import unittest
import urllib.parse

import harness

from google.rpc import error_details_pb2, status_pb2
from novelengine.v1 import novel_engine_pb2 as pb

SERVICE = "/novelengine.v1.NovelEngine/"


def frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def read_frames(body):
    """Messages and trailers of a gRPC-Web body."""
    messages, trailers, at = [], None, 0
    while at < len(body):
        flag, size = struct.unpack(">BI", body[at:at + 5])
        piece = body[at + 5:at + 5 + size]
        assert len(piece) == size, "a frame is cut short"
        at += 5 + size
        assert trailers is None, "nothing follows the trailers"
        if flag & 0x80:
            trailers = dict(line.split(":", 1) for line in piece.decode().strip().split("\r\n"))
        else:
            messages.append(piece)
    return messages, trailers


class GrpcWeb(harness.Stack):
    def call(self, method, request, text=False, body=None):
        data = frame(request.SerializeToString()) if body is None else body
        kind = "application/grpc-web-text+proto" if text else "application/grpc-web+proto"
        if text:
            data = base64.b64encode(data)
        answer = self.rest("POST", SERVICE + method, data, {"Content-Type": kind, "X-Grpc-Web": "1"})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["content-type"], kind)
        got = answer.body
        if text:
            got = b"".join(base64.b64decode(got[at:at + 4]) for at in range(0, len(got), 4))
        return read_frames(got)

    def test_unary(self):
        for text in (False, True):
            messages, trailers = self.call("GetCharacter", pb.GetCharacterRequest(character_id="pilot"), text)
            self.assertEqual(trailers["grpc-status"].strip(), "0")
            self.assertEqual(len(messages), 1)
            self.assertEqual(pb.Character.FromString(messages[0]).name, "Alex Chen")

    def test_server_stream(self):
        for text in (False, True):
            messages, trailers = self.call("StreamSimulation",
                                           pb.SimulationRequest(character_names=harness.CAST, turns={"value": 2}), text)
            self.assertEqual(trailers["grpc-status"].strip(), "0")
            updates = [pb.SimulationUpdate.FromString(m) for m in messages]
            self.assertGreater(len(updates), 5)
            self.assertTrue(updates[-1].HasField("result"))

    def test_errors_are_trailers(self):
        messages, trailers = self.call("GetCharacter", pb.GetCharacterRequest(character_id="nobody"))
        self.assertEqual((messages, trailers["grpc-status"].strip()), ([], "5"))
        self.assertIn("not found", trailers["grpc-message"])
        status = status_pb2.Status.FromString(base64.b64decode(trailers["grpc-status-details-bin"].strip()))
        info = error_details_pb2.ErrorInfo()
        self.assertTrue(any(any_.Unpack(info) for any_ in status.details))
        messages, trailers = self.call("WatchSimulation", pb.WatchSimulationRequest(simulation_id="sim_none"))
        self.assertEqual((messages, trailers["grpc-status"].strip()), ([], "5"))

    def test_bad_bodies(self):
        request = pb.GetCharacterRequest(character_id="pilot").SerializeToString()
        for body, code in ((b"", "3"), (b"\0\0\0", "3"), (frame(request)[:-1], "3"), (frame(request) * 2, "3"),
                           (frame(request, 1), "12"), (frame(b"\xff\xff\xff"), "3")):
            messages, trailers = self.call("GetCharacter", None, body=body)
            self.assertEqual((messages, trailers["grpc-status"].strip()), ([], code), body)
        answer = self.rest("POST", SERVICE + "GetCharacter", b"!!!!", {"Content-Type": "application/grpc-web-text"})
        self.assertEqual(answer.status, 200)
        _, trailers = self.call("DirectSimulation", pb.DirectorCommand())
        self.assertEqual(trailers["grpc-status"].strip(), "12")


class Connect(harness.Stack):
    def post(self, method, body, kind, **headers):
        return self.rest("POST", SERVICE + method, body,
                         {"Content-Type": kind, "Connect-Protocol-Version": "1", **headers})

    def test_protobuf(self):
        request = pb.GetCharacterRequest(character_id="pilot").SerializeToString()
        answer = self.post("GetCharacter", request, "application/proto")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/proto"))
        self.assertEqual(pb.Character.FromString(answer.body).name, "Alex Chen")

    def test_json(self):
        answer = self.post("GetCharacter", json.dumps({"characterId": "pilot"}), "application/json")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.json()["characterId"], "pilot")

    def test_errors(self):
        for kind, body in (("application/proto", pb.GetCharacterRequest(character_id="x").SerializeToString()),
                           ("application/json", '{"characterId":"x"}')):
            answer = self.post("GetCharacter", body, kind)
            self.assertEqual((answer.status, answer.headers["content-type"]), (404, "application/json"))
            error = answer.json()
            self.assertEqual(error["code"], "not_found")
            self.assertIn("not found", error["message"])
            detail = next(d for d in error["details"] if d["type"] == "google.rpc.ErrorInfo")
            raw = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
            self.assertEqual(error_details_pb2.ErrorInfo.FromString(raw).reason, "CHARACTER_NOT_FOUND")
        self.assertEqual(self.post("GetCharacter", "{", "application/json").json()["code"], "invalid_argument")
        self.assertEqual(self.post("GetCharacter", b"\xff\xff", "application/proto").json()["code"], "invalid_argument")
        streaming = self.post("WatchSimulation", b"", "application/proto")
        self.assertEqual((streaming.status, streaming.json()["code"]), (501, "unimplemented"))

    def test_other_versions_and_framings(self):
        for kind in ("application/json", "application/proto"):
            answer = self.post("GetHealth", "", kind, **{"Connect-Protocol-Version": "2"})
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid_argument"), kind)
        for kind in ("application/grpc", "application/grpc+proto", "application/grpc-web+json",
                     "application/connect+json", "application/connect+proto"):
            answer = self.post("GetHealth", frame(b""), kind)
            self.assert_problem(answer, 415, "application/grpc-web+proto")

    def get(self, method, encoding, message, headers=None, **more):
        query = urllib.parse.urlencode({"connect": "v1", "encoding": encoding, "message": message, **more})
        return self.rest("GET", SERVICE + method + "?" + query, headers=headers)

    def test_get(self):
        raw = pb.GetCharacterRequest(character_id="pilot").SerializeToString()
        safe = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        answer = self.get("GetCharacter", "proto", safe, base64="1")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/proto"), answer.body)
        self.assertEqual(pb.Character.FromString(answer.body).name, "Alex Chen")
        self.assertEqual(self.get("GetCharacter", "proto", raw.decode()).body, answer.body)
        plain = self.get("GetCharacter", "json", '{"characterId":"pilot"}')
        self.assertEqual((plain.status, plain.headers["content-type"]), (200, "application/json"), plain.body)
        self.assertEqual(plain.json()["characterId"], "pilot")
        self.assertEqual(self.get("GetHealth", "json", "{}", compression="identity").status, 200)
        packed = base64.urlsafe_b64encode(gzip.compress(b'{"characterId":"pilot"}')).decode()
        coded = self.get("GetCharacter", "json", packed, base64="1", compression="gzip")
        self.assertEqual((coded.status, coded.body), (200, plain.body))
        # It may be kept: the tag saves the body.
        for kept in (answer, plain):
            self.assertTrue(kept.headers["etag"])
            self.assertEqual(kept.headers["cache-control"], "no-cache")
        again = self.get("GetCharacter", "json", '{"characterId":"pilot"}', {"If-None-Match": plain.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_get_refused(self):
        missing = self.get("GetCharacter", "json", '{"characterId":"nobody"}')
        self.assertEqual((missing.status, missing.json()["code"]), (404, "not_found"))
        for more, status in ((dict(encoding="xml"), 415), (dict(encoding="json", compression="br"), 501),
                             (dict(encoding="json", message="{"), 400), (dict(encoding="proto", message="$", base64="1"), 400),
                             (dict(encoding="proto", message="\x0a\x05a"), 400)):
            answer = self.get("GetCharacter", **{"message": "{}", **more})
            self.assertEqual(answer.status, status, (more, answer.body))
            self.assertIn("code", answer.json())
        self.assertEqual(self.rest("GET", SERVICE + "GetHealth?connect=v1&encoding=json").status, 400)
        # What changes something, or streams, is not for GET; nor is a request that does not say Connect.
        for method in ("RunSimulation", "CreateCharacter", "WatchSimulation"):
            self.assert_problem(self.get(method, "json", "{}"), 405)
        self.assert_problem(self.rest("GET", SERVICE + "GetHealth"), 405)

    def stream(self, method, message, kind, **headers):
        answer = self.rest("POST", SERVICE + method, message if message[:1] == b"!" else frame(message),
                           {"Content-Type": kind, "Connect-Protocol-Version": "1", **headers})
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, kind), answer.body)
        messages, end, at = [], None, 0
        while at < len(answer.body):
            self.assertIsNone(end, "nothing follows the end")
            flag, size = answer.body[at], int.from_bytes(answer.body[at + 1:at + 5], "big")
            piece = answer.body[at + 5:at + 5 + size]
            at += 5 + size
            if flag == 2:
                end = json.loads(piece)
            else:
                self.assertEqual(flag, 0)
                messages.append(piece)
        self.assertEqual(at, len(answer.body))
        return messages, end

    def test_server_streams(self):
        request = pb.SimulationRequest(character_names=harness.CAST, turns={"value": 2}, seed={"value": 4})
        messages, end = self.stream("StreamSimulation", request.SerializeToString(), "application/connect+proto")
        self.assertEqual(end, {})
        updates = [pb.SimulationUpdate.FromString(m) for m in messages]
        self.assertGreater(len(updates), 5)
        self.assertTrue(updates[-1].HasField("result"))
        text = json.dumps({"characterNames": harness.CAST, "turns": 2, "seed": "4"}).encode()
        messages, end = self.stream("StreamSimulation", text, "application/connect+json")
        self.assertEqual((end, len(messages)), ({}, len(updates)))
        last = json.loads(messages[-1])["result"]
        self.assertEqual(last["story"], updates[-1].result.story)
        for kind, body in (("application/connect+json", b'{"simulationId":"sim_none"}'),
                           ("application/connect+proto", pb.WatchSimulationRequest(simulation_id="sim_none")
                            .SerializeToString())):
            messages, end = self.stream("WatchSimulation", body, kind)
            self.assertEqual((messages, end["error"]["code"]), ([], "not_found"))
        for body in (b"!" * 7, b"{"):
            messages, end = self.stream("WatchSimulation", body, "application/connect+json")
            self.assertEqual((messages, end["error"]["code"]), ([], "invalid_argument"))
        _, end = self.stream("DirectSimulation", b"{}", "application/connect+json")
        self.assertEqual(end["error"]["code"], "invalid_argument")

    def test_deadline(self):
        body = pb.SimulationRequest(character_names=harness.CAST, turns={"value": 50}).SerializeToString()
        answer = self.post("RunSimulation", body, "application/proto", **{"Connect-Timeout-Ms": "1"})
        self.assertEqual((answer.status, answer.json()["code"]), (504, "deadline_exceeded"), answer.body)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
