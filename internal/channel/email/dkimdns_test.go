// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// nameServer answers TXT questions over UDP, each record in strings of 255 bytes at most as in real
// zones. A name that is not there does not exist; silent says nothing at all.
func nameServer(t *testing.T, records map[string][]string, silent bool) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if silent || q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
				continue
			}
			a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: q.Questions}
			found, ok := records[q.Questions[0].Name.String()]
			if !ok {
				a.RCode = dnsmessage.RCodeNameError
			}
			for _, text := range found {
				var parts []string
				for len(text) > 255 {
					parts, text = append(parts, text[:255]), text[255:]
				}
				a.Answers = append(a.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET, TTL: 1},
					Body:   &dnsmessage.TXTResource{TXT: append(parts, text)},
				})
			}
			out, err := a.Pack()
			if err == nil {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

func TestPublishedKeys(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours := &DKIM{Domain: "shop.example", Selector: selector, Key: rsaOf(2048)}
	edwards := &DKIM{Domain: "shop.example", Selector: selector, Key: ed}
	weak := &DKIM{Domain: "shop.example", Selector: selector, Key: rsaOf(1024), Warning: "the RSA key has 1024 bits"}
	right := record(rsaOf(2048).Public())
	bare := "p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsaOf(2048).PublicKey))
	tests := map[string]struct {
		dkim    *DKIM
		records []string
		want    channel.SigningState
		says    string
	}{
		"ours":            {ours, []string{right}, channel.SigningVerified, "is this channel's"},
		"with spaces":     {ours, []string{strings.ReplaceAll(right, ";", " ; ")}, channel.SigningVerified, ""},
		"the other form":  {ours, []string{bare}, channel.SigningVerified, ""},
		"Ed25519":         {edwards, []string{record(ed.Public())}, channel.SigningVerified, ""},
		"weak":            {weak, []string{record(rsaOf(1024).Public())}, channel.SigningVerified, "1024 bits"},
		"none":            {ours, nil, channel.SigningWrong, "no TXT record at kaeru1._domainkey.shop.example: publish v=DKIM1; k=rsa; p=MII"},
		"another key":     {ours, []string{record(rsaOf(1024).Public())}, channel.SigningWrong, "another key than the Secret"},
		"another kind":    {ours, []string{record(ed.Public())}, channel.SigningWrong, "another kind of key"},
		"another of two":  {edwards, []string{right}, channel.SigningWrong, "which is ed25519"},
		"another's of ed": {edwards, []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))}, channel.SigningWrong, "another key than the Secret"},
		"two":             {ours, []string{right, right}, channel.SigningWrong, "2 TXT records"},
		"withdrawn":       {ours, []string{"v=DKIM1; p="}, channel.SigningWrong, "withdrawn"},
		"cut off":         {ours, []string{right[:60]}, channel.SigningWrong, "the TXT record"},
		"no record of it": {ours, []string{"v=spf1 -all"}, channel.SigningWrong, "not of DKIM's first version"},
		"without a key":   {ours, []string{"v=DKIM1; k=rsa"}, channel.SigningWrong, "holds no key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			records := map[string][]string{}
			if tt.records != nil {
				records[selector+"._domainkey.shop.example."] = tt.records
			}
			c := config((&script{}).serve(t))
			c.DKIM, c.Resolver = tt.dkim, nameServer(t, records, false)
			account, err := sender(t, c).Check(t.Context())
			if err != nil || account.Signing == nil || account.Signing.Verified != tt.want || !strings.Contains(account.Signing.Message, tt.says) {
				t.Errorf("%+v %v, want …%s…", account.Signing, err, tt.says)
			}
		})
	}
}

// A name server that says nothing holds nobody up for long, and is no reason not to send.
func TestDNSIsDown(t *testing.T) {
	c := config((&script{}).serve(t))
	c.DKIM, c.Resolver = signedBy(t), nameServer(t, nil, true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	s := sender(t, c)
	account, err := s.Check(ctx)
	if err != nil || account.Signing == nil || account.Signing.Verified != channel.SigningUnknown {
		t.Errorf("%+v %v", account.Signing, err)
	}
	if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
		t.Errorf("%+v", o)
	}
	if account, err = sender(t, config((&script{}).serve(t))).Check(t.Context()); err != nil || account.Signing != nil {
		t.Errorf("a channel that signs nothing: %+v %v", account.Signing, err)
	}
}
