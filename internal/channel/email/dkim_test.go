// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/mail"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

const selector = "kaeru1"

func pemOf(t testing.TB, kind string, data []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

var rsaOf = func() func(bits int) *rsa.PrivateKey {
	var mu sync.Mutex
	made := map[int]*rsa.PrivateKey{}
	return func(bits int) *rsa.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		if made[bits] == nil {
			k, err := rsa.GenerateKey(rand.Reader, bits)
			if err != nil {
				panic(err)
			}
			made[bits] = k
		}
		return made[bits]
	}
}()

// keys are a key of each form that a Secret may hold.
func keys(t testing.TB) map[string][]byte {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edDER, edErr := x509.MarshalPKCS8PrivateKey(ed)
	rsaDER, rsaErr := x509.MarshalPKCS8PrivateKey(rsaOf(2048))
	return map[string][]byte{
		"RSA, PKCS#1":    pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaOf(2048)), nil),
		"RSA, PKCS#8":    pemOf(t, "PRIVATE KEY", rsaDER, rsaErr),
		"Ed25519, PKCS8": pemOf(t, "PRIVATE KEY", edDER, edErr),
	}
}

func dkimWith(t testing.TB, text []byte) *DKIM {
	t.Helper()
	key, warning, err := ParseDKIMKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return &DKIM{Domain: "shop.example", Selector: selector, Key: key, Warning: warning}
}

func signedBy(t testing.TB) *DKIM { return dkimWith(t, keys(t)["RSA, PKCS#8"]) }

// oddMails are those whose signatures break most easily on the way.
func oddMails() map[string]func(*channel.Message) {
	ascii := strings.Repeat("Plain words = and more, ", 400)
	foreign := strings.Repeat("使い心地はいかがですか。", 400)
	return map[string]func(*channel.Message){
		"usual":                    func(*channel.Message) {},
		"no unsubscribe link":      func(m *channel.Message) { m.Email.UnsubscribeURL = "" },
		"a long unsubscribe URL":   func(m *channel.Message) { m.Email.UnsubscribeURL = link + strings.Repeat("A1b2-_", 150) },
		"a long subject":           func(m *channel.Message) { m.Email.Subject = strings.Repeat(subject, 12) },
		"spaces in the subject":    func(m *channel.Message) { m.Email.Subject = "a  b \t c   ( d )  ;:" },
		"long lines, base64":       func(m *channel.Message) { m.Email.Text, m.Email.HTML = foreign, "<p>"+foreign+"</p>" },
		"long lines, quoted":       func(m *channel.Message) { m.Email.Text, m.Email.HTML = ascii, "<p>"+ascii+"</p>" },
		"both encodings":           func(m *channel.Message) { m.Email.Text, m.Email.HTML = foreign, "<p>"+ascii+"</p>" },
		"dots at line starts":      func(m *channel.Message) { m.Email.Text, m.Email.HTML = ".\r\n..\r\n.a\n...\r\n", ".\r\n.<p>\n." },
		"text alone":               func(m *channel.Message) { m.Email.HTML = "" },
		"HTML alone":               func(m *channel.Message) { m.Email.Text = "" },
		"spaces at line ends":      func(m *channel.Message) { m.Email.Text, m.Email.HTML = "a \t \r\nb  \n\n\n \n", "<p> </p>  \r\n \r\n" },
		"line breaks of all kinds": func(m *channel.Message) { m.Email.Text = "a\rb\nc\r\nd\n\re\r\r\n" },
		"headers of the caller's": func(m *channel.Message) {
			m.Email.Headers = map[string]string{"X-Shop": strings.Repeat("花子 ", 60), "Cc2": "a  b"}
		},
		"a Japanese domain": func(m *channel.Message) { m.To = "info@日本語.jp" },
	}
}

// signedMails sends the odd mails with each key through a socket and gives what arrived.
func signedMails(t *testing.T) map[string]delivered {
	t.Helper()
	out := map[string]delivered{}
	for form, key := range keys(t) {
		srv := &script{}
		c := config(srv.serve(t))
		c.DKIM = dkimWith(t, key)
		s := sender(t, c)
		for name, change := range oddMails() {
			m := message()
			change(m)
			if o := s.Send(t.Context(), m, nil); o.End != channel.Sent {
				t.Fatalf("%s: %+v", name, o)
			}
			out[form+": "+name] = delivered{srv.last(t), m, map[string]string{
				selector + "._domainkey.shop.example": record(c.DKIM.Key.Public()),
			}}
		}
	}
	return out
}

type delivered struct {
	raw     string
	message *channel.Message
	records map[string]string
}

func verify(raw string, records map[string]string) ([]*dkim.Verification, error) {
	return dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if r, ok := records[name]; ok {
			return []string{r}, nil
		}
		return nil, fmt.Errorf("no record %s", name)
	}})
}

func TestSignaturesVerify(t *testing.T) {
	for name, d := range signedMails(t) {
		t.Run(name, func(t *testing.T) {
			found, err := verify(d.raw, d.records)
			if err != nil || len(found) != 1 || found[0].Err != nil || found[0].Domain != "shop.example" {
				t.Fatalf("%+v %v", found, err)
			}
			checkOneClick(t, d, found[0].HeaderKeys)
			for line := range strings.SplitSeq(d.raw, "\r\n") {
				if len(line) > 998 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
			for what, change := range map[string]func(string) string{
				"another subject":  func(s string) string { return strings.Replace(s, "\r\nSubject:", "\r\nSubject: Re", 1) },
				"a second From":    func(s string) string { return "From: x@evil.example\r\n" + s },
				"another Reply-To": func(s string) string { return "Reply-To: x@evil.example\r\n" + s },
				"another way out":  func(s string) string { return "List-Unsubscribe: <https://evil.example>\r\n" + s },
				"another body":     func(s string) string { return s + "more\r\n" },
			} {
				if found, err := verify(change(d.raw), d.records); err != nil || found[0].Err == nil {
					t.Errorf("%s is not seen: %v", what, err)
				}
			}
		})
	}
}

// checkOneClick holds a mail against RFC 8058.
func checkOneClick(t *testing.T, d delivered, signed []string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(d.raw))
	if err != nil {
		t.Fatal(err)
	}
	uri, post := m.Header[textproto.CanonicalMIMEHeaderKey("List-Unsubscribe")], m.Header[textproto.CanonicalMIMEHeaderKey("List-Unsubscribe-Post")]
	if d.message.Email.UnsubscribeURL == "" {
		if len(uri) != 0 || len(post) != 0 {
			t.Errorf("%v %v", uri, post)
		}
		return
	}
	if len(uri) != 1 || len(post) != 1 || post[0] != "List-Unsubscribe=One-Click" {
		t.Fatalf("each must be there once: %v %v", uri, post)
	}
	form, err := url.ParseQuery(post[0])
	if err != nil || len(form) != 1 || form.Get("List-Unsubscribe") != "One-Click" {
		t.Errorf("the body to post is %v, %v", form, err)
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(uri[0], "<"), ">")
	u, err := url.Parse(bare)
	if err != nil || u.Scheme != "https" || bare != d.message.Email.UnsubscribeURL {
		t.Errorf("%q is not the link", uri[0])
	}
	for _, name := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "From"} {
		if !slices.Contains(signed, name) {
			t.Errorf("%s is not signed: %v", name, signed)
		}
	}
}

func TestDKIMKeys(t *testing.T) {
	for name, text := range keys(t) {
		if _, warning, err := ParseDKIMKey(text); err != nil || warning != "" {
			t.Errorf("%s: %q %v", name, warning, err)
		}
	}
	// The library makes no short key without being told.
	t.Setenv("GODEBUG", "rsa1024min=0")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec8, err8 := x509.MarshalPKCS8PrivateKey(ec)
	public, errPublic := x509.MarshalPKIXPublicKey(rsaOf(2048).Public())
	good := keys(t)["RSA, PKCS#1"]
	tests := map[string]struct {
		text []byte
		want string
	}{
		"empty":          {nil, "not in PEM"},
		"no PEM":         {[]byte("secret"), "not in PEM"},
		"cut off":        {good[:len(good)/2], "not in PEM"},
		"damaged":        {pemOf(t, "RSA PRIVATE KEY", []byte("nonsense"), nil), "damaged"},
		"512 bits":       {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaOf(512)), nil), "has 512 bits"},
		"too long":       {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaOf(4608)), nil), "need not verify more than 4096"},
		"elliptic curve": {pemOf(t, "PRIVATE KEY", ec8, err8), "neither RSA nor Ed25519"},
		"EC":             {pemOf(t, "EC PRIVATE KEY", []byte("x"), nil), "neither RSA nor Ed25519"},
		"public":         {pemOf(t, "PUBLIC KEY", public, errPublic), "the public one"},
		"a certificate":  {pemOf(t, "CERTIFICATE", []byte("x"), nil), "no private key"},
		"OpenSSH":        {pemOf(t, "OPENSSH PRIVATE KEY", []byte("x"), nil), "OpenSSH"},
		"encrypted":      {pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), "without a passphrase"},
		"encrypted once": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")}), "without a passphrase"},
		"huge":           {bytes.Repeat([]byte("A"), maxKey+1), "more than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := ParseDKIMKey(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
	_, warning, err := ParseDKIMKey(pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaOf(1024)), nil))
	if err != nil || !strings.Contains(warning, "1024 bits") {
		t.Errorf("%q %v", warning, err)
	}
	if _, warning, err = ParseDKIMKey(append(pemOf(t, "CERTIFICATE", []byte("x"), nil), good...)); err != nil || warning != "" {
		t.Errorf("behind a certificate: %q %v", warning, err)
	}
}

func TestDKIMDomains(t *testing.T) {
	tests := map[string]struct {
		from, domain, selector string
		want                   string
	}{
		"the same":                {"a@shop.example", "shop.example", "k1", ""},
		"in capitals":             {"a@Shop.Example", "shop.EXAMPLE", "k1", ""},
		"from is below":           {"a@news.shop.example", "shop.example", "k1", ""},
		"the domain is below":     {"a@shop.co.jp", "mail.shop.co.jp", "k1", ""},
		"Japanese":                {"a@日本語.jp", "xn--wgv71a119e.jp", "k1", ""},
		"selector with dots":      {"a@shop.example", "shop.example", "k1.kaeru", ""},
		"another":                 {"a@shop.example", "relay.example", "k1", "sign with shop.example"},
		"only the suffix is one":  {"a@shop.co.jp", "other.co.jp", "k1", "do not belong together"},
		"the suffix":              {"a@shop.co.jp", "co.jp", "k1", "do not belong together"},
		"another that ends alike": {"a@shop.example", "myshop.example", "k1", "do not belong together"},
		"no domain":               {"a@shop.example", "shop_example;", "k1", "is not a domain"},
		"no selector":             {"a@shop.example", "shop.example", "k1; d=x", "is not a selector"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(25)
			c.From, c.DKIM = tt.from, &DKIM{Domain: tt.domain, Selector: tt.selector, Key: rsaOf(2048)}
			_, err := New(c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
}

// broken is a key that fails when it is used.
type broken struct{ crypto.Signer }

func (broken) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the private exponent is 4711")
}

func TestSigningFails(t *testing.T) {
	srv := &script{}
	c := config(srv.serve(t))
	c.DKIM = &DKIM{Domain: "shop.example", Selector: selector, Key: broken{rsaOf(2048)}}
	o := sender(t, c).Send(t.Context(), message(), func(context.Context) error { t.Error("it was begun"); return nil })
	checkOutcome(t, o, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: lasting})
	if n, _ := srv.seen(); n != 0 || strings.Contains(o.Detail, "4711") {
		t.Errorf("%d connections, %s", n, o.Detail)
	}
}

// FuzzSigned holds what is signed against what a verifier sees behind the socket.
func FuzzSigned(f *testing.F) {
	f.Add("s", "text", "<p>html</p>", "token", "x")
	f.Add(subject, ".\r\n..\rb\n", strings.Repeat("あ", 300), "a b", "  ")
	d := signedBy(f)
	records := map[string]string{selector + "._domainkey.shop.example": record(d.Key.Public())}
	c := config(25)
	c.DKIM = d
	s, err := New(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subject, text, html, token, header string) {
		m := message()
		m.Email = &channel.Email{Subject: subject, Text: text, HTML: html, UnsubscribeURL: link + url.PathEscape(token), Headers: map[string]string{"X-A": header}}
		raw, err := s.render(m, recipient)
		if err != nil || check(m) != nil {
			return
		}
		if raw, err = s.signer.sign(raw); err != nil {
			t.Fatal(err)
		}
		found, err := verify(overTheWire(t, raw), records)
		if err != nil || len(found) != 1 || found[0].Err != nil {
			t.Errorf("%+v %v\n%s", found, err, raw)
		}
	})
}
