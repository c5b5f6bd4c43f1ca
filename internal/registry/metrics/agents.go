package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/warning"

	"coxswain.dev/cox/internal/usage"
)

// agentLimit is how long an agent may take. One that does not answer does not
// keep the others' numbers back.
const agentLimit = 10 * time.Second

// agents ask nodes what they use.
type agents struct{ nodes NodeDialer }

// ask asks the agents of several nodes side by side. A node that does not
// answer is left out, as if it did not exist, and a warning tells the client.
func (a agents) ask(ctx context.Context, names map[string]bool) map[string]usage.Summary {
	ctx, cancel := context.WithTimeout(ctx, agentLimit)
	defer cancel()
	var mu sync.Mutex
	answers := map[string]usage.Summary{}
	var group sync.WaitGroup
	for name := range names {
		group.Go(func() {
			answer, err := a.askOne(ctx, name)
			if err != nil {
				warning.AddWarning(ctx, "", err.Error())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[name] = answer
		})
	}
	group.Wait()
	return answers
}

func (a agents) askOne(ctx context.Context, name string) (usage.Summary, error) {
	var answer usage.Summary
	if a.nodes == nil {
		return answer, fmt.Errorf("no agent runs on node %s", name)
	}
	agent, err := a.nodes.Node(name)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, usage.Path, nil)
	if err != nil {
		return answer, err
	}
	response := &response{header: http.Header{}, code: http.StatusOK}
	agent.ServeHTTP(response, request)
	if response.code != http.StatusOK {
		return answer, fmt.Errorf("asking node %s what it uses: %d %s", name, response.code, strings.TrimSpace(response.body.String()))
	}
	if err := json.Unmarshal(response.body.Bytes(), &answer); err != nil {
		return answer, fmt.Errorf("asking node %s what it uses: %w", name, err)
	}
	return answer, nil
}

// response keeps what a handler answers.
type response struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *response) Header() http.Header               { return r.header }
func (r *response) WriteHeader(code int)              { r.code = code }
func (r *response) Write(content []byte) (int, error) { return r.body.Write(content) }
