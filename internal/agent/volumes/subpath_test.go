package volumes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// onDisk is a Pod with one prepared emptyDir, and where that is.
func onDisk(t *testing.T) (h *Host, pod *corev1.Pod, dir string) {
	t.Helper()
	h, pod = newHost(t, &shelf{}), podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	if _, err := h.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return h, pod, h.Path(pod, "v")
}

func TestASubPathIsMadeIfMissing(t *testing.T) {
	h, pod, dir := onDisk(t)
	part, err := h.SubPath(pod, "v", "c", 0, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(part, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "a/b/file")); err != nil || string(content) != "x" {
		t.Errorf("in the volume: %q, %v", content, err)
	}
}

func TestASubPathMayBeAFile(t *testing.T) {
	h, pod, dir := onDisk(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a container that is started again mounts it again
		part, err := h.SubPath(pod, "v", "c", 0, "file")
		if err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(part); err != nil || string(content) != "x" {
			t.Errorf("mounted: %q, %v", content, err)
		}
	}
	points, err := mountsBelow(h.PodDir(pod.UID))
	if err != nil || len(points) != 1 {
		t.Errorf("mounts = %v, %v, want one", points, err)
	}
}

func TestASubPathDoesNotLeadOut(t *testing.T) {
	h, pod, dir := onDisk(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"../x": "must be a relative path inside the volume", "/etc": "must be a relative path inside the volume",
		"out": "failed to prepare subPath", "out/made": "subPath",
	} {
		if part, err := h.SubPath(pod, "v", "c", 0, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want an error with %q", path, part, err, want)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside the volume there is %v (%v)", entries, err)
	}
}

func TestALinkInsideTheVolumeIsFollowed(t *testing.T) {
	h, pod, dir := onDisk(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	part, err := h.SubPath(pod, "v", "c", 0, "link")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(part); err != nil || string(content) != "x" {
		t.Errorf("mounted: %q, %v", content, err)
	}
}

func TestTearDownLeavesNothing(t *testing.T) {
	h, pod, _ := onDisk(t)
	if _, err := h.SubPath(pod, "v", "c", 3, "a"); err != nil {
		t.Fatal(err)
	}
	if uids, err := h.Pods(); err != nil || len(uids) != 1 || uids[0] != pod.UID {
		t.Errorf("Pods = %v, %v", uids, err)
	}
	for range 2 { // the second time there is nothing to do
		if err := h.TearDown(pod.UID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(h.PodDir(pod.UID)); !os.IsNotExist(err) {
		t.Errorf("the Pod's folder is left: %v", err)
	}
	if points, err := mountsBelow(h.Root); err != nil || len(points) > 0 {
		t.Errorf("mounts are left: %v, %v", points, err)
	}
}
