package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	requestsPerSecond = 200
	requestTimeout    = 5 * time.Second
	// answerDeadline is how long the first answer of a Service may take.
	answerDeadline = 30 * time.Second
)

// load is a constant rate of requests, each on a connection of its own and
// none repeated.
type load struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int // by version
	failures map[string]int // by error
	slowest  time.Duration
}

func startLoad(ctx context.Context, address string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, answers: map[string]int{}, failures: map[string]int{}}
	l.running.Go(func() {
		tick := time.NewTicker(time.Second / requestsPerSecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.running.Go(func() { l.count(get(address)) })
			}
		}
	})
	return l
}

// stop ends the load, waits for open requests, and tells what became of all.
func (l *load) stop() string {
	l.cancel()
	l.running.Wait()
	total, failed := 0, 0
	var versions []string
	for version, n := range l.answers {
		versions = append(versions, fmt.Sprintf("%s %d", version, n))
		total += n
	}
	sort.Strings(versions)
	for _, n := range l.failures {
		failed += n
	}
	text := fmt.Sprintf("requests: %d, failed: %d, answered by: %s, slowest: %d ms",
		total+failed, failed, strings.Join(versions, ", "), l.slowest.Milliseconds())
	for reason, n := range l.failures {
		text += fmt.Sprintf("\n  %d × %s", n, reason)
	}
	return text
}

func (l *load) count(version string, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if err != nil {
		l.failures[err.Error()]++
		return
	}
	l.answers[version]++
}

// client opens a new connection for every request.
var client = &http.Client{
	Timeout:   requestTimeout,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// get asks once, and returns the version that answered.
func get(address string) (version string, took time.Duration, err error) {
	start := time.Now()
	response, err := client.Get("http://" + address)
	if err != nil {
		return "", time.Since(start), err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", time.Since(start), err
	}
	fields := strings.Fields(string(body))
	if response.StatusCode != http.StatusOK || len(fields) < 2 {
		return "", time.Since(start), fmt.Errorf("answer %s: %q", response.Status, body)
	}
	return fields[1], time.Since(start), nil
}

// awaitAnswer waits until the Service answers for the first time.
func awaitAnswer(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, answerDeadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, _, err := get(address)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the Service at %s did not answer within %v: %w", address, answerDeadline, err)
		}
	}
}
