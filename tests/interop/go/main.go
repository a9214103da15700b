// grpc-go as the other side of the interop programs.
//
//	interop_peer_go server [--tls CERT KEY]              TestService on a free port; prints {"event":"ready",...}
//	interop_peer_go client ADDRESS CASE [--tls CA NAME]  one case, all, stream:SECONDS or small:SECONDS; exits 1 when one fails
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop_peer_go:", err)
		os.Exit(1)
	}
}

func main() {
	args := os.Args[1:]
	switch {
	case len(args) >= 1 && args[0] == "server":
		var options []grpc.ServerOption
		if len(args) == 4 {
			secure, err := credentials.NewServerTLSFromFile(args[2], args[3])
			fatal(err)
			options = append(options, grpc.Creds(secure))
		}
		serve(options)
	case len(args) >= 3 && args[0] == "client":
		option := grpc.WithInsecure()
		if len(args) == 6 {
			secure, err := credentials.NewClientTLSFromFile(args[4], args[5])
			fatal(err)
			option = grpc.WithTransportCredentials(secure)
		}
		conn, err := grpc.Dial(args[1], option)
		fatal(err)
		if strings.HasPrefix(args[2], "stream:") {
			seconds, err := strconv.ParseFloat(args[2][len("stream:"):], 64)
			fatal(err)
			fatal(stream(conn, seconds))
			return
		}
		if strings.HasPrefix(args[2], "small:") {
			seconds, err := strconv.ParseFloat(args[2][len("small:"):], 64)
			fatal(err)
			fatal(small(conn, seconds))
			return
		}
		if runCases(conn, args[2]) > 0 {
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: interop_peer_go server [--tls CERT KEY] | client ADDRESS CASE [--tls CA NAME]")
		os.Exit(2)
	}
}
