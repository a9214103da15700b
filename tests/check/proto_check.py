#!/usr/bin/env python3
"""Checks the contract: names as the style guide has them, and nothing that would break those who use it.

  proto_check.py SET               lint, and compare with tests/check/contract.json
  proto_check.py SET --accept      writes contract.json: what is promised from now on

What counts as breaking: a service, method, message, field, enum or enum value that is gone or has another number; another
type, cardinality, JSON name or oneof; other streaming; a route that is gone.  What is added breaks nothing."""
import json
import pathlib
import re
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BASELINE = pathlib.Path(__file__).resolve().parent / "contract.json"
PACKAGES = ("novelengine.", "nrpc.")
PASCAL = re.compile(r"^[A-Z][A-Za-z0-9]*$")
SNAKE = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
UPPER = re.compile(r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$")
LABELS = {1: "optional", 2: "required", 3: "repeated"}


def load(path):
    """The set, its options readable by name."""
    data = pathlib.Path(path).read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    pool.FindExtensionByName("google.api.http")
    known = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")) \
        if hasattr(message_factory, "GetMessageClass") else \
        message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet"))
    return known.FromString(data), pool


def words(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


class Lint:
    def __init__(self):
        self.problems = []

    def want(self, good, what, why):
        if not good:
            self.problems.append(f"{what}: {why}")

    def enum(self, scope, enum):
        name = f"{scope}.{enum.name}"
        prefix = words(enum.name) + "_"
        self.want(PASCAL.match(enum.name), name, "enums are PascalCase")
        self.want(enum.value and enum.value[0].number == 0, name, "the first value must be 0")
        for value in enum.value:
            self.want(UPPER.match(value.name), f"{name}.{value.name}", "enum values are UPPER_SNAKE_CASE")
            self.want(value.name.startswith(prefix), f"{name}.{value.name}", f"begins with {prefix}")
        numbers = [v.number for v in enum.value]
        self.want(len(numbers) == len(set(numbers)), name, "a number is used twice")

    def message(self, scope, message):
        name = f"{scope}.{message.name}"
        if message.options.map_entry:
            return
        self.want(PASCAL.match(message.name), name, "messages are PascalCase")
        for field in message.field:
            self.want(SNAKE.match(field.name), f"{name}.{field.name}", "fields are lower_snake_case")
            self.want(field.label != 2, f"{name}.{field.name}", "required fields are not used")
            self.want(not 19000 <= field.number <= 19999, f"{name}.{field.name}", "its number is reserved by protobuf")
        for nested in message.nested_type:
            self.message(name, nested)
        for enum in message.enum_type:
            self.enum(name, enum)

    def service(self, scope, service, pool):
        name = f"{scope}.{service.name}"
        self.want(PASCAL.match(service.name), name, "services are PascalCase")
        http = pool.FindExtensionByName("google.api.http")
        for method in service.method:
            what = f"{name}.{method.name}"
            self.want(PASCAL.match(method.name), what, "methods are PascalCase")
            for path in routes(method, http):
                self.want(re.match(r"^(GET|POST|PUT|PATCH|DELETE) /", path), what, f"{path} is no route")
                verb = path.split()[0]
                if method.name.startswith(("Get", "List")):
                    self.want(verb == "GET", what, "reads are GET")
                if method.name.startswith("Delete"):
                    self.want(verb == "DELETE", what, "a Delete method is DELETE")

    def file(self, file, pool):
        self.want(re.search(r"(^|\.)v[0-9]+$", file.package) or file.package.startswith("nrpc"), file.name,
                  "the package ends in its version")
        self.want(file.syntax == "proto3", file.name, "files are proto3")
        for message in file.message_type:
            self.message(file.package, message)
        for enum in file.enum_type:
            self.enum(file.package, enum)
        for service in file.service:
            self.service(file.package, service, pool)


def routes(method, http):
    if not method.options.HasExtension(http):
        return []
    rule = method.options.Extensions[http]
    found = []
    for one in [rule, *rule.additional_bindings]:
        verb = one.WhichOneof("pattern")
        found.append(f"{verb.upper()} {getattr(one, verb)}" + (f" body={one.body}" if one.body else ""))
    return found


def describe_message(scope, message, out):
    name = f"{scope}.{message.name}"
    out["messages"][name] = {
        field.name: " ".join([str(field.number), LABELS[field.label],
                              field.type_name.lstrip(".") or descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)[5:].lower(),
                              field.json_name,
                              message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "-"])
        for field in message.field}
    for nested in message.nested_type:
        describe_message(name, nested, out)
    for enum in message.enum_type:
        describe_enum(name, enum, out)


def describe_enum(scope, enum, out):
    out["enums"][f"{scope}.{enum.name}"] = {value.name: value.number for value in enum.value}


def describe(files, pool):
    """All that others may rely on, as plain data."""
    out = {"messages": {}, "enums": {}, "methods": {}}
    http = pool.FindExtensionByName("google.api.http")
    for file in files:
        for message in file.message_type:
            describe_message(file.package, message, out)
        for enum in file.enum_type:
            describe_enum(file.package, enum, out)
        for service in file.service:
            for method in service.method:
                out["methods"][f"/{file.package}.{service.name}/{method.name}"] = {
                    "input": ("stream " if method.client_streaming else "") + method.input_type.lstrip("."),
                    "output": ("stream " if method.server_streaming else "") + method.output_type.lstrip("."),
                    "routes": sorted(routes(method, http))}
    return out


def compare(old, new):
    problems = []
    for kind in ("messages", "enums"):
        for name, members in old[kind].items():
            if name not in new[kind]:
                problems.append(f"{name} is gone")
                continue
            for member, what in members.items():
                now = new[kind][name].get(member)
                if now is None:
                    problems.append(f"{name}.{member} is gone")
                elif now != what:
                    problems.append(f"{name}.{member} was `{what}`, is `{now}`")
    for path, method in old["methods"].items():
        now = new["methods"].get(path)
        if now is None:
            problems.append(f"{path} is gone")
            continue
        for side in ("input", "output"):
            if now[side] != method[side]:
                problems.append(f"{path} had the {side} {method[side]}, has {now[side]}")
        problems += [f"{path} has lost the route {route}" for route in method["routes"] if route not in now["routes"]]
    return problems


def main():
    files, pool = load(sys.argv[1])
    ours = [f for f in files.file if f.package.startswith(PACKAGES) or f.package == "nrpc"]
    lint = Lint()
    for file in ours:
        lint.file(file, pool)
    now = describe([f for f in ours if f.package.startswith("novelengine.")], pool)
    if "--accept" in sys.argv:
        BASELINE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    broken = compare(json.loads(BASELINE.read_text()), now)
    self_test = compare({"messages": {"a.B": {"c": "1"}}, "enums": {"a.E": {"E_X": 0}}, "methods": {"/a.S/M": {
        "input": "a.B", "output": "a.B", "routes": ["GET /x"]}}},
        {"messages": {"a.B": {"c": "2", "d": "3"}}, "enums": {}, "methods": {"/a.S/M": {
            "input": "stream a.B", "output": "a.B", "routes": []}}})
    assert len(self_test) == 4, "the comparison itself has a hole"
    for problem in lint.problems:
        print(f"lint: {problem}")
    for problem in broken:
        print(f"breaking: {problem}")
    if broken:
        print("If nobody can depend on it yet: proto_check.py SET --accept, and say why in the commit.")
    if not lint.problems and not broken:
        print(f"{len(ours)} files, {len(now['methods'])} methods, {len(now['messages'])} messages: nothing breaks")
    return 1 if lint.problems or broken else 0


if __name__ == "__main__":
    sys.exit(main())
