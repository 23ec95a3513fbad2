// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"strings"
)

// maxWords is how much of a text is searched for words.
const maxWords = 4 << 10

// maxAround is how much of what a report says around that is.
const maxAround = 8 << 10

var (
	links      = regexp.MustCompile(`(?i)\b(?:https?|ftp)://[^\s<>"')\]]*`)
	linkReason = regexp.MustCompile(`(?i)[?&]p=([a-z]+)`)
	blocklist  = regexp.MustCompile(`(?i)spamhaus|spamcop|sorbs|barracuda|uceprotect|abuseat|dnsbl|\brbl|blacklist|blocklist`)
	mailto     = regexp.MustCompile(`(?i)<mailto:[^>\n]*>?`)
	hosts      = regexp.MustCompile(`\b(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+[a-z][a-z0-9-]*[a-z]\b\.?`)
	spaces     = regexp.MustCompile(`[\s\x{00A0}]+`)
	statusCode = regexp.MustCompile(`(?:^|[^0-9.])([245]\.\d{1,3}\.\d{1,3})(?:[^0-9.]|\.(?:\D|$)|$)`)
	replyCode  = regexp.MustCompile(`(?:^|[^0-9.#])([45]\d\d)(?:[ -]|$)`)
)

// early are the steps of SMTP before the recipient is named: a refusal there cannot be about them.
var early = regexp.MustCompile(`after (?:mail from|ehlo|helo|initial connection|starttls|connect)\b|in reply to (?:mail from|ehlo|helo|initial|starttls)|\[mail_from\]|but my name was rejected|refused to talk to me|but sender was rejected|server rejected mail from|>>> (?:mail from|helo|ehlo)[^\n>]{0,120}<<< ?5|did not like our (?:mail from|ehlo|helo)|but greeting failed|in initial connection|\(mail from\)|while performing the (?:ehlo|helo|mail from)`)

// accessMap is what Postfix puts before whatever its administrator wrote.
var accessMap = regexp.MustCompile(`(?:<> ?)?:? ?recipient address rejected: ([a-z0-9])`)

// normal prepares a text for the tables.
func normal(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxWords)], "")
	s = mailto.ReplaceAllString(s, " ")
	s = links.ReplaceAllStringFunc(s, func(link string) string {
		// Google says in the link what it is about: ?p=NoSuchUser.
		if p := linkReason.FindStringSubmatch(link); p != nil {
			return " " + p[1] + " "
		}
		if blocklist.MatchString(link) {
			return " blocklist "
		}
		return " "
	})
	s = quotedAddress.ReplaceAllString(s, " ")
	s = address.ReplaceAllString(s, " ")
	s = hosts.ReplaceAllString(s, " ")
	s = strings.ToLower(strings.NewReplacer("’", "'", "<>", " ", "`", "'").Replace(s))
	s = spaces.ReplaceAllString(s, " ")
	s = accessMap.ReplaceAllString(s, " $1")
	// qmail ends with it whatever the cause was.
	return strings.TrimSpace(strings.ReplaceAll(s, "i'm not going to try again; this message has been in the queue too long", "; given up"))
}

func find(rules []rule, text string) Class {
	if text == "" {
		return ""
	}
	for _, r := range rules {
		if r.words.MatchString(text) {
			return r.class
		}
	}
	return ""
}

// classify says why a mail failed, by the words of the server that refused it, then by its code, and
// then by what the server that reports it adds.
func classify(diagnostic, status, around string) Class {
	return classifyNear(diagnostic, status, hear(around))
}

// surroundings are what a report says around what a server said, prepared once for all recipients.
type surroundings struct {
	text         string
	clear, vague Class
}

func hear(around string) surroundings {
	s := surroundings{text: normal(withoutAdvice(around[:min(len(around), maxAround)]))}
	s.clear, s.vague = find(clearWords, s.text), find(vagueWords, s.text)
	return s
}

func classifyNear(diagnostic, status string, more surroundings) Class {
	diagnostic = innermost(diagnostic)
	said := normal(diagnostic)
	if own := findStatus(diagnostic); own != "" && own[0] != '2' && !strings.HasSuffix(own, ".0.0") {
		status = own // the reporting server's is at second hand
	}
	class := decide(said, more, status, diagnostic)
	if class == Hard && (early.MatchString(said) || early.MatchString(more.text)) {
		return Policy
	}
	return class
}

var quoted = regexp.MustCompile(`(?s)^.{0,120}?(?:->|address error|unknown reason|remote server (?:said|returned|responded)[^0-9]{0,40}) *['"]?([45]\d\d[- ].*)`)

// innermost is what the last server said, where another one quotes it behind words of its own.
func innermost(diagnostic string) string {
	if found := quoted.FindStringSubmatch(diagnostic); len(found) > 1 && (find(clearWords, normal(found[1])) != "" || find(vagueWords, normal(found[1])) != "") {
		return found[1]
	}
	return diagnostic
}

func decide(said string, more surroundings, status, diagnostic string) Class {
	if exchangeUnknown(diagnostic, status) {
		return Hard
	}
	for _, try := range []func() Class{
		func() Class { return find(clearWords, said) },
		func() Class { return statusClass(status, true) },
		func() Class { return find(vagueWords[:2], said) },
		func() Class { return more.clear },
		func() Class { return statusClass(status, false) },
		func() Class { return more.vague },
		func() Class { return find(vagueWords, said) },
		func() Class { return replyClass(diagnostic) },
		func() Class { return replyClass(more.text) },
	} {
		if c := try(); c != "" {
			return c
		}
	}
	return Other
}

// exchangeUnknown: Microsoft's hosts refuse an address they do not know with words of policy, and
// tell the two apart by the code only.
func exchangeUnknown(diagnostic, status string) bool {
	said := strings.ToLower(spaces.ReplaceAllString(diagnostic, " "))
	return status == "5.4.1" && strings.Contains(said, "recipient address rejected: access denied")
}

func findStatus(s string) string {
	if found := statusCode.FindStringSubmatch(s); found != nil {
		return found[1]
	}
	return ""
}

// statusClass reads an enhanced status code (RFC 3463 and its registry). Precise ones say so much
// that words around them are not asked.
func statusClass(status string, precise bool) Class {
	known := map[string]Class{
		"5.1.1": Hard, "5.1.2": Hard, "5.1.3": Hard, "5.1.4": Hard, "5.1.6": Hard, "5.1.10": Hard, "5.2.1": Hard,
		"5.1.7": Policy, "5.1.8": Policy, "5.1.9": Policy,
		"5.2.2": Soft, "4.2.2": Soft, "5.3.1": Soft, "4.3.1": Soft, "5.4.7": Soft, "4.4.7": Soft, "5.4.6": Soft, "4.4.1": Soft, "4.4.2": Soft,
		"5.2.3": Content, "5.3.4": Content, "5.4.4": Hard, "5.4.310": Hard,
		"5.7.13": Hard, "5.7.17": Hard, "5.7.18": Hard,
	}
	if c, ok := known[status]; ok || precise {
		return c
	}
	parts := strings.SplitN(status, ".", 3)
	if len(parts) < 3 {
		return ""
	}
	if status[0] == '4' && parts[1] != "7" {
		return Soft
	}
	if parts[1] == "1" && parts[2] == "0" {
		return Hard
	}
	return map[string]Class{"1": Hard, "3": Soft, "4": Soft, "6": Content, "7": Policy}[parts[1]]
}

func replyClass(s string) Class {
	found := replyCode.FindStringSubmatch(s)
	if found == nil {
		return ""
	}
	switch code := found[1]; {
	case code[0] == '4':
		return Soft
	case code == "521" || code == "556":
		return Hard // RFC 7504: this host takes no mail
	case code == "552" || code == "534":
		return Content
	}
	return ""
}

// advice are sentences that list what might be wrong, or what to do: they are in every report of
// their servers and say nothing of this one.
var advice = regexp.MustCompile(`(?i)(?:\bmay (?:be|have|not|need)\b|\bmight\b|\bif you\b|\bplease\b|\bcheck (?:the|for|that|whether)\b|\bcontact\b|\bfor (?:more|further)\b|\bmore (?:tips|information)\b|\blearn more\b|\btips\b|\byou can\b|\byou should\b|\byou do not need\b|\bsend the message again\b|\bno action is required\b|\bthe mail system\b$|^this (?:is|report|message|e-?mail|mail|delivery|non)\b|^i'?m (?:sorry|afraid)|^your message (?:to|cannot|could)|^it'?s attached|^a message (?:that you|sent)|^recipients?\. this is|permanent fatal errors|transcript of session|following address|automatically|自動|^\s*(?:subject|date|sent|from|to|message-id|cc):|^(?:-|=|\*|#|\|)+$|確認の上|見つからないか)`)

var replyStart = regexp.MustCompile(`^(?:<<< ?)?[45]\d\d[ -]`)

// withoutAdvice drops those sentences, line by line where lines are sentences.
func withoutAdvice(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if trimmed := strings.TrimSpace(line); trimmed != "" && (replyStart.MatchString(trimmed) || !advice.MatchString(trimmed)) {
			kept = append(kept, trimmed)
		}
	}
	return strings.Join(kept, "\n")
}
