// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/manager"
)

const (
	storeVariable = "KAERU_STORE"
	clockVariable = "KAERU_CLOCK"
)

func managerCommand() *cobra.Command {
	var c manager.Config
	var clockText, format, level, hosts string
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run the controller: reconcilers, dispatch and gateway in one process",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(format, level)
			if err != nil {
				return err
			}
			ctrl.SetLogger(log)
			c.Log = log
			if c.Clock, err = clock.Parse(clockText); err != nil {
				return fmt.Errorf("--clock: %w", err)
			}
			if c.WebhookHosts, err = webhook.ParseHosts(hosts); err != nil {
				return fmt.Errorf("--webhook-allowed-hosts: %w", err)
			}
			if c.Store == "" {
				return fmt.Errorf("--store is not set: write --store sqlite:///var/lib/kaeru/kaeru.db or a postgres:// DSN, or set %s", storeVariable)
			}
			if c.InboundSMTPAddress != "" && c.GatewayAddress == "" {
				return errors.New("--inbound-smtp-address needs the gateway: set --gateway-address too")
			}
			if c.PublicURL == "" {
				if c.PublicURL, err = localURL(cmp.Or(c.GatewayAddress, ":8080")); err != nil {
					return err
				}
				log.Info("No --public-url: links in messages lead to this machine only", "url", c.PublicURL)
			}
			kube, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the cluster: %w; set KUBECONFIG, or run in a pod", err)
			}
			return manager.Run(cmd.Context(), kube, c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Store, "store", os.Getenv(storeVariable), "DSN of the database, sqlite:///path/kaeru.db or postgres://… ($"+storeVariable+")")
	f.StringVar(&c.GatewayAddress, "gateway-address", ":8080", "where links, unsubscribes and providers' callbacks come in; empty for none")
	f.StringVar(&c.InboundSMTPAddress, "inbound-smtp-address", "", "where mail servers bring bounces and complaints by SMTP, such as :2525; empty for none")
	f.StringVar(&c.PublicURL, "public-url", os.Getenv("KAERU_PUBLIC_URL"), "how customers and providers reach the gateway, such as https://crm.shop.example ($KAERU_PUBLIC_URL)")
	f.StringVar(&hosts, "webhook-allowed-hosts", os.Getenv("KAERU_WEBHOOK_ALLOWED_HOSTS"), "hosts that webhook steps may call, such as hooks.shop.example,*.partner.example ($KAERU_WEBHOOK_ALLOWED_HOSTS)")
	f.StringVar(&c.MetricsAddress, "metrics-address", ":9090", "where Prometheus metrics are served; 0 for none")
	f.StringVar(&c.HealthAddress, "health-address", ":8081", "where /healthz and /readyz are served; 0 for none")
	f.BoolVar(&c.LeaderElect, "leader-elect", false, "let one of several replicas lead; needs PostgreSQL")
	f.StringVar(&c.LeaderElectionNamespace, "leader-election-namespace", "", "namespace of the lease (default: the pod's own)")
	f.StringVar(&c.Workers.Image, "image", "kaeru", "image that the Jobs name, and that the pods of runner Job run")
	f.StringVar(&c.Workers.ServiceAccount, "worker-service-account", "kaeru-worker", "ServiceAccount of the pods of runner Job, in the Scenario's namespace")
	f.StringVar(&c.Workers.StoreSecret, "worker-store-secret", "kaeru-store", "Secret with the store's address for the pods of runner Job, in the Scenario's namespace")
	f.StringVar(&c.Workers.StoreKey, "worker-store-key", "dsn", "the key of the address in that Secret")
	f.StringVar(&clockText, "clock", os.Getenv(clockVariable), "for demos: business time, such as 2026-11-01T09:00:00+09:00@2026-11-23T05:00:00Z*3600 ($"+clockVariable+")")
	f.StringVar(&format, "log-format", "json", "json or console")
	f.StringVar(&level, "log-level", "info", "debug, info or error")
	return cmd
}

func logger(format, level string) (logr.Logger, error) {
	var l zapcore.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level %q: write debug, info or error", level)
	}
	switch format {
	case "json":
		return zap.New(zap.Level(l)), nil
	case "console":
		return zap.New(zap.Level(l), zap.UseDevMode(true)), nil
	}
	return logr.Logger{}, fmt.Errorf("--log-format %q: write json or console", format)
}

// localURL is where a gateway is reached on its own machine.
func localURL(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("--gateway-address %q: write it like :8080", address)
	}
	if host == "" || net.ParseIP(host) != nil && net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}
