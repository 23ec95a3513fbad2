// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kaeru is the controller, the importer, the sandbox and the kubectl plugin in one binary.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones must not depend on the image

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kaeru: "+err.Error())
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "kaeru",
		Short:         "Cross-channel CRM as Kubernetes resources",
		Long:          "Kaeru reconciles Segments, Scenarios and ChannelConfigs into messages by LINE, email and SMS.",
		Version:       version.Version() + " (" + version.Commit() + ")",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(managerCommand(), importCommand(), audienceCommand(), sandboxCommand(), workerCommand(), metricsCommand(),
		renderCommand(), sendTestCommand(), suppressionsCommand(), exportCommand(), eraseCommand(), bounceCommand(),
		messagesCommand(), retryCommand(), restoredCommand())
	return c
}
