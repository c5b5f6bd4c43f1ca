package main

import (
	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
)

func imagesCommand(config *app.Config) *cobra.Command {
	command := &cobra.Command{
		Use:   "images",
		Short: "Bring images in without a registry, and list them",
		Args:  cobra.NoArgs,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	importCommand := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Bring in the images of an archive (docker save, or an OCI layout)",
		Example: `  cox images import app.tar
  docker save app:v1 | sudo cox images import -`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return app.ImportImages(command.Context(), *config, args[0], command.InOrStdin(), command.OutOrStdout())
		},
	}
	listCommand := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the images on this machine",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return app.ListImages(command.Context(), *config, command.OutOrStdout())
		},
	}
	config.AddFlags(importCommand.Flags())
	config.AddFlags(listCommand.Flags())
	command.AddCommand(importCommand, listCommand)
	return command
}
