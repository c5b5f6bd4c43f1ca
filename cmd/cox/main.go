// Command cox runs Kubernetes Deployments on one machine in one program.
//
// Usage: cox up|down|status|plan|simulate|rollout|net|kubectl|images|reset|version
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
	"coxswain.dev/cox/internal/cli"
)

// version is set by the Makefile: the git description of what was built.
var version = "development"

func main() {
	// `cox kubectl` hands everything after it to kubectl as it stands.
	if len(os.Args) > 1 && os.Args[1] == "kubectl" {
		os.Exit(cli.Kubectl(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	code, toPrint := cli.ExitCode(err)
	if toPrint && !app.Silent(err) {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
	}
	os.Exit(code)
}

func root() *cobra.Command {
	config := &app.Config{Version: version}
	command := &cobra.Command{
		Use:   "cox",
		Short: "Kubernetes Deployments on one machine, in one program",
		Long: `Coxswain runs Kubernetes Deployments on one machine, in one program: the
API, the controllers, the node and its network. Use it with kubectl, Helm or
any other client of the Kubernetes API.

  sudo cox up -d        start it in the background
  kubectl get nodes     your kubectl works; cox kubectl is one of our own
  sudo cox down         stop it; containers go on running
  sudo cox down --pods  stop the containers too`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	command.CompletionOptions.HiddenDefaultCmd = true
	command.AddCommand(
		upCommand(config), downCommand(config), statusCommand(config),
		cli.PlanCommand(), cli.SimulateCommand(), cli.RolloutCommand(), cli.NetCommand(),
		imagesCommand(config), resetCommand(config), kubectlCommand(), versionCommand(config),
	)
	return command
}
