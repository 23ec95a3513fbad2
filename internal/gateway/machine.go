// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strings"
)

// machines are programs that load pictures and follow links without anybody looking. Each has all of
// its words in the User-Agent. What is not known for sure counts as a person: the raw agent is kept
// with the receipt. Gmail's and Yahoo's image proxies load when the mail is opened, and are not here.
var machines = map[string][]string{
	"Gmail, before delivery": {"Chrome/42.0.2311.135", "Edge/12.246"},
	"LINE's link preview":    {"line-poker"},
	"Facebook's":             {"facebookexternalhit"},
	"Slack's":                {"Slackbot"},
	"X's":                    {"Twitterbot"},
	"Discord's":              {"Discordbot"},
	"Telegram's":             {"TelegramBot"},
	"Microsoft's":            {"BingPreview"},
	"Skype's and Teams'":     {"SkypeUriPreview"},
	"Google's crawler":       {"Googlebot"},
	"Bing's crawler":         {"bingbot"},
	"Barracuda":              {"BarracudaCentral"},
	"Mimecast":               {"Mimecast"},
	"Proofpoint":             {"Proofpoint"},
	"Sophos":                 {"Sophos"},
	"Trend Micro":            {"TrendMicro"},
	"Trend Micro's crawler":  {"TMUFE"},
	"Forcepoint":             {"Forcepoint"},
	"Zscaler":                {"Zscaler"},
	"Cloudmark":              {"Cloudmark"},
	"Apple's crawler":        {"Applebot"},
	"WhatsApp's":             {"WhatsApp/"},
	"LinkedIn's":             {"LinkedInBot"},
	"Pinterest's":            {"Pinterestbot"},
}

// isMachine tells a program from a person.
func isMachine(r *http.Request) bool {
	agent := r.UserAgent()
	// Browsers say so when they load what nobody has asked for yet.
	for _, header := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if said := strings.ToLower(r.Header.Get(header)); strings.HasPrefix(said, "prefetch") || said == "preview" {
			return true
		}
	}
	// Apple's Mail Privacy Protection says only that much, and loads every picture of every mail.
	if r.Method == http.MethodHead || agent == "Mozilla/5.0" {
		return true
	}
	for _, words := range machines {
		all := true
		for _, word := range words {
			all = all && strings.Contains(agent, word)
		}
		if all {
			return true
		}
	}
	return false
}
