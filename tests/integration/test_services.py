"""The services that the runtime brings along (reflection, health, channelz), through grpcio and grpc-js."""
import pathlib
import os
import shutil
import subprocess
import tempfile
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import BUILD, ROOT, start_server
from grpc_reflection.v1 import reflection_pb2 as v1, reflection_pb2_grpc as v1_stubs
from grpc_reflection.v1alpha import reflection_pb2 as v1alpha, reflection_pb2_grpc as v1alpha_stubs

ENGINE = "novelengine.v1.NovelEngine"
OWN = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
NOT_FOUND, INVALID_ARGUMENT = 5, 3


class OneServer(unittest.TestCase):
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="novel-test-")
        cls.server = start_server(pathlib.Path(cls.folder.name) / "data", *cls.args)
        cls.channel = grpc.insecure_channel(cls.server.address)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        try:
            cls.server.stop()
        finally:
            cls.folder.cleanup()


class Reflection(OneServer):
    VERSIONS = [(v1, v1_stubs), (v1alpha, v1alpha_stubs)]

    def ask(self, pb, stubs, *requests):
        return list(stubs.ServerReflectionStub(self.channel).ServerReflectionInfo(iter(requests), timeout=20))

    def files(self, **question):
        (answer,) = self.ask(v1, v1_stubs, v1.ServerReflectionRequest(**question))
        self.assertEqual(answer.WhichOneof("message_response"), "file_descriptor_response", answer)
        return [descriptor_pb2.FileDescriptorProto.FromString(raw)
                for raw in answer.file_descriptor_response.file_descriptor_proto]

    def test_both_versions_list_what_is_served(self):
        for pb, stubs in self.VERSIONS:
            question = pb.ServerReflectionRequest(host="here", list_services="")
            (answer,) = self.ask(pb, stubs, question)
            self.assertEqual(answer.original_request, question)
            self.assertEqual(answer.valid_host, "here")
            names = [s.name for s in answer.list_services_response.service]
            self.assertEqual(names, sorted(names))
            for name in [ENGINE, *OWN]:
                self.assertIn(name, names)

    def test_every_listed_service_is_described(self):
        (answer,) = self.ask(v1, v1_stubs, v1.ServerReflectionRequest(list_services="*"))
        for service in answer.list_services_response.service:
            files = self.files(file_containing_symbol=service.name)
            package, _, name = service.name.rpartition(".")
            self.assertEqual(files[0].package, package)
            self.assertIn(name, [s.name for s in files[0].service])

    def test_closure_is_whole_and_each_file_once(self):
        files = self.files(file_containing_symbol=ENGINE)
        names = [f.name for f in files]
        self.assertEqual(names[0], "novelengine/v1/novel_engine.proto")
        self.assertEqual(len(names), len(set(names)))
        for f in files:
            for needed in f.dependency:
                self.assertIn(needed, names, f"{f.name} needs it")
        # And the options of ours, which the runtime does not know, came through.
        raw = files[0].SerializeToString()
        self.assertIn(b"GetHealth", raw)

    def test_symbols(self):
        where = "novelengine/v1/novel_engine.proto"
        pool_file = self.files(file_by_filename=where)[0]
        message = next(m for m in pool_file.message_type if m.field)
        enum = pool_file.enum_type[0] if pool_file.enum_type else None
        symbols = [ENGINE, f"{ENGINE}.GetHealth", f"novelengine.v1.{message.name}",
                   f"novelengine.v1.{message.name}.{message.field[0].name}"]
        if enum:
            symbols += [f"novelengine.v1.{enum.name}", f"novelengine.v1.{enum.value[0].name}"]
        for symbol in symbols:
            self.assertEqual(self.files(file_containing_symbol=symbol)[0].name, where, symbol)
        for symbol, file in [("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
                             ("grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"),
                             ("grpc.health.v1.HealthListResponse.StatusesEntry.key", "grpc/health/v1/health.proto"),
                             ("google.protobuf.FieldDescriptorProto.Type", "google/protobuf/descriptor.proto"),
                             ("google.api.http", "google/api/annotations.proto")]:
            self.assertEqual(self.files(file_containing_symbol=symbol)[0].name, file, symbol)

    def test_extensions(self):
        files = self.files(file_containing_extension=v1.ExtensionRequest(
            containing_type="google.protobuf.MethodOptions", extension_number=72295728))
        self.assertEqual(files[0].name, "google/api/annotations.proto")
        (answer,) = self.ask(v1, v1_stubs, v1.ServerReflectionRequest(
            all_extension_numbers_of_type="google.protobuf.MethodOptions"))
        numbers = answer.all_extension_numbers_response
        self.assertEqual(numbers.base_type_name, "google.protobuf.MethodOptions")
        self.assertIn(72295728, numbers.extension_number)
        self.assertEqual(list(numbers.extension_number), sorted(set(numbers.extension_number)))
        (answer,) = self.ask(v1, v1_stubs, v1.ServerReflectionRequest(all_extension_numbers_of_type="google.protobuf.Any"))
        self.assertEqual(list(answer.all_extension_numbers_response.extension_number), [])

    def test_what_is_not_there(self):
        questions = [
            v1.ServerReflectionRequest(file_by_filename="no/such.proto"),
            v1.ServerReflectionRequest(file_containing_symbol="no.such.Symbol"),
            v1.ServerReflectionRequest(file_containing_symbol=""),
            v1.ServerReflectionRequest(file_containing_symbol=ENGINE + ".NoMethod"),
            v1.ServerReflectionRequest(file_containing_extension=v1.ExtensionRequest(
                containing_type="google.protobuf.MethodOptions", extension_number=1)),
            v1.ServerReflectionRequest(file_containing_extension=v1.ExtensionRequest(
                containing_type="x" * 3000, extension_number=1)),
            v1.ServerReflectionRequest(all_extension_numbers_of_type="no.such.Type"),
            v1.ServerReflectionRequest(all_extension_numbers_of_type=ENGINE),  # a service is no type
        ]
        answers = self.ask(v1, v1_stubs, *questions)
        self.assertEqual(len(answers), len(questions))
        for question, answer in zip(questions, answers):
            self.assertEqual(answer.original_request, question)
            self.assertEqual(answer.error_response.error_code, NOT_FOUND, question)
            self.assertTrue(answer.error_response.error_message)
        (answer,) = self.ask(v1, v1_stubs, v1.ServerReflectionRequest(host="only"))
        self.assertEqual(answer.error_response.error_code, INVALID_ARGUMENT)

    def test_a_stream_of_many_questions(self):
        questions = [v1.ServerReflectionRequest(file_containing_symbol=ENGINE, host=str(i)) for i in range(200)]
        answers = self.ask(v1, v1_stubs, *questions)
        self.assertEqual([a.valid_host for a in answers], [str(i) for i in range(200)])

    def test_a_long_question_is_refused(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.ask(v1, v1_stubs, v1.ServerReflectionRequest(file_by_filename="x" * 5000))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_a_call_with_nothing_but_what_reflection_said(self):
        pool = descriptor_pool.DescriptorPool()
        left = self.files(file_containing_symbol=ENGINE)
        while left:
            ready = [f for f in left if not any(o.name in f.dependency for o in left)]
            self.assertTrue(ready, "imports go round in a circle")
            for f in ready:
                pool.Add(f)
                left.remove(f)
        method = pool.FindServiceByName(ENGINE).FindMethodByName("GetHealth")
        factory = message_factory.MessageFactory(pool)
        call = self.channel.unary_unary(f"/{ENGINE}/GetHealth",
                                        request_serializer=lambda m: m.SerializeToString(),
                                        response_deserializer=factory.GetPrototype(method.output_type).FromString)
        self.assertEqual(call(factory.GetPrototype(method.input_type)(), timeout=20).status, "healthy")


class WithoutReflection(OneServer):
    args = ("--reflection=false",)

    def test_it_is_off(self):
        with self.assertRaises(grpc.RpcError) as caught:
            list(v1_stubs.ServerReflectionStub(self.channel).ServerReflectionInfo(
                iter([v1.ServerReflectionRequest(list_services="")]), timeout=20))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


class NodeClient(OneServer):
    def test_grpc_js(self):
        if not shutil.which("npm"):
            self.skipTest("npm is not installed: grpc-js was NOT tried")
        work = pathlib.Path(BUILD) / "js-services"
        shutil.copytree(ROOT / "clients" / "js", work, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("node_modules", "example.js"))
        shutil.copy(pathlib.Path(__file__).parent / "services.js", work)
        install = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=work,
                                 capture_output=True, text=True, timeout=180)
        if install.returncode != 0:
            self.skipTest("npm cannot install here: grpc-js was NOT tried: " + install.stderr[-300:])
        out = subprocess.run(["node", "services.js", self.server.address], cwd=work, capture_output=True, text=True,
                             timeout=120, env={**os.environ, "STUBS": str(pathlib.Path(BUILD) / "gen" / "python")})
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn("healthy", out.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
