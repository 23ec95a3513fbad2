// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/bounce"
)

// Kinds under which Credentials has what verifies the calls of mail providers, by their path.
const (
	CredentialSES      = "email/ses"
	CredentialSendGrid = "email/sendgrid"
	CredentialMailgun  = "email/mailgun"
)

// hookTolerance is how far from now the time of a signed call may be. Providers try for hours with
// the same signature; what a call says is written once, however often it comes.
const hookTolerance = 12 * time.Hour

// emailWebhook takes what a mail provider tells of the mails of a channel.
func (g *Gateway) emailWebhook(w http.ResponseWriter, r *http.Request) {
	ns, name, provider := r.PathValue("ns"), r.PathValue("channel"), r.PathValue("provider")
	take := map[string]func(http.ResponseWriter, *http.Request, hook){
		"ses": g.sesWebhook, "sendgrid": g.sendgridWebhook, "mailgun": g.mailgunWebhook,
	}[provider]
	if take == nil {
		http.NotFound(w, r)
		return
	}
	secret, ok := g.Credentials.WebhookSecret(ns, name, "email/"+provider)
	if !ok || secret == "" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	take(w, r, hook{ns: ns, channel: name, source: provider, secret: secret, body: body})
}

// hook is a call of a mail provider.
type hook struct {
	ns, channel, source, secret string
	body                        []byte
}

func refuseSignature(w http.ResponseWriter) {
	http.Error(w, "the signature is not valid", http.StatusForbidden)
}

// apply writes what a provider tells, and answers. Providers are believed whom the mail went to: they
// sent it.
func (g *Gateway) apply(w http.ResponseWriter, r *http.Request, h hook, reports []*bounce.Report) bool {
	var found []mailReport
	for _, report := range reports {
		key, ok := keyOf(report.MessageID)
		if !ok || report.Kind == bounce.None {
			continue // not a mail of Kaeru's
		}
		for _, to := range report.Recipients {
			found = append(found, mailReport{
				message: key, ns: h.ns, channel: h.channel, source: h.source, to: to, address: to.Address, byCause: report.ByReader(),
			})
		}
	}
	if _, err := g.report(r.Context(), found); err != nil {
		unavailable(w)
		return false
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (g *Gateway) recent(seconds string) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return false
	}
	return g.Clock.Now().Sub(time.Unix(n, 0)).Abs() <= hookTolerance
}

// sendgridWebhook takes SendGrid's events, signed with ECDSA over the timestamp and the body.
func (g *Gateway) sendgridWebhook(w http.ResponseWriter, r *http.Request, h hook) {
	key, err := parsePublicKey(h.secret)
	if err != nil {
		g.Log.Error(err, "The Secret's sendgridPublicKey cannot be read: copy the verification key from SendGrid's Event Webhook settings", "namespace", h.ns, "channel", h.channel)
		unavailable(w) // it will be mended, and the events are kept until then
		return
	}
	timestamp := r.Header.Get("X-Twilio-Email-Event-Webhook-Timestamp")
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Email-Event-Webhook-Signature"))
	sum := sha256.Sum256(append([]byte(timestamp), h.body...))
	if err != nil || len(signature) == 0 || !ecdsa.VerifyASN1(key, sum[:], signature) || !g.recent(timestamp) {
		refuseSignature(w)
		return
	}
	reports, err := bounce.ParseSendGrid(h.body)
	if err != nil {
		http.Error(w, "the body is not a list of SendGrid's events", http.StatusBadRequest)
		return
	}
	g.apply(w, r, h, reports)
}

// parsePublicKey reads a key as SendGrid shows it, base64 of its DER, or as PEM.
func parsePublicKey(text string) (*ecdsa.PublicKey, error) {
	var der []byte
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der = block.Bytes
	} else {
		var err error
		if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return nil, errBadKey
		}
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errBadKey
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, errBadKey
	}
	return key, nil
}

// mailgunWebhook takes an event of Mailgun's. Its signature is over a token and not over the body, so
// a token is taken once: whoever saw one could say anything with it.
func (g *Gateway) mailgunWebhook(w http.ResponseWriter, r *http.Request, h hook) {
	sent, report, err := bounce.ParseMailgun(h.body)
	if err != nil {
		http.Error(w, "the body is not an event of Mailgun's", http.StatusBadRequest)
		return
	}
	m := hmac.New(sha256.New, []byte(h.secret))
	m.Write([]byte(sent.Timestamp + sent.Token))
	signature, err := hex.DecodeString(sent.Signature)
	if err != nil || !hmac.Equal(signature, m.Sum(nil)) || !g.recent(sent.Timestamp) {
		refuseSignature(w)
		return
	}
	token := h.ns + "/" + h.channel + "/" + sent.Token
	if !g.tokens.claim(token) {
		http.Error(w, "the token has been used", http.StatusNotAcceptable) // Mailgun does not try again after 406
		return
	}
	if !g.apply(w, r, h, []*bounce.Report{report}) {
		g.tokens.release(token)
	}
}
