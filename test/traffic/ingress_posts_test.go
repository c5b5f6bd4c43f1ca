package traffic

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The process counts as being where its first thread is, and an instance takes
// the processes in its namespace with it: dialIn must not get that thread.
func init() { runtime.LockOSThread() }

// posts are clients that send what must not be sent twice, over HTTP/2 and TLS:
// nothing on the way can try again for them.
type posts struct {
	end     chan struct{}
	sending sync.WaitGroup

	mu       sync.Mutex
	answered int
	failures map[string]int
}

// startPosts begins to send from inside a network namespace.
func startPosts(namespace, address string, clients int) *posts {
	p := &posts{end: make(chan struct{}), failures: map[string]int{}}
	client := &http.Client{Timeout: requestLimit, Transport: &http.Transport{
		DialContext: dialIn(namespace), ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // nobody's certificate is in question here
	}}
	for range clients {
		p.sending.Go(func() {
			for {
				p.note(post(client, "https://"+address))
				select {
				case <-p.end:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	return p
}

// post succeeds if the program itself answered: it takes no POST, and says so.
func post(client *http.Client, url string) error {
	answer, err := client.Post(url, "text/plain", strings.NewReader("an order"))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusMethodNotAllowed || answer.ProtoMajor != 2) {
		err = fmt.Errorf("%s %s: %q", answer.Proto, answer.Status, body)
	}
	return err
}

func (p *posts) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failures[err.Error()]++
		return
	}
	p.answered++
}

// finish ends the clients, and returns how many were answered and why others
// were not.
func (p *posts) finish() (int, map[string]int) {
	close(p.end)
	p.sending.Wait()
	return p.answered, maps.Clone(p.failures)
}

// dialIn dials from inside a network namespace. A connection stays where it was
// made.
func dialIn(namespace string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			// The thread is not unlocked: it ends with this goroutine.
			runtime.LockOSThread()
			var entered *os.File
			if entered, err = os.Open(namespace); err != nil {
				return
			}
			defer entered.Close()
			if err = unix.Setns(int(entered.Fd()), unix.CLONE_NEWNET); err != nil {
				return
			}
			conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		}()
		<-done
		return conn, err
	}
}
