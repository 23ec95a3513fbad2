// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Ready says that a resource is accepted and armed; how a run went is in the
// others. Reconciling and Stalled are there only while they are true (kstatus).
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"

	// ChannelConfig
	ConditionCredentialsValid = "CredentialsValid"
	ConditionQuotaAvailable   = "QuotaAvailable"
	ConditionBudgetAvailable  = "BudgetAvailable"
	ConditionDKIMVerified     = "DKIMVerified"
	ConditionUnitsAvailable   = "UnitsAvailable"
	ConditionMailAccepted     = "MailAccepted"

	// Segment
	ConditionFresh = "Fresh"

	// Scenario
	ConditionDispatching      = "Dispatching"
	ConditionGuardrailsPassed = "GuardrailsPassed"
	ConditionGoalMet          = "GoalMet"
	ConditionCouponsAvailable = "CouponsAvailable"
)

// Reasons of conditions and events.
const (
	ReasonReady       = "Ready"
	ReasonArmed       = "Armed"
	ReasonSuspended   = "Suspended"
	ReasonProgressing = "Progressing"
	ReasonDeleting    = "Deleting"

	// Stalled: somebody has to change something.
	ReasonUnsupported        = "Unsupported"
	ReasonInvalidSpec        = "InvalidSpec"
	ReasonSecretNotFound     = "SecretNotFound"
	ReasonSecretInvalid      = "SecretInvalid"
	ReasonConfigMapNotFound  = "ConfigMapNotFound"
	ReasonConfigMapInvalid   = "ConfigMapInvalid"
	ReasonChannelNotFound    = "ChannelNotFound"
	ReasonChannelTypeWrong   = "ChannelTypeWrong"
	ReasonSegmentNotFound    = "SegmentNotFound"
	ReasonSegmentCycle       = "SegmentCycle"
	ReasonScenarioNotFound   = "ScenarioNotFound"
	ReasonScenarioCycle      = "ScenarioCycle"
	ReasonContentInvalid     = "ContentInvalid"
	ReasonExpressionInvalid  = "ExpressionInvalid"
	ReasonScheduleInvalid    = "ScheduleInvalid"
	ReasonCredentialsInvalid = "CredentialsInvalid"
	ReasonWebhookNotAllowed  = "WebhookNotAllowed"
	ReasonJobNotOurs         = "JobNotOurs"
	// ReasonServiceAccountNotFound is that of the pods of runner Job.
	ReasonServiceAccountNotFound = "ServiceAccountNotFound"
	ReasonWriteKeyInvalid        = "WriteKeyInvalid"
	ReasonWriteKeyNotUnique      = "WriteKeyNotUnique"

	// Waiting or retried by itself.
	ReasonProviderUnreachable = "ProviderUnreachable"
	ReasonStoreUnavailable    = "StoreUnavailable"
	ReasonRefreshFailed       = "RefreshFailed"
	ReasonRefreshed           = "Refreshed"
	ReasonSegmentNotReady     = "SegmentNotReady"
	ReasonChannelNotReady     = "ChannelNotReady"

	// Channels.
	ReasonVerified       = "Verified"
	ReasonNotChecked     = "NotChecked"
	ReasonWithinQuota    = "WithinQuota"
	ReasonQuotaExhausted = "QuotaExhausted"
	ReasonUnlimited      = "Unlimited"
	ReasonResumed        = "Resumed"
	// ReasonDKIMRecordWrong and ReasonDNSUnavailable are about the signing key's record.
	ReasonDKIMRecordWrong = "DKIMRecordWrong"
	ReasonDNSUnavailable  = "DNSUnavailable"
	ReasonQuotaLow        = "QuotaLow"
	ReasonTooManyUnits    = "TooManyUnits"
	ReasonPolicyRefused   = "PolicyRefused"

	// Runs.
	ReasonRunActive         = "RunActive"
	ReasonIdle              = "Idle"
	ReasonTargetReached     = "TargetReached"
	ReasonGuardrailsPassed  = "Passed"
	ReasonGuardrailsHeld    = "Held"
	ReasonGuardrailsStopped = "Stopped"
	ReasonCouponsLeft       = "CouponsLeft"
	ReasonCouponsLow        = "CouponsLow"
	ReasonCouponsExhausted  = "CouponsExhausted"
	ReasonTargetNotMet      = "TargetNotMet"
	ReasonSlotMissed        = "SlotMissed"
	ReasonRunPlanned        = "RunPlanned"
	ReasonRunCompleted      = "RunCompleted"
	ReasonRunnerFailed      = "RunnerFailed"
	ReasonCancelledByDel    = "CancelledByDeletion"
)

const (
	// AnnotationRequestedAt asks for a refresh now; its value is echoed in status.lastHandledRequest.
	AnnotationRequestedAt = "crm.kaeru.dev/requestedAt"
	// LabelWriteKey is, with the value "true", on Secrets whose key WriteKeyData lets facts in over HTTP.
	LabelWriteKey = "crm.kaeru.dev/write-key"
	// WriteKeyData is the key of such a Secret that holds the write key.
	WriteKeyData = "writeKey"
	// LabelScenario is on what a Scenario owns.
	LabelScenario = "crm.kaeru.dev/scenario"
	// JobManager is what the Jobs that Kaeru works off itself carry as spec.managedBy.
	JobManager = "crm.kaeru.dev/in-process"
	// ShopConfigMap holds the shop's own defaults in its namespace.
	ShopConfigMap = "kaeru-shop"
	// FieldOwner is the name under which Kaeru writes to the API server.
	FieldOwner = "kaeru"
)
