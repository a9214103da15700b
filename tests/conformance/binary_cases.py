"""Cases of the wire format.  What a valid input means is what python3-protobuf reads from it."""
import struct

from google.protobuf.descriptor import FieldDescriptor as F

import conformance_pb2 as protocol
from runner import MESSAGES

VARINT, FIXED64, BYTES, GROUP, END, FIXED32 = range(6)
UNKNOWN = 666
I32, I64, U32, U64 = 2**31 - 1, 2**63 - 1, 2**32 - 1, 2**64 - 1


def varint(n, extra=0):
    """extra: bytes more than the number needs."""
    n &= U64
    out = bytearray()
    while True:
        more = n > 127
        out.append(n & 127 | (128 if more or extra else 0))
        n >>= 7
        if not more:
            break
    for i in range(extra):
        out.append(128 if i + 1 < extra else 0)
    return bytes(out)


def tag(number, wire):
    return varint(number << 3 | wire)


def delimited(data):
    return varint(len(data)) + data


def field(number, wire, value):
    return tag(number, wire) + value


def group(number, content):
    return tag(number, GROUP) + content + tag(number, END)


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def f32(x):
    return struct.pack("<f", x)


def f64(x):
    return struct.pack("<d", x)


def i32(x):
    return struct.pack("<I", x & U32)


def i64(x):
    return struct.pack("<Q", x & U64)


TYPES = {
    F.TYPE_DOUBLE: ("DOUBLE", FIXED64), F.TYPE_FLOAT: ("FLOAT", FIXED32), F.TYPE_INT64: ("INT64", VARINT),
    F.TYPE_UINT64: ("UINT64", VARINT), F.TYPE_INT32: ("INT32", VARINT), F.TYPE_FIXED64: ("FIXED64", FIXED64),
    F.TYPE_FIXED32: ("FIXED32", FIXED32), F.TYPE_BOOL: ("BOOL", VARINT), F.TYPE_STRING: ("STRING", BYTES),
    F.TYPE_MESSAGE: ("MESSAGE", BYTES), F.TYPE_BYTES: ("BYTES", BYTES), F.TYPE_UINT32: ("UINT32", VARINT),
    F.TYPE_ENUM: ("ENUM", VARINT), F.TYPE_SFIXED32: ("SFIXED32", FIXED32), F.TYPE_SFIXED64: ("SFIXED64", FIXED64),
    F.TYPE_SINT32: ("SINT32", VARINT), F.TYPE_SINT64: ("SINT64", VARINT),
}
NARROW = [(varint(n), None) for n in (0, 12345, I32, -I32 - 1, 2**33, 2**33 - 1, I64, -I64)]
# As sent, and as it is sent back when that differs.
VALUES = {
    F.TYPE_DOUBLE: [(f64(x), None) for x in (0, 0.1, 1.7976931348623157e308, 2.2250738585072014e-308)],
    F.TYPE_FLOAT: [(f32(x), None) for x in (0, 0.1, 1.00000075e-36, 3.402823e38, 1.17549435e-38)],
    F.TYPE_INT64: [(varint(n), None) for n in (0, 12345, I64, -I64 - 1)],
    F.TYPE_UINT64: [(varint(n), None) for n in (0, 12345, U64)],
    F.TYPE_INT32: [(varint(0), None), (varint(12345), None), (varint(12345, 2), varint(12345)),
                   (varint(12345, 7), varint(12345)), (varint(I32), None), (varint(-I32 - 1), None),
                   (varint(2**33), varint(0)), (varint(2**33 - 1), varint(-1)), (varint(I64), varint(-1)),
                   (varint(-I64), varint(1))],
    F.TYPE_UINT32: [(varint(0), None), (varint(12345), None), (varint(12345, 2), varint(12345)),
                    (varint(12345, 7), varint(12345)), (varint(U32), None), (varint(2**33), varint(0)),
                    (varint(2**33 + 1), varint(1)), (varint(2**33 - 1), varint(U32)), (varint(I64), varint(U32)),
                    (varint(-I64), varint(1))],
    F.TYPE_FIXED64: [(i64(n), None) for n in (0, 12345, U64)],
    F.TYPE_FIXED32: [(i32(n), None) for n in (0, 12345, U32)],
    F.TYPE_SFIXED64: [(i64(n), None) for n in (0, 12345, I64, -I64 - 1)],
    F.TYPE_SFIXED32: [(i32(n), None) for n in (0, 12345, I32, -I32 - 1)],
    F.TYPE_BOOL: [(varint(0), None)] + [(varint(n), varint(1)) for n in (1, -1, 12345678, 2**33, I64, -I64 - 1)],
    F.TYPE_SINT32: [(zigzag(n), None) for n in (0, 12345, I32, -I32 - 1)] + [(zigzag(I32 + 2), zigzag(1))],
    F.TYPE_SINT64: [(zigzag(n), None) for n in (0, 12345, I64, -I64 - 1)],
    F.TYPE_STRING: [(delimited(s.encode()), None) for s in
                    ("", "Hello world!", "'\"?\\\a\b\f\n\r\t\v", "\u8c37\u6b4c", "\U0001f601", "\u2028\x7f")],
    F.TYPE_BYTES: [(delimited(s), None) for s in (b"", b"Hello world!", b"\1\2", b"\xfb", b"\0\xff")],
    F.TYPE_ENUM: [(varint(n), None) for n in (0, 1, 2, -1)] + [(varint(I64), varint(-1)), (varint(-I64), varint(1))],
    F.TYPE_MESSAGE: [(delimited(b""), None), (delimited(field(1, VARINT, varint(1234))), None)],
}
DEFAULT = {t: v[0][0] for t, v in VALUES.items()}
OTHER = {t: {VARINT: varint(1), FIXED32: f32(1) if t == F.TYPE_FLOAT else i32(1),
             FIXED64: f64(1) if t == F.TYPE_DOUBLE else i64(1), BYTES: delimited(b"a")}[TYPES[t][1]] for t in TYPES}
OTHER[F.TYPE_SINT32] = OTHER[F.TYPE_SINT64] = zigzag(1)
OTHER[F.TYPE_MESSAGE] = delimited(field(1, VARINT, varint(1234)))
MAPS = [(t, t) for t in (F.TYPE_INT32, F.TYPE_INT64, F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_SINT32, F.TYPE_SINT64,
                         F.TYPE_FIXED32, F.TYPE_FIXED64, F.TYPE_SFIXED32, F.TYPE_SFIXED64, F.TYPE_BOOL,
                         F.TYPE_STRING)]
MAPS += [(F.TYPE_INT32, F.TYPE_FLOAT), (F.TYPE_INT32, F.TYPE_DOUBLE), (F.TYPE_STRING, F.TYPE_BYTES),
         (F.TYPE_STRING, F.TYPE_ENUM), (F.TYPE_STRING, F.TYPE_MESSAGE)]


class Cases:
    def __init__(self, runner, version):
        self.runner, self.version = runner, version
        self.fields = MESSAGES[version].DESCRIPTOR.fields

    def find(self, kind, repeated, packed=None):
        """The first field of this kind: one, or a list packed or not as asked."""
        for f in self.fields:
            entry = f.message_type is not None and f.message_type.GetOptions().map_entry
            is_list = f.label == F.LABEL_REPEATED
            is_packed = f.GetOptions().packed if f.GetOptions().HasField("packed") else self.version == 3
            if f.type == kind and is_list == repeated and not entry and packed in (None, is_packed):
                return f
        raise LookupError(kind)

    def find_map(self, key, value):
        for f in self.fields:
            if f.message_type is not None and f.message_type.GetOptions().map_entry:
                k, v = f.message_type.fields_by_number[1], f.message_type.fields_by_number[2]
                if (k.type, v.type) == (key, value):
                    return f
        raise LookupError((key, value))

    def valid(self, name, data, means=None, exact=None):
        """data is read as python3-protobuf reads `means` (data itself when not given)."""
        wanted = MESSAGES[self.version].FromString(data if means is None else means)
        self.runner.expect(f"Proto{self.version}.{name}", self.version, data, wanted, exact=exact)

    def refused(self, name, data):
        self.runner.expect_refused(f"Proto{self.version}.{name}", self.version, data)

    def premature_end(self, kind):
        name, wire = TYPES[kind]
        incomplete = {VARINT: b"\x80", FIXED64: b"abcdefg", BYTES: b"\x80", FIXED32: b"abc"}[wire]
        one, many = self.find(kind, False).number, self.find(kind, True).number
        for where, number in (("KnownNonRepeated", one), ("KnownRepeated", many), ("Unknown", UNKNOWN)):
            self.refused(f"PrematureEofBefore{where}Value.{name}", tag(number, wire))
            self.refused(f"PrematureEofInside{where}Value.{name}", tag(number, wire) + incomplete)
            if wire == BYTES:
                self.refused(f"PrematureEofInDelimitedDataFor{where}Value.{name}", tag(number, wire) + varint(1))
        if kind == F.TYPE_MESSAGE:
            self.refused(f"PrematureEofInSubmessageValue.{name}",
                         field(one, BYTES, delimited(tag(1, VARINT) + b"\x80")))
        elif wire != BYTES:
            self.refused(f"PrematureEofInPackedFieldValue.{name}", field(many, BYTES, delimited(incomplete)))
            self.refused(f"PrematureEofInPackedField.{name}", tag(many, BYTES) + varint(1))

    def values(self, kind):
        name, wire = TYPES[kind]
        one = self.find(kind, False).number
        values = [(sent, sent if back is None else back) for sent, back in VALUES[kind]]
        for i, (sent, back) in enumerate(values):
            absent = self.version == 3 and back == DEFAULT[kind] and kind != F.TYPE_MESSAGE
            self.valid(f"ValidDataScalar.{name}[{i}]", field(one, wire, sent),
                       exact=b"" if absent else field(one, wire, back))
        if kind != F.TYPE_MESSAGE:
            self.valid(f"RepeatedScalarSelectsLast.{name}", b"".join(field(one, wire, s) for s, _ in values),
                       means=field(one, wire, values[-1][1]))
        if wire == BYTES:
            many = self.find(kind, True).number
            self.valid(f"ValidDataRepeated.{name}", b"".join(field(many, wire, s) for s, _ in values))
            return
        for what, packed in (("Default", None), ("Packed", True), ("Unpacked", False)):
            f = self.find(kind, True, packed)
            loose = b"".join(field(f.number, wire, s) for s, _ in values)
            tight = field(f.number, BYTES, delimited(b"".join(s for s, _ in values)))
            if packed or (packed is None and self.version == 3):
                back = field(f.number, BYTES, delimited(b"".join(b for _, b in values)))
            else:
                back = b"".join(field(f.number, wire, b) for _, b in values)
            self.valid(f"ValidDataRepeated.{name}.UnpackedInput.{what}Output", loose, exact=back)
            self.valid(f"ValidDataRepeated.{name}.PackedInput.{what}Output", tight, exact=back)
            self.valid(f"ValidDataRepeated.{name}.MixedInput.{what}Output", loose + tight + loose)

    def maps(self, key, value):
        number = self.find_map(key, value).number
        k0, k1 = (field(1, TYPES[key][1], x[key]) for x in (DEFAULT, OTHER))
        v0, v1 = (field(2, TYPES[value][1], x[value]) for x in (DEFAULT, OTHER))
        entry = lambda *parts: field(number, BYTES, delimited(b"".join(parts)))  # noqa: E731
        name = f"ValidDataMap.{TYPES[key][0]}.{TYPES[value][0]}"
        self.valid(f"{name}.Default", entry(k0, v0))
        self.valid(f"{name}.MissingDefault", entry())
        self.valid(f"{name}.NonDefault", entry(k1, v1))
        self.valid(f"{name}.Unordered", entry(v1, k1))
        self.valid(f"{name}.DuplicateKey", entry(k1, v0) + entry(k1, v1), means=entry(k1, v1))
        self.valid(f"{name}.DuplicateKeyInMapEntry", entry(k0, k1, v1))
        self.valid(f"{name}.DuplicateValueInMapEntry", entry(k1, v0, v1))

    def oneofs(self, kind):
        name, wire = TYPES[kind]
        members = [f for f in self.fields if f.containing_oneof is not None]
        f = next(f for f in members if f.type == kind)
        other = next(f for f in members if f.type != kind)
        default, given = field(f.number, wire, DEFAULT[kind]), field(f.number, wire, OTHER[kind])
        before = field(other.number, TYPES[other.type][1], DEFAULT[other.type])
        self.valid(f"ValidDataOneof.{name}.DefaultValue", default, exact=default)
        self.valid(f"ValidDataOneof.{name}.NonDefaultValue", given, exact=given)
        self.valid(f"ValidDataOneof.{name}.MultipleValuesForSameField", default + given, exact=given)
        self.valid(f"ValidDataOneof.{name}.MultipleValuesForDifferentField", before + given, exact=given)

    def merges(self):
        """A message that comes in pieces is one."""
        def corecursive(*fields):
            return field(2, BYTES, delimited(b"".join(field(n, VARINT, varint(v)) for n, v in fields)))
        pieces = (corecursive((1, 1234), (2, 1234), (31, 1234)), corecursive((1, 4321), (3, 4321), (31, 4321)))
        for name, number in (("RepeatedScalarMessageMerge", 18), ("ValidDataOneof.MESSAGE.Merge", 112)):
            self.valid(name, b"".join(field(number, BYTES, delimited(p)) for p in pieces))
        ended = [field(112, BYTES, delimited(pieces[0])), field(111, VARINT, varint(5)),
                 field(112, BYTES, delimited(pieces[1]))]
        self.valid("OneofMessageDoesNotMergeAcrossAnother", b"".join(ended), means=ended[2])
        key = field(1, BYTES, delimited(b""))
        entries = [field(71, BYTES, delimited(key + field(2, BYTES, delimited(p)))) for p in pieces]
        self.valid("ValidDataMap.STRING.MESSAGE.MergeValue", b"".join(entries), means=entries[1])
        deep = [field(27, BYTES, delimited(field(27, BYTES, delimited(field(18, BYTES, delimited(p))))))
                for p in pieces]
        self.valid("MergeThreeLevelsDown", b"".join(deep))

    def damaged(self):
        for i, data in enumerate((b"\1DEADBEEF", b"\2\1\1", b"\3\4", b"\5DEAD")):
            self.refused(f"IllegalZeroFieldNum_Case_{i}", data)
        ends = (("", 201), ("Unknown", 1234), ("WrongType", 1))
        for what, number in ends:
            self.refused(f"UnmatchedEndGroup{what}", tag(number, END))
            self.refused(f"UnmatchedStartGroup{what}", tag(number, GROUP))
        for what, wire in (("End", END), ("Start", GROUP)):
            self.refused(f"Unmatched{what}GroupNestedLen", field(18, BYTES, delimited(tag(1234, wire))))
            self.refused(f"Unmatched{what}GroupNested", group(201, tag(202, wire)))
            self.refused(f"Unmatched{what}GroupWithData",
                         tag(201 if wire == GROUP else 1, wire) + field(2, BYTES, delimited(b"hello world")))
        hello = field(2, BYTES, delimited(b"hello world"))
        self.refused("MismatchedGroupTags", tag(201, GROUP) + hello + tag(202, END))
        self.refused("MismatchedNestedGroupTags", group(201, tag(202, GROUP) + hello + tag(203, END)))
        for wire in (6, 7):
            for number in range(4):
                for value in range(4):
                    self.refused(f"UnknownWireType{wire}_Field{number}_Version{value}",
                                 bytes((number << 3 | wire, value)))
        self.refused("BadTag_FieldNumberTooHigh", b"\x88\x80\x80\x80\x80\x80\x0f" + varint(1234))
        self.refused("BadTag_FieldNumberSlightlyTooHigh", b"\x88\x80\x80\x80\x40" + varint(1234))
        self.refused("BadTag_OverlongVarint", b"\x88" + 7 * b"\x80" + b"\0" + varint(1234))
        self.refused("BadTag_VarintMoreThanTenBytes", b"\x88" + 11 * b"\x80" + b"\0" + varint(1234))

    def text(self):
        bad = delimited(b"\xa0\xb0\xc0\xd0")
        good = field(1, BYTES, delimited(b"foo"))
        self.refused("RejectInvalidUtf8.String.Singular", field(14, BYTES, bad))
        self.refused("RejectInvalidUtf8.String.Repeated", field(44, BYTES, bad))
        self.refused("RejectInvalidUtf8.String.Oneof", field(113, BYTES, bad))
        self.refused("RejectInvalidUtf8.String.MapKey", field(69, BYTES, delimited(field(1, BYTES, bad))))
        self.refused("RejectInvalidUtf8.String.MapValue",
                     field(69, BYTES, delimited(good + field(2, BYTES, bad))))
        self.valid("BytesNeedNotBeUtf8", field(15, BYTES, bad))

    def depth(self):
        for depth, name in ((90, "NinetyLevels"), (20000, "EnforceDepthLimit")):
            data = b""
            for _ in range(depth):
                data = field(27, BYTES, delimited(data))
            if depth > 100:
                self.refused(name, data)
            else:
                self.valid(name, data)

    def unknown(self):
        data = b"\xa8\x1f\x01"
        self.runner.expect(f"Proto{self.version}.UnknownVarint", self.version, data,
                           MESSAGES[self.version].FromString(data), outputs=(protocol.PROTOBUF,), exact=data)
        mixed = b"".join((field(UNKNOWN, BYTES, delimited(b"abc")), field(UNKNOWN, VARINT, varint(123)),
                          field(UNKNOWN, BYTES, delimited(b"def")), field(UNKNOWN, VARINT, varint(456))))
        self.runner.expect(f"Proto{self.version}.UnknownOrdering", self.version, mixed,
                           MESSAGES[self.version].FromString(mixed), outputs=(protocol.PROTOBUF,), exact=mixed)
        self.runner.expect_json(f"Proto{self.version}.UnknownFieldsAreNoJson", self.version, mixed, lambda d: d == {})

    def groups(self):
        inner = field(202, VARINT, varint(99)) + field(203, VARINT, varint(7))
        self.valid("GroupField", group(201, inner))
        self.valid("GroupFieldMerged", group(201, field(202, VARINT, varint(99))) + group(201, field(203, VARINT, varint(7))))
        self.valid("ExtensionField", field(120, VARINT, varint(5)))


def run(runner, version):
    c = Cases(runner, version)
    for kind in TYPES:
        c.premature_end(kind)
        c.values(kind)
    for key, value in MAPS:
        c.maps(key, value)
    for kind in (F.TYPE_UINT32, F.TYPE_BOOL, F.TYPE_UINT64, F.TYPE_FLOAT, F.TYPE_DOUBLE, F.TYPE_STRING, F.TYPE_BYTES,
                 F.TYPE_ENUM, F.TYPE_MESSAGE):
        c.oneofs(kind)
    c.merges()
    c.damaged()
    if version == 3:
        c.text()
    c.depth()
    c.unknown()
    if version == 2:
        c.groups()
