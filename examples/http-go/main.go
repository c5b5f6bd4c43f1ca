// Command http-go is the walk-through's sample application: a web server on
// port 8080, of HTTP/1.1 and HTTP/2, that answers with its version and its host
// name.
//
// It has no signal handling on purpose. It exits at once on SIGTERM, as most
// programs do, so that a rolling update has to be safe without its help.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	version := os.Getenv("VERSION")
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Welcome! %s %s\n", version, host)
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	http.HandleFunc("GET /lookup/{name}", lookup)
	http.HandleFunc("GET /pods", listPods)
	if address := os.Getenv("ECHO"); address != "" {
		if err := echo(address); err != nil {
			log.Fatal(err)
		}
	}
	server := &http.Server{Addr: ":8080", Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	log.Printf("http-go %s listens on :8080", version)
	log.Fatal(server.ListenAndServe())
}
