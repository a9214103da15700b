package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "interop/grpc/testing"
)

const (
	initial  = "x-grpc-test-echo-initial"
	trailing = "x-grpc-test-echo-trailing-bin"
)

type server struct {
	pb.UnimplementedTestServiceServer
}

func zeros(size int32) *pb.Payload { return &pb.Payload{Body: make([]byte, size)} }

func echoes(ctx context.Context) (head, tail metadata.MD) {
	in, _ := metadata.FromIncomingContext(ctx)
	head, tail = metadata.MD{}, metadata.MD{}
	head.Append(initial, in.Get(initial)...)
	tail.Append(trailing, in.Get(trailing)...)
	return head, tail
}

func echoStatus(s *pb.EchoStatus) error {
	if s.GetCode() == 0 {
		return nil
	}
	return status.Error(codes.Code(s.Code), s.Message)
}

func (*server) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }

func (*server) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	head, tail := echoes(ctx)
	grpc.SetHeader(ctx, head)
	grpc.SetTrailer(ctx, tail)
	if err := echoStatus(in.ResponseStatus); err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{Payload: zeros(in.ResponseSize)}, nil
}

func (*server) CacheableUnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	grpc.SetHeader(ctx, metadata.Pairs("cache-control", "max-age=60, public"))
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: []byte(fmt.Sprint(time.Now().UnixNano()))}}, nil
}

type sender interface {
	Send(*pb.StreamingOutputCallResponse) error
}

func answer(in *pb.StreamingOutputCallRequest, out sender) error {
	if err := echoStatus(in.ResponseStatus); err != nil {
		return err
	}
	for _, p := range in.ResponseParameters {
		time.Sleep(time.Duration(p.IntervalUs) * time.Microsecond)
		if err := out.Send(&pb.StreamingOutputCallResponse{Payload: zeros(p.Size)}); err != nil {
			return err
		}
	}
	return nil
}

func (*server) StreamingOutputCall(in *pb.StreamingOutputCallRequest, out pb.TestService_StreamingOutputCallServer) error {
	return answer(in, out)
}

func (*server) StreamingInputCall(in pb.TestService_StreamingInputCallServer) error {
	var sum int32
	for {
		message, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			return err
		}
		sum += int32(len(message.Payload.GetBody()))
	}
}

func (*server) FullDuplexCall(both pb.TestService_FullDuplexCallServer) error {
	head, tail := echoes(both.Context())
	both.SetHeader(head)
	both.SetTrailer(tail)
	for {
		in, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err = answer(in, both); err != nil {
			return err
		}
	}
}

func (*server) HalfDuplexCall(both pb.TestService_HalfDuplexCallServer) error {
	var held []*pb.StreamingOutputCallRequest
	for {
		in, err := both.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		held = append(held, in)
	}
	for _, in := range held {
		if err := answer(in, both); err != nil {
			return err
		}
	}
	return nil
}

func serve(options []grpc.ServerOption) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(err)
	s := grpc.NewServer(options...)
	pb.RegisterTestServiceServer(s, &server{})
	fmt.Printf("{\"event\":\"ready\",\"address\":%q}\n", listener.Addr().String())
	fatal(s.Serve(listener))
}
