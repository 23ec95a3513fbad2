// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/textproto"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

const (
	// rest is how long a channel pauses that may recover without anybody here doing something.
	rest = 15 * time.Minute
	// greylisted is how long greylisting servers want us to wait, most of them.
	greylisted = 5 * time.Minute
)

// judge says what an error means for the mail.
func (s *Sender) judge(ctx context.Context, m *channel.Message, err error) channel.Outcome {
	var begin *beginError
	if errors.As(err, &begin) {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonNotBegun, Detail: s.redact(m, begin.Error())}
	}
	step := &stepError{connecting, err}
	errors.As(err, &step)
	var o channel.Outcome
	var refusal *textproto.Error
	if errors.As(err, &refusal) {
		o = replied(step.stage, parseReply(refusal))
	} else {
		o = silent(ctx, step)
	}
	o.Detail = s.redact(m, step.Error())
	return o
}

func (s *Sender) redact(m *channel.Message, words string) string {
	private := []string{s.config.Password, s.config.Username}
	content := ""
	if m != nil {
		private = append(private, m.To, m.Customer, m.Email.UnsubscribeURL)
		content = m.Email.Subject + "\n" + m.Email.Text
	}
	return channel.Redact(words, content, private...)
}

func retry(reason string) channel.Outcome { return channel.Outcome{End: channel.Retry, Reason: reason} }
func fail(reason string) channel.Outcome  { return channel.Outcome{End: channel.Failed, Reason: reason} }

// pausing adds a pause to an outcome: for a while, or with 0 until somebody changes something.
func pausing(o channel.Outcome, d time.Duration) channel.Outcome {
	o.Pause = &channel.Pause{Reason: o.Reason}
	if d > 0 {
		o.Pause.Until = time.Now().Add(d)
	}
	return o
}

func suppressing(reason string) channel.Outcome {
	o := fail(reason)
	o.Suppress = true
	return o
}

// silent is an error that is not the server's word.
func silent(ctx context.Context, step *stepError) channel.Outcome {
	var protocol textproto.ProtocolError
	switch {
	case step.stage == ending:
		return channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}
	case errors.Is(step.err, errNoSTARTTLS):
		return pausing(retry(channel.ReasonTLSFailed), 0)
	case errors.Is(step.err, errNoLogin):
		return pausing(retry(channel.ReasonConfigurationWrong), 0)
	case errors.Is(step.err, errNoUTF8):
		return fail(channel.ReasonRecipientUnreachable)
	case errors.Is(step.err, channel.ErrClosed), ctx.Err() != nil:
		return retry(channel.ReasonInterrupted)
	case untrusted(step.err):
		return pausing(retry(channel.ReasonTLSFailed), rest)
	case errors.As(step.err, &protocol):
		return retry(channel.ReasonProviderFailing)
	}
	return retry(channel.ReasonProviderUnreachable)
}

func untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &unknown)
}

func replied(at stage, r reply) channel.Outcome {
	switch {
	case r.code < 400:
		// Nothing that a server should say here. Before the dot it has taken nothing.
		if at == ending {
			return channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}
		}
		return retry(channel.ReasonProviderFailing)
	case r.code < 500:
		return temporary(at, r)
	}
	switch at {
	case connecting, introducing:
		return pausing(retry(channel.ReasonPolicyRefused), rest)
	case securing:
		return pausing(retry(channel.ReasonTLSFailed), rest)
	case authenticating:
		return pausing(retry(channel.ReasonCredentialsInvalid), 0)
	case naming:
		return senderRefused(r)
	}
	return mailRefused(at, r)
}

func temporary(at stage, r reply) channel.Outcome {
	switch {
	case wordsGreylist.MatchString(r.words):
		o := retry(channel.ReasonRecipientUnreachable)
		o.RetryAfter = greylisted
		return o
	case r.is(2, 2), at == addressing && r.code == 452 && r.subject != 3:
		return retry(channel.ReasonMailboxFull)
	case r.subject == 7 && at != authenticating, wordsRate.MatchString(r.words):
		o := retry(channel.ReasonRateLimited)
		o.Slow = true
		return o
	case at == addressing && r.code != 421:
		return retry(channel.ReasonRecipientUnreachable)
	}
	o := retry(channel.ReasonProviderFailing)
	o.Slow = r.code == 421 // it hangs up: more often than not on those who bring too much
	return o
}

// loginWanted are the codes of a server that wants a login, or another one.
func loginWanted(code int) bool { return code == 530 || code == 534 || code == 535 || code == 538 }

// senderRefused is a 5xx to MAIL FROM: it is about us and not about the recipient, so the mail waits.
func senderRefused(r reply) channel.Outcome {
	switch {
	case loginWanted(r.code):
		return pausing(retry(channel.ReasonCredentialsInvalid), 0)
	case r.code == 552, r.is(3, 4):
		return fail(channel.ReasonContentTooLarge)
	case r.subject == 7:
		return pausing(retry(channel.ReasonPolicyRefused), 0)
	}
	return pausing(retry(channel.ReasonConfigurationWrong), 0)
}

// mailRefused is a 5xx to RCPT TO, DATA or the mail itself.
func mailRefused(at stage, r reply) channel.Outcome {
	switch {
	case loginWanted(r.code):
		return pausing(retry(channel.ReasonCredentialsInvalid), 0)
	case r.is(1, 7), r.is(1, 8):
		return pausing(retry(channel.ReasonConfigurationWrong), 0) // the sender's address
	case r.subject == 1 && r.detail != 9, r.is(2, 1), r.is(7, 17), r.is(7, 18):
		return suppressing(channel.ReasonRecipientInvalid)
	case r.is(2, 2):
		return fail(channel.ReasonMailboxFull)
	case r.is(2, 3), r.is(3, 4):
		return fail(channel.ReasonContentTooLarge)
	case r.subject == 4:
		return fail(channel.ReasonRecipientUnreachable)
	case r.subject == 6:
		return fail(channel.ReasonContentRefused)
	case r.subject == 7:
		return policyRefused(at)
	case r.subject >= 0:
		return fail(channel.ReasonRefused)
	}
	return byWords(at, r)
}

// policyRefused pauses the channel. Before the mail was shown the refusal may be one recipient's own
// affair, so then the next one is tried after a while.
func policyRefused(at stage) channel.Outcome {
	if at == addressing {
		return pausing(fail(channel.ReasonPolicyRefused), rest)
	}
	return pausing(fail(channel.ReasonPolicyRefused), 0)
}

// byWords judges a refusal without an enhanced code. An address is suppressed only where the server
// says that it does not exist: a 550 may as well be about us.
func byWords(at stage, r reply) channel.Outcome {
	switch {
	case at == addressing && wordsUnknownUser.MatchString(r.words):
		return suppressing(channel.ReasonRecipientInvalid)
	case at == addressing && wordsPolicy.MatchString(r.words):
		return policyRefused(at)
	case at == addressing && r.code == 552:
		return fail(channel.ReasonMailboxFull)
	case at == addressing && (r.code == 550 || r.code == 551 || r.code == 553):
		return fail(channel.ReasonRecipientInvalid)
	case r.code == 552:
		return fail(channel.ReasonContentTooLarge)
	case at != addressing && wordsSpam.MatchString(r.words):
		return fail(channel.ReasonContentFiltered)
	}
	return fail(channel.ReasonRefused)
}
