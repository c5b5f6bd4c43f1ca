package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
)

// oneArchive is the check of import's arguments.
func oneArchive(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give one archive, or - for standard input (got %d arguments)", len(args))
	}
	return nil
}

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
		Args: oneArchive,
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
