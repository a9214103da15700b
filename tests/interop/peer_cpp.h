// What both halves of the C++ peer share: payloads of zeros, and whether the last message came
// compressed.
#ifndef INTEROP_PEER_CPP_H
#define INTEROP_PEER_CPP_H
#include <grpcpp/grpcpp.h>

#include <string>

#include "grpc/testing/benchmark_service.grpc.pb.h"
#include "grpc/testing/test.grpc.pb.h"

// Exported by libgrpc for interop tests; no installed header declares it.
uint32_t grpc_call_test_only_get_message_flags(grpc_call *call);

// What the filter that decompresses leaves behind; the flag of the frame itself is gone by then.
constexpr uint32_t kWasCompressed = 0x40000000u;
constexpr char kInitial[] = "x-grpc-test-echo-initial";
constexpr char kTrailing[] = "x-grpc-test-echo-trailing-bin";

namespace grpc
{
namespace testing
{
// The names that grpcpp's contexts are friends of.
class InteropServerContextInspector
{
  public:
    static bool WasCompressed(const ServerContext &context)
    {
        return grpc_call_test_only_get_message_flags(context.call_.call) & kWasCompressed;
    }
};
class InteropClientContextInspector
{
  public:
    static bool WasCompressed(const ClientContext &context)
    {
        return grpc_call_test_only_get_message_flags(context.call_) & kWasCompressed;
    }
};
} // namespace testing
} // namespace grpc

inline void FillZeros(grpc::testing::Payload *payload, int size)
{
    payload->set_body(std::string(static_cast<size_t>(size), '\0'));
}

int RunServer(const grpc::SslServerCredentialsOptions *tls);
int RunClient(const std::shared_ptr<grpc::Channel> &channel, const std::string &name);
// Seconds of a fast stream in and a ping-pong beside it.
int RunStreams(const std::shared_ptr<grpc::Channel> &channel, double seconds);

// Small calls for so long, of either kind, one after the other on each of some threads.
int RunSmallCalls(const std::shared_ptr<grpc::Channel>& channel, double seconds);

#endif
