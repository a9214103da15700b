// TestService of the C++ peer, on the synchronous API.
#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

#include "peer_cpp.h"

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;
using grpc::testing::InteropServerContextInspector;
using namespace grpc::testing;

namespace {

void EchoMetadata(ServerContext* context) {
  for (const auto& pair : context->client_metadata()) {
    std::string value(pair.second.data(), pair.second.size());
    if (pair.first == kInitial) context->AddInitialMetadata(kInitial, value);
    if (pair.first == kTrailing) context->AddTrailingMetadata(kTrailing, value);
  }
}

template <class Message>
bool CameAsPromised(ServerContext* context, const Message& message) {
  return !message.has_expect_compressed() ||
         message.expect_compressed().value() == InteropServerContextInspector::WasCompressed(*context);
}

Status Unexpected() { return {StatusCode::INVALID_ARGUMENT, "the message came compressed or plain, against its promise"}; }

bool WantsStatus(const EchoStatus& echo) { return echo.code() != 0; }
Status Echo(const EchoStatus& echo) { return {static_cast<StatusCode>(echo.code()), echo.message()}; }

class Service final : public TestService::Service {
 public:
  Status EmptyCall(ServerContext* context, const grpc::testing::Empty*, grpc::testing::Empty*) override {
    EchoMetadata(context);
    return Status::OK;
  }

  Status UnaryCall(ServerContext* context, const SimpleRequest* request, SimpleResponse* response) override {
    EchoMetadata(context);
    if (!CameAsPromised(context, *request)) return Unexpected();
    if (WantsStatus(request->response_status())) return Echo(request->response_status());
    context->set_compression_algorithm(request->response_compressed().value() ? GRPC_COMPRESS_GZIP
                                                                              : GRPC_COMPRESS_NONE);
    FillZeros(response->mutable_payload(), request->response_size());
    return Status::OK;
  }

  Status CacheableUnaryCall(ServerContext* context, const SimpleRequest*, SimpleResponse* response) override {
    context->AddInitialMetadata("cache-control", "max-age=60, public");
    response->mutable_payload()->set_body(
        std::to_string(std::chrono::system_clock::now().time_since_epoch().count()));
    return Status::OK;
  }

  Status StreamingOutputCall(ServerContext* context, const StreamingOutputCallRequest* request,
                             grpc::ServerWriter<StreamingOutputCallResponse>* writer) override {
    for (const auto& p : request->response_parameters())
      if (p.compressed().value()) context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    return Answer(*request, writer);
  }

  Status StreamingInputCall(ServerContext* context, grpc::ServerReader<StreamingInputCallRequest>* reader,
                            StreamingInputCallResponse* response) override {
    StreamingInputCallRequest request;
    int sum = 0;
    while (reader->Read(&request)) {
      if (!CameAsPromised(context, request)) return Unexpected();
      sum += static_cast<int>(request.payload().body().size());
    }
    response->set_aggregated_payload_size(sum);
    return Status::OK;
  }

  using Duplex = grpc::ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>;
  Status FullDuplexCall(ServerContext* context, Duplex* stream) override {
    EchoMetadata(context);
    StreamingOutputCallRequest request;
    while (stream->Read(&request)) {
      Status status = Answer(request, stream);
      if (!status.ok()) return status;
    }
    return Status::OK;
  }

  Status HalfDuplexCall(ServerContext*, Duplex* stream) override {
    std::vector<StreamingOutputCallRequest> requests;
    StreamingOutputCallRequest request;
    while (stream->Read(&request)) requests.push_back(request);
    for (const auto& each : requests) {
      Status status = Answer(each, stream);
      if (!status.ok()) return status;
    }
    return Status::OK;
  }

 private:
  template <class Writer>
  Status Answer(const StreamingOutputCallRequest& request, Writer* writer) {
    if (WantsStatus(request.response_status())) return Echo(request.response_status());
    for (const auto& p : request.response_parameters()) {
      if (p.interval_us() > 0) std::this_thread::sleep_for(std::chrono::microseconds(p.interval_us()));
      StreamingOutputCallResponse response;
      FillZeros(response.mutable_payload(), p.size());
      grpc::WriteOptions options;
      if (!p.compressed().value()) options.set_no_compression();
      if (!writer->Write(response, options)) break;
    }
    return Status::OK;
  }
};

}  // namespace

int RunServer(const grpc::SslServerCredentialsOptions* tls) {
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", tls ? grpc::SslServerCredentials(*tls) : grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << "{\"event\":\"ready\",\"address\":\"127.0.0.1:" << port << "\"}" << std::endl;
  server->Wait();
  return 0;
}
