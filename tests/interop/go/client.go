package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "interop/grpc/testing"
)

var (
	requests  = []int32{27182, 8, 1828, 45904}
	responses = []int32{31415, 9, 2653, 58979}
)

const special = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"

type client struct {
	pb.TestServiceClient
	conn *grpc.ClientConn
}

func patient() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), time.Minute)
	return ctx
}

func expect(holds bool, format string, args ...interface{}) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func isCode(err error, code codes.Code) error {
	return expect(status.Code(err) == code, "%v, where %v was to come", err, code)
}

func isZeros(p *pb.Payload, size int32) error {
	return expect(bytes.Equal(p.GetBody(), make([]byte, size)), "%d bytes, not %d zeros", len(p.GetBody()), size)
}

func output(request, response int32) *pb.StreamingOutputCallRequest {
	return &pb.StreamingOutputCallRequest{
		ResponseParameters: []*pb.ResponseParameters{{Size: response}}, Payload: zeros(request)}
}

func (c client) large(expectCompressed *pb.BoolValue, wantCompressed *pb.BoolValue, options ...grpc.CallOption) error {
	in := &pb.SimpleRequest{ResponseSize: 314159, Payload: zeros(271828), ExpectCompressed: expectCompressed,
		ResponseCompressed: wantCompressed}
	out, err := c.UnaryCall(patient(), in, options...)
	if err != nil {
		return err
	}
	return isZeros(out.Payload, 314159)
}

func (c client) emptyUnary() error {
	_, err := c.EmptyCall(patient(), &pb.Empty{})
	return err
}

func (c client) cacheableUnary() error {
	var head metadata.MD
	if _, err := c.CacheableUnaryCall(patient(), &pb.SimpleRequest{}, grpc.Header(&head)); err != nil {
		return err
	}
	return expect(len(head.Get("cache-control")) == 1, "no cache-control")
}

func (c client) clientCompressedUnary() error {
	yes, no := &pb.BoolValue{Value: true}, &pb.BoolValue{}
	if err := isCode(c.large(yes, nil), codes.InvalidArgument); err != nil {
		return err
	}
	if err := c.large(yes, nil, grpc.UseCompressor("gzip")); err != nil {
		return err
	}
	return c.large(no, nil)
}

func (c client) serverCompressedUnary() error {
	if err := c.large(nil, &pb.BoolValue{Value: true}); err != nil {
		return err
	}
	return c.large(nil, &pb.BoolValue{})
}

func (c client) clientStreaming() error {
	call, err := c.StreamingInputCall(patient())
	if err != nil {
		return err
	}
	for _, size := range requests {
		if err := call.Send(&pb.StreamingInputCallRequest{Payload: zeros(size)}); err != nil {
			return err
		}
	}
	out, err := call.CloseAndRecv()
	if err != nil {
		return err
	}
	return expect(out.AggregatedPayloadSize == 74922, "the sum is %d", out.AggregatedPayloadSize)
}

type receiver interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}

func receive(from receiver, sizes ...int32) error {
	for _, size := range sizes {
		out, err := from.Recv()
		if err != nil {
			return err
		}
		if err = isZeros(out.Payload, size); err != nil {
			return err
		}
	}
	return nil
}

func ended(from receiver) error {
	_, err := from.Recv()
	return expect(err == io.EOF, "%v, where the end was to come", err)
}

func (c client) serverStreaming(compressed bool) error {
	in := &pb.StreamingOutputCallRequest{}
	for _, size := range responses {
		in.ResponseParameters = append(in.ResponseParameters,
			&pb.ResponseParameters{Size: size, Compressed: &pb.BoolValue{Value: compressed}})
	}
	call, err := c.StreamingOutputCall(patient(), in)
	if err != nil {
		return err
	}
	if err := receive(call, responses...); err != nil {
		return err
	}
	return ended(call)
}

func (c client) pingPong() error {
	call, err := c.FullDuplexCall(patient())
	if err != nil {
		return err
	}
	for i := range requests {
		if err := call.Send(output(requests[i], responses[i])); err != nil {
			return err
		}
		if err := receive(call, responses[i]); err != nil {
			return err
		}
	}
	call.CloseSend()
	return ended(call)
}

func (c client) halfDuplex() error {
	call, err := c.HalfDuplexCall(patient())
	if err != nil {
		return err
	}
	for i := range requests {
		if err := call.Send(output(requests[i], responses[i])); err != nil {
			return err
		}
	}
	call.CloseSend()
	if err := receive(call, responses...); err != nil {
		return err
	}
	return ended(call)
}

func (c client) emptyStream() error {
	call, err := c.FullDuplexCall(patient())
	if err != nil {
		return err
	}
	call.CloseSend()
	return ended(call)
}

func checkEcho(head, tail metadata.MD) error {
	if got := head.Get(initial); len(got) != 1 || got[0] != "test_initial_metadata_value" {
		return fmt.Errorf("initial metadata %v", head)
	}
	got := tail.Get(trailing)
	return expect(len(got) == 1 && got[0] == "\xab\xab\xab", "trailing metadata %v", tail)
}

func (c client) customMetadata() error {
	ctx := metadata.AppendToOutgoingContext(patient(), initial, "test_initial_metadata_value", trailing, "\xab\xab\xab")
	var head, tail metadata.MD
	in := &pb.SimpleRequest{ResponseSize: 314159, Payload: zeros(271828)}
	if _, err := c.UnaryCall(ctx, in, grpc.Header(&head), grpc.Trailer(&tail)); err != nil {
		return err
	}
	if err := checkEcho(head, tail); err != nil {
		return err
	}
	call, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(output(271828, 314159)); err != nil {
		return err
	}
	call.CloseSend()
	if err := receive(call, 314159); err != nil {
		return err
	}
	if err := ended(call); err != nil {
		return err
	}
	head, err = call.Header()
	if err != nil {
		return err
	}
	return checkEcho(head, call.Trailer())
}

func (c client) status(message string) error {
	echo := &pb.EchoStatus{Code: 2, Message: message}
	_, err := c.UnaryCall(patient(), &pb.SimpleRequest{ResponseStatus: echo})
	if s := status.Convert(err); s.Code() != codes.Unknown || s.Message() != message {
		return fmt.Errorf("status %v", s)
	}
	call, err := c.FullDuplexCall(patient())
	if err != nil {
		return err
	}
	call.Send(&pb.StreamingOutputCallRequest{ResponseStatus: echo})
	call.CloseSend()
	_, err = call.Recv()
	s := status.Convert(err)
	return expect(s.Code() == codes.Unknown && s.Message() == message, "status %v", s)
}

func (c client) unimplementedMethod() error {
	_, err := c.UnimplementedCall(patient(), &pb.Empty{})
	return isCode(err, codes.Unimplemented)
}

func (c client) unimplementedService() error {
	_, err := pb.NewUnimplementedServiceClient(c.conn).UnimplementedCall(patient(), &pb.Empty{})
	return isCode(err, codes.Unimplemented)
}

func (c client) cancelAfterBegin() error {
	ctx, cancel := context.WithCancel(patient())
	call, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	cancel()
	_, err = call.CloseAndRecv()
	return isCode(err, codes.Canceled)
}

func (c client) cancelAfterFirstResponse() error {
	ctx, cancel := context.WithCancel(patient())
	call, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(output(27182, 31415)); err != nil {
		return err
	}
	if err := receive(call, 31415); err != nil {
		return err
	}
	cancel()
	_, err = call.Recv()
	return isCode(err, codes.Canceled)
}

func (c client) timeoutOnSleepingServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	call, err := c.FullDuplexCall(ctx)
	if err == nil {
		call.Send(&pb.StreamingOutputCallRequest{Payload: zeros(27182)})
		_, err = call.Recv()
	}
	return isCode(err, codes.DeadlineExceeded)
}

func (c client) soak() error {
	for i := 0; i < 20; i++ {
		if err := c.large(nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// How many cases failed.
func runCases(conn *grpc.ClientConn, name string) int {
	c := client{pb.NewTestServiceClient(conn), conn}
	cases := []struct {
		name string
		run  func() error
	}{
		{"empty_unary", c.emptyUnary},
		{"large_unary", func() error { return c.large(nil, nil) }},
		{"cacheable_unary", c.cacheableUnary},
		{"client_compressed_unary", c.clientCompressedUnary},
		{"server_compressed_unary", c.serverCompressedUnary},
		{"client_streaming", c.clientStreaming},
		{"server_streaming", func() error { return c.serverStreaming(false) }},
		{"server_compressed_streaming", func() error { return c.serverStreaming(true) }},
		{"ping_pong", c.pingPong},
		{"half_duplex", c.halfDuplex},
		{"empty_stream", c.emptyStream},
		{"custom_metadata", c.customMetadata},
		{"status_code_and_message", func() error { return c.status("test status message") }},
		{"special_status_message", func() error { return c.status(special) }},
		{"unimplemented_method", c.unimplementedMethod},
		{"unimplemented_service", c.unimplementedService},
		{"cancel_after_begin", c.cancelAfterBegin},
		{"cancel_after_first_response", c.cancelAfterFirstResponse},
		{"timeout_on_sleeping_server", c.timeoutOnSleepingServer},
		{"rpc_soak", c.soak},
	}
	failed := 0
	for _, each := range cases {
		if name != "all" && name != each.name {
			continue
		}
		if err := each.run(); err != nil {
			failed++
			fmt.Printf("%s: FAILED: %v\n", each.name, err)
		} else {
			fmt.Printf("%s: passed\n", each.name)
		}
	}
	return failed
}

// A fast stream in and a ping-pong beside it, until the time is over.
func stream(conn *grpc.ClientConn, seconds float64) error {
	c := pb.NewBenchmarkServiceClient(conn)
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var pongs int64
	done := make(chan error)
	go func() {
		call, err := c.StreamingCall(context.Background())
		for err == nil && time.Now().Before(end) {
			if err = call.Send(&pb.SimpleRequest{ResponseSize: 100, Payload: zeros(100)}); err == nil {
				_, err = call.Recv()
				atomic.AddInt64(&pongs, 1)
			}
		}
		if err == nil {
			call.CloseSend()
			if _, err = call.Recv(); err == io.EOF {
				err = nil
			}
		}
		done <- err
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	from, err := c.StreamingFromServer(ctx, &pb.SimpleRequest{ResponseSize: 20000})
	if err != nil {
		return err
	}
	read := 0
	for time.Now().Before(end) {
		out, err := from.Recv()
		if err != nil {
			return err
		}
		if len(out.Payload.GetBody()) != 20000 {
			return fmt.Errorf("a message of %d bytes", len(out.Payload.GetBody()))
		}
		read++
	}
	if err := <-done; err != nil {
		return err
	}
	fmt.Printf("{\"event\":\"streamed\",\"read\":%d,\"pongs\":%d}\n", read, pongs)
	return expect(read > 100 && pongs > 100, "too little was streamed")
}

// Small calls, one after the other, then a ping-pong.
func small(conn *grpc.ClientConn, seconds float64) error {
	c := pb.NewBenchmarkServiceClient(conn)
	half := time.Duration(seconds * float64(time.Second) / 2)
	calls, pongs := 0, 0
	for end := time.Now().Add(half); time.Now().Before(end); calls++ {
		if _, err := c.UnaryCall(patient(), &pb.SimpleRequest{ResponseSize: 10}); err != nil {
			return err
		}
	}
	call, err := c.StreamingCall(context.Background())
	if err != nil {
		return err
	}
	for end := time.Now().Add(half); time.Now().Before(end); pongs++ {
		if err := call.Send(&pb.SimpleRequest{ResponseSize: 100}); err != nil {
			return err
		}
		if _, err := call.Recv(); err != nil {
			return err
		}
	}
	call.CloseSend()
	fmt.Printf("{\"event\":\"called\",\"calls\":%d,\"pongs\":%d}\n", calls, pongs)
	return expect(calls > 500 && pongs > 500, "too few calls")
}
