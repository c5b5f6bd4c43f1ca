package cri

import (
	"context"
	"crypto/rand"
	"errors"
	"io"

	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	"github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// stream is one of containerd's byte or message streams beside a call, which
// the call refers to by id.
type stream struct {
	id string
	grpc.BidiStreamingClient[anypb.Any, anypb.Any]
}

func (i *Images) openStream(ctx context.Context, purpose string) (*stream, error) {
	client, err := streamingapi.NewStreamingClient(i.conn).Stream(inNamespace(ctx))
	if err != nil {
		return nil, err
	}
	s := &stream{purpose + "-" + rand.Text(), client}
	if err := s.Send(pack(&streamingapi.StreamInit{ID: s.id})); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	// The answer says that the stream can be referred to; or why not.
	if _, err := s.Recv(); err != nil {
		return nil, err
	}
	return s, nil
}

// chunkBytes is how much is sent at once, as containerd's own client does.
const chunkBytes = 32 << 10

// readError marks an error of what is read, not of the connection.
type readError struct{ error }

// archiveError returns the error of reading the archive if err is one.
func archiveError(err error) error {
	var reading readError
	if errors.As(err, &reading) {
		return reading.error
	}
	return nil
}

// send copies all of r into the stream, never more than the other side has
// said it has room for.
func (s *stream) send(r io.Reader) error {
	defer s.CloseSend()
	buffer := make([]byte, chunkBytes)
	var window int
	for {
		for window <= 0 {
			message, err := s.Recv()
			if err != nil {
				return err
			}
			var update transfer.WindowUpdate
			if unpack(message, &update) {
				window += int(update.Update)
			}
		}
		n, err := r.Read(buffer[:min(window, chunkBytes)])
		if n > 0 {
			window -= n
			if err := s.Send(pack(&transfer.Data{Data: buffer[:n]})); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError{err}
		}
	}
}

// savedNames reads progress messages until the stream ends, and returns the
// names of the images that were saved.
func (s *stream) savedNames() []string {
	var names []string
	for {
		message, err := s.Recv()
		if err != nil {
			return names
		}
		var progress transfer.Progress
		if unpack(message, &progress) && progress.Event == "saved" {
			names = append(names, progress.Name)
		}
	}
}
