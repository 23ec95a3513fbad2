// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// Check connects and logs in anew, as the first mail would, and looks for the signing key in DNS. There
// is no quota to ask for.
func (s *Sender) Check(ctx context.Context) (channel.Account, error) {
	signing := make(chan *channel.Signing, 1)
	go func() { signing <- s.published(ctx) }()
	c, err := s.dial(ctx)
	if err != nil {
		return channel.Account{}, s.checkError(ctx, err)
	}
	defer c.quit()
	return channel.Account{Name: s.address(), Signing: <-signing}, nil
}

// advice is what an operator can do about a reason.
var advice = map[string]string{
	channel.ReasonCredentialsInvalid: "Put the username and password of the mail server into the Secret",
	channel.ReasonTLSFailed:          "Correct spec.email.smtp: host must be the name in the server's certificate, and tls what the port speaks",
	channel.ReasonConfigurationWrong: "Correct spec.email.smtp, or allow this kind of login at the server",
	channel.ReasonPolicyRefused:      "Ask the mail provider why it refuses connections from here",
}

func (s *Sender) checkError(ctx context.Context, err error) *channel.CheckError {
	o := s.judge(ctx, nil, err)
	e := &channel.CheckError{
		Permanent: o.Pause != nil && o.Pause.Until.IsZero(),
		Reason:    o.Reason,
		Message:   "the mail server at " + s.address() + " cannot be used: " + o.Detail,
	}
	if what := advice[o.Reason]; what != "" {
		e.Message += ". " + what
	}
	return e
}
