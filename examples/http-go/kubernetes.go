package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// credentials is where every Pod finds its token, its namespace and the
// certificate of the API server.
const credentials = "/var/run/secrets/kubernetes.io/serviceaccount"

// lookup answers GET /lookup/NAME with the addresses of a name, as this Pod
// resolves it.
func lookup(w http.ResponseWriter, r *http.Request) {
	addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.PathValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	for _, address := range addresses {
		fmt.Fprintln(w, address)
	}
}

// listPods answers GET /pods with the names of the Pods of this namespace. It
// asks the API through the Service kubernetes, with this Pod's own token.
func listPods(w http.ResponseWriter, r *http.Request) {
	names, err := podNames(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, name := range names {
		fmt.Fprintln(w, name)
	}
}

func podNames(r *http.Request) ([]string, error) {
	var files [3]string
	for i, name := range []string{"token", "namespace", "ca.crt"} {
		content, err := os.ReadFile(filepath.Join(credentials, name))
		if err != nil {
			return nil, err
		}
		files[i] = string(content)
	}
	token, namespace, ca := files[0], files[1], x509.NewCertPool()
	ca.AppendCertsFromPEM([]byte(files[2]))
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca}}}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://kubernetes.default.svc/api/v1/namespaces/"+namespace+"/pods", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return readNames(response.Body)
}

// readNames reads the names from a list, or the message of a refusal.
func readNames(body io.Reader) ([]string, error) {
	var answer struct {
		Message string
		Items   []struct{ Metadata struct{ Name string } }
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Message != "" {
		return nil, fmt.Errorf("%s", answer.Message)
	}
	var names []string
	for _, item := range answer.Items {
		names = append(names, item.Metadata.Name)
	}
	return names, nil
}
