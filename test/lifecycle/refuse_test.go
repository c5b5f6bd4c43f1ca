package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/test/harness"
)

func firstPodIP(t *testing.T, pods map[string]corev1.Pod) string {
	t.Helper()
	for _, pod := range pods {
		return pod.Status.PodIP
	}
	t.Fatal("no Pods")
	return ""
}

// mustRefuse fails the test unless the command fails and says all of want.
func mustRefuse(t *testing.T, result harness.Result, want ...string) {
	t.Helper()
	if result.Code == 0 {
		t.Errorf("it succeeded:\n%s%s", result.Stdout, result.Stderr)
	}
	said := result.Stdout + result.Stderr
	for _, text := range want {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
	if strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
		t.Errorf("it panics:\n%s", said)
	}
}

func TestASecondUpOnTheSameDataSaysSoAndChangesNothing(t *testing.T) {
	t.Parallel()
	instance := harness.Start(t)
	up := harness.Binary("cox") + " up " + strings.Join(instance.Flags(), " ")
	mustRefuse(t, instance.Shell(up), "cox already runs on", "cox down")
	if out := instance.Kubectl("get", "nodes", "-o", "name"); !strings.HasPrefix(out, "node/") {
		t.Errorf("the first instance: %q", out)
	}
	if out := instance.Cox("status"); !strings.Contains(out, "running") {
		t.Errorf("cox status: %q", out)
	}
}

func TestWhatCannotWorkIsRefusedInASentence(t *testing.T) {
	t.Parallel()
	instance := harness.New(t)
	up := harness.Binary("cox") + " up " + strings.Join(instance.Flags(), " ") + " "

	t.Run("an unknown flag", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--pod-cdr=10.0.0.0/16"), "unknown flag: --pod-cdr")
	})
	t.Run("ranges that overlap", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--pod-cidr=10.96.0.0/16"), "--pod-cidr", "--service-cidr", "overlap")
	})
	t.Run("a mirror that is none", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--registry-mirror=docker.io"), "--registry-mirror")
	})
	t.Run("an address that is none", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--listen=here"), "--listen", "host:port")
	})
	t.Run("a port in use", func(t *testing.T) {
		listener, err := instance.Listen("127.0.0.1:6443")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		mustRefuse(t, instance.Shell(up), "--listen", "in use")
	})
	t.Run("no root", func(t *testing.T) {
		mustRefuse(t, instance.Shell("setpriv --reuid=65534 --clear-groups "+up), "root", "sudo")
	})
	t.Run("no cgroups", func(t *testing.T) {
		mustRefuse(t, instance.Shell("unshare --mount sh -c 'umount -R /sys/fs/cgroup && exec "+up+"'"), "no cgroups", "/sys/fs/cgroup")
	})
	t.Run("a node name that is none", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--node-name=My_Node"), "--node-name", "RFC 1123")
	})
	t.Run("programs that are not there", func(t *testing.T) {
		mustRefuse(t, instance.Shell(up+"--bin-dir="+instance.Dir), "containerd is missing", "--bin-dir")
	})
	t.Run("a data directory that is a file", func(t *testing.T) {
		path := filepath.Join(instance.Dir, "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, instance.Shell(up+"--data-dir="+path), "--data-dir")
	})
	t.Run("a full disk", func(t *testing.T) {
		dir := filepath.Join(instance.Dir, "small")
		mount := "mkdir -p " + dir + " && mount -t tmpfs -o size=1m tmpfs " + dir
		if result := instance.Shell(mount); result.Code != 0 {
			t.Fatal(result.Stderr)
		}
		mustRefuse(t, instance.Shell(up+"--data-dir="+dir), "--data-dir", "full")
	})
	t.Run("a broken data directory", func(t *testing.T) {
		wal := filepath.Join(instance.Dir, "data/etcd/member/wal")
		if err := os.MkdirAll(wal, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(wal, "0000000000000000-0000000000000000.wal"), []byte("not a log"), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, instance.Shell(up), "data/etcd cannot be opened", "its files are damaged", "--data-dir")
	})
	t.Run("status of what does not run", func(t *testing.T) {
		mustRefuse(t, instance.Shell(harness.Binary("cox")+" status "+strings.Join(instance.Flags(), " ")), "not running")
	})
}
