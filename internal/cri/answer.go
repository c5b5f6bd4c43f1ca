package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// retryPeriod is how often a socket that is not there yet is tried again. It
// is short because a start is waited for, and bounded by a deadline.
const retryPeriod = 2 * time.Millisecond

// maxMessageBytes is containerd's own limit for one message.
const maxMessageBytes = 16 << 20

// normalEndpoint makes a unix:// URL of what a user wrote.
func normalEndpoint(text string) (string, error) {
	path := strings.TrimPrefix(text, "unix://")
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("the container runtime endpoint %q must be an absolute path or unix:///path", text)
	}
	return "unix://" + path, nil
}

// dial makes a client connection, which connects when it is first used.
func dial(endpoint string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", endpoint, err)
	}
	return conn, nil
}

// checkAnswers waits until somebody listens on the endpoint and the runtime
// says that it is ready. Only those two are waited for: any other answer is
// final.
func checkAnswers(ctx context.Context, endpoint string) error {
	if err := awaitListener(ctx, strings.TrimPrefix(endpoint, "unix://")); err != nil {
		return err
	}
	conn, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := awaitStatus(ctx, runtimev1.NewRuntimeServiceClient(conn))
	if err != nil {
		return err
	}
	for _, condition := range answer.GetStatus().GetConditions() {
		if condition.Type == runtimev1.RuntimeReady && !condition.Status {
			return fmt.Errorf("it is not ready: %s: %s", condition.Reason, condition.Message)
		}
	}
	return nil
}

// awaitStatus asks until the runtime has loaded the containers that it knows:
// it listens before that, and answers that it is unavailable.
func awaitStatus(ctx context.Context, client runtimev1.RuntimeServiceClient) (*runtimev1.StatusResponse, error) {
	for {
		answer, err := client.Status(ctx, &runtimev1.StatusRequest{}, grpc.WaitForReady(true))
		switch status.Code(err) {
		case codes.OK:
			return answer, nil
		case codes.Unimplemented:
			return nil, errors.New("it does not serve CRI")
		case codes.Unavailable:
		default:
			return nil, fmt.Errorf("asking for its status: %s", status.Convert(err).Message())
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it is still not ready: %s", status.Convert(err).Message())
		case <-time.After(retryPeriod):
		}
	}
}

func awaitListener(ctx context.Context, path string) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing answers on %s: %w", path, err)
		case <-time.After(retryPeriod):
		}
	}
}
