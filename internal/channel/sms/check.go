// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// Check asks Twilio for the account. It has no quota.
func (s *Sender) Check(ctx context.Context) (channel.Account, error) {
	var account *api.ApiV2010Account
	x, err := s.ask(ctx, func(a *api.ApiService) (err error) {
		account, err = a.FetchAccount(s.config.AccountSID)
		return err
	})
	if err != nil && s.config.APIKeySID != "" && (x.Status == 401 || x.Status == 403) {
		// A standard API key may send and list messages, but not see the account.
		return s.checkKey(ctx)
	}
	if err != nil || x.Status > 299 || account.Sid == nil {
		return channel.Account{}, s.checkError(x)
	}
	name := s.config.AccountSID
	if account.FriendlyName != nil && *account.FriendlyName != "" {
		name = *account.FriendlyName + " (" + name + ")"
	}
	if account.Status != nil && *account.Status != "active" {
		return channel.Account{}, &channel.CheckError{Permanent: true, Reason: channel.ReasonPermissionDenied,
			Message: "the Twilio account is " + *account.Status + ". Reactivate it in Twilio's console"}
	}
	return channel.Account{Name: name}, nil
}

func (s *Sender) checkKey(ctx context.Context) (channel.Account, error) {
	x, err := s.ask(ctx, func(a *api.ApiService) error {
		_, err := a.PageMessage((&api.ListMessageParams{}).SetPageSize(1), "", "")
		return err
	})
	if err != nil || x.Status > 299 {
		return channel.Account{}, s.checkError(x)
	}
	return channel.Account{Name: s.config.AccountSID}, nil
}

func (s *Sender) ask(ctx context.Context, do func(*api.ApiService) error) (*wire.Exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	ctx, x := wire.With(ctx, ctx, nil)
	err := do(s.call(ctx))
	if x.Err == nil {
		x.Err = err
	}
	return x, err
}

func (s *Sender) checkError(x *wire.Exchange) *channel.CheckError {
	words := s.words(nil, x)
	switch {
	case x.Status == 0 && x.TLSFailed():
		return &channel.CheckError{Reason: channel.ReasonTLSFailed, Message: "Twilio cannot be trusted: " + words}
	case x.Status == 0:
		return &channel.CheckError{Reason: channel.ReasonProviderUnreachable, Message: "Twilio cannot be reached: " + words}
	case x.Status >= 500:
		return &channel.CheckError{Reason: channel.ReasonProviderFailing, Message: words}
	case x.Status == 429:
		return &channel.CheckError{Reason: channel.ReasonRateLimited, Message: words}
	case x.Status == 401:
		return &channel.CheckError{Permanent: true, Reason: channel.ReasonCredentialsInvalid,
			Message: words + ". Put the account's SID and its auth token, or an API key of the account, into the Secret"}
	case x.Status == 403:
		return &channel.CheckError{Permanent: true, Reason: channel.ReasonPermissionDenied,
			Message: words + ". The credentials may not use this account: check accountSID in the Secret"}
	}
	return &channel.CheckError{Permanent: true, Reason: channel.ReasonConfigurationWrong,
		Message: words + ", which is not the answer of Twilio's API for this account. Correct accountSID or spec.sms.twilio.endpoint"}
}
