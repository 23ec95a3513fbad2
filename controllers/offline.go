// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// What commands need that look at resources themselves, through the functions that reconcile them.

// Bundle reads what a Scenario refers to, from a cluster or from files.
func Bundle(ctx context.Context, from client.Reader, scenario *crm.Scenario) (journey.Bundle, error) {
	if err := unsupported(scenario.Spec.UnsupportedFields()); err != nil {
		return journey.Bundle{}, err
	}
	shop, err := readShop(ctx, from, scenario.Namespace)
	if err != nil {
		return journey.Bundle{}, err
	}
	b := journey.Bundle{Spec: *scenario.Spec.DeepCopy(), Shop: shop}
	r := &ScenarioReconciler{Live: from}
	for i := range b.Spec.Steps {
		if err := r.inline(ctx, scenario.Namespace, &b.Spec.Steps[i], fmt.Sprintf("spec.steps[%d]", i)); err != nil {
			return journey.Bundle{}, err
		}
	}
	return b, nil
}

// Channel is a channel as its ChannelConfig describes it. With dial it has a Sender, made with the Secret that
// the ChannelConfig names, which the caller closes.
func Channel(ctx context.Context, from client.Reader, config *crm.ChannelConfig, dial bool) (*dispatch.Channel, error) {
	if err := unsupported(config.Spec.UnsupportedFields()); err != nil {
		return nil, err
	}
	shop, err := readShop(ctx, from, config.Namespace)
	if err != nil {
		return nil, err
	}
	built := &builtSender{}
	if dial {
		r := &ChannelConfigReconciler{Live: from}
		if built, err = r.build(ctx, dispatch.Ref{Namespace: config.Namespace, Name: config.Name}, config); err != nil {
			return nil, err
		}
	}
	return configured(config, built, "", shop)
}

// EmailConfig is what a mail channel's spec says, without credentials.
func EmailConfig(c *crm.EmailChannel) email.Config {
	return email.Config{
		From: c.From, ReplyTo: string(c.ReplyTo), ReturnPath: string(c.ReturnPath),
		Host: c.SMTP.Host, Port: int(c.SMTP.PortOrDefault()), TLS: email.TLSMode(c.SMTP.TLSOrDefault()),
		MaxConnections: int(c.SMTP.MaxConnectionsOrDefault()),
	}
}
