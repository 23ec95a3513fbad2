// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// keyword is what a whole text message may ask for.
type keyword string

const (
	keywordNone  keyword = ""
	keywordStop  keyword = "STOP"
	keywordStart keyword = "START"
	keywordHelp  keyword = "HELP"
)

// keywords are the messages that ask for something, in small letters and half-width. YES, which Twilio takes
// for START, is not one of them: it is how customers answer questions.
var keywords = func() map[string]keyword {
	of := map[string]keyword{}
	for word, list := range map[keyword]string{
		keywordStop:  "stop stopall unsubscribe cancel end quit revoke optout 停止 配信停止 解除 配信解除 退会 ストップ",
		keywordStart: "start unstop 再開 配信再開",
		keywordHelp:  "help info ヘルプ",
	} {
		for _, w := range strings.Fields(list) {
			of[w] = word
		}
	}
	return of
}()

// longestKeyword is more than any keyword with all that may stand around it.
const longestKeyword = 256

// readKeyword says what a message asks for. It is a keyword as a whole, or none: "please don't stop" asks for
// nothing. Width, case, spaces and punctuation around it do not matter.
func readKeyword(text string) keyword {
	if len(text) > longestKeyword {
		return keywordNone
	}
	word := strings.ToLower(norm.NFKC.String(text))
	word = strings.TrimFunc(word, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	return keywords[word]
}
