"""Cases of JSON.  `good` pairs a document with the text format of what it means."""
import json
import math
import struct

from google.protobuf import text_format

import conformance_pb2 as protocol
from runner import MESSAGES

I32, I64, U32, U64 = 2**31 - 1, 2**63 - 1, 2**32 - 1, 2**64 - 1
URL = "type.googleapis.com/"


class Cases:
    def __init__(self, runner, version):
        self.runner, self.version = runner, version
        self.type_url = URL + MESSAGES[version].DESCRIPTOR.full_name

    def name(self, name):
        return f"Proto{self.version}.JsonInput.{name}"

    def good(self, name, document, means, **more):
        wanted = text_format.Parse(means, MESSAGES[self.version]())
        self.runner.expect(self.name(name), self.version, document, wanted, **more)

    def ignoring(self, name, document, means):
        self.good(name, document, means, outputs=(protocol.PROTOBUF,),
                  category=protocol.JSON_IGNORE_UNKNOWN_PARSING_TEST)

    def bad(self, name, document):
        self.runner.expect_refused(self.name(name), self.version, document)

    def member_is(self, name, document, key, value):
        self.runner.expect_json(self.name(name) + ".Validator", self.version, document,
                                lambda d: type(d.get(key)) is type(value) and d[key] == value)

    def unwritable(self, name, means):
        data = text_format.Parse(means, MESSAGES[self.version]()).SerializeToString()
        self.runner.expect_refused(f"Proto{self.version}.{name}.JsonOutput", self.version, data, "serialize_error")


# ---- names, layout, syntax ---------------------------------------------------------------

NAMES = [("fieldname1", "fieldname1"), ("fieldName2", "field_name2"), ("FieldName3", "_field_name3"),
         ("fieldName4", "field__name4_"), ("field0name5", "field0name5"), ("field0Name6", "field_0_name6"),
         ("fieldName7", "fieldName7"), ("FieldName8", "FieldName8"), ("fieldName9", "field_Name9"),
         ("FieldName10", "Field_Name10"), ("FIELDNAME11", "FIELD_NAME11"), ("FIELDName12", "FIELD_name12"),
         ("FieldName13", "__field_name13"), ("FieldName14", "__Field_name14"), ("fieldName15", "field__name15"),
         ("fieldName16", "field__Name16"), ("fieldName17", "field_name17__"), ("FieldName18", "Field_name18__")]


def names(c):
    for group, part in (("InSnakeCase", NAMES[:4]), ("WithNumbers", NAMES[4:6]), ("WithMixedCases", NAMES[6:12]),
                        ("WithDoubleUnderscores", NAMES[12:])):
        document = json.dumps({camel: i + 1 for i, (camel, _) in enumerate(part)})
        means = "\n".join(f"{proto}: {i + 1}" for i, (_, proto) in enumerate(part))
        c.good("FieldName" + group, document, means)
        c.runner.expect_json(c.name("FieldName" + group) + ".Validator", c.version, document,
                             lambda d, part=part: set(d) == {camel for camel, _ in part})
    c.good("OriginalProtoFieldName", json.dumps({proto: i for i, (_, proto) in enumerate(NAMES, 1)}),
           "\n".join(f"{proto}: {i}" for i, (_, proto) in enumerate(NAMES, 1)))
    c.good("HelloWorld", '{"optionalString":"Hello, World!"}', 'optional_string: "Hello, World!"')
    c.good("FieldNameEscaped", r'{"fieldn\u0061me1": 1}', "fieldname1: 1")
    for first, second in (("optionalNestedMessage", "optionalNestedMessage"),
                          ("optional_nested_message", "optionalNestedMessage"),
                          ("optionalNestedMessage", "optional_nested_message")):
        c.bad("FieldNameDuplicate", '{"%s": {"a": 1}, "%s": {}}' % (first, second))
    for value in ("true", "1", '"hello"', '{"a": 1}'):
        c.bad("RejectReservedFieldName", '{"reserved_field": %s}' % value)
    if c.version == 3:
        c.runner.expect_json(c.name("SkipsDefaultPrimitive"), 3, '{"FieldName13": 0}', lambda d: d == {})
    else:
        c.member_is("StoresDefaultPrimitive", '{"FieldName13": 0}', "FieldName13", 0)
        extension = "[protobuf_test_messages.proto2.extension_int32]"
        c.member_is("FieldNameExtension", json.dumps({extension: 1}), extension, 1)


def syntax(c):
    one_two = "optional_int32: 1 optional_int64: 2"
    for document in ('{"optionalInt32":1,"optionalInt64":2}', '{ "optionalInt32" : 1 , "optionalInt64" : 2 }',
                     '{\n"optionalInt32"\n:\n1\n,\n"optionalInt64"\n:\n2\n}',
                     '\t{\r\n  "optionalInt32"  :  1\n  ,\n  "optionalInt64"  :  2\n}\n '):
        c.good("Layout", document, one_two)
    for document in (
            '{fieldname1: 1}', '{"fieldname1":1,}', '{"fieldname1":1 ,}', '{"fieldname1":1 , }',
            '{\n  "fieldname1":1,\n}', '{\n  // no comment\n  "fieldname1": 1\n}', '{"fieldname1": /* no */ 1}',
            '{ "optionalInt32": 1 "optionalInt64": 2 }', '{\n "optionalInt32": 1\n "optionalInt64": 2\n}',
            '{"optionalString": "abc\\', '{"optionalString": "abc', '{"optionalInt32": 1', "", " ", "null", "[]", "1",
            '"text"', "{} {}", "{}x", '\ufeff{}', "{'optionalString': \"a\"}", '{"optionalString": \'a\'}',
            "{'optionalString': 'a'}", '{"repeatedInt32": [1, 2,]}', '{"repeatedInt32": [1, 2 ,]}',
            '{"repeatedInt32": [1, 2 , ]}', '{"repeatedInt32": [\n1,\n2,\n]}', '{"repeatedInt32": [,1]}',
            '{"repeatedInt32": [1 2]}', '{"optionalInt32"}', '{"optionalInt32":}', '{"optionalInt32" 1}', '{,}'):
        c.bad(f"Syntax({document!r})", document)
    c.bad("DeeperThanTheLimit", '{"recursiveMessage":' * 101 + "{}" + "}" * 101)
    c.good("AsDeepAsAllowed", '{"recursiveMessage":' * 60 + "{}" + "}" * 60,
           "recursive_message {" * 60 + "}" * 60)
    for kind in ("1", '"a"', "true", "false", "null", '{"a": 1}', '[1, {"b": [null]}]'):
        c.ignoring(f"IgnoreUnknownJson({kind})", '{"unknown": %s, "optionalInt32": 3}' % kind, "optional_int32: 3")
        c.bad(f"RefuseUnknown({kind})", '{"unknown": %s}' % kind)


# ---- numbers -----------------------------------------------------------------------------

def integers(c):
    for field, low, high in (("Int32", -I32 - 1, I32), ("Sint32", -I32 - 1, I32), ("Sfixed32", -I32 - 1, I32),
                             ("Uint32", 0, U32), ("Fixed32", 0, U32), ("Int64", -I64 - 1, I64),
                             ("Sint64", -I64 - 1, I64), ("Sfixed64", -I64 - 1, I64), ("Uint64", 0, U64),
                             ("Fixed64", 0, U64)):
        key, proto = f"optional{field}", f"optional_{field.lower()}"
        for text in (str(low), str(high), f'"{low}"', f'"{high}"', "100000.000", "1e5", '"1e5"', "1.5E+1", "150e-1",
                     "0", '"0"', "-0", "0.0", "0e9"):
            value = int(float(text.strip('"'))) if "e" in text.lower() or "." in text else int(text.strip('"'))
            c.good(f"{field}Field({text})", '{"%s": %s}' % (key, text), f"{proto}: {value}")
        exact = f"{high // 10**9}.{high % 10**9:09d}e9"
        c.good(f"{field}FieldMaxFloatValue", '{"%s": %s}' % (key, exact), f"{proto}: {high}")
        for text in (str(low - 1), str(high + 1), f'"{high + 1}"', "0.5", '"0.5"', '""', '"abc"', '"12abc"', '"3x3"',
                     "+1", "01", "-01", '" 1"', '"1 "', '"01"', '"+1"', '"0x1"', "true", "[1]", "{}", "1e99", "1.",
                     ".5", "1e", '"NaN"', "NaN"):
            c.bad(f"{field}Field({text})", '{"%s": %s}' % (key, text))
    c.good("Int32FieldStringValueEscaped", r'{"optionalInt32": "2\u003147483647"}', f"optional_int32: {I32}")
    c.good("Int64FieldMaxValueNotQuoted", '{"optionalInt64": 9223372036854774784}', "optional_int64: 9223372036854774784")
    c.member_is("Int64FieldBeString", '{"optionalInt64": 1}', "optionalInt64", "1")
    c.member_is("Uint64FieldBeString", '{"optionalUint64": 18446744073709551615}', "optionalUint64", str(U64))
    c.member_is("Int32FieldBeNumber", '{"optionalInt32": "5"}', "optionalInt32", 5)


def floats(c):
    for field, values, too_large in (
            ("Float", ("1.175494e-38", "-1.175494e-38", "3.402823e+38", "-3.402823e+38", "3.4028234663852886e38", "0.1"),
             ("3.502823e+38", "-3.502823e+38", "1e39")),
            ("Double", ("2.22507e-308", "-2.22507e-308", "1.79769e+308", "-1.79769e+308", "0.1", "123456789.125"),
             ("1.89769e+308", "-1.89769e+308", "1e400"))):
        key, proto = f"optional{field}", f"optional_{field.lower()}"
        for text in values + tuple(f'"{v}"' for v in values) + ('"1"', "1", "-0", "1e-999"):
            c.good(f"{field}Field({text})", '{"%s": %s}' % (key, text), f"{proto}: {float(text.strip(chr(34)))!r}")
        for text, means in (("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")):
            c.good(f"{field}Field({text})", '{"%s": "%s"}' % (key, text), f"{proto}: {means}")
            c.member_is(f"{field}Field({text})", '{"%s": "%s"}' % (key, text), key, text)
            c.bad(f"{field}Field{text}NotQuoted", '{"%s": %s}' % (key, text))
        for text in too_large + tuple(f'"{v}"' for v in too_large) + ('""', '"abc"', '"12abc"', "+1", '"+1"', '" 1"',
                                                                     '"inf"', '"nan"', "true", "[]", ".1", "1."):
            c.bad(f"{field}Field({text})", '{"%s": %s}' % (key, text))
    for bits in (0x7FA12345, 0xFFB54321):
        data = b"\x5d" + struct.pack("<I", bits)
        c.runner.expect_json(f"FloatFieldNormalizeNan({bits:x})", c.version, data,
                             lambda d: d == {"optionalFloat": "NaN"})
    for bits in (0x7FFA123456789ABC, 0xFFFBCBA987654321):
        data = b"\x61" + struct.pack("<Q", bits)
        c.runner.expect_json(f"DoubleFieldNormalizeNan({bits:x})", c.version, data,
                             lambda d: d == {"optionalDouble": "NaN"})
    for value in (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 123456789012345680.0, math.pi):
        data = b"\x61" + struct.pack("<d", value)
        c.runner.expect_json(f"DoubleShortest({value!r})", c.version, data,
                             lambda d, value=value: d["optionalDouble"] == value)


# ---- the other scalars -------------------------------------------------------------------

def others(c):
    c.good("BoolFieldTrue", '{"optionalBool":true}', "optional_bool: true")
    c.good("BoolFieldFalse", '{"optionalBool":false}', "optional_bool: false")
    for text in ("0", "1", "True", "False", "TRUE", "FALSE", '"true"', '"false"', "tru", "truex"):
        c.bad(f"BoolField({text})", '{"optionalBool": %s}' % text)
    c.good("EnumField", '{"optionalNestedEnum": "BAZ"}', "optional_nested_enum: BAZ")
    c.good("EnumFieldNumericValueZero", '{"optionalNestedEnum": 0}', "optional_nested_enum: FOO")
    c.good("EnumFieldNumericValueNonZero", '{"optionalNestedEnum": 1}', "optional_nested_enum: BAR")
    c.good("EnumFieldNegative", '{"optionalNestedEnum": -1}', "optional_nested_enum: NEG")
    for text in ("FOO", '"foo"', '""', '"1"', "1.5", "true", "2147483648"):
        c.bad(f"EnumField({text})", '{"optionalNestedEnum": %s}' % text)
    if c.version == 3:
        for alias in ("ALIAS_BAZ", "MOO", "moo", "bAz"):
            c.good(f"EnumFieldWithAlias({alias})", '{"optionalAliasedEnum": "%s"}' % alias,
                   "optional_aliased_enum: ALIAS_BAZ")
        c.member_is("EnumFieldUnknownValue", '{"optionalNestedEnum": 123}', "optionalNestedEnum", 123)
    unknown = "UNKNOWN_ENUM_VALUE"
    for where, document in (("OptionalField", {"optional_nested_enum": unknown}),
                            ("RepeatedField", {"repeated_nested_enum": [unknown]}),
                            ("MapValue", {"map_string_nested_enum": {"key": unknown}})):
        c.bad(f"RejectUnknownEnumStringValueIn{where}", json.dumps(document))
        c.ignoring(f"IgnoreUnknownEnumStringValueIn{where}", json.dumps(document), "")
    c.ignoring("IgnoreUnknownEnumStringValueInRepeatedPart",
               json.dumps({"repeated_nested_enum": ["FOO", unknown, "BAR"]}), "repeated_nested_enum: [FOO, BAR]")
    c.ignoring("IgnoreUnknownEnumStringValueInMapPart",
               json.dumps({"map_string_nested_enum": {"a": "FOO", "b": unknown, "c": "BAR"}}),
               'map_string_nested_enum {key: "a" value: FOO} map_string_nested_enum {key: "c" value: BAR}')


def texts(c):
    for document, value in ((r'"Hello world!"', "Hello world!"), ('"\u8c37\u6b4c"', "\u8c37\u6b4c"),
                            (r'"\"\\\/\b\f\n\r\t"', "\"\\/\b\f\n\r\t"), (r'"\u8C37\u6B4C"', "\u8c37\u6b4c"),
                            (r'"\u8c37\u6b4c"', "\u8c37\u6b4c"), (r'"\uD83D\uDE01"', "\U0001f601"),
                            (r'"Hello\u0000world!"', "Hello\0world!"), ('"\U0001f601\x7f"', "\U0001f601\x7f")):
        wanted = MESSAGES[c.version](optional_string=value)
        c.runner.expect(c.name(f"StringField({document})"), c.version, '{"optionalString": %s}' % document, wanted)
    for text in (r'"\U8C37\U6b4C"', r'"\uXXXX\u6B4C"', r'"\u8C3"', r'"\uD800"', r'"\uDC00"', r'"\uDE01\uD83D"',
                 r'"\uD800\uD800"', r'"\uD800x"', r'"\x41"', "12345", "true", '"a\nb"', '"\t"', "[]", '"\\"'):
        c.bad(f"StringField({text!r})", '{"optionalString": %s}' % text)
    for text, value in (("AQI=", b"\1\2"), ("AQI", b"\1\2"), ("-_", b"\xfb"), ("-_==", b"\xfb"), ("+/8=", b"\xfb\xff"),
                        ("-_8", b"\xfb\xff"), ("", b"")):
        wanted = MESSAGES[c.version]()
        if value or c.version == 2:
            wanted.optional_bytes = value
        c.runner.expect(c.name(f"BytesField({text})"), c.version, json.dumps({"optionalBytes": text}), wanted)
    for text in ('"A"', '"AQI=="', '"A==="', '"AQ I="', '"AQI*"', "1", '"AQ=I"'):
        c.bad(f"BytesField({text})", '{"optionalBytes": %s}' % text)


# ---- structure ---------------------------------------------------------------------------

def oneofs(c):
    c.bad("OneofFieldDuplicate", '{"oneofUint32": 1, "oneofString": "test"}')
    c.good("OneofFieldNullFirst", '{"oneofUint32": null, "oneofString": "test"}', 'oneof_string: "test"')
    c.good("OneofFieldNullSecond", '{"oneofString": "test", "oneofUint32": null}', 'oneof_string: "test"')
    for key, text, means in (("Uint32", "0", "oneof_uint32: 0"), ("NestedMessage", "{}", "oneof_nested_message {}"),
                             ("String", '""', 'oneof_string: ""'), ("Bytes", '""', 'oneof_bytes: ""'),
                             ("Bool", "false", "oneof_bool: false"), ("Uint64", "0", "oneof_uint64: 0"),
                             ("Float", "0.0", "oneof_float: 0"), ("Double", "0.0", "oneof_double: 0"),
                             ("Enum", '"FOO"', "oneof_enum: FOO")):
        c.good(f"OneofZero{key}", '{"oneof%s": %s}' % (key, text), means)
    c.good("MessageField", '{"optionalNestedMessage": {"a": 1234}}', "optional_nested_message {a: 1234}")
    for text in ("1", '"a"', "true", "[]"):
        c.bad(f"MessageField({text})", '{"optionalNestedMessage": %s}' % text)


def maps(c):
    for kind in ("Int32Int32", "Int64Int64", "Uint32Uint32", "Uint64Uint64", "Sint32Sint32", "Sint64Sint64",
                 "Fixed32Fixed32", "Fixed64Fixed64", "Sfixed32Sfixed32", "Sfixed64Sfixed64"):
        half = kind[:len(kind) // 2].lower()
        proto = f"map_{half}_{half}"
        c.good(f"{kind}MapField", '{"map%s": {"1": 2, "3": "4"}}' % kind,
               f"{proto} {{key: 1 value: 2}} {proto} {{key: 3 value: 4}}")
        c.good(f"{kind}MapEscapedKey", r'{"map%s": {"\u0031": 2}}' % kind, f"{proto} {{key: 1 value: 2}}")
        for inner in ("{1: 2}", "{null: 1}", '{"1": null}', '{"a": 1}', '{"": 1}', '{"1": 1, "1": 2}', "[]"):
            c.bad(f"{kind}MapField({inner})", '{"map%s": %s}' % (kind, inner))
    c.good("BoolMapField", '{"mapBoolBool": {"true": true, "false": false}}',
           "map_bool_bool {key: true value: true} map_bool_bool {key: false value: false}")
    c.good("BoolMapEscapedKey", r'{"mapBoolBool": {"tr\u0075e": true}}', "map_bool_bool {key: true value: true}")
    for inner in ("{true: true}", '{"True": true}', '{"1": true}'):
        c.bad(f"BoolMapField({inner})", '{"mapBoolBool": %s}' % inner)
    c.good("MessageMapField", '{"mapStringNestedMessage": {"hello": {"a": 1234}, "world": {"a": 5678}, "": {}}}',
           'map_string_nested_message {key: "hello" value {a: 1234}}'
           'map_string_nested_message {key: "world" value {a: 5678}} map_string_nested_message {key: "" value {}}')
    c.good("BytesMapField", '{"mapStringBytes": {"a": "AQI="}}', r'map_string_bytes {key: "a" value: "\001\002"}')
    c.good("FloatMapField", '{"mapInt32Float": {"-1": "NaN"}}', "map_int32_float {key: -1 value: nan}")


def lists(c):
    for key, text, means in (
            ("Int32", "[1, 2, 3, 4]", "repeated_int32: [1, 2, 3, 4]"),
            ("NestedEnum", '["FOO", 1, "BAZ"]', "repeated_nested_enum: [FOO, BAR, BAZ]"),
            ("String", '["Hello", "", "world"]', 'repeated_string: ["Hello", "", "world"]'),
            ("Bytes", '["AAEC", "AQI="]', r'repeated_bytes: ["\000\001\002", "\001\002"]'),
            ("Int32", "[]", ""), ("Bool", "[false, true]", "repeated_bool: [false, true]"),
            ("NestedMessage", '[{"a": 1234}, {}, {"a": 5678}]',
             "repeated_nested_message {a: 1234} repeated_nested_message {} repeated_nested_message {a: 5678}")):
        c.good(f"{key}RepeatedField({text})", '{"repeated%s": %s}' % (key, text), means)
    for key, text in (("Int32", "[1, false, 3]"), ("Int32", '[1, "name"]'), ("Int32", '[1, {"a": 4}]'),
                      ("Int32", "[1, [2]]"), ("Int32", "1"), ("Int32", "{}"), ("Int32", "[1, null, 2]"),
                      ("String", '["1", 2]'), ("String", '["1", false]'), ("String", '["1", {"a": 4}]'),
                      ("String", '["1", null]'), ("NestedMessage", '[{"a": 1}, 2]'), ("NestedMessage", "[false]"),
                      ("NestedMessage", '[{"a": 1}, "2"]'), ("NestedMessage", '[{"a": 1}, null]'),
                      ("NestedEnum", "[null]"), ("Bytes", "[1]")):
        c.bad(f"RepeatedField{key}({text})", '{"repeated%s": %s}' % (key, text))


def nulls(c):
    scalars = ("Int32 Int64 Uint32 Uint64 Sint32 Sint64 Fixed32 Fixed64 Sfixed32 Sfixed64 Float Double Bool String "
               "Bytes NestedEnum NestedMessage").split()
    keys = [f"optional{s}" for s in scalars] + [f"repeated{s}" for s in scalars]
    keys += ["mapInt32Int32", "mapBoolBool", "mapStringNestedMessage"]
    c.good("AllFieldAcceptNull", json.dumps(dict.fromkeys(keys)), "")


# ---- well-known types --------------------------------------------------------------------

WRAPPERS = [("Bool", ("false", "true")), ("Int32", ("0", "1")), ("Uint32", ("0", "1")), ("Int64", ("0", '"1"')),
            ("Uint64", ("0", '"1"')), ("Float", ("0", "1")), ("Double", ("0", "1.5")), ("String", ('""', '"AQI="')),
            ("Bytes", ('""', '"AQI="'))]


def wrappers(c):
    for kind, texts_ in WRAPPERS:
        lower = kind.lower()
        means = [r'"\001\002"' if kind == "Bytes" and t != '""' else t.strip('"') if kind in ("Int64", "Uint64") else t
                 for t in texts_]
        for text, value in zip(texts_, means):
            c.good(f"Optional{kind}Wrapper({text})", '{"optional%sWrapper": %s}' % (kind, text),
                   f"optional_{lower}_wrapper {{value: {value}}}")
        c.good(f"Repeated{kind}Wrapper", '{"repeated%sWrapper": [%s]}' % (kind, ", ".join(texts_)),
               " ".join(f"repeated_{lower}_wrapper {{value: {value}}}" for value in means))
        c.bad(f"Optional{kind}WrapperIsNoObject", '{"optional%sWrapper": {"value": %s}}' % (kind, texts_[1]))
    c.good("WrapperTypesWithNullValue", json.dumps(
        {f"{where}{kind}Wrapper": None for kind, _ in WRAPPERS for where in ("optional", "repeated")}), "")
    c.bad("WrapperInListIsNull", '{"repeatedInt32Wrapper": [1, null]}')


def durations(c):
    for text, seconds, nanos, back in (
            ("-315576000000.999999999s", -315576000000, -999999999, None),
            ("315576000000.999999999s", 315576000000, 999999999, None), ("-5s", -5, 0, None),
            ("-0.5s", 0, -500000000, "-0.500s"), ("1.000000000s", 1, 0, "1s"), ("1.010000000s", 1, 10000000, "1.010s"),
            ("1.000010000s", 1, 10000, "1.000010s"), ("1.000000010s", 1, 10, None), ("0s", 0, 0, None)):
        document = json.dumps({"optionalDuration": text})
        c.good(f"Duration({text})", document, f"optional_duration {{seconds: {seconds} nanos: {nanos}}}")
        c.member_is(f"Duration({text})", document, "optionalDuration", text if back is None else back)
    c.good("DurationRepeatedValue", '{"repeatedDuration": ["1.5s", "-1.5s"]}',
           "repeated_duration {seconds: 1 nanos: 500000000} repeated_duration {seconds: -1 nanos: -500000000}")
    c.good("DurationNull", '{"optionalDuration": null}', "")
    for text in ('"1"', '"-315576000001.000000000s"', '"315576000001.000000000s"', '""', '"s"', '"1.s"', '".5s"',
                 '"1.0000000001s"', '"1s "', '" 1s"', '"+1s"', '"1S"', "1", "{}", '"1.5"', '"--1s"', '"1e3s"'):
        c.bad(f"Duration({text})", '{"optionalDuration": %s}' % text)
    c.unwritable("DurationProtoInputTooSmall", "optional_duration {seconds: -315576000001}")
    c.unwritable("DurationProtoInputTooLarge", "optional_duration {seconds: 315576000001}")
    c.unwritable("DurationNanosTooLarge", "optional_duration {nanos: 1000000000}")
    c.unwritable("DurationSignsDiffer", "optional_duration {seconds: 1 nanos: -1}")


def timestamps(c):
    for text, seconds, nanos, back in (
            ("0001-01-01T00:00:00Z", -62135596800, 0, None),
            ("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, None),
            ("1970-01-01T00:00:00.000Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00.000000001Z", 0, 1, None), ("1969-12-31T23:59:59.999999999Z", -1, 999999999, None),
            ("1969-12-31T23:59:58.999999999Z", -2, 999999999, None), ("1970-01-01T00:00:10.500Z", 10, 500000000, None),
            ("1969-12-31T23:59:49.500Z", -11, 500000000, None),
            ("1993-02-10T00:00:00.000Z", 729302400, 0, "1993-02-10T00:00:00Z"),
            ("1970-01-01T08:00:01+08:00", 1, 0, "1970-01-01T00:00:01Z"),
            ("1969-12-31T16:00:01-08:00", 1, 0, "1970-01-01T00:00:01Z"),
            ("1970-01-01T00:00:00.010000000Z", 0, 10000000, "1970-01-01T00:00:00.010Z"),
            ("1970-01-01T00:00:00.000010000Z", 0, 10000, "1970-01-01T00:00:00.000010Z"),
            ("2000-02-29T23:59:59Z", 951868799, 0, None)):
        document = json.dumps({"optionalTimestamp": text})
        c.good(f"Timestamp({text})", document, f"optional_timestamp {{seconds: {seconds} nanos: {nanos}}}")
        c.member_is(f"Timestamp({text})", document, "optionalTimestamp", text if back is None else back)
    c.good("TimestampNull", '{"optionalTimestamp": null}', "")
    c.good("TimestampRepeatedValue", '{"repeatedTimestamp": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"]}',
           "repeated_timestamp {} repeated_timestamp {seconds: 1}")
    for text in ("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01 00:00:00Z",
                 "0001-01-01T00:00:00z", "0001-01-01t00:00:00Z", "1970-01-01T08:00:01+0800", "1970-01-01",
                 "1970-01-01T00:00:00.Z", "1970-13-01T00:00:00Z", "1970-02-30T00:00:00Z", "1970-01-01T24:00:00Z",
                 "1970-01-01T00:60:00Z", "1900-02-29T00:00:00Z", "1970-01-01T00:00:00.1234567890Z", "", "now",
                 "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "1970-01-01T00:00:00Zx"):
        c.bad(f"Timestamp({text})", json.dumps({"optionalTimestamp": text}))
    c.bad("TimestampNumber", '{"optionalTimestamp": 0}')
    c.unwritable("TimestampProtoInputTooSmall", "optional_timestamp {seconds: -62135596801}")
    c.unwritable("TimestampProtoInputTooLarge", "optional_timestamp {seconds: 253402300800}")
    c.unwritable("TimestampNegativeNanos", "optional_timestamp {nanos: -1}")


def masks(c):
    c.good("FieldMask", '{"optionalFieldMask": "foo,barBaz"}', 'optional_field_mask {paths: ["foo", "bar_baz"]}')
    c.good("FieldMaskNested", '{"optionalFieldMask": "foo.barBaz,b1"}', 'optional_field_mask {paths: ["foo.bar_baz", "b1"]}')
    c.good("EmptyFieldMask", '{"optionalFieldMask": ""}', "optional_field_mask {}")
    for text in ('"foo,bar_bar"', '"foo,"', '",foo"', '"foo,,bar"', '["foo"]', '"foo bar"', "1"):
        c.bad(f"FieldMask({text})", '{"optionalFieldMask": %s}' % text)
    for path in ("fooBar", "foo_3_bar", "foo__bar", "foo_", "Foo"):
        c.unwritable(f"FieldMask({path})", f'optional_field_mask {{paths: "{path}"}}')


def structs(c):
    c.good("Struct", '{"optionalStruct": {"n": null, "i": 1234, "b": true, "d": 1234.5678, "s": "Hello world!", '
           '"l": [1234, "5678"], "o": {"value": 0}}}',
           'optional_struct {fields {key: "n" value {null_value: NULL_VALUE}} fields {key: "i" value {number_value: 1234}}'
           'fields {key: "b" value {bool_value: true}} fields {key: "d" value {number_value: 1234.5678}}'
           'fields {key: "s" value {string_value: "Hello world!"}} fields {key: "l" value {list_value {'
           'values {number_value: 1234} values {string_value: "5678"}}}} fields {key: "o" value {struct_value {'
           'fields {key: "value" value {number_value: 0}}}}}}')
    c.good("StructWithEmptyListValue", '{"optionalStruct": {"listValue": []}}',
           'optional_struct {fields {key: "listValue" value {list_value {}}}}')
    c.bad("StructTwice", '{"optionalStruct": {"a": 1, "a": 2}}')
    for text in ("[]", "1", '"a"', "true"):
        c.bad(f"Struct({text})", '{"optionalStruct": %s}' % text)
    for text, means in (("1", "number_value: 1"), ("1.5", "number_value: 1.5"), ("false", "bool_value: false"),
                        ("null", "null_value: NULL_VALUE"), ('"hello"', 'string_value: "hello"'),
                        ('[0, "hello"]', 'list_value {values {number_value: 0} values {string_value: "hello"}}'),
                        ('{"value": 1}', 'struct_value {fields {key: "value" value {number_value: 1}}}'),
                        ("[null, [], {}]", "list_value {values {null_value: NULL_VALUE} values {list_value {}}"
                                           "values {struct_value {}}}"), ('""', 'string_value: ""')):
        c.good(f"Value({text})", '{"optionalValue": %s}' % text, "optional_value {%s}" % means)
    c.bad("ValueTooLarge", '{"optionalValue": 1e999}')
    c.good("RepeatedValue", '{"repeatedValue": [["a"], null]}',
           'repeated_value {list_value {values {string_value: "a"}}} repeated_value {null_value: NULL_VALUE}')
    c.good("RepeatedListValue", '{"repeatedListValue": [["a"], []]}',
           'repeated_list_value {values {string_value: "a"}} repeated_list_value {}')
    c.good("RepeatedStruct", '{"repeatedStruct": [{}, {"a": null}]}',
           'repeated_struct {} repeated_struct {fields {key: "a" value {null_value: NULL_VALUE}}}')
    for text in ("null", '"NULL_VALUE"', "0"):
        c.runner.expect_json(c.name(f"NullValueInOtherOneof({text})"), 3, '{"oneofNullValue": %s}' % text,
                             lambda d: d == {"oneofNullValue": None})
        c.runner.expect_json(c.name(f"NullValueInNormalMessage({text})"), 3, '{"optionalNullValue": %s}' % text,
                             lambda d: d == {})
    c.unwritable("ValueRejectNanNumberValue", "optional_value {number_value: nan}")
    c.unwritable("ValueRejectInfNumberValue", "optional_value {number_value: inf}")
    # A key that stands twice on the wire has its last value and stands once.
    entry = b"\x0a\x0a\x0a\x01k\x12\x05\x1a\x03one", b"\x0a\x0a\x0a\x01k\x12\x05\x1a\x03two"
    c.runner.expect_json("StructKeyTwiceOnTheWire", 3, b"\x82\x13\x18" + b"".join(entry),
                         lambda d: d == {"optionalStruct": {"k": "two"}})


def anys(c):
    inner = '"@type": "%s", "optionalInt32": 12345' % c.type_url
    means = "optional_any {[%s] {optional_int32: 12345}}" % c.type_url
    c.good("Any", '{"optionalAny": {%s}}' % inner, means)
    c.good("AnyNested", '{"optionalAny": {"@type": "%sgoogle.protobuf.Any", "value": {%s}}}' % (URL, inner),
           "optional_any {[%sgoogle.protobuf.Any] {[%s] {optional_int32: 12345}}}" % (URL, c.type_url))
    c.good("AnyUnorderedTypeTag", '{"optionalAny": {"optionalInt32": 12345, "@type": "%s"}}' % c.type_url, means)
    c.good("AnyWithNestedMessage", '{"optionalAny": {"@type": "%s", "optionalNestedMessage": {"a": 1}, '
           '"repeatedString": ["x"]}}' % c.type_url,
           'optional_any {[%s] {optional_nested_message {a: 1} repeated_string: "x"}}' % c.type_url)
    for kind, text, value in (
            ("Int32Value", "12345", "value: 12345"), ("Duration", '"1.5s"', "seconds: 1 nanos: 500000000"),
            ("Timestamp", '"1970-01-01T00:00:00Z"', ""), ("FieldMask", '"foo,barBaz"', 'paths: ["foo", "bar_baz"]'),
            ("Struct", '{"foo": 1}', 'fields {key: "foo" value {number_value: 1}}'),
            ("Value", '{"foo": 1}', 'struct_value {fields {key: "foo" value {number_value: 1}}}'),
            ("Value", "1", "number_value: 1"), ("Value", "null", "null_value: NULL_VALUE"),
            ("ListValue", "[1]", "values {number_value: 1}"), ("StringValue", '""', "")):
        for order in ('{"@type": "%s", "value": %s}', '{"value": %s, "@type": "%s"}'):
            parts = (URL + "google.protobuf." + kind, text)
            c.good(f"AnyWith{kind}({text})", '{"optionalAny": %s}' % (order % (parts if order[2] == "@" else parts[::-1])),
                   "optional_any {[%sgoogle.protobuf.%s] {%s}}" % (URL, kind, value))
    c.good("AnyWithNoType", '{"optionalAny": {}}', "optional_any {}")
    c.good("AnyNull", '{"optionalAny": null}', "")
    for document in ('{"@type": "", "value": ""}', '{"@type": "not_a_url", "value": ""}', '{"value": 1}',
                     '{"optionalInt32": 1}', '{"@type": "%sno.such.Message"}' % URL, '{"@type": 1}', "[]", '"a"',
                     '{"@type": "%s", "unknown": 1}' % c.type_url, '{"@type": "%s", "@type": "%s"}' % (c.type_url, c.type_url),
                     '{"@type": "%sgoogle.protobuf.Duration", "value": "x"}' % URL,
                     '{"@type": "%sgoogle.protobuf.Duration", "seconds": "1"}' % URL):
        c.bad(f"Any({document})", '{"optionalAny": %s}' % document)


def run(runner, version):
    c = Cases(runner, version)
    for part in (names, syntax, integers, floats, others, texts, oneofs, maps, lists, nulls):
        part(c)
    if version == 3:
        for part in (wrappers, durations, timestamps, masks, structs, anys):
            part(c)
