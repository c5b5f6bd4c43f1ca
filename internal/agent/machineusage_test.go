package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// machineOf has these files, by their paths below /proc and /sys/fs/cgroup.
func machineOf(t *testing.T, files map[string]string) machineFiles {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machineFiles{proc: filepath.Join(dir, "proc"), cgroups: filepath.Join(dir, "cgroup")}
}

func TestTheMachinesProcessorTimeIsReadFromWhateverThereIs(t *testing.T) {
	const stat = "cpu  100 10 50 7000 30 2 3 9 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"cgroup v1", map[string]string{"cgroup/cpuacct/cpuacct.usage": "123456789\n", "proc/stat": stat}, 123456789},
		{"hybrid", map[string]string{"cgroup/cpuacct/cpuacct.usage": "5\n", "cgroup/unified/cpu.stat": "usage_usec 7\n"}, 5},
		{"cgroup v2", map[string]string{"cgroup/cpu.stat": "usage_usec 4200\nuser_usec 1\n", "proc/stat": stat}, 4_200_000},
		{"no cgroup", map[string]string{"proc/stat": stat}, (100 + 10 + 50 + 2 + 3) * 10_000_000},
	} {
		if got, err := machineOf(t, test.files).cpu(); err != nil || got != test.want {
			t.Errorf("%s: %d, %v, want %d", test.name, got, err, test.want)
		}
	}
	for name, files := range map[string]map[string]string{
		"nothing": {}, "another file": {"proc/stat": "intr 5 6\n"}, "words": {"proc/stat": "cpu a b c d e f g h\n"}, "no number": {"cgroup/cpuacct/cpuacct.usage": "many\n"},
	} {
		if got, err := machineOf(t, files).cpu(); err == nil {
			t.Errorf("%s: read as %d", name, got)
		}
	}
}

func TestTheMachinesWorkingSetIsWithoutFilesNotUsed(t *testing.T) {
	const memory = "MemTotal:       1000 kB\nMemFree:  300 kB\nActive(file): 50 kB\nInactive(file):  200 kB\n"
	if got, err := machineOf(t, map[string]string{"proc/meminfo": memory}).workingSet(); err != nil || got != 500<<10 {
		t.Errorf("%d, %v", got, err)
	}
	if got := machineOf(t, nil).node("n"); got.Name != "n" || got.CPU != nil || got.Memory != nil {
		t.Errorf("a machine that tells nothing uses %+v", got)
	}
	if got := kernelFiles.node("n"); got.CPU == nil || got.CPU.UsageCoreNanoSeconds == 0 || got.Memory == nil || got.Memory.WorkingSetBytes == 0 {
		t.Errorf("this machine uses %+v", got)
	}
}
