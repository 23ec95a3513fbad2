// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// Check asks LINE for the account's name and what is left of its month.
func (s *Sender) Check(ctx context.Context) (channel.Account, error) {
	bot, err := ask(ctx, s, (*messaging_api.MessagingApiAPI).GetBotInfo)
	if err != nil {
		return channel.Account{}, err
	}
	account := channel.Account{Name: bot.DisplayName}
	if id := bot.PremiumId; id != "" {
		account.Name += " (" + id + ")"
	} else if bot.BasicId != "" {
		account.Name += " (" + bot.BasicId + ")"
	}
	quota, err := ask(ctx, s, (*messaging_api.MessagingApiAPI).GetMessageQuota)
	if err != nil {
		return channel.Account{}, err
	}
	used, err := ask(ctx, s, (*messaging_api.MessagingApiAPI).GetMessageQuotaConsumption)
	if err != nil {
		return channel.Account{}, err
	}
	account.Quota = &channel.Quota{Used: used.TotalUsage}
	if quota.Type == messaging_api.QuotaType_LIMITED {
		account.Quota.Limit = &quota.Value
	}
	return account, nil
}

func ask[T any](ctx context.Context, s *Sender, method func(*messaging_api.MessagingApiAPI) (*T, error)) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.tokens.get(ctx); err != nil {
		return nil, tokenError(err)
	}
	ctx, x := wire.With(ctx, ctx, nil)
	answer, err := method(s.call(ctx))
	if x.Status >= 200 && x.Status < 300 && err == nil {
		return answer, nil
	}
	return nil, s.checkError(x, err)
}

// tokenError says why there is no token to ask with.
func tokenError(err error) *channel.CheckError {
	e := &channel.CheckError{Reason: channel.ReasonProviderUnreachable, Message: err.Error()}
	if issued, ok := asIssueError(err); ok && issued.permanent() {
		e.Permanent, e.Reason = true, channel.ReasonCredentialsInvalid
		e.Message += ". Put a valid channelID, with channelSecret or with privateKey and keyID, into the Secret"
	} else if ok && issued.status != 0 {
		e.Reason = channel.ReasonProviderFailing
	}
	return e
}

func (s *Sender) checkError(x *wire.Exchange, err error) *channel.CheckError {
	e := &channel.CheckError{Reason: channel.ReasonProviderUnreachable}
	if x.Status == 0 {
		if x.TLSFailed() {
			e.Reason = channel.ReasonTLSFailed
		}
		e.Message = channel.Redact("LINE cannot be reached: "+errorText(err), "", s.tokens.secrets()...)
		return e
	}
	var body messaging_api.ErrorResponse
	_ = json.Unmarshal(x.Body, &body) // what is not JSON has no message
	words := channel.Redact(describe(x.Status, body), "", s.tokens.secrets()...)
	e.Reason = channelReason(x.Status)
	e.Permanent = e.Reason != ""
	switch {
	case e.Reason == channel.ReasonCredentialsInvalid:
		e.Message = words + ". Put a valid channel access token into the Secret"
	case e.Reason == channel.ReasonPermissionDenied:
		e.Message = words + ". Ask LINE for access to the Messaging API, or use a token of an account that has it"
	case x.Status < 300, e.Reason == channel.ReasonConfigurationWrong:
		e.Reason, e.Permanent = channel.ReasonConfigurationWrong, true
		e.Message = fmt.Sprintf("%s, which is not the Messaging API's answer. Correct spec.line.endpoint", words)
	case x.Status == 429:
		e.Reason, e.Message = channel.ReasonRateLimited, words
	default:
		e.Reason, e.Message = channel.ReasonProviderFailing, words
	}
	return e
}
