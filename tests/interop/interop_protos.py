"""grpc.testing for Python peers, from the descriptor set of the build: generated modules would sit in a package
named grpc and hide grpcio's own."""
import os
import pathlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BUILD = pathlib.Path(os.environ.get("NOVEL_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))


class Protos:
    """Message classes by their short name (protos.SimpleRequest), and the methods of the services."""

    def __init__(self):
        files = descriptor_pb2.FileDescriptorSet.FromString((BUILD / "gen/interop/interop.fds").read_bytes())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)

    def __getattr__(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(f"grpc.testing.{name}"))

    def method(self, service, name):
        """Path, request class, response class, and whether each side streams."""
        found = self.pool.FindServiceByName(f"grpc.testing.{service}").FindMethodByName(name)
        proto = descriptor_pb2.MethodDescriptorProto()
        found.CopyToProto(proto)
        return (f"/grpc.testing.{service}/{name}", self.factory.GetPrototype(found.input_type),
                self.factory.GetPrototype(found.output_type), proto.client_streaming, proto.server_streaming)


protos = Protos()
