package cli

import (
	"bytes"
	"io"
	"os"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	_ "coxswain.dev/cox/internal/cli/translations" // are loaded only for kubectl
)

// Kubectl runs the kubectl that is built in with the arguments after
// `cox kubectl`, and returns its exit code.
//
// Where neither KUBECONFIG nor a kubeconfig of the user exists, it uses the
// administrator's of this machine, so that a fresh machine needs no set-up.
func Kubectl(args []string) int {
	useAdminKubeconfig()
	// kubectl looks at os.Args for plugins and for its own name in messages.
	os.Args = append([]string{"kubectl"}, args...)

	code := 0
	var message bytes.Buffer
	kubectlutil.BehaviorOnFatal(func(text string, exitCode int) {
		io.WriteString(&message, text)
		code = exitCode
		panic(fatal{})
	})
	defer kubectlutil.DefaultBehaviorOnFatal()
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	command := kubectlcmd.NewDefaultKubectlCommandWithArgs(kubectlcmd.KubectlOptions{
		PluginHandler: kubectlcmd.NewDefaultPluginHandler([]string{"kubectl"}),
		Arguments:     os.Args,
		ConfigFlags:   flags,
		IOStreams:     genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
	})
	if err := execute(command.Execute); err != nil && message.Len() == 0 {
		// cobra has printed it, with the usage.
		return 1
	}
	if text := message.String(); text != "" {
		io.WriteString(os.Stderr, withNewline(text))
		io.WriteString(os.Stderr, nearNames(flags, text)+yamlHint(text))
	}
	return code
}

// fatal unwinds from kubectl's fatal error to execute.
type fatal struct{}

// execute runs the command, and stops at the first fatal error.
func execute(run func() error) (err error) {
	defer func() {
		switch caught := recover(); caught.(type) {
		case nil, fatal:
		default:
			panic(caught)
		}
	}()
	return run()
}

func withNewline(text string) string {
	if text[len(text)-1] != '\n' {
		return text + "\n"
	}
	return text
}
