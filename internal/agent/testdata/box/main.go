// Command box is what the agent's tests run in containers: it does what its
// arguments say, one after the other.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	for _, step := range os.Args[1:] {
		verb, object, _ := strings.Cut(step, "=")
		do(verb, object)
	}
}

func do(verb, object string) {
	switch verb {
	case "print":
		fmt.Println(object)
	case "env":
		fmt.Printf("%s=%s\n", object, os.Getenv(object))
	case "cat":
		content, err := os.ReadFile(object)
		fmt.Printf("%s: %s %v\n", object, content, err)
	case "host":
		name, err := os.Hostname()
		fmt.Println(name, err)
	case "id":
		fmt.Println(os.Getuid(), os.Getgid())
	case "write":
		path, text, _ := strings.Cut(object, ":")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			fmt.Println(err)
		}
	case "exit":
		code, _ := strconv.Atoi(object)
		os.Exit(code)
	case "crash-once":
		if _, err := os.Stat(object); err != nil {
			os.WriteFile(object, nil, 0o644)
			os.Exit(7)
		}
	case "sleep":
		pause, _ := time.ParseDuration(object)
		time.Sleep(pause)
	case "await":
		for _, err := os.Stat(object); err != nil; _, err = os.Stat(object) {
			time.Sleep(5 * time.Millisecond)
		}
	case "follow":
		for last := ""; ; time.Sleep(5 * time.Millisecond) {
			if content, _ := os.ReadFile(object); string(content) != last {
				last = string(content)
				fmt.Println(last)
			}
		}
	case "burn":
		for {
		}
	case "eat":
		eat(object)
	case "on-term":
		onTerm(object)
	case "serve":
		serve(object)
	case "forever":
		for {
			time.Sleep(time.Hour)
		}
	}
}

// eat uses so many MiB of memory.
func eat(object string) {
	count, _ := strconv.Atoi(object)
	for range count {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		kept = append(kept, block)
	}
}

var kept [][]byte

// onTerm says a word on SIGTERM and ends.
func onTerm(word string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Println(word)
		os.Exit(0)
	}()
}

// serve answers 200, or 500 while the file /tmp/ill is there.
func serve(address string) {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat("/tmp/ill"); err == nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	fmt.Println(http.ListenAndServe(address, nil))
}
