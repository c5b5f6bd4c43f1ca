package core

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"

	"github.com/gorilla/websocket"
)

// The subprotocols of a stream in one direction: the bytes as they are, or in
// base64 for clients that know text only.
const (
	binaryProtocol = "binary.k8s.io"
	base64Protocol = "base64.binary.k8s.io"
)

// logUpgrader takes any origin: who asks has shown a right to the log, which no
// browser adds by itself.
var logUpgrader = websocket.Upgrader{
	Subprotocols: []string{binaryProtocol, base64Protocol},
	CheckOrigin:  func(*http.Request) bool { return true },
}

// logOverWebSocket serves a log to a client that asks for a WebSocket, as any
// stream of the API can be asked for. What the agent refuses is answered
// before the connection is taken over.
func logOverWebSocket(w http.ResponseWriter, r *http.Request, node http.Handler, target *url.URL) {
	location := *target
	location.Scheme, location.Host = "http", "node"
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, location.String(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := toAgent(node).RoundTrip(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
		return
	}
	client, err := logUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told
	}
	defer client.Close()
	go discard(client)
	if io.Copy(logMessages{client}, answer.Body); r.Context().Err() == nil {
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	}
}

// discard reads what the client should not send, and answers its pings, until
// the connection ends.
func discard(client *websocket.Conn) {
	for {
		if _, _, err := client.NextReader(); err != nil {
			return
		}
	}
}

// logMessages sends every piece of a log as a message.
type logMessages struct{ client *websocket.Conn }

func (m logMessages) Write(p []byte) (int, error) {
	if m.client.Subprotocol() == base64Protocol {
		return len(p), m.client.WriteMessage(websocket.TextMessage, []byte(base64.StdEncoding.EncodeToString(p)))
	}
	return len(p), m.client.WriteMessage(websocket.BinaryMessage, p)
}
