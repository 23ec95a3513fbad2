// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// getters gives what holds where nothing is said, by the end of the field's path.
var getters = map[string]any{
	".suspend":                       false,
	"spec.refreshInterval":           new(v1alpha1.SegmentSpec).RefreshIntervalOrDefault(),
	"spend.of":                       new(v1alpha1.SpendCondition).OfOrDefault(),
	"reachable.mode":                 new(v1alpha1.ReachableCondition).ModeOrDefault(),
	"spec.mode":                      new(v1alpha1.ChannelConfigSpec).ModeOrDefault(),
	"line.endpoint":                  new(v1alpha1.LineChannel).EndpointOrDefault(),
	"twilio.endpoint":                new(v1alpha1.TwilioAccount).EndpointOrDefault(),
	"smtp.maxConnections":            new(v1alpha1.SMTPRelay).MaxConnectionsOrDefault(),
	"smtp.port":                      new(v1alpha1.SMTPRelay).PortOrDefault(),
	"smtp.tls":                       new(v1alpha1.SMTPRelay).TLSOrDefault(),
	"tracking.opens":                 new(v1alpha1.Tracking).OpensOrDefault(),
	"tracking.clicks":                new(v1alpha1.Tracking).ClicksOrDefault(),
	"frequencyCaps[].scope":          new(v1alpha1.FrequencyCap).ScopeOrDefault(),
	"quietHours.policy":              new(v1alpha1.QuietHours).PolicyOrDefault(),
	"spec.priority":                  new(v1alpha1.ScenarioSpec).PriorityOrDefault(),
	"goal.attribution":               new(v1alpha1.Goal).AttributionOrDefault(),
	"abortOn.minimumSent":            new(v1alpha1.AbortOn).MinimumSentOrDefault(),
	"dispatch.runner":                (*v1alpha1.Dispatch)(nil).RunnerOrDefault(),
	"dispatch.shardSize":             (*v1alpha1.Dispatch)(nil).ShardSizeOrDefault(),
	"dispatch.parallelism":           (*v1alpha1.Dispatch)(nil).ParallelismOrDefault(),
	"successfulJobsHistoryLimit":     (*v1alpha1.Dispatch)(nil).SuccessfulJobsHistoryLimitOrDefault(),
	"failedJobsHistoryLimit":         (*v1alpha1.Dispatch)(nil).FailedJobsHistoryLimitOrDefault(),
	"tolerations[].operator":         new(v1alpha1.Toleration).OperatorOrDefault(),
	"winner.minRecipients":           new(v1alpha1.Winner).MinRecipientsOrDefault(),
	"winner.confidence":              new(v1alpha1.Winner).ConfidenceOrDefault(),
	"recommend.limit":                new(v1alpha1.Recommend).LimitOrDefault(),
	"webhook.timeout":                new(v1alpha1.WebhookStep).TimeoutOrDefault(),
	"schedule.startingDeadline":      new(v1alpha1.ScheduleTrigger).StartingDeadlineOrDefault(),
	"trigger.event.startingDeadline": new(v1alpha1.EventTrigger).StartingDeadlineOrDefault(),
	"productEvent.startingDeadline":  new(v1alpha1.ProductEventTrigger).StartingDeadlineOrDefault(),
	"productEvent.within":            new(v1alpha1.ProductEventTrigger).WithinOrDefault(),
	"trigger.date.startingDeadline":  new(v1alpha1.DateTrigger).StartingDeadlineOrDefault(),
	"trigger.date.time":              new(v1alpha1.DateTrigger).TimeOrDefault(),
	".offset":                        v1alpha1.SignedDuration("").Duration(),
}

// A description says "Default X" of a value, and "Default: so and so" of what is no value.
func TestDefaultsAreAsDocumented(t *testing.T) {
	value := regexp.MustCompile(`Default ([^ ,]+?)[.,]?( |$)`)
	tested := map[string]bool{}
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			match := value.FindStringSubmatch(s.Description)
			if match == nil || !isSpec(path) {
				return
			}
			for suffix, got := range getters {
				if !strings.HasSuffix(path, suffix) {
					continue
				}
				tested[suffix] = true
				if d, ok := got.(time.Duration); ok {
					if want, err := v1alpha1.ParseDuration(match[1]); err != nil || d != want {
						t.Errorf("%s: %s is %v, documented as %s", kind, path, d, match[1])
					}
				} else if fmt.Sprint(got) != match[1] {
					t.Errorf("%s: %s is %v, documented as %s", kind, path, got, match[1])
				}
				return
			}
			t.Errorf("%s: %s is documented to be %s, and no getter is known here", kind, path, match[1])
		})
	}
	for suffix := range getters {
		if !tested[suffix] {
			t.Errorf("%s: no field documents this default", suffix)
		}
	}
}

func TestGetters(t *testing.T) {
	two, zero := int32(2), int32(0)
	email := v1alpha1.EmailChannel{From: "Kaeru Shop <news@shop.example>"}
	rangeOf := func(c v1alpha1.Count) string {
		from, to := c.Range()
		if to == nil {
			return fmt.Sprintf("%d–", from)
		}
		return fmt.Sprintf("%d–%d", from, *to)
	}
	for name, c := range map[string]struct{ got, want any }{
		"rate limit":                 {new(v1alpha1.ChannelConfigSpec).PerSecondOrDefault(), int32(100)},
		"rate limit, said":           {(&v1alpha1.ChannelConfigSpec{RateLimit: &v1alpha1.RateLimit{PerSecond: 5}}).PerSecondOrDefault(), int32(5)},
		"type line":                  {(&v1alpha1.ChannelConfigSpec{Line: &v1alpha1.LineChannel{}}).Type(), v1alpha1.ChannelLine},
		"type email":                 {(&v1alpha1.ChannelConfigSpec{Email: &email}).Type(), v1alpha1.ChannelEmail},
		"type sms":                   {(&v1alpha1.ChannelConfigSpec{SMS: &v1alpha1.SMSChannel{}}).Type(), v1alpha1.ChannelSMS},
		"reply to":                   {email.ReplyToOrDefault(), "Kaeru Shop <news@shop.example>"},
		"reply to, said":             {(&v1alpha1.EmailChannel{From: "a@b.c", ReplyTo: "d@e.f"}).ReplyToOrDefault(), "d@e.f"},
		"return path":                {email.ReturnPathOrDefault(), "news@shop.example"},
		"return path, said":          {(&v1alpha1.EmailChannel{From: "a@b.c", ReturnPath: "d@e.f"}).ReturnPathOrDefault(), "d@e.f"},
		"port with implicit TLS":     {(&v1alpha1.SMTPRelay{TLS: v1alpha1.TLSImplicit}).PortOrDefault(), int32(465)},
		"port without TLS":           {(&v1alpha1.SMTPRelay{TLS: v1alpha1.TLSDisabled}).PortOrDefault(), int32(25)},
		"port, said":                 {(&v1alpha1.SMTPRelay{Port: 2525}).PortOrDefault(), int32(2525)},
		"no tracking said":           {(*v1alpha1.Tracking)(nil).OpensOrDefault(), v1alpha1.Enabled},
		"tracking, said":             {(&v1alpha1.Tracking{Clicks: v1alpha1.Disabled}).ClicksOrDefault(), v1alpha1.Disabled},
		"zone":                       {new(v1alpha1.ScheduleTrigger).TimeZoneOr(""), "UTC"},
		"zone of the shop":           {new(v1alpha1.ScheduleTrigger).TimeZoneOr("Asia/Tokyo"), "Asia/Tokyo"},
		"zone, said":                 {(&v1alpha1.ScheduleTrigger{TimeZone: "Europe/Paris"}).TimeZoneOr("Asia/Tokyo"), "Europe/Paris"},
		"zone of quiet hours":        {new(v1alpha1.QuietHours).TimeZoneOr("Asia/Tokyo"), "Asia/Tokyo"},
		"zone of a date":             {new(v1alpha1.DateTrigger).TimeZoneOr(""), "UTC"},
		"currency of the shop":       {new(v1alpha1.ChannelCost).CurrencyOr("JPY"), "JPY"},
		"currency, said":             {(&v1alpha1.Budget{Currency: "USD"}).CurrencyOr("JPY"), "USD"},
		"dormant":                    {new(v1alpha1.LifecycleCondition).DormantAfterOr(0), 150 * 24 * time.Hour},
		"dormant by the shop":        {new(v1alpha1.LifecycleCondition).DormantAfterOr(time.Hour), time.Hour},
		"dormant, said":              {(&v1alpha1.LifecycleCondition{DormantAfter: "2d"}).DormantAfterOr(time.Hour), 48 * time.Hour},
		"reentry":                    {new(v1alpha1.ScenarioSpec).ReentryPolicyOrDefault(), "Never"},
		"reentry, said":              {(&v1alpha1.ScenarioSpec{Reentry: &v1alpha1.Reentry{Policy: "Always"}}).ReentryPolicyOrDefault(), "Always"},
		"priority 0 is a priority":   {(&v1alpha1.ScenarioSpec{Priority: &zero}).PriorityOrDefault(), int32(0)},
		"no history is a choice":     {(&v1alpha1.Dispatch{FailedJobsHistoryLimit: &zero}).FailedJobsHistoryLimitOrDefault(), int32(0)},
		"dispatch, partly said":      {(&v1alpha1.Dispatch{ShardSize: 7}).ParallelismOrDefault(), int32(4)},
		"count without a field":      {rangeOf(v1alpha1.Count{}), "1–"},
		"count exactly":              {rangeOf(v1alpha1.Count{Exactly: &zero}), "0–0"},
		"count at most takes zero":   {rangeOf(v1alpha1.Count{AtMost: &two}), "0–2"},
		"count at least":             {rangeOf(v1alpha1.Count{AtLeast: &two}), "2–"},
		"count at least and at most": {rangeOf(v1alpha1.Count{AtLeast: &zero, AtMost: &two}), "0–2"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %v, want %v", c.got, c.want)
			}
		})
	}
}
