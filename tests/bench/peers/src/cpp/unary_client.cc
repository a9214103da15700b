// Unary calls, many in flight. Usage: unary_client ADDR CALLS SECONDS
// GetHealth over one channel, CALLS at once, one thread and one completion queue (the cheapest of the library's ways);
// a finished call is made anew until SECONDS have passed. Prints: calls=N seconds=S per_s=R cpu_s=C errors=N
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "bench.grpc.pb.h"

using namespace novelengine::v1;
using Clock = std::chrono::steady_clock;

struct Slot {
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Health>> reader;
  Health answer;
  grpc::Status status;
};

static double cpu() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int in_flight = atoi(argv[2]);
  const double seconds = atof(argv[3]);
  auto stub = NovelEngine::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  std::vector<Slot> slots(in_flight);
  const GetHealthRequest request;
  auto start = [&](Slot& s) {
    s.context = std::make_unique<grpc::ClientContext>();
    s.context->set_wait_for_ready(true);
    s.reader = stub->AsyncGetHealth(s.context.get(), request, &queue);
    s.reader->Finish(&s.answer, &s.status, &s);
  };
  const auto begin = Clock::now();
  const auto until = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const double before = cpu();
  for (auto& s : slots) start(s);
  unsigned long calls = 0, errors = 0;
  int open = in_flight;
  void* tag;
  bool ok;
  while (open > 0 && queue.Next(&tag, &ok)) {
    Slot& s = *static_cast<Slot*>(tag);
    if (ok && s.status.ok() && !s.answer.status().empty())
      calls++;
    else
      errors++;
    if (Clock::now() < until && errors < 10)
      start(s);
    else
      open--;
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  printf("calls=%lu seconds=%.3f per_s=%.0f cpu_s=%.3f errors=%lu\n", calls, took, calls / took, cpu() - before, errors);
  return errors ? 1 : 0;
}
