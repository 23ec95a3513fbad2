// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // signatures of SNS's version 1
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/bounce"
)

const (
	snsTimeout = 10 * time.Second
	// maxCertificate is more than one has.
	maxCertificate = 32 << 10
	// certificatesKept bounds the cache: Amazon has one for each region and changes them rarely.
	certificatesKept = 64
)

// snsMessage is what Amazon SNS sends.
type snsMessage struct {
	Type             string `json:"Type"`
	MessageID        string `json:"MessageId"`
	Token            string `json:"Token"`
	TopicARN         string `json:"TopicArn"`
	Subject          string `json:"Subject"`
	Message          string `json:"Message"`
	SubscribeURL     string `json:"SubscribeURL"`
	Timestamp        string `json:"Timestamp"`
	SignatureVersion string `json:"SignatureVersion"`
	Signature        string `json:"Signature"`
	SigningCertURL   string `json:"SigningCertURL"`
}

var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]{4,30}\.amazonaws\.com(?:\.cn)?$`)

// snsURL is an address of SNS's own, and of nobody else.
func snsURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || !snsHost.MatchString(u.Host) {
		return nil, false
	}
	return u, true
}

// signed is the text that SNS signs: names and values in an order of its own.
func (m *snsMessage) signed() string {
	fields := []string{"Message", m.Message, "MessageId", m.MessageID}
	if m.Type == "Notification" {
		if m.Subject != "" {
			fields = append(fields, "Subject", m.Subject)
		}
	} else {
		fields = append(fields, "SubscribeURL", m.SubscribeURL)
	}
	fields = append(fields, "Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		fields = append(fields, "Token", m.Token)
	}
	fields = append(fields, "TopicArn", m.TopicARN, "Type", m.Type)
	return strings.Join(fields, "\n") + "\n"
}

// sesWebhook takes what Amazon SES tells by way of an SNS topic.
func (g *Gateway) sesWebhook(w http.ResponseWriter, r *http.Request, h hook) {
	var m snsMessage
	if err := json.Unmarshal(h.body, &m); err != nil || m.TopicARN == "" || m.Type == "" {
		http.Error(w, "the body is not a message of SNS: turn raw message delivery off, it has no signature", http.StatusBadRequest)
		return
	}
	topics := strings.FieldsFunc(h.secret, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
	if !slices.Contains(topics, m.TopicARN) {
		http.Error(w, "the topic is not in the Secret's sesTopicARN", http.StatusForbidden)
		return
	}
	switch err := g.verifySNS(r.Context(), &m); {
	case errors.Is(err, errAmazonAway):
		g.Log.Error(err, "Could not verify a message of SNS", "namespace", h.ns, "channel", h.channel)
		unavailable(w)
		return
	case err != nil:
		refuseSignature(w)
		return
	}
	switch m.Type {
	case "SubscriptionConfirmation":
		g.confirmSNS(w, r, h, &m)
	case "Notification":
		report, err := bounce.ParseSES([]byte(m.Message))
		if err != nil {
			w.WriteHeader(http.StatusNoContent) // SES tells in words that a topic has been set up
			return
		}
		g.apply(w, r, h, []*bounce.Report{report})
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// confirmSNS tells SNS that we want to hear of a topic.
func (g *Gateway) confirmSNS(w http.ResponseWriter, r *http.Request, h hook, m *snsMessage) {
	if _, ok := snsURL(m.SubscribeURL); !ok {
		http.Error(w, "the SubscribeURL is none of SNS's", http.StatusForbidden)
		return
	}
	if _, err := g.askAmazon(r.Context(), m.SubscribeURL); err != nil {
		g.Log.Error(err, "Could not confirm a subscription with SNS", "namespace", h.ns, "channel", h.channel)
		unavailable(w)
		return
	}
	g.Log.Info("Subscribed to a topic of SNS", "namespace", h.ns, "channel", h.channel)
	w.WriteHeader(http.StatusNoContent)
}

var (
	errAmazonAway   = errors.New("SNS does not answer")
	errSNSSignature = errors.New("the signature is not SNS's")
)

func (g *Gateway) verifySNS(ctx context.Context, m *snsMessage) error {
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(signature) == 0 {
		return errSNSSignature
	}
	var kind crypto.Hash
	var sum []byte
	switch m.SignatureVersion {
	case "1":
		s := sha1.Sum([]byte(m.signed())) //nolint:gosec // as SNS does
		kind, sum = crypto.SHA1, s[:]
	case "2":
		s := sha256.Sum256([]byte(m.signed()))
		kind, sum = crypto.SHA256, s[:]
	default:
		return errSNSSignature
	}
	key, err := g.snsKey(ctx, m.SigningCertURL)
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(key, kind, sum, signature) != nil {
		return errSNSSignature
	}
	return nil
}

// certificates are keys of SNS's certificates by their address.
type certificates struct {
	mu   sync.Mutex
	keys map[string]snsCertificate
}

type snsCertificate struct {
	key   *rsa.PublicKey
	until time.Time
}

// snsKey fetches the certificate from SNS itself, over TLS, which is what makes it theirs.
func (g *Gateway) snsKey(ctx context.Context, address string) (*rsa.PublicKey, error) {
	if u, ok := snsURL(address); !ok || !strings.HasSuffix(u.Path, ".pem") || u.RawQuery != "" {
		return nil, errSNSSignature
	}
	g.certificates.mu.Lock()
	known, ok := g.certificates.keys[address]
	g.certificates.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.key, nil
	}
	body, err := g.askAmazon(ctx, address)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, errSNSSignature
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errSNSSignature
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || time.Now().After(cert.NotAfter) || time.Now().Before(cert.NotBefore) {
		return nil, errSNSSignature
	}
	g.certificates.mu.Lock()
	defer g.certificates.mu.Unlock()
	if len(g.certificates.keys) >= certificatesKept || g.certificates.keys == nil {
		g.certificates.keys = map[string]snsCertificate{}
	}
	g.certificates.keys[address] = snsCertificate{key, cert.NotAfter}
	return key, nil
}

// askAmazon gets a page of SNS's; its errors are errAmazonAway.
func (g *Gateway) askAmazon(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, snsTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAmazonAway, err)
	}
	res, err := g.Amazon.Do(req)
	if err != nil {
		// The error would quote the address, with the token that confirms.
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, fmt.Errorf("%w: %w", errAmazonAway, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxCertificate))
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errAmazonAway, res.StatusCode)
	}
	return body, nil
}

// noRedirects is a client that goes where it is sent and no further.
func noRedirects() *http.Client {
	return &http.Client{
		Timeout:       snsTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
