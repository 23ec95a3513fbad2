// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// Refusal is what LINE says is wrong with message objects.
type Refusal struct {
	// Message is the whole of it, and Details what is wrong where.
	Message string
	Details []Detail
}

// Detail is one thing that is wrong. Property is a path such as messages[0].text; empty where LINE names none.
type Detail struct{ Property, Message string }

func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString(r.Message)
	for i, d := range r.Details {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		if i == maxDetails {
			b.WriteString("…")
			break
		}
		if d.Property != "" {
			b.WriteString(d.Property + ": ")
		}
		b.WriteString(d.Message)
	}
	return b.String()
}

// maxDetails is how many things an operator is told of at once.
const maxDetails = 5

// Validate asks LINE whether it would take these message objects, without sending them. A *Refusal says that it
// would not; another error is a *channel.CheckError, and says that it could not be asked.
func (s *Sender) Validate(ctx context.Context, messages []json.RawMessage) error {
	req := &messaging_api.ValidateMessageRequest{}
	for _, raw := range messages {
		req.Messages = append(req.Messages, object{raw})
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.tokens.get(ctx); err != nil {
		return tokenError(err)
	}
	ctx, x := wire.With(ctx, ctx, nil)
	_, err := s.call(ctx).ValidatePush(req)
	switch {
	case x.Status >= 200 && x.Status < 300:
		return nil
	case x.Status == http.StatusBadRequest, x.Status == http.StatusRequestEntityTooLarge:
		var e messaging_api.ErrorResponse
		if json.Unmarshal(x.Body, &e) == nil && (e.Message != "" || len(e.Details) > 0) {
			return refusal(e, s.tokens.secrets()...)
		}
	case x.Status == 0 && !x.Tried:
		return &channel.CheckError{Permanent: true, Reason: channel.ReasonMessageInvalid, Message: "the messages could not be encoded: " + errorText(err)}
	}
	return s.checkError(x, err)
}

var messageIndex = regexp.MustCompile(`messages\[\d\]`)

// refusal reads what LINE says. Of a Flex message it names places from the message on, as /body/contents/0.
func refusal(e messaging_api.ErrorResponse, private ...string) *Refusal {
	r := &Refusal{Message: channel.Redact(e.Message, "", private...)}
	for _, d := range e.Details {
		property := d.Property
		if strings.HasPrefix(property, "/") {
			at := messageIndex.FindString(e.Message)
			if at == "" {
				at = "messages[0]"
			}
			property = at + ".contents" + dotted(property)
		}
		r.Details = append(r.Details, Detail{Property: channel.Redact(property, "", private...), Message: channel.Redact(d.Message, "", private...)})
	}
	return r
}

// dotted is a JSON pointer as a path.
func dotted(pointer string) string {
	var b strings.Builder
	for _, name := range strings.Split(pointer[1:], "/") {
		if name != "" && strings.Trim(name, "0123456789") == "" {
			b.WriteString("[" + name + "]")
		} else {
			b.WriteString("." + name)
		}
	}
	return b.String()
}
