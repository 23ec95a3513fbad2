// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// textReplyToken is in what LINE says of a reply token that was used or is too old; it does not tell which.
const textReplyToken = "reply token"

// reply answers with a reply token, which LINE does not count. Such a message has no retry key: LINE takes a
// token once, and that is what keeps it from being sent twice. With begun, it may have been taken already, and
// then a token that does not hold any more tells nothing.
func (s *Sender) reply(ctx context.Context, m *channel.Message, req *messaging_api.PushMessageRequest, begin channel.Begin, begun bool) channel.Outcome {
	out, cancel := wire.Linger(ctx, s.timeout)
	defer cancel()
	out, x := wire.With(out, ctx, begin)
	_, res, err := s.call(out).ReplyMessageWithHttpInfo(&messaging_api.ReplyMessageRequest{ //nolint:bodyclose // the SDK has read and closed it
		ReplyToken: m.Line.ReplyToken, Messages: req.Messages, NotificationDisabled: req.NotificationDisabled,
	})
	if !x.Tried {
		return s.unencoded(m, err)
	}
	if x.Status == http.StatusBadRequest {
		var e messaging_api.ErrorResponse
		_ = json.Unmarshal(x.Body, &e) // what is not JSON has no message
		if strings.Contains(strings.ToLower(e.Message), textReplyToken) {
			if begun {
				return lost("LINE no longer knows the reply token: it was used, or is too old")
			}
			return channel.Outcome{End: channel.Retry, Reason: channel.ReasonReplyExpired,
				Detail: channel.Redact(describe(x.Status, e), content(m), s.private(m)...)}
		}
	}
	var sent []messaging_api.SentMessage
	if res != nil {
		sent = res.SentMessages
	}
	o := s.judge(ctx, m, x, sent)
	if o.End == channel.Retry && begun {
		o.Ambiguous = true
	}
	return o
}
