// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"net/textproto"
	"regexp"
	"strconv"
)

// reply is a server's refusal. subject and detail are of the enhanced status code (RFC 3463); -1
// where there is none.
type reply struct {
	code            int
	subject, detail int
	words           string
}

var enhanced = regexp.MustCompile(`^\s*([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)`)

func parseReply(e *textproto.Error) reply {
	r := reply{code: e.Code, subject: -1, detail: -1, words: e.Msg}
	found := enhanced.FindStringSubmatch(e.Msg)
	// A code of another class contradicts the reply, and the reply is what counts.
	if len(found) == 0 || found[1] != strconv.Itoa(e.Code/100) {
		return r
	}
	r.subject, _ = strconv.Atoi(found[2])
	r.detail, _ = strconv.Atoi(found[3])
	return r
}

func (r reply) is(subject, detail int) bool { return r.subject == subject && r.detail == detail }

// Servers that give no enhanced code say it in words.
var (
	wordsUnknownUser = regexp.MustCompile(`(?i)unknown (user|recipient|mailbox|address)|(user|recipient|mailbox|address) (is )?unknown|` +
		`no such (user|recipient|mailbox|address)|no mailbox here|(user|recipient|mailbox|account|address)[^.;]{0,40}(not found|does not exist|doesn't exist)|` +
		`invalid (recipient|mailbox)|not a valid (mailbox|recipient)`)
	wordsPolicy   = regexp.MustCompile(`(?i)relay|denied|blocked|blocklist|blacklist|spam|policy|reputation|not permitted|not allowed|unauthenticated`)
	wordsSpam     = regexp.MustCompile(`(?i)spam|virus|blocked|content`)
	wordsRate     = regexp.MustCompile(`(?i)\brate\b|too many|throttl|too fast|exceeded|too much`)
	wordsGreylist = regexp.MustCompile(`(?i)gr[ea]y-?list`)
)
