package cri

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestAfterARebootOldPodsHaveEndedAndNewOnesStart(t *testing.T) {
	config := testConfig(t)
	engine := start(t, config)
	old := runPod(t, engine, "before")
	if err := engine.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	loseRunDir(t, config)

	again, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	client := runtimev1.NewRuntimeServiceClient(again.images.conn)
	answer, err := client.ListPodSandbox(testContext(t), &runtimev1.ListPodSandboxRequest{})
	if err != nil || len(answer.Items) != 1 || answer.Items[0].Id != old.sandbox || answer.Items[0].State != runtimev1.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("after the reboot: %v, %v; want the old Pod, not ready", answer, err)
	}
	if err := stopPod(testContext(t), client, old.sandbox, []string{old.container}, 0); err != nil {
		t.Errorf("removing the old Pod: %v", err)
	}
	runPod(t, again, "after").startedAt(t, again)
}

// loseRunDir does what a reboot does: processes are gone, and with them mounts
// and everything in the run directory.
func loseRunDir(t *testing.T, config Config) {
	t.Helper()
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		command, _ := os.ReadFile(path)
		mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "mountinfo"))
		isShim := strings.Contains(string(command), config.socket())
		isContainer := strings.Contains(string(mounts), config.DataDir) && string(command) == "/pause\x00"
		if pid != os.Getpid() && (isShim || isContainer) {
			unix.Kill(pid, unix.SIGKILL)
			if process, err := openProcess(pid); err == nil {
				process.wait(testContext(t))
				process.forget()
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range slices.Backward(strings.Split(string(mounts), "\n")) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], config.RunDir+"/") {
			unix.Unmount(fields[4], unix.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(config.RunDir); err != nil {
		t.Fatal(err)
	}
}
