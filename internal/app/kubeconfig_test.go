package app

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// adminOf is a kubeconfig as the API server makes it.
func adminOf(t *testing.T, server string) []byte {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "secret"}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	content, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// atHome makes a home of the test's own, with no kubeconfig.
func atHome(t *testing.T) (path string) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SUDO_USER", "")
	t.Setenv("KUBECONFIG", "")
	return filepath.Join(home, ".kube", "config")
}

func load(t *testing.T, path string) *clientcmdapi.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestAContextIsAddedRenewedAndTakenOut(t *testing.T) {
	path := atHome(t)
	for _, server := range []string{"https://127.0.0.1:6443", "https://127.0.0.1:7443"} {
		if got, err := mergeKubeconfig(adminOf(t, server)); err != nil || got != path {
			t.Fatalf("merging into %s: %v", got, err)
		}
		config := load(t, path)
		if config.CurrentContext != "coxswain" || config.Clusters["coxswain"].Server != server || config.AuthInfos["coxswain"].Token != "secret" {
			t.Errorf("merged for %s: %+v", server, config)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want it private", path, info.Mode(), err)
	}
	if err := unmergeKubeconfig(); err != nil {
		t.Fatal(err)
	}
	if config := load(t, path); len(config.Contexts)+len(config.Clusters)+len(config.AuthInfos) != 0 || config.CurrentContext != "" {
		t.Errorf("left: %+v", config)
	}
}

func TestWhatOthersHaveInAKubeconfigStays(t *testing.T) {
	path := atHome(t)
	theirs := clientcmdapi.NewConfig()
	theirs.Clusters["work"] = &clientcmdapi.Cluster{Server: "https://work.example"}
	theirs.Contexts["work"] = &clientcmdapi.Context{Cluster: "work"}
	theirs.CurrentContext = "work"
	if err := clientcmd.WriteToFile(*theirs, path); err != nil {
		t.Fatal(err)
	}
	if _, err := mergeKubeconfig(adminOf(t, "https://127.0.0.1:6443")); err != nil {
		t.Fatal(err)
	}
	if config := load(t, path); config.CurrentContext != "work" || config.Clusters["work"].Server != "https://work.example" || config.Contexts["coxswain"] == nil {
		t.Errorf("merged: %+v", config)
	}
	if err := unmergeKubeconfig(); err != nil {
		t.Fatal(err)
	}
	if config := load(t, path); config.CurrentContext != "work" || len(config.Contexts) != 1 {
		t.Errorf("left: %+v", config)
	}
}

func TestAKubeconfigThatIsNoneIsLeftAsItIs(t *testing.T) {
	path := atHome(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	const broken = "contexts: {"
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mergeKubeconfig(adminOf(t, "https://127.0.0.1:6443")); err == nil {
		t.Error("a broken kubeconfig was taken")
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != broken {
		t.Errorf("it became %q (%v)", content, err)
	}
}

func TestUnmergingWhatNeverWasIsNoError(t *testing.T) {
	atHome(t)
	if err := unmergeKubeconfig(); err != nil {
		t.Error(err)
	}
}

func TestTheAdminKubeconfigIsPrivateAndWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "admin.kubeconfig")
	for _, content := range []string{"first", "second"} {
		if err := writeKubeconfig(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("read %q (%v), want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := writeKubeconfig("/proc/none/admin.kubeconfig", nil); err == nil {
		t.Error("it was written into /proc")
	}
}
