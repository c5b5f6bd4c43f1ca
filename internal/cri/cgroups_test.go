package cri

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestMountinfoNamesControllers(t *testing.T) {
	tests := []struct{ line, want string }{
		{"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot", "=/sys/fs/cgroup"},
		{"33 32 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct", "cpu=/sys/fs/cgroup/cpu,cpuacct cpuacct=/sys/fs/cgroup/cpu,cpuacct"},
		{"35 32 0:30 / /sys/fs/cgroup/systemd rw - cgroup none rw,xattr,name=systemd", "name=systemd=/sys/fs/cgroup/systemd"},
		{"36 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 none rw", "=/sys/fs/cgroup/unified"},
		{"37 32 0:32 / /mnt/other rw - cgroup cgroup rw,memory", ""},
		{"38 32 0:33 / /proc rw - proc proc rw", ""},
		{"nonsense", ""},
		{"", ""},
	}
	for _, test := range tests {
		cgroups := Cgroups{Mounts: map[string]string{}}
		cgroups.addMount(test.line)
		var got []string
		for _, controller := range slices.Sorted(maps.Keys(cgroups.Mounts)) {
			got = append(got, controller+"="+cgroups.Mounts[controller])
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q gives %v, want %q", test.line, got, test.want)
		}
	}
}

func TestTheEngineLivesInACgroupOfItsOwn(t *testing.T) {
	engine := start(t, testConfig(t))
	cgroups, err := DetectCgroups()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(engine.PID()), "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	ours, others := 0, 0
	for line := range strings.Lines(string(content)) {
		if strings.HasSuffix(strings.TrimSpace(line), ":"+CgroupRoot+"/engine") {
			ours++
		} else {
			others++
		}
	}
	if ours == 0 || others > 1 { // a kernel without cgroup2 mounted still lists it
		t.Errorf("%s machine with %d hierarchies, the engine's:\n%s", cgroups.Mode, len(cgroups.Mounts), content)
	}
}
