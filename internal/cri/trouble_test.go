package cri

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountOn mounts a file system for the time of the test.
func mountOn(t *testing.T, kind, dir, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// script puts an executable of that text in place of one of our binaries.
func script(t *testing.T, config *Config, name, text string) {
	t.Helper()
	dir := t.TempDir()
	binaries, err := filepath.Glob(config.binary("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range binaries {
		if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if text != "" {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config.BinDir = dir
}

func TestWhatCannotStartSaysWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*testing.T, *Config)
		want []string // parts of the error
	}{
		{"no containerd", func(t *testing.T, c *Config) { script(t, c, "containerd", "") },
			[]string{"containerd is missing", "build it with make", "--bin-dir"}},
		{"no pause image", func(t *testing.T, c *Config) { script(t, c, "pause.tar", "") },
			[]string{"pause.tar is missing"}},
		{"not executable", func(t *testing.T, c *Config) {
			script(t, c, "runc", "#!/bin/true")
			if err := os.Chmod(c.binary("runc"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"runc is not an executable file"}},
		{"a path too long", func(_ *testing.T, c *Config) { c.RunDir += strings.Repeat("/long", 20) },
			[]string{"--run-dir", "is too long", "Linux allows 107", "shorter"}},
		{"a relative path", func(_ *testing.T, c *Config) { c.DataDir = "data" },
			[]string{"--data-dir", "must be an absolute path"}},
		{"a containerd that gives up", func(t *testing.T, c *Config) {
			script(t, c, "containerd", "#!/bin/sh\necho 'containerd: the moon is in the wrong phase' >&2; exit 1\n")
		}, []string{"containerd ended before it answered", "the moon is in the wrong phase", "containerd.log"}},
		{"a containerd that is none", func(t *testing.T, c *Config) { script(t, c, "containerd", "\x7fELF nonsense") },
			[]string{"starting containerd"}},
		{"a full disk", func(t *testing.T, c *Config) { mountOn(t, "tmpfs", c.DataDir, "size=64k") },
			[]string{"is full", "make room"}},
		{"a read-only disk", func(t *testing.T, c *Config) { mountOn(t, "tmpfs", c.DataDir, "ro") },
			[]string{"read-only file system"}},
		{"a file in the way", func(t *testing.T, c *Config) {
			if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"engine's directories", "not a directory"}},
		{"another containerd", func(t *testing.T, c *Config) {
			if err := os.MkdirAll(filepath.Dir(c.socket()), 0o700); err != nil {
				t.Fatal(err)
			}
			listener, err := net.Listen("unix", c.socket())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
		}, []string{"another containerd", "stop it, or choose another --run-dir"}},
		{"somebody else's engine that is not there", func(_ *testing.T, c *Config) {
			c.Endpoint = "unix:///does/not/exist.sock"
		}, []string{"/does/not/exist.sock", "start it"}},
		{"a wrong endpoint", func(_ *testing.T, c *Config) { c.Endpoint = "tcp://127.0.0.1:1" },
			[]string{"must be an absolute path or unix:///path"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			test.set(t, &config)
			engine, err := Start(testContext(t), config)
			if err == nil {
				engine.Stop(context.Background())
				t.Fatal("it started")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
			if _, alive := readRecord(config.recordFile()); alive {
				t.Error("a containerd was left running")
			}
		})
	}
}

func TestWithoutOverlayEveryContainerGetsACopy(t *testing.T) {
	config := testConfig(t)
	base := t.TempDir()
	var options []string
	for _, layer := range []string{"lower", "upper", "work"} {
		dir := filepath.Join(base, layer)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		options = append(options, layer+"dir="+dir)
	}
	// An overlay's upper directory cannot be on an overlay.
	mountOn(t, "overlay", config.DataDir, strings.Join(options, ","))
	engine := start(t, config)
	runPod(t, engine, "copied").startedAt(t, engine)
	if !strings.Contains(engine.text, `snapshotter = "native"`) {
		t.Errorf("the configuration does not say native:\n%s", engine.text)
	}
}

func TestAnEngineThatDoesNotAnswerIsReplaced(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before, pid := pod.startedAt(t, engine), engine.PID()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.PID() == pid {
		t.Error("the engine that hangs was taken up")
	}
	if after := pod.startedAt(t, again); after != before {
		t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
	}
}

func TestARecordOfAnotherProcessIsNotBelieved(t *testing.T) {
	config := testConfig(t)
	if err := os.MkdirAll(filepath.Dir(config.recordFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	// Our own number, with another start: as after a reboot.
	if err := (record{PID: os.Getpid(), StartTicks: 1}).write(config.recordFile()); err != nil {
		t.Fatal(err)
	}
	if engine := start(t, config); engine.TakenUp() || engine.PID() == os.Getpid() {
		t.Errorf("process %d was taken for the engine", engine.PID())
	}
}

func TestAnEngineWithoutARecordIsFound(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	pod := runPod(t, engine, "kept")
	before, pid := pod.startedAt(t, engine), engine.PID()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(config.recordFile()); err != nil {
		t.Fatal(err)
	}
	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.PID() == pid {
		t.Error("an engine of unknown configuration was taken up")
	}
	if after := pod.startedAt(t, again); after != before {
		t.Errorf("the container started at %d, before at %d: it was restarted", after, before)
	}
}

func TestSomebodyElsesEngineIsUsedAndLeftAlone(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	foreign, err := Start(testContext(t), Config{Endpoint: config.socket()})
	if err != nil {
		t.Fatal(err)
	}
	if foreign.Endpoint() != engine.Endpoint() || foreign.PID() != 0 {
		t.Errorf("endpoint %q, process %d", foreign.Endpoint(), foreign.PID())
	}
	if err := foreign.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := checkAnswers(testContext(t), engine.Endpoint()); err != nil {
		t.Errorf("after Stop: %v", err)
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "containerd.log")
	line := strings.Repeat("x", 1023) + "\n"
	write := func(text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		fmt.Fprint(file, text)
	}
	write("small")
	trimLog(path)
	if content, _ := os.ReadFile(path); string(content) != "small" {
		t.Errorf("a small log was changed to %q", content)
	}
	write(strings.Repeat(line, maxLogBytes/1024) + "the end\n")
	trimLog(path)
	kept, err := os.ReadFile(path + ".1")
	if err != nil || len(kept) > maxLogBytes || !strings.HasSuffix(string(kept), "the end\n") {
		t.Errorf("kept %d bytes, %v", len(kept), err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the log has %d bytes, %v", info.Size(), err)
	}
}
