package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// readManifests reads all objects of all files that a flag names, those of
// lists and of directories too. At least one is a Deployment.
func readManifests(flag string, names []string, stdin io.Reader) ([]manifest, error) {
	var all []manifest
	for _, name := range names {
		files, err := manifestFiles(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		for _, file := range files {
			found, err := readFile(flag, file, stdin)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	if slices.ContainsFunc(all, manifest.isDeployment) {
		return all, nil
	}
	where := strings.Join(names, ", ")
	if where == "-" {
		where = "standard input"
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is nothing in %s: a manifest with kind: Deployment is needed", where)
	}
	return nil, fmt.Errorf("there is no Deployment in %s, only %s: only Deployments roll", where, kindsOf(all))
}

// manifestFiles are the files that a name stands for: those of a directory
// that kubectl would read, not those below it, or the file itself.
func manifestFiles(name string) ([]string, error) {
	if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
		return nil, fmt.Errorf("nothing is fetched: pipe it in by curl -fsSL %s, and write - in its place", name)
	}
	if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if isManifest := slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(entry.Name())); isManifest && !entry.IsDir() {
			files = append(files, filepath.Join(name, entry.Name()))
		}
	}
	return files, nil
}

// readFile reads the objects of one file, or of standard input for -.
func readFile(flag, file string, stdin io.Reader) ([]manifest, error) {
	in, source := stdin, "standard input"
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		defer opened.Close()
		in, source = opened, file
	}
	content, err := io.ReadAll(io.LimitReader(in, mostManifestBytes))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, file, err)
	}
	return parseManifests(source, content)
}

// checkStdin refuses standard input that is named twice: it is empty then.
func checkStdin(names []string) error {
	if first := slices.Index(names, "-"); first >= 0 && slices.Contains(names[first+1:], "-") {
		return errors.New("standard input can be read once: name - once, and files beside it")
	}
	return nil
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
	case m.Kind == "List" || strings.HasSuffix(m.Kind, "List") && m.Items != nil:
		var all []manifest
		for i, item := range m.Items {
			found, err := parseManifest(fmt.Sprintf("%s, item %d", source, i+1), item)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	case m.Kind != "Deployment" && slices.Contains(deploymentKinds, strings.ToLower(m.Kind)):
		return nil, fmt.Errorf("%s has kind: %s; write kind: Deployment", source, m.Kind)
	case m.Metadata.Name == "":
		return nil, fmt.Errorf("%s, a %s, has no metadata.name: give it one", source, m.Kind)
	case m.Kind == "Deployment" && m.APIVersion == "v1":
		return nil, fmt.Errorf("%s, Deployment %s, has apiVersion: v1; Deployments are in apps/v1: write apiVersion: apps/v1", source, m.Metadata.Name)
	}
	return []manifest{{m.TypeMeta, m.Metadata, source, object}}, nil
}
