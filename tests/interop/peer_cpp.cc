// C++ gRPC as the other side of the interop programs.
//   peer_cpp server [--tls CERT KEY]               TestService on a free port; prints {"event":"ready",...}
//   peer_cpp client ADDRESS CASE [--tls CA NAME]   one case, all, stream:SECONDS or small:SECONDS; exits 1 when one fails
#include "peer_cpp.h"

#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

static std::string ReadFile(const char* name) {
  std::ifstream in(name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

int main(int argc, char** argv) {
  if (argc >= 2 && strcmp(argv[1], "server") == 0) {
    if (argc < 5) return RunServer(nullptr);
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({ReadFile(argv[4]), ReadFile(argv[3])});
    return RunServer(&tls);
  }
  if (argc < 4) {
    std::cerr << "usage: peer_cpp server [--tls CERT KEY] | client ADDRESS CASE [--tls CA NAME]\n";
    return 2;
  }
  grpc::ChannelArguments arguments;
  auto credentials = grpc::InsecureChannelCredentials();
  if (argc >= 7) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ReadFile(argv[5]);
    credentials = grpc::SslCredentials(tls);
    arguments.SetSslTargetNameOverride(argv[6]);
  }
  auto channel = grpc::CreateCustomChannel(argv[2], credentials, arguments);
  if (strncmp(argv[3], "stream:", 7) == 0) return RunStreams(channel, std::stod(argv[3] + 7));
  if (strncmp(argv[3], "small:", 6) == 0) return RunSmallCalls(channel, std::stod(argv[3] + 6));
  return RunClient(channel, argv[3]);
}
