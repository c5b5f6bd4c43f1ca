package volumes

import (
	"context"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/plan"
)

// shelf is a Source with what a test puts there.
type shelf struct {
	maps    map[string]map[string]string
	secrets map[string]map[string]string
	renew   time.Time
}

func (s *shelf) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	data, known := s.maps[name]
	if !known {
		return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
	}
	return &corev1.ConfigMap{Data: data, BinaryData: map[string][]byte{"binary": {0, 255}}}, nil
}

func (s *shelf) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	data, known := s.secrets[name]
	if !known {
		return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
	}
	secret := &corev1.Secret{Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret, nil
}

func (s *shelf) Token(_ context.Context, _ *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, time.Time, error) {
	return "token for " + p.Audience, s.renew, nil
}

var yes = true

func localName(name string) corev1.LocalObjectReference {
	return corev1.LocalObjectReference{Name: name}
}

func mode(bits int32) *int32 { return &bits }

// newHost makes a Host whose Pods are unmounted when the test ends.
func newHost(t *testing.T, source *shelf) *Host {
	t.Helper()
	h := &Host{Root: t.TempDir(), Source: source}
	t.Cleanup(func() {
		if err := h.TearDown("u"); err != nil {
			t.Error(err)
		}
	})
	return h
}

func podWith(volumes ...corev1.VolumeSource) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Name: "web", Namespace: "ns", Labels: map[string]string{"app": "web"}}}
	for _, source := range volumes {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "v", VolumeSource: source})
	}
	return pod
}

// seen is what a container sees in a volume: path=content(mode).
func seen(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	var walk func(prefix string)
	walk = func(prefix string) {
		entries, err := os.ReadDir(filepath.Join(dir, prefix))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := filepath.Join(prefix, entry.Name())
			info, err := os.Stat(filepath.Join(dir, name))
			switch {
			case strings.HasPrefix(entry.Name(), ".."):
			case err != nil:
				t.Fatal(err)
			case info.IsDir():
				walk(name)
			default:
				content, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, name+"="+string(content)+info.Mode().Perm().String()[1:])
			}
		}
	}
	walk("")
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestFilesOfObjects(t *testing.T) {
	source := &shelf{
		maps:    map[string]map[string]string{"words": {"a": "1", "b": "2"}},
		secrets: map[string]map[string]string{"hidden": {"key": "s"}},
	}
	configMap := func(name string, items []corev1.KeyToPath, optional *bool) corev1.VolumeSource {
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: localName(name), Items: items, Optional: optional}}
	}
	projected := func(sources ...corev1.VolumeProjection) corev1.VolumeSource {
		return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: mode(0o440)}}
	}
	for _, test := range []struct {
		name      string
		source    corev1.VolumeSource
		want, err string
	}{
		{name: "every key of a ConfigMap", source: configMap("words", nil, nil), want: "a=1rw-r--r-- b=2rw-r--r-- binary=\x00\xffrw-r--r--"},
		{name: "chosen keys by paths and modes", source: configMap("words", []corev1.KeyToPath{{Key: "b", Path: "x/y", Mode: mode(0o400)}}, nil), want: "x/y=2r--------"},
		{name: "a ConfigMap that is missing", source: configMap("no", nil, nil), err: `MountVolume.SetUp failed for volume "v" : configmap "no" not found`},
		{name: "a ConfigMap that may be missing", source: configMap("no", nil, &yes)},
		{name: "a key that is missing", source: configMap("words", []corev1.KeyToPath{{Key: "no", Path: "x"}}, nil),
			err: `MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: no`},
		{name: "a key that may be missing", source: configMap("words", []corev1.KeyToPath{{Key: "no", Path: "x"}, {Key: "a", Path: "a"}}, &yes), want: "a=1rw-r--r--"},
		{name: "a Secret", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "hidden", DefaultMode: mode(0o400)}}, want: "key=sr--------"},
		{name: "a Secret that is missing", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "no"}},
			err: `MountVolume.SetUp failed for volume "v" : secret "no" not found`},
		{name: "a key of a Secret that is missing", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "hidden", Items: []corev1.KeyToPath{{Key: "no", Path: "x"}}}},
			err: `MountVolume.SetUp failed for volume "v" : references non-existent secret key: no`},
		{name: "a Secret that may be missing", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "no", Optional: &yes}}},
		{name: "fields of the Pod", source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}}, want: "name=webrw-r--r--"},
		{name: "all sorts in one place", source: projected(
			corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: localName("words"), Items: []corev1.KeyToPath{{Key: "a", Path: "a"}}}},
			corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: localName("hidden")}},
			corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "me", Path: "token"}},
			corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "app", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}}}},
		), want: "a=1r--r----- app=webr--r----- key=sr--r----- token=token for mer--r-----"},
		{name: "a projected object that may be missing", source: projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: localName("no"), Optional: &yes}})},
		{name: "a kind that needs a driver", source: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, err: `MountVolume.SetUp failed for volume "v" : ` + ErrUnsupported.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, pod := newHost(t, source), podWith(test.source)
			_, err := h.Prepare(t.Context(), pod)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error = %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := seen(t, h.Path(pod, "v")); got != test.want {
				t.Errorf("the container sees %q, want %q", got, test.want)
			}
		})
	}
}

// TestPlansKnowTheKinds: cox plan foresees of each kind of volume whether it
// can be made here.
func TestPlansKnowTheKinds(t *testing.T) {
	kinds := reflect.TypeFor[corev1.VolumeSource]()
	for i := range kinds.NumField() {
		source := corev1.VolumeSource{}
		field := reflect.ValueOf(&source).Elem().Field(i)
		field.Set(reflect.New(field.Type().Elem()))
		pod := podWith(source)
		_, err := newHost(t, &shelf{}).Prepare(t.Context(), pod)
		refused := err != nil && strings.Contains(err.Error(), ErrUnsupported.Error())
		if foreseen := len(plan.Unstartable(&corev1.PodSpec{Volumes: pod.Spec.Volumes})) > 0; foreseen != refused {
			t.Errorf("%s: a plan says it stops: %t, and preparing it gives: %v", kinds.Field(i).Name, foreseen, err)
		}
	}
}

func TestSecretsAreKeptInMemory(t *testing.T) {
	h := newHost(t, &shelf{secrets: map[string]map[string]string{"hidden": {"key": "s"}}})
	pod := podWith(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "hidden"}})
	if _, err := h.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if kind := fileSystem(t, h.Path(pod, "v")); kind != unix.TMPFS_MAGIC {
		t.Errorf("the file system of a Secret is %#x", kind)
	}
}

func TestATokenIsForTheOneUserThatReadsIt(t *testing.T) {
	user, group := int64(1234), int64(5678)
	token := corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}
	for _, test := range []struct {
		name     string
		security *corev1.PodSecurityContext
		uid, gid uint32
		mode     fs.FileMode
	}{
		{"anybody", nil, 0, 0, 0o644},
		{"one user", &corev1.PodSecurityContext{RunAsUser: &user}, 1234, 0, 0o600},
		{"a group", &corev1.PodSecurityContext{RunAsUser: &user, FSGroup: &group}, 0, 5678, 0o640},
	} {
		t.Run(test.name, func(t *testing.T) {
			renew := time.Now().Add(time.Hour)
			h, pod := newHost(t, &shelf{renew: renew}), podWith(token)
			pod.Spec.SecurityContext, pod.Spec.Containers = test.security, []corev1.Container{{Name: "c"}}
			refresh, err := h.Prepare(t.Context(), pod)
			if err != nil || !refresh.Equal(renew) {
				t.Fatalf("Prepare = %v, %v, want a renewal at %v", refresh, err, renew)
			}
			var stat unix.Stat_t
			if err := unix.Stat(filepath.Join(h.Path(pod, "v"), "token"), &stat); err != nil {
				t.Fatal(err)
			}
			if stat.Uid != test.uid || stat.Gid != test.gid || fs.FileMode(stat.Mode).Perm() != test.mode {
				t.Errorf("owner %d:%d mode %o", stat.Uid, stat.Gid, fs.FileMode(stat.Mode).Perm())
			}
		})
	}
}

func fileSystem(t *testing.T, dir string) int64 {
	t.Helper()
	var info unix.Statfs_t
	if err := unix.Statfs(dir, &info); err != nil {
		t.Fatal(err)
	}
	return info.Type
}

func TestEmptyDir(t *testing.T) {
	size := resource.MustParse("1Mi")
	h := newHost(t, &shelf{})
	group := int64(5678)
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "memory", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}}})
	if _, err := h.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"v", "memory"} {
		info, err := os.Stat(h.Path(pod, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != fs.ModeDir|fs.ModeSetgid|0o777 {
			t.Errorf("mode of %s = %v", name, info.Mode())
		}
	}
	var info unix.Statfs_t
	if err := unix.Statfs(h.Path(pod, "memory"), &info); err != nil || info.Type != unix.TMPFS_MAGIC || int64(info.Blocks)*info.Bsize != size.Value() {
		t.Errorf("the memory volume: %+v, %v", info, err)
	}
	kept := filepath.Join(h.Path(pod, "memory"), "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what a container wrote is gone after the volumes were looked at again: %v", err)
	}
	pod.Spec.Volumes[0] = corev1.Volume{Name: "odd", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "Tape"}}}
	if _, err := h.Prepare(t.Context(), pod); err == nil || !strings.Contains(err.Error(), `unknown storage medium "Tape"`) {
		t.Errorf("error = %v", err)
	}
}

func TestHostPath(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{os.Mkdir(path("dir"), 0o755), os.WriteFile(path("file"), nil, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	h := &Host{Root: t.TempDir()}
	// What fits each path, of all types.
	fits := map[string][]corev1.HostPathType{
		path("dir"):    {"", corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate},
		path("file"):   {"", corev1.HostPathFile, corev1.HostPathFileOrCreate},
		path("socket"): {"", corev1.HostPathSocket},
		"/dev/null":    {"", corev1.HostPathCharDev},
		path("none"):   {""},
	}
	all := []corev1.HostPathType{"", corev1.HostPathDirectory, corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev}
	for _, at := range slices.Sorted(maps.Keys(fits)) {
		for _, kind := range all {
			_, err := h.Prepare(t.Context(), podWith(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: at, Type: &kind}}))
			if fit := slices.Contains(fits[at], kind); fit != (err == nil) {
				t.Errorf("%s as %q: %v, want success: %v", at, kind, err, fit)
			}
		}
	}
	for kind, name := range map[corev1.HostPathType]string{corev1.HostPathDirectoryOrCreate: "new/dir", corev1.HostPathFileOrCreate: "new-file"} {
		_, err := h.Prepare(t.Context(), podWith(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path(name), Type: &kind}}))
		if info, statErr := os.Stat(path(name)); err != nil || statErr != nil || info.IsDir() != (kind == corev1.HostPathDirectoryOrCreate) {
			t.Errorf("%s was not made as %s: %v, %v", name, kind, err, statErr)
		}
	}
	kind := corev1.HostPathFile
	_, err = h.Prepare(t.Context(), podWith(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path("dir"), Type: &kind}}))
	if want := `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ` + path("dir") + ` is not a file`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
