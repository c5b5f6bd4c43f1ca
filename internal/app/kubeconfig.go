package app

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// contextName is the name of our cluster, user and context in a kubeconfig.
const contextName = "coxswain"

// writeKubeconfig writes the administrator's kubeconfig, readable by root
// only, so that a reader never sees half of it.
func writeKubeconfig(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(fmt.Errorf("--kubeconfig: %w", err), os.Remove(temporary))
	}
	return nil
}

// mergeKubeconfig adds our context to the kubeconfig of whoever called cox
// (SUDO_USER's where there is one). A current context that is already set is
// left as it is. It returns the file's path.
func mergeKubeconfig(admin []byte) (string, error) {
	ours, err := clientcmd.Load(admin)
	if err != nil {
		return "", err
	}
	owner, err := caller()
	if err != nil {
		return "", err
	}
	path := owner.kubeconfig()
	theirs, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, os.ErrNotExist) {
		theirs, err = clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	addContext(theirs, ours)
	return path, owner.write(path, theirs)
}

// addContext copies the only cluster, user and context of ours to theirs.
func addContext(theirs, ours *clientcmdapi.Config) {
	current := ours.Contexts[ours.CurrentContext]
	theirs.Clusters[contextName] = ours.Clusters[current.Cluster]
	theirs.AuthInfos[contextName] = ours.AuthInfos[current.AuthInfo]
	theirs.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName}
	if theirs.CurrentContext == "" {
		theirs.CurrentContext = contextName
	}
}

// unmergeKubeconfig takes our context out again.
func unmergeKubeconfig() error {
	owner, err := caller()
	if err != nil {
		return err
	}
	path := owner.kubeconfig()
	config, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, found := config.Contexts[contextName]; !found {
		return nil
	}
	delete(config.Clusters, contextName)
	delete(config.AuthInfos, contextName)
	delete(config.Contexts, contextName)
	if config.CurrentContext == contextName {
		config.CurrentContext = ""
	}
	return owner.write(path, config)
}

// person is the user whose kubeconfig is meant.
type person struct {
	home     string
	uid, gid int
}

func caller() (person, error) {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		home, err := os.UserHomeDir()
		return person{home: home, uid: os.Geteuid(), gid: os.Getegid()}, err
	}
	account, err := user.Lookup(name)
	if err != nil {
		return person{}, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return person{}, err
	}
	gid, err := strconv.Atoi(account.Gid)
	return person{home: account.HomeDir, uid: uid, gid: gid}, err
}

// kubeconfig is the file that kubectl reads and writes first.
func (p person) kubeconfig() string {
	if list := filepath.SplitList(os.Getenv(clientcmd.RecommendedConfigPathEnvVar)); len(list) > 0 && list[0] != "" {
		return list[0]
	}
	return filepath.Join(p.home, clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName)
}

func (p person) write(path string, config *clientcmdapi.Config) error {
	dir := filepath.Dir(path)
	_, missing := os.Stat(dir)
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return err
	}
	if missing != nil {
		if err := os.Chown(dir, p.uid, p.gid); err != nil {
			return err
		}
	}
	return os.Chown(path, p.uid, p.gid)
}
