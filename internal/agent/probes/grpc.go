package probes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
)

// grpc asks the standard health service.
func (t Target) grpc(ctx context.Context, action *corev1.GRPCAction, timeout time.Duration) Outcome {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := net.JoinHostPort(t.PodIP, strconv.Itoa(int(action.Port)))
	service := ""
	if action.Service != nil {
		service = *action.Service
	}
	connection, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithUserAgent("kube-probe/1.37"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer().DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return Outcome{Err: err}
	}
	defer connection.Close()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case err == nil && answer.Status == grpc_health_v1.HealthCheckResponse_SERVING:
		return Outcome{Success: true}
	case err == nil:
		return Outcome{Output: fmt.Sprintf("service unhealthy (responded with %q)", answer.Status)}
	case status.Code(err) == codes.Unimplemented:
		return Outcome{Output: fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message())}
	case status.Code(err) == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded):
		return Outcome{Output: fmt.Sprintf("timeout: health rpc did not complete within %v", timeout)}
	}
	return Outcome{Output: fmt.Sprintf("error: health rpc probe failed: %v", err)}
}
