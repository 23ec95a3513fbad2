// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"strings"
)

var (
	daemon = regexp.MustCompile(`(?i)mailer[-_ ]?daemon|post[-_]?master|mail(?:er)?[ ._-]?(?:delivery|administrator|system|agent)|delivery (?:sub)?system|^\s*<>\s*$|mailerdaemon|mail deliver|maildelivery|bounce|no-?reply|content[- ]filter|mail ?marshal|gateway|administrator|internet mail`)

	failureSubject = regexp.MustCompile(`(?i)undeliver|un-deliver|deliver\w* (?:status|fail|problem|error|report|notification|message)|fail(?:ure|ed)\b|returned (?:mail|message|to sender)|returning (?:message|mail)|mail (?:error|system error|could not)|could not (?:be )?(?:send|sent|deliver)|not (?:be )?delivered|mail status|error sending|bounce|rejected|problem delivering|non remis|unzustellbar|nicht zugestellt|nedoru|недоставлен|не доставлен|delivery|返信|配信(?:でき|不能|エラー)|送信(?:でき|エラー)|不達|エラー|notification|blocked`)

	failureText = regexp.MustCompile(`(?i)(?:could|can|did|was|were|has|have|is|are)(?: ?not|n'?t)(?: yet)?(?: able to)?(?: be| been)?[^.]{0,30} ?(?:deliver|sent|reach|process|relay|accept)|unable to (?:deliver|relay|send|find|process)|undeliver|fail(?:ed|ure)?[^.]{0,30}(?:deliver|recipient|address|permanent|send|transfer)|(?:deliver\w*|recipient|address|send\w*|message|mail)[^.]{0,80}(?:fail|error|reject|refus|trouble|problem|impossible|rejected|returned)|trouble delivering|returned (?:to sender|mail)|permanent (?:fatal )?error|fatal error|not recogni[sz]ed|送信できません|配信できません|送信に失敗|配送でき|届けられ|届きません|nicht zugestellt|konnte nicht|n'a pas pu|échec|не может быть|no se pudo|(?m)^[ \t<>]*5\d\d[ -]|<<< ?5\d\d|wasn't delivered|not relayed|does ?n[o']t exist|unknown user|user unknown|not exist|(?:re)?(?:mail|message) (?:was |has been )?blocked|account is disabled|invalid user|no such user`)

	delayWords = regexp.MustCompile(`(?i)not yet been delivered|has been delayed|is (?:being )?delayed|still (?:being )?(?:try|retr)|delayed \d|will (?:be retried|continue|keep)[^.]{0,20}(?:try|retr|attempt)?|warning (?:message )?only|only a (?:notification about a delay|temporary)|do(?:es)? not need to resend|no need to resend|will be retried|will-retry|delivery attempts will continue|temporary failure report|warning: (?:message|could not)|not be delivered for more than|(?:queued|enqueued) and undeliver|keep trying|再送を試み|配送が遅れて`)

	gaveUp = regexp.MustCompile(`(?i)permanent(?:ly)? (?:error|failed|fatal)|given up|giving up|action: failed|failed permanently|not going to try|gave up`)
)

// readText reads a report that is written for people only.
func readText(r *Report) bool {
	m := r.mail
	subject, text := r.Subject, m.text
	if strings.TrimSpace(text) == "" {
		text = m.page
	}
	failed := m.header.all("X-Failed-Recipients")
	score := 0
	for _, sign := range []bool{
		daemon.MatchString(m.header.get("From")) || daemon.MatchString(m.header.get("Sender")) || strings.TrimSpace(m.header.get("From")) == "",
		isNull(m.header), failureSubject.MatchString(subject), failureText.MatchString(text) || delayWords.MatchString(text), m.returned,
	} {
		if sign {
			score++
		}
	}
	speaks := failureText.MatchString(text) || delayWords.MatchString(text) || failureSubject.MatchString(subject) && m.returned || find(clearWords, normal(text)) != "" && m.returned
	if daemon.MatchString(m.header.get("From")) && serverLines(text) != "" {
		score++
	}
	reportType := strings.Contains(strings.ToLower(m.header.get("Content-Type")), "multipart/report")
	if len(failed) == 0 && !reportType && (score < 3 || !speaks) {
		return false
	}
	kind := Failed
	if !gaveUp.MatchString(text) && (delayWords.MatchString(text) || strings.Contains(strings.ToLower(subject), "delay")) {
		kind = Delayed
	}
	r.Recipients = textRecipients(m, text, subject, failed)
	for i := range r.Recipients {
		to := &r.Recipients[i]
		to.Kind = kind
		if kind != Failed {
			to.Class = ""
		}
	}
	if len(r.Recipients) == 0 {
		r.Kind = kind
		if kind == Failed {
			r.Class = classify("", "", text+"\n"+subject)
		}
		return true
	}
	r.conclude()
	return true
}

// isNull says that a mail has no sender to answer to, as reports must.
func isNull(h header) bool {
	for _, path := range h.all("Return-Path") {
		if p := strings.TrimSpace(path); p == "" || p == "<>" || daemon.MatchString(p) {
			return true
		}
	}
	return false
}

func textRecipients(m *mail, text, subject string, failed []string) (out []Recipient) {
	sender := findAddress(m.original.get("From")) // some servers say whose mail it was first
	for _, s := range orderedSections(text) {
		if len(out) < maxRecipients && !strings.EqualFold(s.address, sender) && !strings.EqualFold(s.address, findAddress(m.header.get("To"))) {
			out = append(out, textRecipient(s.address, s.text))
		}
	}
	if len(out) > 0 {
		return out
	}
	to := findAddress(strings.Join(failed, " "))
	if to == "" {
		to = findAddress(text)
	}
	if to == "" {
		to = findAddress(m.original.get("To"))
	}
	if to == "" {
		return nil
	}
	one := textRecipient(to, text)
	if one.Class == Other {
		one.Class = classify("", "", subject)
	}
	return []Recipient{one}
}

func textRecipient(to, text string) Recipient {
	text = text[:min(len(text), maxAround)]
	said := serverLines(text)
	return Recipient{Address: to, Class: classify(said, findStatus(said+" "+text), text), Status: findStatus(said + " " + text), Diagnostic: shorten(first(said, sentence(text)))}
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

var (
	replyLine   = regexp.MustCompile(`(?i)^(?:[<>]{3} ?|.{0,400}?(?:said|returned|was|reason|response|error|diagnostic code|message log|\]|->)[^:]{0,20}:? *'?"?)?(?:smtp; ?)?(#?[45]\d\d[ -]#?)|#?[45]\.\d{1,3}\.\d{1,3}\b`)
	startsEmpty = regexp.MustCompile(`^\s*$`)
)

// maxLead is how much before a server's words may belong to them.
const maxLead = 80

// serverLines are the lines of a text in which a server is quoted, with those they go on in.
func serverLines(text string) string {
	var out []string
	on := false
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case startsEmpty.MatchString(line), strings.HasPrefix(trimmed, ">>>"):
			on = false
		case replyLine.MatchString(trimmed):
			if at := replyLine.FindStringSubmatchIndex(trimmed); at[2] > maxLead {
				trimmed = trimmed[at[2]:] // a long sentence leads to it
			}
			out, on = append(out, trimmed), true
		case on && len(out) < 40:
			out = append(out, trimmed)
		}
	}
	return strings.Join(out, " ")
}

type section struct{ address, text string }

var sectionStart = regexp.MustCompile(`(?m)^[ \t*>]{0,12}(?:to:? |recipient(?: address)?:[ \t]*|rcpt:? |failed: |delivery failed: )?"?<?(` + `(?:"[^"\n@]{1,64}"|[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]+)@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?` + `)>?"?(?:[ \t]*(?:<mailto:|\(|:|\[|\.\.\.|,|-|;| |$))`)

// orderedSections are the parts of a text that begin with an address, as most servers write.
func orderedSections(text string) (out []section) {
	at := sectionStart.FindAllStringSubmatchIndex(text, maxRecipients)
	seen := map[string]bool{}
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		address, said := text[m[2]:m[3]], text[m[0]:end]
		if key := strings.ToLower(address); seen[key] {
			for j := range out { // what is said in several places
				if strings.EqualFold(out[j].address, address) {
					out[j].text += "\n" + said
				}
			}
			continue
		}
		seen[strings.ToLower(address)] = true
		out = append(out, section{address, said})
	}
	// What stands before the first address is said of all, and after a list of addresses too.
	if len(out) == 1 {
		out[0].text = text
	}
	return out
}

func recipientSections(text string) map[string]string {
	sections := map[string]string{}
	for _, s := range orderedSections(text) {
		sections[strings.ToLower(s.address)] = s.text
	}
	return sections
}

// sentence is the first line of a text that says something.
func sentence(text string) string {
	for _, line := range strings.Split(withoutAdvice(text), "\n") {
		if n := normal(line); len(n) > 8 {
			return line
		}
	}
	return ""
}

// maxShown bounds what is kept of a stranger's words.
const maxShown = 200

func shorten(s string) string {
	s = strings.TrimSpace(spaces.ReplaceAllString(strings.ToValidUTF8(s, ""), " "))
	s = strings.ReplaceAll(s, "\x00", "")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
