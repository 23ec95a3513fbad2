// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// CheckOneWay refuses text messages that nobody could unsubscribe from: a sender that is a name cannot be
// answered with STOP, so the text has to hold a link.
func CheckOneWay(ctx context.Context, from client.Reader, namespace string, compiled *dispatch.Revision) error {
	for _, text := range compiled.WithoutOptOut() {
		var c crm.ChannelConfig
		err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: text.Channel}, &c)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if c.Spec.SMS != nil && isName(c.Spec.SMS.Twilio.From) {
			return stalled(crm.ReasonContentInvalid, "%s: ChannelConfig %q sends as %q, which is a name and cannot be answered with STOP: write {{ links.unsubscribe }} into the text",
				text.Path, text.Channel, c.Spec.SMS.Twilio.From)
		}
	}
	return nil
}

// isName tells a sender that is a name from a number or a short code.
func isName(from string) bool { return strings.ContainsFunc(from, unicode.IsLetter) }
