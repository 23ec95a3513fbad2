// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// built says which fields of a type work, by the name they have in a spec. A field that is not here
// is accepted by the schema and reported by UnsupportedFields, so that nothing is ever ignored: a
// field added to a type is unsupported until it is added here as well.
var built = map[reflect.Type]string{
	reflect.TypeFor[ChannelConfigSpec](): "line email sms suspend mode allowList rateLimit quietHours frequencyCaps cost",
	reflect.TypeFor[LineChannel]():       "credentialsSecretRef endpoint",
	reflect.TypeFor[EmailChannel]():      "from replyTo smtp dkim returnPath tracking",
	reflect.TypeFor[SMTPRelay]():         "host port tls allowPlaintext credentialsSecretRef maxConnections",
	reflect.TypeFor[DKIM]():              "domain selector privateKeySecretRef",
	reflect.TypeFor[Tracking]():          "opens clicks",
	reflect.TypeFor[SMSChannel]():        "twilio",
	reflect.TypeFor[TwilioAccount]():     "credentialsSecretRef from messagingServiceSID endpoint",
	reflect.TypeFor[RateLimit]():         "perSecond",
	reflect.TypeFor[QuietHours]():        "start end timeZone policy",
	reflect.TypeFor[FrequencyCap]():      "messages per scope",
	reflect.TypeFor[ChannelCost]():       "perMessage currency",

	reflect.TypeFor[SegmentSpec]():        "description refreshInterval suspend match",
	reflect.TypeFor[Match]():              "all any none",
	reflect.TypeFor[NestedCondition]():    "anyOf allOf",
	reflect.TypeFor[Condition]():          "attribute orders spend firstOrder lastOrder event lifecycle rfm subscription reachable engagement replenishment favourite segment expression",
	reflect.TypeFor[AttributeCondition](): "name in notIn atLeast atMost before after presence anniversaryWithin",
	reflect.TypeFor[Count]():              "exactly atLeast atMost",
	reflect.TypeFor[OrdersCondition]():    "within where",
	reflect.TypeFor[OrderFilter]():        "category product source status totalAtLeast",
	reflect.TypeFor[SpendCondition]():     "of atLeast atMost topPercent bottomPercent within where",
	reflect.TypeFor[AgeCondition]():       "within olderThan",
	reflect.TypeFor[LifecycleCondition](): "in dormantAfter",
	reflect.TypeFor[ReachableCondition](): "channels mode",

	reflect.TypeFor[EventCondition]():         "name within where notFollowedBy",
	reflect.TypeFor[FollowUp]():               "name within",
	reflect.TypeFor[RFMCondition]():           "recency frequency monetary",
	reflect.TypeFor[QuintileRange]():          "atLeast atMost",
	reflect.TypeFor[SubscriptionCondition]():  "status plan cancelledWithin nextDeliveryWithin",
	reflect.TypeFor[EngagementCondition]():    "kind scenario channel within",
	reflect.TypeFor[ReplenishmentCondition](): "dueWithin category product",
	reflect.TypeFor[FavouriteCondition]():     "product category within",

	reflect.TypeFor[ScenarioSpec]():        "description suspend epoch segmentRef trigger purpose priority reentry holdout coupon goal exitOn guardrails dispatch steps",
	reflect.TypeFor[Trigger]():             "schedule segmentEntry event productEvent date",
	reflect.TypeFor[ProductEventTrigger](): "name audience within where startingDeadline",
	reflect.TypeFor[DateTrigger]():         "of attribute anniversary offset time timeZone startingDeadline",
	reflect.TypeFor[SegmentEntryTrigger](): "",
	reflect.TypeFor[EventTrigger]():        "name where startingDeadline",
	reflect.TypeFor[Guardrails]():          "maxRecipientsPerRun maxGrowth budget abortOn",
	reflect.TypeFor[Budget]():              "amount currency per",
	reflect.TypeFor[AbortOn]():             "bounceRate complaintRate unsubscribeRate minimumSent",
	reflect.TypeFor[ScenarioCoupon]():      "pool validFor",
	reflect.TypeFor[Holdout]():             "percent",
	reflect.TypeFor[ScheduleTrigger]():     "cron timeZone at startingDeadline",
	reflect.TypeFor[Reentry]():             "policy cooldown key",
	reflect.TypeFor[Goal]():                "event within target attribution",
	reflect.TypeFor[Dispatch]():            "runner shardSize parallelism successfulJobsHistoryLimit failedJobsHistoryLimit podTemplate",
	reflect.TypeFor[PodTemplate]():         "resources nodeSelector tolerations priorityClassName labels annotations",
	reflect.TypeFor[PodResources]():        "requests limits",
	reflect.TypeFor[Toleration]():          "key operator value effect tolerationSeconds",
	reflect.TypeFor[Step]():                "name wait if email line sms webhook update enter exit",
	reflect.TypeFor[UpdateStep]():          "attributes",
	reflect.TypeFor[EnterStep]():           "scenario",
	reflect.TypeFor[WebhookStep]():         "url signingSecretRef body timeout",
	reflect.TypeFor[Wait]():                "for until untilEvent at weekdays",
	reflect.TypeFor[DateOffset]():          "of attribute offset",
	reflect.TypeFor[UntilEvent]():          "name timeout",
	reflect.TypeFor[EmailStep]():           "variants winner fallback",
	reflect.TypeFor[EmailVariant]():        "",
	reflect.TypeFor[LineStep]():            "variants winner fallback",
	reflect.TypeFor[LineVariant]():         "",
	reflect.TypeFor[SMSStep]():             "variants winner fallback",
	reflect.TypeFor[SMSVariant]():          "",
	reflect.TypeFor[VariantShare]():        "name weight",
	reflect.TypeFor[Winner]():              "metric minRecipients confidence",
	reflect.TypeFor[EmailMessage]():        "channel recommend",
	reflect.TypeFor[EmailContent]():        "subject preheader mjml mjmlFrom html htmlFrom text textFrom",
	reflect.TypeFor[LinePush]():            "channel recommend",
	reflect.TypeFor[LineContent]():         "messages",
	reflect.TypeFor[LineMessage]():         "type -", // and the whole object, as it was written
	reflect.TypeFor[SMSMessage]():          "channel recommend",
	reflect.TypeFor[SMSContent]():          "text",
	reflect.TypeFor[Fallback]():            "email line sms",
	reflect.TypeFor[Recommend]():           "strategy limit",

	reflect.TypeFor[ContentSource]():  "configMapKeyRef",
	reflect.TypeFor[LocalReference](): "name",
	reflect.TypeFor[KeyReference]():   "name key",
}

// builtValues says which values work of fields of which not all do.
var builtValues = map[reflect.Type]map[string][]string{
	reflect.TypeFor[ScenarioSpec](): {"exitOn": {string(ExitGoal), string(ExitSegment), string(ExitUnsubscribed)}},
	reflect.TypeFor[Dispatch]():     {"runner": {string(RunnerInProcess), string(RunnerJob)}},
}

// UnsupportedFields names what is set in the spec and not built yet, as paths such as
// "spec.quietHours".
func (s *ChannelConfigSpec) UnsupportedFields() []string { return unsupported(s) }

// UnsupportedFields names what is set in the spec and not built yet, as paths such as
// "spec.match.all[0].rfm".
func (s *SegmentSpec) UnsupportedFields() []string { return unsupported(s) }

// UnsupportedFields names what is set in the spec and not built yet, as paths such as
// "spec.steps[1].webhook".
func (s *ScenarioSpec) UnsupportedFields() []string { return unsupported(s) }

func unsupported(spec any) []string {
	var paths []string
	visit(reflect.ValueOf(spec).Elem(), "spec", &paths)
	return paths
}

// visit looks at the fields of v that are set. What is unsupported is not entered: one path says enough.
func visit(v reflect.Value, path string, paths *[]string) {
	switch v.Kind() {
	case reflect.Pointer:
		visit(v.Elem(), path, paths)
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i), paths)
		}
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[Match]().PkgPath() { // a value, such as an int-or-string
			return
		}
		names := strings.Fields(built[v.Type()])
		for i := range v.NumField() {
			field, value := v.Type().Field(i), v.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch at := path + "." + name; {
			case field.Anonymous:
				visit(value, path, paths)
			case value.IsZero():
			case !slices.Contains(names, name):
				*paths = append(*paths, at)
			default:
				visitValue(value, builtValues[v.Type()][name], at, paths)
			}
		}
	}
}

// visitValue also holds the value against those that work, where only some do.
func visitValue(v reflect.Value, values []string, path string, paths *[]string) {
	switch {
	case values == nil:
		visit(v, path, paths)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			visitValue(v.Index(i), values, fmt.Sprintf("%s[%d]", path, i), paths)
		}
	case !slices.Contains(values, v.String()):
		*paths = append(*paths, path)
	}
}
