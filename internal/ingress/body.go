package ingress

import (
	"errors"
	"io"
	"sync/atomic"
)

// States of a body in one attempt to send it.
const (
	bodyUntouched int32 = iota
	bodyRead
	bodyOver
)

// attemptBody is a request's body for one attempt. Nobody reads it after the
// attempt, so that another attempt may if this one has not.
type attemptBody struct {
	source io.Reader
	state  atomic.Int32
}

var errAttemptOver = errors.New("the attempt to send this request is over")

// Read implements io.Reader.
func (b *attemptBody) Read(into []byte) (int, error) {
	if !b.state.CompareAndSwap(bodyUntouched, bodyRead) && b.state.Load() != bodyRead {
		return 0, errAttemptOver
	}
	return b.source.Read(into)
}

// Close leaves the body open: it is the client's, and another attempt may
// follow. Whoever made the request closes it.
func (*attemptBody) Close() error { return nil }

// giveUp ends the attempt, and tells whether the body is as it was.
func (b *attemptBody) giveUp() bool {
	return b == nil || b.state.CompareAndSwap(bodyUntouched, bodyOver)
}
