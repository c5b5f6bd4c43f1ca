// Command demo is the README's first command after the build: it starts cox,
// rolls the sample application out, updates it under constant requests, counts
// the failed ones, rolls it back, and leaves it running.
//
// Usage: demo [flags of cox up]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, flags []string) error {
	s, err := newShell(ctx, flags)
	if err != nil {
		return err
	}
	if err := s.cox(append([]string{"up", "-d"}, flags...)...); err != nil {
		return err
	}
	if err := s.cox(append([]string{"images", "import", filepath.Join(s.bin, "http-go.tar")}, s.shared...)...); err != nil {
		return err
	}
	s.say("The sample application: a Deployment of 3 replicas, and a Service in front of it.")
	if s.kubectlOutput("get", "deployment", "http-go", "--ignore-not-found") == "" {
		if err := s.kubectl("create", "-f", "examples/http-go/deployment.yaml"); err != nil {
			return err
		}
	}
	if err := s.kubectl("rollout", "status", "deployment/http-go", "--timeout=2m"); err != nil {
		return err
	}
	if s.kubectlOutput("get", "service", "http-go", "--ignore-not-found") == "" {
		if err := s.kubectl("expose", "deployment", "http-go"); err != nil {
			return err
		}
	}
	address := s.kubectlOutput("get", "service", "http-go", "-o", "jsonpath={.spec.clusterIP}") + ":8080"
	if err := awaitAnswer(ctx, address); err != nil {
		return err
	}

	s.say(fmt.Sprintf("An update from v1 to v2, under %d new connections a second to the Service.", requestsPerSecond))
	if err := s.underLoad(ctx, address, "set", "image", "deployment/http-go", "http-go=gasbugs/http-go:v2"); err != nil {
		return err
	}
	s.say("And back again.")
	if err := s.underLoad(ctx, address, "rollout", "undo", "deployment/http-go"); err != nil {
		return err
	}
	if err := s.kubectl("get", "deployments,replicasets,pods,services"); err != nil {
		return err
	}
	s.say(fmt.Sprintf(`It is left running. Go on with:
  curl %s
  %s scale deployment/http-go --replicas=5
  %s   (stops everything and deletes it)`, address, s.kubectlCommand(), strings.Join(append([]string{"bin/cox", "reset"}, s.shared...), " ")))
	return nil
}

// underLoad runs a kubectl command that starts a rollout, waits for its end,
// and prints what became of the requests meanwhile.
func (s *shell) underLoad(ctx context.Context, address string, args ...string) error {
	load := startLoad(ctx, address)
	if err := s.kubectl(args...); err != nil {
		return err
	}
	if err := s.kubectl("rollout", "status", "deployment/http-go", "--timeout=2m"); err != nil {
		return err
	}
	fmt.Printf("\n%s\n", load.stop())
	return nil
}

// shell runs commands and shows them as somebody would have typed them.
type shell struct {
	ctx context.Context
	bin string
	// shared are the flags that every cox command needs to find the instance.
	shared     []string
	kubeconfig string
}

func newShell(ctx context.Context, flags []string) (*shell, error) {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return nil, err
	}
	s := &shell{ctx: ctx, bin: bin, kubeconfig: "/etc/coxswain/admin.kubeconfig"}
	for _, flag := range flags {
		name, value, _ := strings.Cut(flag, "=")
		switch name {
		case "--kubeconfig":
			s.kubeconfig = value
			s.shared = append(s.shared, flag)
		case "--data-dir", "--run-dir", "--listen":
			s.shared = append(s.shared, flag)
		}
	}
	return s, nil
}

func (s *shell) say(text string) { fmt.Printf("\n%s\n", text) }

func (s *shell) cox(args ...string) error {
	fmt.Printf("\n$ bin/cox %s\n", strings.Join(args, " "))
	command := exec.CommandContext(s.ctx, filepath.Join(s.bin, "cox"), args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("cox %s: %w", args[0], err)
	}
	return nil
}

func (s *shell) kubectlCommand() string {
	return "bin/cox kubectl --kubeconfig=" + s.kubeconfig
}

func (s *shell) kubectl(args ...string) error {
	fmt.Printf("\n$ kubectl %s\n", strings.Join(args, " "))
	command := s.kubectlExec(args)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("kubectl %s: %w", args[0], err)
	}
	return nil
}

func (s *shell) kubectlOutput(args ...string) string {
	out, err := s.kubectlExec(args).Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kubectl %s: %v\n", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

func (s *shell) kubectlExec(args []string) *exec.Cmd {
	args = append([]string{"kubectl", "--kubeconfig=" + s.kubeconfig}, args...)
	return exec.CommandContext(s.ctx, filepath.Join(s.bin, "cox"), args...)
}
