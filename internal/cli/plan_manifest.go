package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifest is one object of a file.
type manifest struct {
	metav1.TypeMeta
	Metadata metav1.ObjectMeta
	// source is the file, for messages; json is the whole object.
	source string
	json   []byte
}

func (m manifest) isDeployment() bool {
	group, _, _ := strings.Cut(m.APIVersion, "/")
	return m.Kind == "Deployment" && (group == "apps" || group == "extensions")
}

// mostManifestBytes bounds what is read of one file: the API takes no object
// above 3 MB.
const mostManifestBytes = 64 << 20

// readManifests reads all objects of all files, those of lists too.
func readManifests(files []string, stdin io.Reader) ([]manifest, error) {
	var all []manifest
	for _, file := range files {
		in, source := stdin, "standard input"
		if file != "-" {
			opened, err := os.Open(file)
			if err != nil {
				return nil, fmt.Errorf("-f: %w", err)
			}
			defer opened.Close()
			in, source = opened, file
		}
		content, err := io.ReadAll(io.LimitReader(in, mostManifestBytes))
		if err != nil {
			return nil, fmt.Errorf("-f %s: %w", file, err)
		}
		found, err := parseManifests(source, content)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for _, m := range all {
		if m.isDeployment() {
			return all, nil
		}
	}
	where := strings.Join(files, ", ")
	if where == "-" {
		where = "standard input"
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is nothing in %s: a manifest with kind: Deployment is needed", where)
	}
	return nil, fmt.Errorf("there is no Deployment in %s, only %s: only Deployments roll", where, kindsOf(all))
}

func kindsOf(all []manifest) string {
	var kinds []string
	for _, m := range all {
		kinds = append(kinds, m.Kind+" "+m.Metadata.Name)
	}
	return strings.Join(kinds, ", ")
}

func parseManifests(source string, content []byte) ([]manifest, error) {
	var all []manifest
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		object, err := yaml.YAMLToJSON(document)
		if err != nil {
			if mistake, known := yamlMistake(content); known {
				return nil, fmt.Errorf("%s: %s", source, mistake)
			}
			return nil, fmt.Errorf("%s: this is no YAML: %w", source, err)
		}
		if string(object) == "null" {
			continue // comments only
		}
		found, err := parseManifest(fmt.Sprintf("%s, document %d", source, n), object)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
}

// parseManifest reads one object, or the items of a list.
func parseManifest(source string, object []byte) ([]manifest, error) {
	var m struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(object, &m); err != nil {
		return nil, fmt.Errorf("%s: %s", source, jsonMistake(err))
	}
	switch {
	case m.Kind == "":
		return nil, fmt.Errorf("%s has no kind: write kind: Deployment", source)
	case m.APIVersion == "":
		return nil, fmt.Errorf("%s has no apiVersion: write apiVersion: apps/v1", source)
	case strings.HasSuffix(m.Kind, "List") && m.Items != nil:
		var all []manifest
		for i, item := range m.Items {
			found, err := parseManifest(fmt.Sprintf("%s, item %d", source, i+1), item)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	case m.Metadata.Name == "":
		return nil, fmt.Errorf("%s, a %s, has no metadata.name: give it one", source, m.Kind)
	case m.Kind == "Deployment" && m.APIVersion == "v1":
		return nil, fmt.Errorf("%s, Deployment %s, has apiVersion: v1; Deployments are in apps/v1: write apiVersion: apps/v1", source, m.Metadata.Name)
	}
	return []manifest{{m.TypeMeta, m.Metadata, source, object}}, nil
}
