// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/bounce"
	"github.com/kaeru-dev/kaeru/internal/content"
)

// maxMail is the largest mail that is taken. Only its beginning is read.
const maxMail = 25 << 20

// inboundAnswer says what a mail was read as. It is for whoever set the way up: a mail that is no
// report is taken too, since a mail server would send back what is refused.
type inboundAnswer struct {
	Kind     bounce.Kind     `json:"kind"`
	Class    bounce.Class    `json:"class,omitempty"`
	Reaction bounce.Reaction `json:"reaction"`
	Applied  bool            `json:"applied"`
	Reason   string          `json:"reason,omitempty"`
}

// inboundEmail takes a mail as it came from the network.
func (g *Gateway) inboundEmail(w http.ResponseWriter, r *http.Request) {
	ns, ok := g.authenticate(w, r)
	if !ok {
		return
	}
	body := http.MaxBytesReader(w, r.Body, maxMail)
	read, err := bounce.Read(body)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "the mail is larger than 25 MiB: send its first part only, the report comes first", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	tokens := append(bounce.TokensIn(r.URL.Query().Get("recipient")), read.Tokens()...)
	answer := inboundAnswer{Kind: read.Kind, Class: read.Class, Reaction: read.Reaction()}
	claims, ok := g.claims(tokens)
	switch {
	case answer.Reaction == bounce.Ignore:
		answer.Reason = "the mail is no report about another"
	case !ok:
		answer.Reason = "the mail names no message of ours: set spec.email.returnPath, and forward what comes to it with its To, Delivered-To or X-Original-To, or give the address as ?recipient="
	default:
		found, err := g.report(r.Context(), []mailReport{reportFrom(read, claims, ns)})
		if err != nil {
			unavailable(w)
			return
		}
		if answer.Applied = found > 0; !answer.Applied {
			answer.Reason = "the mail is about a message that this namespace has not, or no longer"
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // nobody is left to tell
}

// claims are of the first token that is ours.
func (g *Gateway) claims(tokens []string) (content.BounceClaims, bool) {
	for _, token := range tokens {
		if c, err := g.Links.VerifyBounce(token); err == nil {
			return c, true
		}
	}
	return content.BounceClaims{}, false
}

// reportFrom is what a mail says of the message that its token names. The token also knows whom the
// message was sent to, so a mail can get nobody else's address suppressed.
func reportFrom(r *bounce.Report, claims content.BounceClaims, ns string) mailReport {
	to, known := r.About(claims.SentTo)
	return mailReport{
		message: claims.Message, ns: ns, source: "mail", to: to, address: known, sentTo: claims.SentTo, byCause: r.ByReader(),
	}
}
