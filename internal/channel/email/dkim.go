// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// DKIM is how mails are signed.
type DKIM struct {
	// Domain and Selector say where the public key is: at selector._domainkey.domain.
	Domain, Selector string
	// Key and Warning are from ParseDKIMKey.
	Key     crypto.Signer
	Warning string
}

// sealed are the headers that a signature covers. One that a mail does not have is covered as well:
// whoever adds it on the way, or a second one, breaks the signature.
var sealed = []string{
	"From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Unsubscribe", "List-Unsubscribe-Post",
}

// signer signs rendered mails. go-mail's own signing folds its list of headers between their letters
// where that list is long, as with both headers of RFC 8058, and then nobody can verify it.
type signer struct{ options dkim.SignOptions }

func newSigner(d *DKIM, from string) (*signer, error) {
	domain, err := idna.Lookup.ToASCII(d.Domain)
	if err != nil || !hostName.MatchString(domain) {
		return nil, fmt.Errorf("dkim.domain %q is not a domain: write it like shop.example", d.Domain)
	}
	if !hostName.MatchString(d.Selector) {
		return nil, fmt.Errorf("dkim.selector %q is not a selector: write the name of the key in DNS, such as kaeru1", d.Selector)
	}
	if !aligned(domain, from) {
		return nil, fmt.Errorf("dkim.domain %s and the domain of from, %s, do not belong together: mail providers (DMARC) count a signature only by the domain that recipients see, so sign with %s",
			domain, from, from)
	}
	if d.Key == nil {
		return nil, errors.New("dkim has no private key")
	}
	return &signer{dkim.SignOptions{
		Domain: domain, Selector: d.Selector, Signer: d.Key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}}, nil
}

// aligned is DMARC's relaxed alignment: both are names of one organisation.
func aligned(domain, from string) bool {
	ascii, err := idna.Lookup.ToASCII(from)
	if err != nil {
		return false
	}
	domain, from = strings.ToLower(domain), strings.ToLower(ascii)
	if domain == from {
		return true
	}
	a, errA := publicsuffix.EffectiveTLDPlusOne(domain)
	b, errB := publicsuffix.EffectiveTLDPlusOne(from)
	return errA == nil && errB == nil && a == b
}

// sign puts the signature before a rendered mail.
func (s *signer) sign(raw []byte) ([]byte, error) {
	options := s.options
	options.HeaderKeys = coverage(raw)
	var out bytes.Buffer
	out.Grow(len(raw) + 1024)
	if err := dkim.Sign(&out, bytes.NewReader(raw), &options); err != nil {
		// What failed is the key, and its error could tell of it.
		return nil, errors.New("the mail could not be signed: the key of spec.email.dkim does not work")
	}
	return out.Bytes(), nil
}

// coverage names each sealed header once more often than the mail has it.
func coverage(raw []byte) []string {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	there := map[string]int{}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		there[strings.ToLower(string(name))]++
	}
	var names []string
	for _, name := range sealed {
		for range there[strings.ToLower(name)] + 1 {
			names = append(names, name)
		}
	}
	return names
}
