// A busy, honest client in Go: go run honest.go HOST:PORT SECONDS (with GOPATH=/usr/share/gocode).
// Calls that end and calls that are cancelled, beside a stream that carries data at full speed and one that rests.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

// Messages as they are: what they mean is no concern here.
type raw struct{}

func (raw) Name() string { return "proto" }
func (raw) Marshal(v interface{}) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func fail(what string, err error) {
	fmt.Println(what, err)
	os.Exit(1)
}

func stream(conn *grpc.ClientConn, ctx context.Context, method string) grpc.ClientStream {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		fail(method, err)
	}
	return s
}

func main() {
	encoding.RegisterCodec(raw{})
	seconds, _ := strconv.Atoi(os.Args[2])
	conn, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		fail("dial", err)
	}
	ctx := context.Background()
	empty := []byte{}
	watch := stream(conn, ctx, "/grpc.health.v1.Health/Watch")
	if err := watch.SendMsg(&empty); err != nil {
		fail("watch", err)
	}
	watch.CloseSend()
	if err := watch.RecvMsg(&empty); err != nil {
		fail("watch", err)
	}
	ended := make(chan error, 1)
	go func() {
		var more []byte
		ended <- watch.RecvMsg(&more)
	}()

	symbol := "novelengine.v1.NovelEngine"
	question := append([]byte{0x22, byte(len(symbol))}, symbol...)
	answers := stream(conn, ctx, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
	calls, received, cancelled := 0, 0, 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); calls++ {
		for i := 0; i < 4; i++ {
			if err := answers.SendMsg(&question); err != nil {
				fail("reflection", err)
			}
			var answer []byte
			if err := answers.RecvMsg(&answer); err != nil {
				fail("reflection", err)
			}
			received += len(answer)
		}
		one, cancel := context.WithCancel(ctx)
		if calls%2 == 1 {
			go cancel()
		}
		request, answer := []byte{}, []byte{}
		err := conn.Invoke(one, "/grpc.health.v1.Health/Check", &request, &answer)
		cancel()
		if status.Code(err) == codes.Canceled {
			cancelled++
		} else if err != nil {
			fail("check", err)
		}
	}
	select {
	case err := <-ended:
		fail("the watch ended", err)
	default:
	}
	fmt.Printf("%d calls, %d cancelled, %d bytes\n", calls, cancelled, received)
}
