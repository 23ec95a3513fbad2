// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/channel/sms"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

// httpConcurrency is how many requests a LINE or SMS channel has under way at once; the rate limit
// decides how fast they follow each other.
const httpConcurrency = 32

// builtSender is a sender with the mark of what it was built from.
type builtSender struct {
	fingerprint string
	sender      channel.Sender
	// authToken verifies Twilio's callbacks, channelSecret LINE's.
	authToken, channelSecret string
	// webhooks verify what mail providers tell.
	webhooks dispatch.EmailWebhooks
}

// build makes the channel's sender, or gives the one there is while nothing it was made from changed.
func (r *ChannelConfigReconciler) build(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig) (*builtSender, error) {
	path, name := credentials(&config.Spec)
	var secret *corev1.Secret
	version := ""
	if name != "" {
		var err error
		if secret, err = readSecret(ctx, r.Live, config.Namespace, path, name); err != nil {
			return nil, err
		}
		version = string(secret.UID) + "/" + secret.ResourceVersion
	}
	dkim, dkimVersion, err := r.signing(ctx, config)
	if err != nil {
		return nil, err
	}
	version += " " + dkimVersion
	fingerprint, err := fingerprintOf(&config.Spec, version)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	seen := r.known[ref]
	r.mu.Unlock()
	if seen != nil && seen.fingerprint == fingerprint {
		return seen.sender, nil
	}
	b := &builtSender{fingerprint: fingerprint}
	switch {
	case config.Spec.Line != nil:
		err = b.line(config.Spec.Line, secret, path)
	case config.Spec.SMS != nil:
		err = b.sms(&config.Spec.SMS.Twilio, secret, path)
	default:
		base := EmailConfig(config.Spec.Email)
		base.DKIM, base.Resolver, base.BounceToken = dkim, r.Resolver, r.BounceToken
		err = b.email(secret, path, base)
	}
	return b, err
}

// credentials names the Secret that a channel needs, and where the spec says so.
func credentials(s *crm.ChannelConfigSpec) (path string, name crm.ObjectName) {
	switch {
	case s.Line != nil:
		return "spec.line.credentialsSecretRef", s.Line.CredentialsSecretRef.Name
	case s.SMS != nil:
		return "spec.sms.twilio.credentialsSecretRef", s.SMS.Twilio.CredentialsSecretRef.Name
	case s.Email != nil && s.Email.SMTP.CredentialsSecretRef != nil:
		return "spec.email.smtp.credentialsSecretRef", s.Email.SMTP.CredentialsSecretRef.Name
	}
	return "", ""
}

// fingerprintOf marks what a sender is made from: the provider's part of the spec, and the Secret's
// version. Rates, modes and prices may change without a new connection.
func fingerprintOf(s *crm.ChannelConfigSpec, secretVersion string) (string, error) {
	text, err := json.Marshal([]any{s.Line, s.Email, s.SMS, s.ModeOrDefault() == crm.ModeSandbox, secretVersion})
	if err != nil {
		return "", fmt.Errorf("marking a channel's configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

func (b *builtSender) line(c *crm.LineChannel, secret *corev1.Secret, path string) (err error) {
	config := line.Config{
		Endpoint: c.EndpointOrDefault(), Concurrency: httpConcurrency,
		ChannelAccessToken: trimSpace(secret.Data["channelAccessToken"]), ChannelID: trimSpace(secret.Data["channelID"]),
		PrivateKey: trimSpace(secret.Data["privateKey"]), KeyID: trimSpace(secret.Data["keyID"]), TokenKind: trimSpace(secret.Data["tokenKind"]),
	}
	if config.ChannelAccessToken == "" && config.ChannelID == "" {
		return stalled(crm.ReasonSecretInvalid, "%s: Secret %q needs the key channelAccessToken, or channelID, for which channelSecret issues tokens, or privateKey and keyID", path, secret.Name)
	}
	if b.channelSecret, err = secretKey(secret, path, "channelSecret"); err != nil {
		return err
	}
	config.ChannelSecret = b.channelSecret
	sender, err := line.New(config)
	if err != nil {
		return stalled(crm.ReasonSecretInvalid, "%s: Secret %q: %s", path, secret.Name, err)
	}
	b.sender = sender
	return nil
}

func (b *builtSender) sms(c *crm.TwilioAccount, secret *corev1.Secret, path string) (err error) {
	config := sms.Config{
		Endpoint: c.EndpointOrDefault(), From: c.From, MessagingServiceSID: c.MessagingServiceSID, Concurrency: httpConcurrency,
	}
	if config.AccountSID, err = secretKey(secret, path, "accountSID"); err != nil {
		return err
	}
	b.authToken = trimSpace(secret.Data["authToken"])
	config.AuthToken = b.authToken
	if config.AuthToken == "" {
		if config.APIKeySID, err = secretKey(secret, path, "apiKeySID"); err != nil {
			return stalled(crm.ReasonSecretInvalid, "%s: Secret %q needs the key authToken, or the keys apiKeySID and apiKeySecret", path, secret.Name)
		}
		if config.APIKeySecret, err = secretKey(secret, path, "apiKeySecret"); err != nil {
			return err
		}
	}
	sender, err := sms.New(config)
	if err != nil {
		return stalled(crm.ReasonInvalidSpec, "spec.sms.twilio: %s", err)
	}
	b.sender = sender
	return nil
}

func (b *builtSender) email(secret *corev1.Secret, path string, config email.Config) (err error) {
	if secret != nil {
		if config.Username, err = secretKey(secret, path, "username"); err != nil {
			return err
		}
		if config.Password, err = secretKey(secret, path, "password"); err != nil {
			return err
		}
		b.webhooks = dispatch.EmailWebhooks{
			SESTopicARN:       trimSpace(secret.Data["sesTopicARN"]),
			SendGridPublicKey: trimSpace(secret.Data["sendgridPublicKey"]),
			MailgunSigningKey: trimSpace(secret.Data["mailgunSigningKey"]),
		}
	}
	sender, err := email.New(config)
	if err != nil {
		return stalled(crm.ReasonInvalidSpec, "spec.email: %s", err)
	}
	b.sender = sender
	return nil
}

// configured is the channel as dispatch uses it.
func configured(config *crm.ChannelConfig, b *builtSender, callback string, shop journey.Shop) (*dispatch.Channel, error) {
	s := &config.Spec
	ch := &dispatch.Channel{
		Sender: b.sender, PerSecond: float64(s.PerSecondOrDefault()), Kind: string(s.Type()),
		Mode: dispatch.Mode(s.ModeOrDefault()), AllowList: map[string]bool{}, Suspended: s.Suspend,
		StatusCallback: callback, Fingerprint: b.fingerprint, AuthToken: b.authToken, ChannelSecret: b.channelSecret,
		EmailWebhooks: b.webhooks,
	}
	for _, id := range s.AllowList {
		ch.AllowList[id] = true
	}
	if s.Email != nil {
		ch.Clicks = s.Email.Tracking.ClicksOrDefault() == crm.Enabled
		ch.Opens = s.Email.Tracking.OpensOrDefault() == crm.Enabled
	} else {
		ch.Clicks = true
	}
	if q := s.QuietHours; q != nil {
		hours, err := schedule.ParseQuietHours(string(q.Start), string(q.End), q.TimeZoneOr(shop.TimeZone))
		if err != nil {
			return nil, stalled(crm.ReasonInvalidSpec, "spec.quietHours: %s", err)
		}
		ch.Quiet = &dispatch.Quiet{QuietHours: hours, Skip: q.PolicyOrDefault() == crm.QuietSkip}
	}
	for _, c := range s.FrequencyCaps {
		ch.Caps = append(ch.Caps, dispatch.Cap{Messages: int(c.Messages), Per: c.Per.Duration(), Namespace: c.ScopeOrDefault() == crm.CapNamespace})
	}
	if s.Cost != nil {
		price, err := money.FromIntOrString(&s.Cost.PerMessage)
		if err != nil {
			return nil, stalled(crm.ReasonInvalidSpec, "spec.cost.perMessage: %s", err)
		}
		ch.Price = price
	}
	return ch, nil
}

// writeAccount writes what the provider said.
func writeAccount(config *crm.ChannelConfig, seen *checked, to conditions) {
	s := &config.Status
	if config.Spec.ModeOrDefault() == crm.ModeSandbox {
		s.Account, s.Quota = "", nil
		to.setStatus(crm.ConditionCredentialsValid, metav1.ConditionUnknown, crm.ReasonNotChecked, "mode Sandbox never calls the provider")
		to.remove(crm.ConditionQuotaAvailable)
		return
	}
	s.Account = seen.account.Name
	to.set(crm.ConditionCredentialsValid, true, crm.ReasonVerified, "verified with the provider")
	q := seen.account.Quota
	if q == nil {
		s.Quota = nil
		to.remove(crm.ConditionQuotaAvailable)
		return
	}
	now := &crm.ChannelQuota{Limit: q.Limit, Used: q.Used, CheckedAt: metaTime(seen.at)}
	if q.Limit != nil {
		now.Remaining = ptrTo(max(*q.Limit-q.Used, 0))
	}
	if was := s.Quota; was == nil || was.Used != now.Used || !equalPtr(was.Limit, now.Limit) {
		s.Quota = now // otherwise nothing happened, and nothing is written
	}
	switch {
	case q.Limit == nil:
		to.set(crm.ConditionQuotaAvailable, true, crm.ReasonUnlimited, "the account has no monthly limit")
	case *now.Remaining > 0:
		to.set(crm.ConditionQuotaAvailable, true, crm.ReasonWithinQuota, "the account may send more this month")
	default:
		to.set(crm.ConditionQuotaAvailable, false, crm.ReasonQuotaExhausted, "the account has reached its monthly limit: raise it with the provider, or wait for the next month")
	}
}

// month counts what the channel sent in the calendar month, in the shop's zone.
func (r *ChannelConfigReconciler) month(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig, shop journey.Shop) error {
	loc, err := shop.Location()
	if err != nil {
		return err
	}
	now := r.Clock.Now().In(loc)
	from := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, loc)
	sent, cost, err := report.ChannelMonth(ctx, r.Store, ref.Namespace, ref.Name, from, from.AddDate(0, 1, 0))
	if err != nil {
		return err
	}
	config.Status.Month = &crm.ChannelMonth{Sent: sent}
	if config.Spec.Cost != nil {
		config.Status.Month.Cost, config.Status.Month.Currency = cost.String(), config.Spec.Cost.CurrencyOr(shop.Currency)
	}
	return nil
}

// webhookPath is where a provider's callbacks come in; for mail that depends on who carries it.
func webhookPath(kind crm.ChannelType, ref dispatch.Ref) string {
	if kind == crm.ChannelEmail {
		return ""
	}
	return "/v1/webhooks/" + string(kind) + "/" + ref.Namespace + "/" + ref.Name
}

// statusCallback is where Twilio tells of delivery. Twilio itself cannot reach a gateway that has no
// public address, and would refuse the message for it; a double on this machine can.
func (r *ChannelConfigReconciler) statusCallback(config *crm.ChannelConfig, ref dispatch.Ref) string {
	if r.PublicURL == "" || config.Spec.SMS == nil {
		return ""
	}
	double := strings.HasPrefix(config.Spec.SMS.Twilio.EndpointOrDefault(), "http://")
	if !double && !strings.HasPrefix(r.PublicURL, "https://") {
		return ""
	}
	return r.PublicURL + webhookPath(crm.ChannelSMS, ref)
}

func equalPtr[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
