package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
)

func statusCommand(config *app.Config) *cobra.Command {
	command := &cobra.Command{
		Use:   "status",
		Short: "Say whether cox runs, and how it is",
		Long: `Say whether cox runs on --data-dir, where its API is, how its Node and Pods
are and how much memory its processes take. The exit code is 0 if it runs and
is ready, 1 if not.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return app.Status(command.Context(), *config, command.OutOrStdout())
		},
	}
	config.AddFlags(command.Flags())
	return command
}

func versionCommand(config *app.Config) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of cox and of what it ships",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			out := command.OutOrStdout()
			fmt.Fprintf(out, "cox         %s (%s, %s/%s)\n", config.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, part := range app.Parts() {
				fmt.Fprintf(out, "%-11s %s\n", part.Name, part.Version)
			}
			return nil
		},
	}
}

func kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl",
		Short:              "The kubectl that is built in",
		Long:               "Run the kubectl that is built in, with every command and flag of the stock one.",
		DisableFlagParsing: true,
		// main handles it before cobra sees the arguments.
		Run: func(*cobra.Command, []string) {},
	}
}
