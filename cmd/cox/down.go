package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/app"
)

func downCommand(config *app.Config) *cobra.Command {
	var pods bool
	command := &cobra.Command{
		Use:   "down",
		Short: "Stop cox; with --pods the containers too",
		Long: `Stop the cox that works on --data-dir, and wait until it has ended.

Containers go on running, and their Services go on answering, until the next
"cox up" takes them up again. --pods stops the containers and the engine too.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return app.Down(command.Context(), *config, pods, command.OutOrStdout())
		},
	}
	config.AddFlags(command.Flags())
	command.Flags().BoolVar(&pods, "pods", false, "stop the containers and the engine too")
	return command
}

func resetCommand(config *app.Config) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "reset",
		Short: "Stop everything and delete all of its data",
		Long: `Stop cox and its containers, and delete everything that it made on this
machine: the data directory with all objects, images and logs, sockets, network
devices, firewall rules and kubeconfig entries. This cannot be undone.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				fmt.Fprintf(command.OutOrStdout(), "This deletes all objects, images and logs in %s. Type yes to go on: ", config.DataDir)
				answer, _ := bufio.NewReader(command.InOrStdin()).ReadString('\n')
				if strings.TrimSpace(answer) != "yes" {
					fmt.Fprintln(command.OutOrStdout())
					return errors.New("nothing was deleted (--yes does not ask)")
				}
			}
			return app.Reset(command.Context(), *config, command.OutOrStdout())
		},
	}
	config.AddFlags(command.Flags())
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}
