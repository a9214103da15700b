// The client of the C++ peer: the public cases, on the synchronous API.
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "peer_cpp.h"

using grpc::ClientContext;
using grpc::Status;
using grpc::StatusCode;
using grpc::testing::InteropClientContextInspector;
using namespace grpc::testing;

namespace {

constexpr int kLargeRequest = 271828, kLargeResponse = 314159;
const std::vector<int> kRequests = {27182, 8, 1828, 45904}, kResponses = {31415, 9, 2653, 58979};

void Check(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}
void CheckStatus(const Status& status, StatusCode code, const std::string& what) {
  Check(status.error_code() == code, what + " ended with " + std::to_string(status.error_code()) + ": " +
                                         status.error_message());
}
template <class Response>
void CheckZeros(const Response& response, int size) {
  Check(response.payload().body() == std::string(static_cast<size_t>(size), '\0'),
        "a payload of " + std::to_string(size) + " zero bytes");
}

struct Context : ClientContext {
  explicit Context(int ms = 60000) { set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(ms)); }
};

class Cases {
 public:
  explicit Cases(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(TestService::NewStub(channel)), unimplemented_(UnimplementedService::NewStub(channel)) {}

  std::vector<std::pair<std::string, std::function<void()>>> List() {
    return {
        {"empty_unary", [this] { EmptyUnary(); }},
        {"large_unary", [this] { Large(); }},
        {"cacheable_unary", [this] { Cacheable(); }},
        {"client_compressed_unary", [this] { ClientCompressedUnary(); }},
        {"server_compressed_unary", [this] { ServerCompressedUnary(); }},
        {"client_streaming", [this] { ClientStreaming(); }},
        {"client_compressed_streaming", [this] { ClientCompressedStreaming(); }},
        {"server_streaming", [this] { ServerStreaming(); }},
        {"server_compressed_streaming", [this] { ServerCompressedStreaming(); }},
        {"ping_pong", [this] { PingPong(); }},
        {"half_duplex", [this] { HalfDuplex(); }},
        {"empty_stream", [this] { EmptyStream(); }},
        {"custom_metadata", [this] { CustomMetadata(); }},
        {"status_code_and_message", [this] { EchoedStatus("test status message"); }},
        {"special_status_message",
         [this] { EchoedStatus("\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"); }},
        {"unimplemented_method", [this] { UnimplementedMethod(); }},
        {"unimplemented_service", [this] { UnimplementedServiceCall(); }},
        {"cancel_after_begin", [this] { CancelAfterBegin(); }},
        {"cancel_after_first_response", [this] { CancelAfterFirstResponse(); }},
        {"timeout_on_sleeping_server", [this] { TimeoutOnSleepingServer(); }},
        {"rpc_soak", [this] { for (int i = 0; i < 20; i++) Large(); }},
    };
  }

 private:
  static SimpleRequest LargeRequest() {
    SimpleRequest request;
    request.set_response_size(kLargeResponse);
    FillZeros(request.mutable_payload(), kLargeRequest);
    return request;
  }
  static StreamingOutputCallRequest OutputRequest(int request_size, int response_size) {
    StreamingOutputCallRequest request;
    request.add_response_parameters()->set_size(response_size);
    FillZeros(request.mutable_payload(), request_size);
    return request;
  }

  void EmptyUnary() {
    Context context;
    grpc::testing::Empty request, response;
    CheckStatus(stub_->EmptyCall(&context, request, &response), StatusCode::OK, "EmptyCall");
  }
  void Large() {
    Context context;
    SimpleResponse response;
    CheckStatus(stub_->UnaryCall(&context, LargeRequest(), &response), StatusCode::OK, "UnaryCall");
    CheckZeros(response, kLargeResponse);
  }
  void Cacheable() {
    Context context;
    SimpleResponse response;
    CheckStatus(stub_->CacheableUnaryCall(&context, SimpleRequest(), &response), StatusCode::OK, "CacheableUnaryCall");
    Check(context.GetServerInitialMetadata().count("cache-control") == 1, "cache-control came");
  }

  void Compressed(bool compress, bool expect, grpc_compression_algorithm kind, StatusCode code) {
    Context context;
    context.set_compression_algorithm(compress ? kind : GRPC_COMPRESS_NONE);
    SimpleRequest request = LargeRequest();
    SimpleResponse response;
    request.mutable_expect_compressed()->set_value(expect);
    CheckStatus(stub_->UnaryCall(&context, request, &response), code, "UnaryCall");
    if (code == StatusCode::OK) CheckZeros(response, kLargeResponse);
  }
  void ClientCompressedUnary() {
    Compressed(false, true, GRPC_COMPRESS_GZIP, StatusCode::INVALID_ARGUMENT);
    Compressed(true, true, GRPC_COMPRESS_GZIP, StatusCode::OK);
    Compressed(true, true, GRPC_COMPRESS_DEFLATE, StatusCode::OK);
    Compressed(false, false, GRPC_COMPRESS_GZIP, StatusCode::OK);
  }
  void ServerCompressedUnary() {
    for (bool compress : {true, false}) {
      Context context;
      SimpleRequest request = LargeRequest();
      SimpleResponse response;
      request.mutable_response_compressed()->set_value(compress);
      CheckStatus(stub_->UnaryCall(&context, request, &response), StatusCode::OK, "UnaryCall");
      CheckZeros(response, kLargeResponse);
      Check(InteropClientContextInspector::WasCompressed(context) == compress, "the answer's compressed flag");
    }
  }

  void ClientStreaming() {
    Context context;
    StreamingInputCallResponse response;
    auto writer = stub_->StreamingInputCall(&context, &response);
    for (int size : kRequests) {
      StreamingInputCallRequest request;
      FillZeros(request.mutable_payload(), size);
      Check(writer->Write(request), "a message is sent");
    }
    writer->WritesDone();
    CheckStatus(writer->Finish(), StatusCode::OK, "StreamingInputCall");
    Check(response.aggregated_payload_size() == 74922, "the sum is 74922");
  }
  void ClientCompressedStreaming() {
    {
      Context context;
      StreamingInputCallResponse response;
      auto writer = stub_->StreamingInputCall(&context, &response);
      StreamingInputCallRequest request;
      FillZeros(request.mutable_payload(), 27182);
      request.mutable_expect_compressed()->set_value(true);
      writer->Write(request, grpc::WriteOptions().set_no_compression());
      writer->WritesDone();
      CheckStatus(writer->Finish(), StatusCode::INVALID_ARGUMENT, "the probe");
    }
    Context context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    StreamingInputCallResponse response;
    auto writer = stub_->StreamingInputCall(&context, &response);
    StreamingInputCallRequest request;
    FillZeros(request.mutable_payload(), 27182);
    request.mutable_expect_compressed()->set_value(true);
    Check(writer->Write(request), "the compressed message is sent");
    FillZeros(request.mutable_payload(), 45904);
    request.mutable_expect_compressed()->set_value(false);
    Check(writer->Write(request, grpc::WriteOptions().set_no_compression()), "the plain message is sent");
    writer->WritesDone();
    CheckStatus(writer->Finish(), StatusCode::OK, "StreamingInputCall");
    Check(response.aggregated_payload_size() == 73086, "the sum is 73086");
  }

  void ServerStreaming() {
    Context context;
    StreamingOutputCallRequest request;
    for (int size : kResponses) request.add_response_parameters()->set_size(size);
    auto reader = stub_->StreamingOutputCall(&context, request);
    StreamingOutputCallResponse response;
    for (int size : kResponses) {
      Check(reader->Read(&response), "an answer comes");
      CheckZeros(response, size);
    }
    Check(!reader->Read(&response), "no fifth answer comes");
    CheckStatus(reader->Finish(), StatusCode::OK, "StreamingOutputCall");
  }
  void ServerCompressedStreaming() {
    Context context;
    StreamingOutputCallRequest request;
    const std::pair<int, bool> answers[] = {{31415, true}, {92653, false}};
    for (const auto& answer : answers) {
      auto* p = request.add_response_parameters();
      p->set_size(answer.first);
      p->mutable_compressed()->set_value(answer.second);
    }
    auto reader = stub_->StreamingOutputCall(&context, request);
    StreamingOutputCallResponse response;
    for (const auto& answer : answers) {
      Check(reader->Read(&response), "an answer comes");
      CheckZeros(response, answer.first);
      Check(InteropClientContextInspector::WasCompressed(context) == answer.second, "the answer's compressed flag");
    }
    Check(!reader->Read(&response), "no third answer comes");
    CheckStatus(reader->Finish(), StatusCode::OK, "StreamingOutputCall");
  }

  void PingPong() {
    Context context;
    auto stream = stub_->FullDuplexCall(&context);
    StreamingOutputCallResponse response;
    for (size_t i = 0; i < kRequests.size(); i++) {
      Check(stream->Write(OutputRequest(kRequests[i], kResponses[i])), "a message is sent");
      Check(stream->Read(&response), "an answer comes");
      CheckZeros(response, kResponses[i]);
    }
    stream->WritesDone();
    Check(!stream->Read(&response), "no fifth answer comes");
    CheckStatus(stream->Finish(), StatusCode::OK, "FullDuplexCall");
  }
  void HalfDuplex() {
    Context context;
    auto stream = stub_->HalfDuplexCall(&context);
    StreamingOutputCallResponse response;
    for (size_t i = 0; i < kRequests.size(); i++)
      Check(stream->Write(OutputRequest(kRequests[i], kResponses[i])), "a message is sent");
    stream->WritesDone();
    for (int size : kResponses) {
      Check(stream->Read(&response), "an answer comes");
      CheckZeros(response, size);
    }
    Check(!stream->Read(&response), "no fifth answer comes");
    CheckStatus(stream->Finish(), StatusCode::OK, "HalfDuplexCall");
  }
  void EmptyStream() {
    Context context;
    auto stream = stub_->FullDuplexCall(&context);
    stream->WritesDone();
    StreamingOutputCallResponse response;
    Check(!stream->Read(&response), "no answer comes");
    CheckStatus(stream->Finish(), StatusCode::OK, "FullDuplexCall");
  }

  static void CheckEcho(const ClientContext& context) {
    auto head = context.GetServerInitialMetadata().find(kInitial);
    auto tail = context.GetServerTrailingMetadata().find(kTrailing);
    Check(head != context.GetServerInitialMetadata().end() && head->second == "test_initial_metadata_value",
          "the initial metadata came back");
    Check(tail != context.GetServerTrailingMetadata().end() && tail->second == "\xab\xab\xab",
          "the binary metadata came back");
  }
  void CustomMetadata() {
    Context unary, duplex;
    for (ClientContext* context : {static_cast<ClientContext*>(&unary), static_cast<ClientContext*>(&duplex)}) {
      context->AddMetadata(kInitial, "test_initial_metadata_value");
      context->AddMetadata(kTrailing, "\xab\xab\xab");
    }
    SimpleResponse response;
    CheckStatus(stub_->UnaryCall(&unary, LargeRequest(), &response), StatusCode::OK, "UnaryCall");
    CheckEcho(unary);
    auto stream = stub_->FullDuplexCall(&duplex);
    StreamingOutputCallResponse answer;
    Check(stream->Write(OutputRequest(kLargeRequest, kLargeResponse)), "a message is sent");
    stream->WritesDone();
    Check(stream->Read(&answer), "an answer comes");
    Check(!stream->Read(&answer), "no second answer comes");
    CheckStatus(stream->Finish(), StatusCode::OK, "FullDuplexCall");
    CheckEcho(duplex);
  }

  void EchoedStatus(const std::string& message) {
    Context unary, duplex;
    SimpleRequest request;
    SimpleResponse response;
    request.mutable_response_status()->set_code(2);
    request.mutable_response_status()->set_message(message);
    Status status = stub_->UnaryCall(&unary, request, &response);
    CheckStatus(status, StatusCode::UNKNOWN, "UnaryCall");
    Check(status.error_message() == message, "the message came whole");
    StreamingOutputCallRequest output;
    *output.mutable_response_status() = request.response_status();
    auto stream = stub_->FullDuplexCall(&duplex);
    stream->Write(output);
    stream->WritesDone();
    StreamingOutputCallResponse answer;
    while (stream->Read(&answer)) continue;
    status = stream->Finish();
    CheckStatus(status, StatusCode::UNKNOWN, "FullDuplexCall");
    Check(status.error_message() == message, "the message came whole");
  }
  void UnimplementedMethod() {
    Context context;
    grpc::testing::Empty request, response;
    CheckStatus(stub_->UnimplementedCall(&context, request, &response), StatusCode::UNIMPLEMENTED, "UnimplementedCall");
  }
  void UnimplementedServiceCall() {
    Context context;
    grpc::testing::Empty request, response;
    CheckStatus(unimplemented_->UnimplementedCall(&context, request, &response), StatusCode::UNIMPLEMENTED,
                "UnimplementedService");
  }

  void CancelAfterBegin() {
    Context context;
    StreamingInputCallResponse response;
    auto writer = stub_->StreamingInputCall(&context, &response);
    context.TryCancel();
    CheckStatus(writer->Finish(), StatusCode::CANCELLED, "StreamingInputCall");
  }
  void CancelAfterFirstResponse() {
    Context context;
    auto stream = stub_->FullDuplexCall(&context);
    StreamingOutputCallResponse response;
    Check(stream->Write(OutputRequest(27182, 31415)), "a message is sent");
    Check(stream->Read(&response), "an answer comes");
    context.TryCancel();
    CheckStatus(stream->Finish(), StatusCode::CANCELLED, "FullDuplexCall");
  }
  void TimeoutOnSleepingServer() {
    Context context(1);
    auto stream = stub_->FullDuplexCall(&context);
    StreamingOutputCallRequest request;
    FillZeros(request.mutable_payload(), 27182);
    stream->Write(request);
    CheckStatus(stream->Finish(), StatusCode::DEADLINE_EXCEEDED, "FullDuplexCall");
  }

  std::unique_ptr<TestService::Stub> stub_;
  std::unique_ptr<UnimplementedService::Stub> unimplemented_;
};

}  // namespace

int RunClient(const std::shared_ptr<grpc::Channel>& channel, const std::string& name) {
  Cases cases(channel);
  int failed = 0, run = 0;
  for (const auto& each : cases.List()) {
    if (name != "all" && name != each.first) continue;
    run++;
    try {
      each.second();
      std::cout << each.first << ": passed" << std::endl;
    } catch (const std::exception& error) {
      failed++;
      std::cout << each.first << ": FAILED: " << error.what() << std::endl;
    }
  }
  return failed > 0 || run == 0 ? 1 : 0;
}

int RunStreams(const std::shared_ptr<grpc::Channel>& channel, double seconds) {
  auto stub = BenchmarkService::NewStub(channel);
  std::atomic<bool> over(false);
  long pongs = 0, read = 0;
  Status pinged;
  std::thread ping([&] {
    ClientContext context;
    auto stream = stub->StreamingCall(&context);
    SimpleRequest request;
    SimpleResponse response;
    request.set_response_size(100);
    while (!over && stream->Write(request) && stream->Read(&response)) pongs++;
    stream->WritesDone();
    pinged = stream->Finish();
  });
  ClientContext context;
  SimpleRequest request;
  SimpleResponse response;
  request.set_response_size(20000);
  auto reader = stub->StreamingFromServer(&context, request);
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  bool whole = true;
  while (whole && std::chrono::steady_clock::now() < end) {
    whole = reader->Read(&response) && response.payload().body().size() == 20000;
    read++;
  }
  over = true;
  if (whole) context.TryCancel();
  Status status = reader->Finish();
  ping.join();
  if (!whole) std::cout << "the stream ended with " << status.error_code() << ": " << status.error_message() << std::endl;
  if (!pinged.ok()) std::cout << "the ping-pong ended with " << pinged.error_code() << ": " << pinged.error_message() << std::endl;
  std::cout << "{\"event\":\"streamed\",\"read\":" << read << ",\"pongs\":" << pongs << "}" << std::endl;
  return whole && pinged.ok() && read > 100 && pongs > 100 ? 0 : 1;
}

int RunSmallCalls(const std::shared_ptr<grpc::Channel>& channel, double seconds) {
  auto stub = BenchmarkService::NewStub(channel);
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::atomic<long> calls(0), pongs(0), failures(0);
  auto unary = [&] {
    SimpleRequest request;
    SimpleResponse response;
    request.set_response_size(10);
    while (std::chrono::steady_clock::now() < end) {
      ClientContext context;
      stub->UnaryCall(&context, request, &response).ok() ? calls++ : failures++;
    }
  };
  auto ping_pong = [&] {
    SimpleRequest request;
    SimpleResponse response;
    ClientContext context;
    request.set_response_size(100);
    auto stream = stub->StreamingCall(&context);
    while (std::chrono::steady_clock::now() < end && stream->Write(request) && stream->Read(&response)) pongs++;
    stream->WritesDone();
    if (!stream->Finish().ok()) failures++;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) threads.emplace_back(unary), threads.emplace_back(ping_pong);
  for (auto& thread : threads) thread.join();
  std::cout << "{\"event\":\"called\",\"calls\":" << calls << ",\"pongs\":" << pongs << ",\"failures\":" << failures
            << "}" << std::endl;
  return failures == 0 && calls > 1000 && pongs > 1000 ? 0 : 1;
}
