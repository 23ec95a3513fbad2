// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"

	"github.com/google/uuid"
)

// Links is what the links of one message are made with. Without a Signer, as in a preview, addresses
// stay as they are written and templates have no links.unsubscribe.
type Links struct {
	Signer    *Signer
	Namespace string
	Message   uuid.UUID // the message's key
	// Clicks and Opens say what is tracked. Without Clicks addresses stay as they are written.
	Clicks, Opens bool
}

// ShortLink is a row that a short link is looked up by.
type ShortLink struct {
	Code string
	// Kind is Click, Unsubscribe or Preferences: only a Click is counted as one.
	Kind Kind
	// URL is where the link leads.
	URL string
}

// UnsubscribeURL is the address for {{ links.unsubscribe }} and the List-Unsubscribe header.
func (l Links) UnsubscribeURL() (string, error) { return l.own(Unsubscribe) }

// PreferencesURL is the address for {{ links.preferences }}.
func (l Links) PreferencesURL() (string, error) { return l.own(Preferences) }

// OpenURL is the address of the picture that tells of an open.
func (l Links) OpenURL() (string, error) { return l.own(Open) }

func (l Links) own(kind Kind) (string, error) {
	return l.Signer.link(kind, Claims{Namespace: l.Namespace, Message: l.Message})
}

// track is the address to write for target. What cannot be tracked is left as it is: another
// scheme, an address that is already Kaeru's own, one too long for a link.
func (l Links) track(target string, index int) string {
	if !l.trackable(target) {
		return target
	}
	out, err := l.Signer.link(Click, Claims{Namespace: l.Namespace, Message: l.Message, Index: index, URL: target})
	if err != nil {
		return target
	}
	return out
}

func (l Links) trackable(target string) bool {
	return l.Clicks && l.Signer != nil && isHTTP(target) && len(target) <= maxTarget && !l.ours(target)
}

func (l Links) ours(target string) bool {
	rest, ok := strings.CutPrefix(target, l.Signer.publicURL+"/")
	return ok && len(rest) > 2 && rest[1] == '/' && strings.ContainsRune("loups", rune(rest[0]))
}

func (l Links) short(kind Kind, target string) (string, ShortLink) {
	code := l.Signer.shortCode(l.Namespace, l.Message, kind, target)
	return l.Signer.publicURL + "/" + shortPath + "/" + code, ShortLink{Code: code, Kind: kind, URL: target}
}
