package traffic

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// waysVariable makes the test binary a sender: the ways, as JSON.
const waysVariable = "COXTEST_TRAFFIC"

// send sends until standard input is closed, and prints the reports as JSON.
func send(waysText string) error {
	var ways []Way
	if err := json.Unmarshal([]byte(waysText), &ways); err != nil {
		return fmt.Errorf("%s: %w", waysVariable, err)
	}
	end := make(chan struct{})
	var sending sync.WaitGroup
	counters := make([]*counter, len(ways))
	for n, way := range ways {
		c := &counter{fails: map[string]int{}, last: time.Now()}
		counters[n] = c
		if way.PerSecond > 0 {
			sending.Go(func() { connectAtRate(way, c, end) })
		}
		for range way.Clients {
			sending.Go(func() { keepAsking(way, c, end) })
		}
	}
	fmt.Println("sending")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	close(end)
	sending.Wait()
	reports := make([]Report, len(ways))
	for n, way := range ways {
		reports[n] = counters[n].report(way.Name)
	}
	return json.NewEncoder(os.Stdout).Encode(reports)
}

// connectAtRate makes a new connection for every request, whether those before
// were answered or not.
func connectAtRate(way Way, c *counter, end <-chan struct{}) {
	tick := time.NewTicker(time.Second / time.Duration(way.PerSecond))
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			open.Go(func() { c.note(askOnce(way)) })
		}
	}
}

func askOnce(way Way) (began time.Time, from string, err error) {
	began = time.Now()
	conn, err := open(way)
	if err != nil {
		return began, "", err
	}
	defer conn.Close()
	return began, conn.from(), conn.ask()
}

// keepAsking sends one request after the other over a connection, and makes a
// new one when that has ended.
func keepAsking(way Way, c *counter, end <-chan struct{}) {
	var conn connection
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		if conn != nil && conn.hasEnded() {
			conn.Close()
			conn = nil
		}
		began, from := time.Now(), ""
		var err error
		if conn == nil {
			conn, err = open(way)
		}
		if err == nil {
			from = conn.from()
			err = conn.ask()
		}
		c.note(began, from, err)
		if err != nil && conn != nil {
			conn.Close()
			conn = nil
		}
		select {
		case <-end:
			return
		case <-time.After(way.Pause):
		}
	}
}

func (c *counter) report(name string) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	r := Report{Name: name, Answers: len(c.took), Failures: c.fails, Lost: c.lost, Gap: c.gap}
	if len(c.took) > 0 {
		r.P50, r.P99 = c.took[len(c.took)/2], c.took[len(c.took)*99/100]
	}
	return r
}
