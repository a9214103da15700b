"""Asks json_testee one case after the other and judges the answers with python3-protobuf."""
import json
import struct
import subprocess
import sys

import conformance_pb2 as protocol
from google.protobuf import json_format, text_format
import test_messages_proto2_pb2 as proto2
import test_messages_proto3_pb2 as proto3

MESSAGES = {2: proto2.TestAllTypesProto2, 3: proto3.TestAllTypesProto3}


def same(a, b):
    """Equal as messages; a NaN is equal to a NaN."""
    return text_format.MessageToString(a) == text_format.MessageToString(b)


class Runner:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.asked = {2: 0, 3: 0}
        self.skipped = 0
        self.failures = []

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=10)

    def ask(self, version, payload, output, category):
        request = protocol.ConformanceRequest(
            message_type=MESSAGES[version].DESCRIPTOR.full_name, requested_output_format=output,
            test_category=category)
        if isinstance(payload, bytes):
            request.protobuf_payload = payload
        else:
            request.json_payload = payload
        data = request.SerializeToString()
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        size = struct.unpack("<I", self.process.stdout.read(4))[0]
        self.asked[version] += 1
        return protocol.ConformanceResponse.FromString(self.process.stdout.read(size))

    def fail(self, name, why, answer):
        self.failures.append(name)
        print(f"FAILED {name}: {why}; answer: {text_format.MessageToString(answer, as_one_line=True)[:300]}")

    def expect_refused(self, name, version, payload, kind="parse_error"):
        """The payload must not be read (or, kind serialize_error, not be written as JSON)."""
        output = protocol.JSON if isinstance(payload, str) or kind == "serialize_error" else protocol.PROTOBUF
        category = protocol.JSON_TEST if isinstance(payload, str) else protocol.BINARY_TEST
        answer = self.ask(version, payload, output, category)
        if answer.WhichOneof("result") == "skipped":
            self.skipped += 1
        elif answer.WhichOneof("result") != kind:
            self.fail(name, f"{kind} expected", answer)

    def expect(self, name, version, payload, wanted, outputs=(protocol.PROTOBUF, protocol.JSON),
               category=None, exact=None):
        """The payload means the message `wanted`, in each output; exact: these very bytes."""
        if category is None:
            category = protocol.JSON_TEST if isinstance(payload, str) else protocol.BINARY_TEST
        for output in outputs:
            answer = self.ask(version, payload, output, category)
            where = f"{name}.{protocol.WireFormat.Name(output)}"
            got = MESSAGES[version]()
            result = answer.WhichOneof("result")
            if result == "skipped":
                self.skipped += 1
                continue
            if result != ("protobuf_payload" if output == protocol.PROTOBUF else "json_payload"):
                self.fail(where, "a payload expected", answer)
                continue
            try:
                if output == protocol.PROTOBUF:
                    got.ParseFromString(answer.protobuf_payload)
                else:
                    json_format.Parse(answer.json_payload, got)
            except Exception as e:  # pylint: disable=broad-except
                self.fail(where, f"unreadable: {e}", answer)
                continue
            if not same(got, wanted):
                self.fail(where, f"{text_format.MessageToString(wanted, as_one_line=True)[:300]} expected", answer)
            elif exact is not None and output == protocol.PROTOBUF and answer.protobuf_payload != exact:
                self.fail(where, f"bytes {exact.hex()} expected, found {answer.protobuf_payload.hex()}", answer)

    def expect_json(self, name, version, payload, check):
        """check(document) holds for the JSON that comes back."""
        category = protocol.JSON_TEST if isinstance(payload, str) else protocol.BINARY_TEST
        answer = self.ask(version, payload, protocol.JSON, category)
        if answer.WhichOneof("result") != "json_payload":
            self.fail(name, "JSON expected", answer)
        elif not check(json.loads(answer.json_payload)):
            self.fail(name, "other JSON expected", answer)

    def report(self):
        code = self.close()
        print(f"{self.asked[3]} requests of proto3, {self.asked[2]} of proto2, {self.skipped} skipped, "
              f"{len(self.failures)} failed; exit status {code}")
        return 1 if self.failures or code != 0 else 0


if __name__ == "__main__":
    sys.exit("run cases.py")
