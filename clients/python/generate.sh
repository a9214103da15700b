#!/usr/bin/env bash
# clients/python/generate.sh [FOLDER] — Python stubs of the contract, by stock protoc and grpc_python_plugin
# (Debian: protobuf-compiler, protobuf-compiler-grpc, python3-grpcio, python3-protobuf).  FOLDER: clients/python/stubs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
proto=$here/../../proto
out=${1:-$here/stubs}
plugin=$(command -v grpc_python_plugin) || {
  echo "generate.sh: grpc_python_plugin is missing: apt-get install protobuf-compiler-grpc" >&2
  exit 1
}
mkdir -p "$out"
protoc -I"$proto" --plugin=protoc-gen-grpc_python="$plugin" --python_out="$out" --grpc_python_out="$out" \
  novelengine/v1/novel_engine.proto
protoc -I"$proto" --python_out="$out" google/api/annotations.proto google/api/http.proto google/api/httpbody.proto \
  google/rpc/status.proto google/rpc/error_details.proto nrpc/gateway.proto nrpc/validate.proto
echo "stubs in $out: export PYTHONPATH=$out"
