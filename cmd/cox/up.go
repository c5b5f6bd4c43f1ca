package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
)

func upCommand(config *app.Config) *cobra.Command {
	var detach bool
	command := &cobra.Command{
		Use:   "up",
		Short: "Start everything: API, controllers, containers and network",
		Long: `Start everything on this machine, and print each step with its time.

In the foreground, Ctrl-C stops cox cleanly. Containers go on running, and the
next "cox up" takes them up again without restarting one. All state is in
--data-dir; several instances can run side by side, each with its own
directories, port and network namespace.`,
		Example: `  sudo cox up -d
  sudo cox up --registry-mirror docker.io=http://127.0.0.1:5000`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if detach {
				return app.Background(command.Context(), *config, withoutDetach(os.Args[1:]), command.OutOrStdout())
			}
			return app.Run(command.Context(), *config, command.OutOrStdout())
		},
	}
	config.AddFlags(command.Flags())
	config.AddUpFlags(command.Flags())
	command.Flags().BoolVarP(&detach, "detach", "d", false, "start in the background, and return when it is ready")
	return command
}

// withoutDetach is the command line of the background process.
func withoutDetach(args []string) []string {
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		return arg == "-d" || arg == "--detach" || arg == "--detach=true"
	})
	return append(args, "--detach=false")
}
