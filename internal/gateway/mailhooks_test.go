// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const (
	topicARN   = "arn:aws:sns:ap-northeast-1:123456789012:kaeru"
	certURL    = "https://sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-1.pem"
	confirmURL = "https://sns.ap-northeast-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"
	mailgunKey = "key-0123456789abcdef"
	hooksPath  = "/v1/webhooks/email/shop/mail-main/"
)

// amazon plays SNS: it has a certificate, and hears of confirmations.
type amazon struct {
	key *rsa.PrivateKey
	pem []byte

	mu    sync.Mutex
	asked []string
	away  bool
}

func newAmazon(t testing.TB) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &amazon{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// client leads whatever host is asked to a server on loopback, which notes what was asked.
func (a *amazon) client(t testing.TB) *http.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, r.Header.Get("X-Asked"))
		if a.away {
			http.Error(w, "away", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(a.pem)
	}))
	t.Cleanup(s.Close)
	return &http.Client{Transport: loopback{strings.TrimPrefix(s.URL, "http://")}}
}

type loopback struct{ host string }

func (l loopback) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Asked", r.URL.String())
	r.URL.Scheme, r.URL.Host = "http", l.host
	return http.DefaultTransport.RoundTrip(r)
}

// sns is a message as SNS sends it, signed as Amazon documents it, without the code that verifies.
func (a *amazon) sns(t *testing.T, kind, version, message string, change func(map[string]string)) string {
	t.Helper()
	m := map[string]string{
		"Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topicARN, "Message": message,
		"Timestamp": "2026-03-01T09:00:00.000Z", "SignatureVersion": version, "SigningCertURL": certURL,
	}
	if kind != "Notification" {
		m["Token"], m["SubscribeURL"] = "2336412f37", confirmURL
	}
	a.sign(t, m)
	if change != nil {
		change(m)
	}
	return asJSON(t, m)
}

func (a *amazon) sign(t *testing.T, m map[string]string) {
	t.Helper()
	names := []string{"Message", "MessageId", "Timestamp", "TopicArn", "Type"}
	if m["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name + "\n" + m[name] + "\n")
	}
	var signature []byte
	var err error
	if m["SignatureVersion"] == "1" {
		sum := sha1.Sum([]byte(text.String()))
		signature, err = rsa.SignPKCS1v15(nil, a.key, crypto.SHA1, sum[:])
	} else {
		sum := sha256.Sum256([]byte(text.String()))
		signature, err = rsa.SignPKCS1v15(nil, a.key, crypto.SHA256, sum[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sesEvent is what SES tells of a mail.
func sesEvent(id uuid.UUID, kind, details string) string {
	return fmt.Sprintf(`{"eventType":%q,"mail":{"messageId":"0100018e","commonHeaders":{"messageId":"<%s@shop.example>"}},%s}`, kind, id, details)
}

func (f *fixture) hook(t testing.TB, a *amazon, key *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		CredentialSES: "arn:aws:sns:eu-west-1:1:other, " + topicARN, CredentialSendGrid: base64.StdEncoding.EncodeToString(der), CredentialMailgun: mailgunKey,
	}
	f.gateway.Credentials = CredentialsFunc(func(ns, channel, kind string) (string, bool) {
		s, ok := secrets[kind]
		return s, ok && (ns == "shop" || ns == "other") && (channel == "mail-main" || channel == "mail-other")
	})
	f.gateway.Amazon = a.client(t)
}

func (f *fixture) postHook(path, body string, headers ...string) int {
	f.Helper()
	r := request(http.MethodPost, path, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return f.do(r).Code
}

func signSendGrid(t testing.TB, key *ecdsa.PrivateKey, timestamp, body string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(timestamp + body))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

func (f *fixture) sendgrid(t testing.TB, key *ecdsa.PrivateKey, path, body string) int {
	timestamp := strconv.FormatInt(f.clock.Now().Unix(), 10)
	return f.postHook(path+"sendgrid", body, "X-Twilio-Email-Event-Webhook-Timestamp", timestamp,
		"X-Twilio-Email-Event-Webhook-Signature", signSendGrid(t, key, timestamp, body))
}

func mailgun(key, token string, at time.Time, event string) string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(m, timestamp+token)
	return fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, timestamp, token, hex.EncodeToString(m.Sum(nil)), event)
}

func mailgunEvent(id uuid.UUID, event, more string) string {
	return fmt.Sprintf(`{"event":%q,"recipient":%q,"message":{"headers":{"message-id":"%s@shop.example"}}%s}`, event, anna, id, more)
}

func TestMailProviders(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	amazon := newAmazon(t)
	ses := func(version, kind, details string) func(f *fixture, id uuid.UUID) int {
		return func(f *fixture, id uuid.UUID) int {
			return f.postHook(hooksPath+"ses", amazon.sns(t, "Notification", version, sesEvent(id, kind, details), nil))
		}
	}
	grid := func(event string) func(f *fixture, id uuid.UUID) int {
		return func(f *fixture, id uuid.UUID) int {
			return f.sendgrid(t, key, hooksPath, fmt.Sprintf(`[{"event":"open"},{"email":%q,"smtp-id":"<%s@shop.example>","sg_event_id":"x",%s}]`, anna, id, event))
		}
	}
	gun := func(event, more string) func(f *fixture, id uuid.UUID) int {
		return func(f *fixture, id uuid.UUID) int {
			return f.postHook(hooksPath+"mailgun", mailgun(mailgunKey, uuid.NewString(), f.clock.Now(), mailgunEvent(id, event, more)))
		}
	}
	bouncedTo := func(more string) string {
		return fmt.Sprintf(`"bouncedRecipients":[{"emailAddress":%q%s}]`, anna, more)
	}
	sent, bounced, delivered := marks{state: "sent"}, marks{state: "sent", bounced: "0s"}, marks{state: "sent", delivered: "0s"}
	invalid, complained := []string{anna + " RecipientInvalid"}, []string{anna + " Complained"}
	cases := map[string]struct {
		tell func(f *fixture, id uuid.UUID) int
		want mailOutcome
	}{
		"SES: hard":          {ses("2", "Bounce", `"bounce":{"bounceType":"Permanent","bounceSubType":"General",`+bouncedTo(`,"status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"`)+`}`), mailOutcome{bounced, "bounced", invalid, granted}},
		"SES: version 1":     {ses("1", "Bounce", `"bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail",`+bouncedTo("")+`}`), mailOutcome{bounced, "bounced", invalid, granted}},
		"SES: soft":          {ses("2", "Bounce", `"bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull",`+bouncedTo("")+`}`), mailOutcome{bounced, "bounced", nil, granted}},
		"SES: policy":        {ses("2", "Bounce", `"bounce":{"bounceType":"Permanent","bounceSubType":"General",`+bouncedTo(`,"diagnosticCode":"smtp; 554 5.7.1 blocked, see a blocklist"`)+`}`), mailOutcome{bounced, "refused", nil, granted}},
		"SES: complaint":     {ses("2", "Complaint", fmt.Sprintf(`"complaint":{"complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":%q}]}`, anna)), mailOutcome{sent, "complained", complained, "withdrawn complaint 0s"}},
		"SES: delivery":      {ses("2", "Delivery", fmt.Sprintf(`"delivery":{"recipients":[%q],"smtpResponse":"250 ok"}`, anna)), mailOutcome{delivered, "delivered", nil, granted}},
		"SES: delay":         {ses("2", "DeliveryDelay", fmt.Sprintf(`"deliveryDelay":{"delayedRecipients":[{"emailAddress":%q}]}`, anna)), mailOutcome{sent, "delayed", nil, granted}},
		"SES: open":          {ses("2", "Open", `"open":{}`), mailOutcome{sent, "", nil, granted}},
		"SendGrid: hard":     {grid(`"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 no such user"`), mailOutcome{bounced, "bounced", invalid, granted}},
		"SendGrid: blocked":  {grid(`"event":"bounce","type":"blocked","status":"5.7.1","reason":"550 5.7.1 blocked for spam"`), mailOutcome{bounced, "refused", nil, granted}},
		"SendGrid: full":     {grid(`"event":"bounce","type":"bounce","status":"5.2.2","reason":"552 mailbox full"`), mailOutcome{bounced, "bounced", nil, granted}},
		"SendGrid: dropped":  {grid(`"event":"dropped","reason":"Bounced Address"`), mailOutcome{bounced, "bounced", invalid, granted}},
		"SendGrid: spam":     {grid(`"event":"spamreport"`), mailOutcome{sent, "complained", complained, "withdrawn complaint 0s"}},
		"SendGrid: deferred": {grid(`"event":"deferred","response":"400 try again"`), mailOutcome{sent, "delayed", nil, granted}},
		"SendGrid: arrived":  {grid(`"event":"delivered","response":"250 OK"`), mailOutcome{delivered, "delivered", nil, granted}},
		"Mailgun: hard":      {gun("failed", `,"severity":"permanent","reason":"bounce","delivery-status":{"code":550,"message":"5.1.1 The email account that you tried to reach does not exist"}`), mailOutcome{bounced, "bounced", invalid, granted}},
		"Mailgun: old":       {gun("failed", `,"severity":"permanent","reason":"old","delivery-status":{"code":602,"description":"Too old"}`), mailOutcome{bounced, "bounced", nil, granted}},
		"Mailgun: policy":    {gun("failed", `,"severity":"permanent","reason":"bounce","delivery-status":{"code":554,"message":"5.7.1 rejected due to spam content"}`), mailOutcome{bounced, "refused", nil, granted}},
		"Mailgun: temporary": {gun("failed", `,"severity":"temporary","reason":"generic"`), mailOutcome{sent, "delayed", nil, granted}},
		"Mailgun: complaint": {gun("complained", ""), mailOutcome{sent, "complained", complained, "withdrawn complaint 0s"}},
		"Mailgun: delivered": {gun("delivered", ""), mailOutcome{delivered, "delivered", nil, granted}},
		"Mailgun: opened":    {gun("opened", ""), mailOutcome{sent, "", nil, granted}},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				f.hook(f.TB.(*testing.T), amazon, key)
				f.customer("anna", anna)
				id, _ := f.mail()
				for i := range 2 { // told twice
					f.clock.SetTime(start.Add(time.Duration(i) * time.Minute))
					if code := tt.tell(f, id); code != http.StatusNoContent {
						f.Errorf("status %d", code)
					}
				}
				if diff := cmp.Diff(tt.want, f.outcome(id), cmp.AllowUnexported(marks{}, mailOutcome{})); diff != "" {
					f.Error(diff)
				}
			})
		}
	})
}

func TestSNSRefusals(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, stranger := newAmazon(t), newAmazon(t)
	f := newSQLite(t)
	f.hook(t, a, key)
	f.customer("anna", anna)
	id, _ := f.mail()
	event := sesEvent(id, "Bounce", fmt.Sprintf(`"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":%q,"status":"5.1.1"}]}`, anna))
	set := func(name, value string) func(map[string]string) { return func(m map[string]string) { m[name] = value } }
	for name, tt := range map[string]struct {
		path, body string
		want       int
	}{
		"another's signature":       {hooksPath, stranger.sns(t, "Notification", "2", event, nil), http.StatusForbidden},
		"another text":              {hooksPath, a.sns(t, "Notification", "2", "{}", set("Message", event)), http.StatusForbidden},
		"no signature":              {hooksPath, a.sns(t, "Notification", "2", event, set("Signature", "")), http.StatusForbidden},
		"of another version":        {hooksPath, a.sns(t, "Notification", "1", event, set("SignatureVersion", "2")), http.StatusForbidden},
		"of no version":             {hooksPath, a.sns(t, "Notification", "2", event, set("SignatureVersion", "3")), http.StatusForbidden},
		"another topic":             {hooksPath, a.sns(t, "Notification", "2", event, set("TopicArn", "arn:aws:sns:x:2:evil")), http.StatusForbidden},
		"a certificate elsewhere":   {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", "https://evil.example/x.pem")), http.StatusForbidden},
		"a host that ends likewise": {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem")), http.StatusForbidden},
		"a bucket of Amazon's":      {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", "https://bucket.s3.amazonaws.com/x.pem")), http.StatusForbidden},
		"without TLS":               {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", strings.Replace(certURL, "https", "http", 1))), http.StatusForbidden},
		"with a user":               {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", strings.Replace(certURL, "https://", "https://evil@", 1))), http.StatusForbidden},
		"no certificate":            {hooksPath, a.sns(t, "Notification", "2", event, set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/")), http.StatusForbidden},
		"raw delivery":              {hooksPath, event, http.StatusBadRequest},
		"no JSON":                   {hooksPath, "hello", http.StatusBadRequest},
		"too long":                  {hooksPath, strings.Repeat(" ", maxWebhook+1), http.StatusBadRequest},
		"another namespace":         {"/v1/webhooks/email/other/mail-main/", a.sns(t, "Notification", "2", event, nil), http.StatusNoContent},
		"another channel":           {"/v1/webhooks/email/shop/mail-other/", a.sns(t, "Notification", "2", event, nil), http.StatusNoContent},
		"a channel that is not":     {"/v1/webhooks/email/shop/none/", a.sns(t, "Notification", "2", event, nil), http.StatusNotFound},
		"to confirm elsewhere":      {hooksPath, a.sns(t, "SubscriptionConfirmation", "2", "x", set("SubscribeURL", "https://evil.example/")), http.StatusForbidden},
	} {
		if got := f.postHook(tt.path+"ses", tt.body); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if got := f.outcome(id); got.receipts != "" || got.suppressed != nil {
		t.Errorf("something was done: %+v", got)
	}
	for _, asked := range a.asked {
		if !strings.HasPrefix(asked, certURL) {
			t.Errorf("asked %s", asked)
		}
	}
	// A subscription is confirmed at the address that SNS names, and again where that failed.
	a.away = true
	confirm := a.sns(t, "SubscriptionConfirmation", "2", "You have chosen to subscribe", nil)
	if got := f.postHook(hooksPath+"ses", confirm); got != http.StatusServiceUnavailable {
		t.Errorf("while SNS is away: %d", got)
	}
	a.away, a.asked = false, nil
	if got := f.postHook(hooksPath+"ses", confirm); got != http.StatusNoContent || len(a.asked) != 1 || !strings.Contains(a.asked[0], "Action=ConfirmSubscription") {
		t.Errorf("confirmation: %d, asked %v", got, a.asked)
	}
}

// FuzzSNS: whoever signs, whatever they say, SNS alone is asked for certificates and confirmations, and
// what is not signed writes nothing.
func FuzzSNS(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	a, fx := newAmazon(f), newSQLite(f)
	fx.hook(f, a, key)
	fx.customer("anna", anna)
	id, _ := fx.mail()
	bounced := sesEvent(id, "Bounce", fmt.Sprintf(`"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":%q,"status":"5.1.1"}]}`, anna))
	f.Add("Notification", "1", bounced, certURL, "", false, []byte(nil))
	f.Add("Notification", "2", "{}", certURL, "", true, []byte(nil))
	f.Add("SubscriptionConfirmation", "2", "x", certURL, confirmURL, true, []byte(nil))
	f.Add("UnsubscribeConfirmation", "2", "x", certURL, "https://sns.evil.example/", true, []byte(nil))
	f.Add("SubscriptionConfirmation", "2", "x", "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem", "https://sns.eu-west-1.amazonaws.com:443/", true, []byte(nil))
	f.Add("", "", "", "", "", false, []byte(`{"Type":"Notification","TopicArn":"`+topicARN+`","Message":{}}`))
	f.Fuzz(func(t *testing.T, kind, version, message, certificate, subscribe string, signed bool, raw []byte) {
		fx.TB = t
		m := map[string]string{
			"Type": kind, "MessageId": "1", "TopicArn": topicARN, "Message": message, "Timestamp": "2026-03-01T09:00:00.000Z",
			"SignatureVersion": version, "SigningCertURL": certificate, "SubscribeURL": subscribe, "Token": "t", "Signature": "AAAA",
		}
		if signed {
			a.sign(t, m)
		}
		body := asJSON(t, m)
		if len(raw) > 0 {
			body = string(raw)
		}
		if code := fx.postHook(hooksPath+"ses", body); code >= 500 && signed {
			t.Errorf("status %d", code)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, asked := range a.asked {
			rest, https := strings.CutPrefix(asked, "https://sns.")
			host, _, _ := strings.Cut(rest, "/")
			host, _, _ = strings.Cut(host, "?")
			region, suffix := strings.CutSuffix(strings.TrimSuffix(host, ".cn"), ".amazonaws.com")
			if !https || !suffix || strings.ContainsAny(region, ".:@%") {
				t.Errorf("asked %s", asked)
			}
		}
		a.asked = nil
		if !signed && fx.outcome(id).receipts != "" {
			t.Error("it was written without a signature")
		}
	})
}

func TestSendGridRefusals(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := newSQLite(t)
	f.hook(t, newAmazon(t), key)
	f.customer("anna", anna)
	id, _ := f.mail()
	body := fmt.Sprintf(`[{"event":"bounce","type":"bounce","email":%q,"smtp-id":"<%s@shop.example>","status":"5.1.1"}]`, anna, id)
	now, old := strconv.FormatInt(start.Unix(), 10), strconv.FormatInt(start.Add(-13*time.Hour).Unix(), 10)
	for name, tt := range map[string]struct {
		path, body, timestamp, signature string
		want                             int
	}{
		"none":               {hooksPath, body, now, "", http.StatusForbidden},
		"another key's":      {hooksPath, body, now, signSendGrid(t, other, now, body), http.StatusForbidden},
		"of another body":    {hooksPath, body, now, signSendGrid(t, key, now, "[]"), http.StatusForbidden},
		"of another time":    {hooksPath, body, now, signSendGrid(t, key, old, body), http.StatusForbidden},
		"long ago":           {hooksPath, body, old, signSendGrid(t, key, old, body), http.StatusForbidden},
		"no time":            {hooksPath, body, "", signSendGrid(t, key, "", body), http.StatusForbidden},
		"no base64":          {hooksPath, body, now, "§", http.StatusForbidden},
		"no list":            {hooksPath, "{}", now, signSendGrid(t, key, now, "{}"), http.StatusBadRequest},
		"another namespace":  {"/v1/webhooks/email/other/mail-main/", body, now, signSendGrid(t, key, now, body), http.StatusNoContent},
		"another channel":    {"/v1/webhooks/email/shop/mail-other/", body, now, signSendGrid(t, key, now, body), http.StatusNoContent},
		"somebody else's id": {hooksPath, `[{"event":"bounce","email":"x@y.example","smtp-id":"<abc@other.example>"}]`, now, signSendGrid(t, key, now, `[{"event":"bounce","email":"x@y.example","smtp-id":"<abc@other.example>"}]`), http.StatusNoContent},
	} {
		got := f.postHook(tt.path+"sendgrid", tt.body, "X-Twilio-Email-Event-Webhook-Timestamp", tt.timestamp, "X-Twilio-Email-Event-Webhook-Signature", tt.signature)
		if got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if got := f.outcome(id); got.receipts != "" || got.suppressed != nil {
		t.Errorf("something was done: %+v", got)
	}
}

func TestMailgunRefusals(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := newSQLite(t)
	f.hook(t, newAmazon(t), key)
	f.customer("anna", anna)
	id, _ := f.mail()
	path, event := hooksPath+"mailgun", mailgunEvent(id, "complained", "")
	for name, tt := range map[string]struct {
		path, body string
		want       int
	}{
		"another key":       {path, mailgun("other", "t1", start, event), http.StatusForbidden},
		"changed":           {path, strings.Replace(mailgun(mailgunKey, "t2", start, event), `"t2"`, `"t3"`, 1), http.StatusForbidden},
		"long ago":          {path, mailgun(mailgunKey, "t4", start.Add(-13*time.Hour), event), http.StatusForbidden},
		"ahead":             {path, mailgun(mailgunKey, "t5", start.Add(13*time.Hour), event), http.StatusForbidden},
		"no event":          {path, `{"signature":{}}`, http.StatusBadRequest},
		"no JSON":           {path, "hello", http.StatusBadRequest},
		"another namespace": {"/v1/webhooks/email/other/mail-main/mailgun", mailgun(mailgunKey, "t6", start, event), http.StatusNoContent},
		"another provider":  {hooksPath + "postmark", mailgun(mailgunKey, "t7", start, event), http.StatusNotFound},
	} {
		if got := f.postHook(tt.path, tt.body); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if got := f.outcome(id); got.receipts != "" || got.suppressed != nil {
		t.Errorf("something was done: %+v", got)
	}
	// Who saw a call could say anything with its token, but it is taken once.
	if got := f.postHook(path, mailgun(mailgunKey, "t9", start, mailgunEvent(id, "delivered", ""))); got != http.StatusNoContent {
		t.Errorf("the first: %d", got)
	}
	if got := f.postHook(path, mailgun(mailgunKey, "t9", start, event)); got != http.StatusNotAcceptable {
		t.Errorf("again: %d", got)
	}
	if got := f.receipts(id); got != "delivered" {
		t.Errorf("receipts %q", got)
	}
	// What could not be written may come again with the same token.
	if err := f.st.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := f.postHook(path, mailgun(mailgunKey, "t10", start, event)); got != http.StatusServiceUnavailable {
			t.Errorf("while the store is away: %d", got)
		}
	}
}
