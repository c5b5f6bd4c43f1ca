package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMirror(t *testing.T) {
	tests := []struct{ text, registry, url, wantErr string }{
		{text: "docker.io=http://127.0.0.1:5000", registry: "docker.io", url: "http://127.0.0.1:5000"},
		{text: "docker.io=https://mirror.test/", registry: "docker.io", url: "https://mirror.test"},
		{text: "docker.io=mirror.test", registry: "docker.io", url: "https://mirror.test"},
		{text: "index.docker.io=http://m", registry: "docker.io", url: "http://m"},
		{text: "registry.test:5000=http://10.0.0.1:5000", registry: "registry.test:5000", url: "http://10.0.0.1:5000"},
		{text: "*=https://proxy.test/v2/all", registry: "*", url: "https://proxy.test/v2/all"},
		{text: "[::1]:5000=http://m", registry: "[::1]:5000", url: "http://m"},
		{text: "..=http://m", wantErr: "must be a host or host:port"},
		{text: "docker.io", wantErr: "is not REGISTRY=URL"},
		{text: "=http://m", wantErr: "is not REGISTRY=URL"},
		{text: "docker.io=", wantErr: "is not REGISTRY=URL"},
		{text: "http://docker.io=http://m", wantErr: "must be a host or host:port"},
		{text: "docker.io/library=http://m", wantErr: "must be a host or host:port"},
		{text: "docker.io=ftp://m", wantErr: "must begin with http:// or https://"},
		{text: "docker.io=http://", wantErr: "must be a scheme, a host"},
		{text: "docker.io=http://user:pass@m", wantErr: "must be a scheme, a host"},
		{text: "docker.io=http://m:port", wantErr: "is not a URL"},
	}
	for _, test := range tests {
		mirror, err := ParseMirror(test.text)
		if test.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("ParseMirror(%q) = %v, %v; want an error with %q", test.text, mirror, err, test.wantErr)
			}
			continue
		}
		if want := (Mirror{test.registry, test.url}); err != nil || mirror != want {
			t.Errorf("ParseMirror(%q) = %v, %v; want %v", test.text, mirror, err, want)
		}
	}
}

func FuzzParseMirror(f *testing.F) {
	f.Add("docker.io=http://127.0.0.1:5000")
	f.Add("*=x/y")
	f.Fuzz(func(t *testing.T, text string) {
		mirror, err := ParseMirror(text)
		if err != nil {
			return
		}
		again, err := ParseMirror(mirror.String())
		if err != nil || again != mirror {
			t.Errorf("%q → %v → %v, %v", text, mirror, again, err)
		}
	})
}

func TestHostsFile(t *testing.T) {
	tests := []struct {
		name    string
		mirrors []Mirror
		want    string
	}{
		{"Docker Hub", []Mirror{{"docker.io", "http://127.0.0.1:5000"}}, `server = "https://registry-1.docker.io"

[host."http://127.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
`},
		{"in order", []Mirror{{"ghcr.io", "https://a"}, {"ghcr.io", "https://b/v2/ghcr"}}, `server = "https://ghcr.io"

[host."https://a"]
  capabilities = ["pull", "resolve"]

[host."https://b/v2/ghcr"]
  capabilities = ["pull", "resolve"]
  override_path = true
`},
		{"a registry over plain HTTP", []Mirror{{"r.test:5000", "http://r.test:5000"}}, `server = "http://r.test:5000"

[host."http://r.test:5000"]
  capabilities = ["pull", "resolve"]
`},
		{"all others", []Mirror{{"*", "https://a"}}, `
[host."https://a"]
  capabilities = ["pull", "resolve"]
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := hostsFile(test.mirrors); got != test.want {
				t.Errorf("got:\n%swant:\n%s", got, test.want)
			}
		})
	}
}

func TestMirrorsComeBeforeTheSystemsSettings(t *testing.T) {
	system, dir := t.TempDir(), filepath.Join(t.TempDir(), "certs.d")
	for _, registry := range []string{"docker.io", "private.test"} {
		if err := os.MkdirAll(filepath.Join(system, registry), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(system, registry, "hosts.toml"), []byte("system"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(registry string) string {
		content, _ := os.ReadFile(filepath.Join(dir, registry, "hosts.toml"))
		return string(content)
	}
	mirrors := []Mirror{{"docker.io", "http://m"}, {"gone.test", "http://m"}}
	for _, step := range []struct {
		mirrors                           []Mirror
		dockerIsSystems, privateIsSystems bool
		gone                              bool
	}{
		{mirrors, false, true, false},
		{mirrors[:1], false, true, true},
		{nil, true, true, true},
		{mirrors, false, true, false},
	} {
		if err := writeMirrors(dir, step.mirrors, []string{"/does/not/exist", system}); err != nil {
			t.Fatal(err)
		}
		if (read("docker.io") == "system") != step.dockerIsSystems || (read("private.test") == "system") != step.privateIsSystems || (read("gone.test") == "") != step.gone {
			t.Errorf("with %v: docker.io %q, private.test %q, gone.test %q", step.mirrors, read("docker.io"), read("private.test"), read("gone.test"))
		}
	}
	if content, err := os.ReadFile(filepath.Join(system, "docker.io/hosts.toml")); err != nil || string(content) != "system" {
		t.Errorf("the system's own file was changed: %q, %v", content, err)
	}
}
