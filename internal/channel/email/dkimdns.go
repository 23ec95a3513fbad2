// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// TXTResolver asks DNS, as *net.Resolver does.
type TXTResolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// dnsTimeout bounds the look into DNS: the answer is for people, and no mail waits for it.
const dnsTimeout = 5 * time.Second

// published finds out whether recipients find the key that this channel signs with.
func (s *Sender) published(ctx context.Context) *channel.Signing {
	if s.signer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	o := s.signer.options
	name := o.Selector + "._domainkey." + o.Domain
	records, err := s.config.Resolver.LookupTXT(ctx, name+".") // the dot keeps search domains out of it
	out := &channel.Signing{Verified: channel.SigningWrong}
	var notFound *net.DNSError
	switch {
	case errors.As(err, &notFound) && notFound.IsNotFound, err == nil && len(records) == 0:
		out.Message = "DNS has no TXT record at " + name + ": publish " + record(o.Signer.Public())
	case err != nil:
		out.Verified, out.Message = channel.SigningUnknown, "DNS could not be asked for "+name
	case len(records) > 1:
		out.Message = fmt.Sprintf("DNS has %d TXT records at %s, and verifiers take none of several: leave one", len(records), name)
	default:
		if problem := compare(records[0], o.Signer.Public()); problem != "" {
			out.Message = "the TXT record at " + name + " " + problem + ": publish " + record(o.Signer.Public())
			break
		}
		out.Verified, out.Message = channel.SigningVerified, "the key at "+name+" is this channel's"
	}
	if s.config.DKIM.Warning != "" {
		out.Message += "; " + s.config.DKIM.Warning
	}
	return out
}

// record is the TXT record that belongs to a key.
func record(public crypto.PublicKey) string {
	kind, data := keyData(public)
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(data)
}

func keyData(public crypto.PublicKey) (kind string, data []byte) {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return "ed25519", k
	case *rsa.PublicKey:
		data, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return "rsa", nil // which no key that was parsed makes happen
		}
		return "rsa", data
	}
	return "", nil
}

// compare says what is wrong with a record for this key; empty for nothing.
func compare(text string, public crypto.PublicKey) string {
	kind, data := keyData(public)
	tags := map[string]string{"k": "rsa"}
	for tag := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(tag, "=")
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	p, there := tags["p"]
	published, err := base64.StdEncoding.DecodeString(p)
	switch v, said := tags["v"]; {
	case said && v != "DKIM1":
		return "is not of DKIM's first version"
	case there && p == "":
		return "says that the key was withdrawn"
	case !there || err != nil:
		return "holds no key"
	case tags["k"] != kind:
		return "is for another kind of key than the Secret's, which is " + kind
	}
	if k, ok := public.(*rsa.PublicKey); ok {
		// Both forms are in use (RFC 6376, erratum 3017).
		if bare, err := x509.ParsePKCS1PublicKey(published); err == nil && bare.Equal(k) {
			return ""
		}
		if parsed, err := x509.ParsePKIXPublicKey(published); err != nil || !k.Equal(parsed) {
			return "holds another key than the Secret"
		}
		return ""
	}
	if string(published) != string(data) {
		return "holds another key than the Secret"
	}
	return ""
}
