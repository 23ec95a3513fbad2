// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/worker"
)

// indexVariable is what Kubernetes tells the pods of an Indexed Job.
const indexVariable = "JOB_COMPLETION_INDEX"

// workerCommand is what a dispatch pod runs.
func workerCommand() *cobra.Command {
	var c worker.Config
	var format, level, hosts string
	index := os.Getenv(indexVariable)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Work one index of a run's Job off, as the pods of runner Job do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(format, level)
			if err != nil {
				return err
			}
			ctrl.SetLogger(log)
			c.Log, c.Clock = log, clock.Real()
			if c.WebhookHosts, err = webhook.ParseHosts(hosts); err != nil {
				return fmt.Errorf("--webhook-allowed-hosts: %w", err)
			}
			for name, value := range map[string]string{"store": c.Store, "namespace": c.Index.Ref.Namespace, "scenario": c.Index.Ref.Name, "run": c.Index.Run, "public-url": c.PublicURL} {
				if value == "" {
					return fmt.Errorf("--%s is not set: this command is what the pods of a Scenario with spec.dispatch.runner: Job run", name)
				}
			}
			if c.Index.N, err = strconv.Atoi(index); err != nil || c.Index.N < 0 {
				return fmt.Errorf("--index %q is no index: Kubernetes sets $%s in the pods of an Indexed Job", index, indexVariable)
			}
			kube, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the cluster: %w; set KUBECONFIG, or run in a pod", err)
			}
			err = worker.Run(cmd.Context(), kube, c)
			if err != nil && errors.Is(cmd.Context().Err(), err) {
				return errors.New("told to stop: what was not sent is left to the next pod")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Store, "store", os.Getenv(storeVariable), "DSN of the database, postgres://… ($"+storeVariable+")")
	f.StringVarP(&c.Index.Ref.Namespace, "namespace", "n", "", "namespace of the Scenario")
	f.StringVar(&c.Index.Ref.Name, "scenario", "", "name of the Scenario")
	f.StringVar(&c.Index.Run, "run", "", "name of the run, and of its Job")
	f.StringVar(&index, "index", index, "which index of the Job ($"+indexVariable+")")
	f.StringVar(&c.PublicURL, "public-url", os.Getenv("KAERU_PUBLIC_URL"), "how customers and providers reach the gateway ($KAERU_PUBLIC_URL)")
	f.StringVar(&hosts, "webhook-allowed-hosts", os.Getenv("KAERU_WEBHOOK_ALLOWED_HOSTS"), "hosts that webhook steps may call ($KAERU_WEBHOOK_ALLOWED_HOSTS)")
	f.StringVar(&format, "log-format", "json", "json or console")
	f.StringVar(&level, "log-level", "info", "debug, info or error")
	return cmd
}
