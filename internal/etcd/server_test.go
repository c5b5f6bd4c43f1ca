package etcd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// answerLimit is how long the store may take on a loaded machine.
const answerLimit = 30 * time.Second

func start(t *testing.T, dir string) *Server {
	t.Helper()
	server, err := Start(t.Context(), Config{DataDir: filepath.Join(dir, "etcd"), Socket: socket(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// socket is a path short enough for any temporary directory.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "etcd.sock")
}

func connect(t *testing.T, server *Server) (*clientv3.Client, context.Context) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	t.Cleanup(cancel)
	return client, ctx
}

func TestWritesOutliveTheServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	client, ctx := connect(t, first)
	if _, err := client.Put(ctx, "/a", "1"); err != nil {
		t.Fatal(err)
	}
	first.Close()
	first.Close() // once more changes nothing
	if _, err := os.Stat(first.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}

	client, ctx = connect(t, start(t, dir))
	got, err := client.Get(ctx, "/a")
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "1" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := socket(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := Start(t.Context(), Config{DataDir: t.TempDir(), Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, ctx := connect(t, server)
	if _, err := client.Get(ctx, "/a"); err != nil {
		t.Error(err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, config *Config)
		want  []string
	}{
		{"a file in the way", func(t *testing.T, config *Config) {
			write(t, config.DataDir, "")
		}, []string{"etcd", "--data-dir"}},
		{"a socket path too long", func(t *testing.T, config *Config) {
			config.Socket = filepath.Join(t.TempDir(), strings.Repeat("x", 120))
		}, []string{"107", "--run-dir"}},
		{"a broken database", func(t *testing.T, config *Config) {
			begin(t, *config).Close()
			write(t, filepath.Join(config.DataDir, "member", "snap", "db"), strings.Repeat("garbage ", 4096))
		}, []string{"etcd", "cannot be opened", "--data-dir"}},
		{"a broken log", func(t *testing.T, config *Config) {
			begin(t, *config).Close()
			logs, err := filepath.Glob(filepath.Join(config.DataDir, "member", "wal", "*.wal"))
			if err != nil || len(logs) == 0 {
				t.Fatalf("no logs: %v", err)
			}
			for _, log := range logs {
				write(t, log, strings.Repeat("garbage ", 4096))
			}
		}, []string{"etcd", "cannot be opened", "--data-dir"}},
		{"another process", func(t *testing.T, config *Config) {
			holder := begin(t, *config)
			t.Cleanup(holder.Close)
			config.Socket = socket(t)
		}, []string{"in use by another process", "--data-dir"}},
		{"a full disk", func(t *testing.T, config *Config) {
			config.DataDir = filepath.Join(smallDisk(t, "1m"), "etcd")
		}, []string{"is full", "--data-dir"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := Config{DataDir: filepath.Join(t.TempDir(), "etcd"), Socket: socket(t)}
			test.spoil(t, &config)
			server, err := Start(t.Context(), config)
			if err == nil {
				server.Close()
				t.Fatal("it started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("not one sentence: %v", err)
			}
		})
	}
}

func begin(t *testing.T, config Config) *Server {
	t.Helper()
	server, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Ready():
	case <-time.After(answerLimit):
		t.Fatal("not ready in time")
	}
	return server
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDiskThatFillsUpEndsTheStore writes until a disk is full. The store must
// stop and say so, and have kept every write that it acknowledged.
func TestDiskThatFillsUpEndsTheStore(t *testing.T) {
	disk := smallDisk(t, "200m")
	ended := make(chan error, 8)
	config := Config{DataDir: filepath.Join(disk, "etcd"), Socket: socket(t), Fatal: func(err error) { ended <- err }}
	server := begin(t, config)
	client, ctx := connect(t, server)
	write(t, filepath.Join(disk, "ballast"), strings.Repeat("x", 60<<20))
	acknowledged := 0
	var err error
	for value := strings.Repeat("v", 1<<20); len(ended) == 0; acknowledged++ {
		// The store ends in the middle of a write, which then has no answer.
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err = client.Put(attempt, fmt.Sprintf("/%03d", acknowledged), value)
		cancel()
		if err != nil {
			break
		}
	}
	select {
	case reason := <-ended:
		if !strings.Contains(reason.Error(), "is full") || !strings.Contains(reason.Error(), disk) {
			t.Errorf("it says: %v", reason)
		}
	case <-time.After(answerLimit):
		t.Fatalf("the store goes on after %d MB, %v", acknowledged, err)
	}

	// The same data on a larger disk.
	roomy := Config{DataDir: filepath.Join(t.TempDir(), "etcd"), Socket: socket(t)}
	if err := os.CopyFS(roomy.DataDir, os.DirFS(config.DataDir)); err != nil {
		t.Fatal(err)
	}
	again := begin(t, roomy)
	defer again.Close()
	client, ctx = connect(t, again)
	kept, err := client.Get(ctx, "/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || kept.Count < int64(acknowledged) {
		t.Errorf("of %d acknowledged writes %v are left, %v", acknowledged, kept, err)
	}
}

// smallDisk mounts a file system of the size given.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("this test mounts a small file system, as root: %v", err)
	}
	// Detached, since a start that failed may still hold a file open.
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestCompactionFollowsGrowth(t *testing.T) {
	for _, test := range []struct{ current, compacted, want int64 }{
		{1, 0, 0}, {keptRevisions + compactEvery - 1, 0, 0}, {keptRevisions + compactEvery, 0, compactEvery},
		{keptRevisions + compactEvery + 5, compactEvery, 0}, {keptRevisions + 3*compactEvery, compactEvery, 3 * compactEvery},
	} {
		if got := compactionTarget(test.current, test.compacted); got != test.want {
			t.Errorf("at %d after %d: %d, want %d", test.current, test.compacted, got, test.want)
		}
	}
}
