"""The services that the runtime brings along (reflection, health, channelz), through grpcio and grpc-js."""
import pathlib
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import BUILD, ROOT, start_server
from grpc_channelz.v1 import channelz_pb2 as cz, channelz_pb2_grpc as cz_stubs
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


class WithoutExtras(OneServer):
    args = ("--reflection=false",)

    def test_it_is_off(self):
        with self.assertRaises(grpc.RpcError) as caught:
            list(v1_stubs.ServerReflectionStub(self.channel).ServerReflectionInfo(
                iter([v1.ServerReflectionRequest(list_services="")]), timeout=20))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        with self.assertRaises(grpc.RpcError) as caught:  # unless asked for
            cz_stubs.ChannelzStub(self.channel).GetServers(cz.GetServersRequest(), timeout=20)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


class Channelz(OneServer):
    args = ("--channelz", "--threads", "3", "--listen", "[::1]:0")

    def setUp(self):
        self.z = cz_stubs.ChannelzStub(self.channel)

    def refused(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=20)
        self.assertEqual(caught.exception.code(), code)

    def health(self, channel):
        call = channel.unary_unary(f"/{ENGINE}/GetHealth", request_serializer=bytes, response_deserializer=bytes)
        return call(b"", timeout=20)

    def test_servers(self):
        answer = self.z.GetServers(cz.GetServersRequest(), timeout=20)
        self.assertTrue(answer.end)
        (server,) = answer.server
        self.assertEqual(server.ref.name, self.server.address)
        before = server.data
        for _ in range(3):
            self.health(self.channel)
        with self.assertRaises(grpc.RpcError):
            self.channel.unary_unary("/no.Such/Method")(b"", timeout=20)
        after = self.z.GetServer(cz.GetServerRequest(server_id=server.ref.server_id), timeout=20).server
        # The three, the one that failed, and the call that asks, which has begun; GetServers' own ended.
        self.assertEqual(after.data.calls_started - before.calls_started, 5)
        self.assertEqual(after.data.calls_succeeded - before.calls_succeeded, 4)
        self.assertEqual(after.data.calls_failed - before.calls_failed, 1)
        age = after.data.last_call_started_timestamp.seconds - after.data.trace.creation_timestamp.seconds
        self.assertTrue(0 <= age < 300, age)
        self.assertEqual(len(after.listen_socket), 2)
        sockets = [self.z.GetSocket(cz.GetSocketRequest(socket_id=s.socket_id), timeout=20).socket
                   for s in after.listen_socket]
        self.assertEqual(sockets[0].local.tcpip_address.port, self.server.port)
        self.assertEqual(sockets[0].local.tcpip_address.ip_address, bytes([127, 0, 0, 1]))
        self.assertEqual(len(sockets[1].local.tcpip_address.ip_address), 16)
        self.assertFalse(sockets[0].HasField("data"))
        past = self.z.GetServers(cz.GetServersRequest(start_server_id=server.ref.server_id + 1), timeout=20)
        self.assertEqual((len(past.server), past.end), (0, True))

    def test_sockets_by_pages(self):
        server_id = self.z.GetServers(cz.GetServersRequest(), timeout=20).server[0].ref.server_id
        channels = []
        for i in range(12):  # each a connection of its own, spread over the loops
            channel = grpc.insecure_channel(self.server.address, options=[("grpc.use_local_subchannel_pool", 1)])
            self.addCleanup(channel.close)
            self.health(channel)
            channels.append(channel)
        seen, start, pages = [], 0, 0
        while True:
            page = self.z.GetServerSockets(
                cz.GetServerSocketsRequest(server_id=server_id, start_socket_id=start, max_results=5), timeout=20)
            ids = [ref.socket_id for ref in page.socket_ref]
            self.assertLessEqual(len(ids), 5)
            seen += ids
            pages += 1
            if page.end:
                break
            start = ids[-1] + 1
        self.assertEqual(seen, sorted(set(seen)))
        self.assertGreaterEqual(len(seen), 13)
        self.assertGreaterEqual(pages, 3)
        whole = self.z.GetServerSockets(cz.GetServerSocketsRequest(server_id=server_id), timeout=20)
        self.assertTrue(whole.end)
        self.assertEqual([r.socket_id for r in whole.socket_ref], seen)
        for ref in whole.socket_ref:
            socket = self.z.GetSocket(cz.GetSocketRequest(socket_id=ref.socket_id), timeout=20).socket
            self.assertEqual(socket.ref, ref)
            self.assertEqual(socket.local.tcpip_address.port, self.server.port)
            self.assertNotEqual(socket.remote.tcpip_address.port, 0)
            self.assertFalse(socket.HasField("security"))

    def test_one_socket(self):
        server_id = self.z.GetServers(cz.GetServersRequest(), timeout=20).server[0].ref.server_id
        known = {r.socket_id for r in self.z.GetServerSockets(
            cz.GetServerSocketsRequest(server_id=server_id), timeout=20).socket_ref}
        channel = grpc.insecure_channel(self.server.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        for _ in range(7):
            self.health(channel)
        with self.assertRaises(grpc.RpcError):
            channel.unary_unary("/no.Such/Method")(b"", timeout=20)
        (new,) = {r.socket_id for r in self.z.GetServerSockets(
            cz.GetServerSocketsRequest(server_id=server_id), timeout=20).socket_ref} - known
        data = self.z.GetSocket(cz.GetSocketRequest(socket_id=new), timeout=20).socket.data
        self.assertEqual(data.streams_started, 8)
        self.assertEqual(data.streams_succeeded, 8)  # an error in trailers is a whole answer, too
        self.assertEqual(data.streams_failed, 0)
        self.assertEqual(data.messages_sent, 7)
        self.assertIn(data.messages_received, (7, 8))
        self.assertEqual(data.keep_alives_sent, 0)
        self.assertGreater(data.local_flow_control_window.value, 0)
        self.assertGreater(data.remote_flow_control_window.value, 0)
        for stamp in (data.last_remote_stream_created_timestamp, data.last_message_sent_timestamp,
                      data.last_message_received_timestamp):
            self.assertAlmostEqual(stamp.seconds, time.time(), delta=60)

    def test_what_is_not_there(self):
        self.refused(grpc.StatusCode.NOT_FOUND, self.z.GetServer, cz.GetServerRequest(server_id=10**12))
        self.refused(grpc.StatusCode.NOT_FOUND, self.z.GetServerSockets, cz.GetServerSocketsRequest(server_id=0))
        for unknown in (0, -1, 10**12):
            self.refused(grpc.StatusCode.NOT_FOUND, self.z.GetSocket, cz.GetSocketRequest(socket_id=unknown))
        self.refused(grpc.StatusCode.NOT_FOUND, self.z.GetChannel, cz.GetChannelRequest(channel_id=1))
        self.refused(grpc.StatusCode.NOT_FOUND, self.z.GetSubchannel, cz.GetSubchannelRequest(subchannel_id=1))
        top = self.z.GetTopChannels(cz.GetTopChannelsRequest(), timeout=20)
        self.assertEqual((len(top.channel), top.end), (0, True))

    def test_many_at_once_and_cancelled(self):
        asked = [self.z.GetSocket.future(cz.GetSocketRequest(socket_id=10**12), timeout=20) for _ in range(300)]
        for call in asked[::2]:
            call.cancel()
        codes = {call.exception().code() for call in asked[1::2]}
        self.assertEqual(codes, {grpc.StatusCode.NOT_FOUND})


class ChannelzOverTls(unittest.TestCase):
    def test_security(self):
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
            server = start_server(f"{folder}/data", "--channelz", "--tls-cert", cert, "--tls-key", key)
            credentials = grpc.ssl_channel_credentials(pathlib.Path(cert).read_bytes())
            with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
                z = cz_stubs.ChannelzStub(channel)
                server_id = z.GetServers(cz.GetServersRequest(), timeout=20).server[0].ref.server_id
                (ref,) = z.GetServerSockets(cz.GetServerSocketsRequest(server_id=server_id), timeout=20).socket_ref
                socket = z.GetSocket(cz.GetSocketRequest(socket_id=ref.socket_id), timeout=20).socket
            self.assertRegex(socket.security.tls.standard_name, r"^TLS_[A-Z0-9_]+$")
            server.stop()


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
