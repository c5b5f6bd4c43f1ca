package cri

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func loopbackUp(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(64<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	return image
}

// dockerArchive is what `docker save` would write.
func dockerArchive(t *testing.T, names ...string) []byte {
	t.Helper()
	images := map[name.Tag]v1.Image{}
	for _, text := range names {
		tag, err := name.NewTag(text)
		if err != nil {
			t.Fatal(err)
		}
		images[tag] = randomImage(t)
	}
	var archive bytes.Buffer
	if err := tarball.MultiWrite(images, &archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// selfImage is an archive of an image that runs this test binary.
func selfImage(t *testing.T, reference string) []byte {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	writer := tar.NewWriter(&content)
	if err := writer.WriteHeader(&tar.Header{Name: "self", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.Config(image, v1.Config{Entrypoint: []string{"/self"}}); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, image, &archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// ociArchive is a tar of an OCI layout that gives its image the reference.
func ociArchive(t *testing.T, reference string) []byte {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	annotations := map[string]string{}
	if reference != "" {
		annotations["org.opencontainers.image.ref.name"] = reference
	}
	if err := path.AppendImage(randomImage(t), layout.WithAnnotations(annotations)); err != nil {
		t.Fatal(err)
	}
	archive, err := exec.Command("tar", "-C", dir, "-c", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestImport(t *testing.T) {
	engine := start(t, testConfig(t))
	tests := []struct {
		name    string
		archive []byte
		want    []string
		wantErr string
	}{
		{name: "docker save, two images", archive: dockerArchive(t, "gasbugs/http-go:v1", "registry.test:5000/app:x"),
			want: []string{"docker.io/gasbugs/http-go:v1", "registry.test:5000/app:x"}},
		{name: "OCI layout with a whole name", archive: ociArchive(t, "docker.io/library/oci:v1"),
			want: []string{"docker.io/library/oci:v1"}},
		{name: "OCI layout with a tag only", archive: ociArchive(t, "v7"), want: []string{"localhost/imported:v7"}},
		{name: "OCI layout without a name", archive: ociArchive(t, ""), wantErr: "no image with a name"},
		{name: "not an archive", archive: []byte(strings.Repeat("not a tar ", 100)), wantErr: "importing images"},
		{name: "an empty file", wantErr: "importing images"},
		{name: "cut off", archive: dockerArchive(t, "cut:v1")[:70_000], wantErr: "importing images"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			names, err := engine.Import(testContext(t), bytes.NewReader(test.archive))
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("Import = %v, %v; want an error with %q", names, err, test.wantErr)
				}
				t.Log(err)
				return
			}
			if err != nil || !slices.Equal(names, test.want) {
				t.Fatalf("Import = %v, %v; want %v", names, err, test.want)
			}
			listed, err := engine.Images().List(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !slices.ContainsFunc(listed, func(image Image) bool { return slices.Contains(image.Tags, want) }) {
					t.Errorf("%s is not listed: %v", want, listed)
				}
			}
		})
	}
}

// brokenReader fails after some bytes, as a pipe from a failing command does.
type brokenReader struct{ before io.Reader }

func (r brokenReader) Read(buffer []byte) (int, error) {
	if n, err := r.before.Read(buffer); err == nil {
		return n, nil
	}
	return 0, errors.New("the disk is on fire")
}

func TestImportTellsThatItsInputFailed(t *testing.T) {
	engine := start(t, testConfig(t))
	_, err := engine.Import(testContext(t), brokenReader{bytes.NewReader(dockerArchive(t, "app:v1")[:50_000])})
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") {
		t.Errorf("Import = %v; want the reader's own error", err)
	}
}

func TestImportedImageCanBeDeletedButNotThePinned(t *testing.T) {
	engine := start(t, testConfig(t))
	ctx := testContext(t)
	if _, err := engine.Import(ctx, bytes.NewReader(dockerArchive(t, "app:v1"))); err != nil {
		t.Fatal(err)
	}
	if err := engine.Images().Delete(ctx, "app:v1"); err != nil {
		t.Fatal(err)
	}
	if known, err := engine.Images().Has(ctx, "docker.io/library/app:v1"); known || err != nil {
		t.Errorf("Has after Delete = %v, %v", known, err)
	}
	if err := engine.Images().Delete(ctx, "app:v1"); err == nil || !strings.Contains(err.Error(), "not on this machine") {
		t.Errorf("deleting it twice: %v", err)
	}
	if err := engine.Images().Delete(ctx, PauseImage); err == nil || !strings.Contains(err.Error(), "needed by the engine") {
		t.Errorf("deleting the pause image: %v", err)
	}
}

func TestImagesAreListedByName(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	if _, err := engine.Import(testContext(t), bytes.NewReader(dockerArchive(t, "b:v1", "a:v1"))); err != nil {
		t.Fatal(err)
	}
	// As a command beside a running cox does it.
	images, err := OpenImages(Endpoint(config.RunDir))
	if err != nil {
		t.Fatal(err)
	}
	defer images.Close()
	listed, err := images.List(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, image := range listed {
		names = append(names, image.Tags...)
		if image.SizeBytes == 0 || !strings.HasPrefix(image.ID, "sha256:") || image.Pinned != slices.Contains(image.Tags, PauseImage) {
			t.Errorf("%+v", image)
		}
	}
	if want := []string{PauseImage, "docker.io/library/a:v1", "docker.io/library/b:v1"}; !slices.Equal(names, want) {
		t.Errorf("listed %v, want %v", names, want)
	}
}

func TestPullsGoThroughMirrors(t *testing.T) {
	loopbackUp(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	for _, repository := range []string{"gasbugs/http-go:v1", "team/app:v2", "library/any:v3"} {
		reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(reference, randomImage(t)); err != nil {
			t.Fatal(err)
		}
	}
	config := testConfig(t)
	for _, text := range []string{"docker.io=" + server.URL, "registry.test:5000=" + server.URL, "*=" + server.URL} {
		mirror, err := ParseMirror(text)
		if err != nil {
			t.Fatal(err)
		}
		config.Mirrors = append(config.Mirrors, mirror)
	}
	engine := start(t, config)
	client := runtimev1.NewImageServiceClient(engine.images.conn)
	for _, image := range []string{"gasbugs/http-go:v1", "registry.test:5000/team/app:v2", "elsewhere.test/library/any:v3"} {
		if _, err := client.PullImage(testContext(t), &runtimev1.PullImageRequest{Image: &runtimev1.ImageSpec{Image: image}}); err != nil {
			t.Errorf("pulling %s: %v", image, err)
		}
	}
	_, err := client.PullImage(testContext(t), &runtimev1.PullImageRequest{Image: &runtimev1.ImageSpec{Image: "registry.test:5000/team/app:missing"}})
	if err == nil {
		t.Error("pulling a tag that does not exist succeeded")
	}
	t.Log(err)
}

func TestMirrorsOfARunningEngineChangeWithoutItsRestart(t *testing.T) {
	config := testConfig(t)
	config.Mirrors = []Mirror{{Registry: "docker.io", URL: "http://127.0.0.1:1"}}
	engine := start(t, config)
	pid := engine.PID()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	config.Mirrors = []Mirror{{Registry: "registry.test:5000", URL: "http://127.0.0.1:2"}}
	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.PID() != pid {
		t.Errorf("containerd was restarted for a mirror")
	}
	entries, err := os.ReadDir(config.certsDir())
	if err != nil || fmt.Sprint(entries) != "[d registry.test:5000/]" {
		t.Errorf("certs.d holds %v, %v", entries, err)
	}
}

func TestPrivateRegistriesAreGivenCredentials(t *testing.T) {
	loopbackUp(t)
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "robot" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	reference, err := name.ParseReference(host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, randomImage(t), remote.WithAuth(&authn.Basic{Username: "robot", Password: "secret"})); err != nil {
		t.Fatal(err)
	}
	config := testConfig(t)
	config.Mirrors = []Mirror{{"private.test", server.URL}}
	client := runtimev1.NewImageServiceClient(start(t, config).images.conn)
	for _, test := range []struct {
		auth    *runtimev1.AuthConfig
		wantErr string
	}{
		{nil, "no basic auth credentials"},
		{&runtimev1.AuthConfig{Username: "robot", Password: "wrong"}, "401"},
		{&runtimev1.AuthConfig{Username: "robot", Password: "secret"}, ""},
	} {
		_, err := client.PullImage(testContext(t), &runtimev1.PullImageRequest{
			Image: &runtimev1.ImageSpec{Image: "private.test/team/app:v1"}, Auth: test.auth,
		})
		if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("pulling with %v: %v, want %q", test.auth, err, test.wantErr)
		}
	}
}
