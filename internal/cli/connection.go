package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// AdminKubeconfig is where `cox up` writes the administrator's kubeconfig by
// default.
const AdminKubeconfig = "/etc/coxswain/admin.kubeconfig"

// useAdminKubeconfig makes the administrator's kubeconfig the one to be used
// where neither KUBECONFIG nor a kubeconfig of the user exists.
func useAdminKubeconfig() {
	if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" && !exists(clientcmd.RecommendedHomeFile) && exists(AdminKubeconfig) {
		os.Setenv(clientcmd.RecommendedConfigPathEnvVar, AdminKubeconfig)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// connection is how a command finds the API, by the flags that kubectl has
// for it.
type connection struct {
	flags *genericclioptions.ConfigFlags
}

// addConnection registers -n, --kubeconfig and --context.
func addConnection(flags *pflag.FlagSet) *connection {
	all := genericclioptions.NewConfigFlags(true)
	c := &connection{&genericclioptions.ConfigFlags{
		KubeConfig: all.KubeConfig, Context: all.Context, Namespace: all.Namespace,
	}}
	flags.StringVar(c.flags.KubeConfig, "kubeconfig", "", "`file` that says where the API is (default: KUBECONFIG, ~/.kube/config, or cox's own)")
	flags.StringVar(c.flags.Context, "context", "", "`name` of the context in the kubeconfig")
	flags.StringVarP(c.flags.Namespace, "namespace", "n", "", "`namespace` to work in (default: the context's)")
	return c
}

// session is an open connection.
type session struct {
	kubernetes.Interface
	host      string
	namespace string
	// isExplicit tells that the namespace was given as a flag.
	isExplicit bool
}

// open connects. Warnings of the API go to warnings.
func (c *connection) open(warnings io.Writer) (*session, error) {
	useAdminKubeconfig()
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, isExplicit, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	config.QPS, config.Burst = -1, 0 // one command asks little
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return &session{client, config.Host, namespace, isExplicit}, nil
}

// explain says of an error what to do, if it is one of the connection.
func (s *session) explain(err error) error {
	var network *net.OpError
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &network) {
		return fmt.Errorf("the API at %s does not answer: is cox running? Start it with `sudo cox up -d`, or name another with --kubeconfig (%w)", s.host, err)
	}
	return err
}
