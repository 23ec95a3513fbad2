// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/report"
)

// refusedWithin is how long a refusal is shown, on business time.
const refusedWithin = 24 * time.Hour

// refusals says in the status of a mail channel that mail servers refuse its mails for reasons of
// policy. No address is suppressed for it: it is for the operator to mend, and says nothing of
// customers.
func (r *ChannelConfigReconciler) refusals(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig) error {
	if config.Spec.Email == nil {
		return nil
	}
	n, status, err := report.Refused(ctx, r.Store, ref.Namespace, ref.Name, r.Clock.Now().Add(-refusedWithin))
	if err != nil {
		return err
	}
	to := conditions{&config.Status.Conditions, config.Generation}
	if n == 0 {
		to.remove(crm.ConditionMailAccepted)
		return nil
	}
	last := ""
	if status != "" {
		last = ", the last with status " + status
	}
	message := fmt.Sprintf("in the last 24 hours %d mails were refused for reasons of policy%s: "+
		"check SPF, DKIM, DMARC, reverse DNS and blocklists; no address was suppressed for it", n, last)
	fresh := meta.FindStatusCondition(config.Status.Conditions, crm.ConditionMailAccepted) == nil
	to.set(crm.ConditionMailAccepted, false, crm.ReasonPolicyRefused, message)
	if fresh {
		r.Recorder.Eventf(config, nil, "Warning", crm.ReasonPolicyRefused, "Report", "%s", message)
	}
	return nil
}
