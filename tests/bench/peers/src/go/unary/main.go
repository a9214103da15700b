// Unary calls, many in flight. Usage: go_unary ADDR CALLS SECONDS
// GetHealth over one connection by CALLS goroutines until SECONDS have passed.
// Prints: calls=N seconds=S per_s=R cpu_s=C errors=N
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"bench/pb"
)

func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: go_unary ADDR CALLS SECONDS")
	}
	inFlight, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewNovelEngineClient(conn)
	var calls, errors uint64
	begin, before := time.Now(), cpu()
	until := begin.Add(time.Duration(seconds * float64(time.Second)))
	var all sync.WaitGroup
	for i := 0; i < inFlight; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Now().Before(until) {
				answer, err := client.GetHealth(context.Background(), &pb.GetHealthRequest{})
				if err != nil || answer.Status == "" {
					atomic.AddUint64(&errors, 1)
					return
				}
				atomic.AddUint64(&calls, 1)
			}
		}()
	}
	all.Wait()
	took := time.Since(begin).Seconds()
	fmt.Printf("calls=%d seconds=%.3f per_s=%.0f cpu_s=%.3f errors=%d\n", calls, took, float64(calls)/took, cpu()-before, errors)
	if errors > 0 {
		os.Exit(1)
	}
}
