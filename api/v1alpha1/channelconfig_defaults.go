// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "net/mail"

// What holds where a ChannelConfig does not say. Each is named in its field's documentation.
const (
	DefaultLineEndpoint   = "https://api.line.me"
	DefaultTwilioEndpoint = "https://api.twilio.com"

	defaultPerSecond      = 100
	defaultMaxConnections = 8
)

// Type is line, email or sms: the schema lets exactly one be set.
func (s *ChannelConfigSpec) Type() ChannelType {
	switch {
	case s.Line != nil:
		return ChannelLine
	case s.Email != nil:
		return ChannelEmail
	default:
		return ChannelSMS
	}
}

// ModeOrDefault says whether messages really leave.
func (s *ChannelConfigSpec) ModeOrDefault() ChannelMode { return or(s.Mode, ModeLive) }

// PerSecondOrDefault is how many messages may leave in a second.
func (s *ChannelConfigSpec) PerSecondOrDefault() int32 {
	if s.RateLimit == nil {
		return defaultPerSecond
	}
	return or(s.RateLimit.PerSecond, defaultPerSecond)
}

// EndpointOrDefault is the base URL of the Messaging API.
func (c *LineChannel) EndpointOrDefault() string { return string(or(c.Endpoint, DefaultLineEndpoint)) }

// EndpointOrDefault is the base URL of Twilio's API.
func (c *TwilioAccount) EndpointOrDefault() string {
	return string(or(c.Endpoint, DefaultTwilioEndpoint))
}

// ReplyToOrDefault is the address that answers go to.
func (c *EmailChannel) ReplyToOrDefault() string { return string(or(c.ReplyTo, EmailAddress(c.From))) }

// ReturnPathOrDefault is the bare address that bounces go to.
func (c *EmailChannel) ReturnPathOrDefault() string {
	if c.ReturnPath != "" {
		return string(c.ReturnPath)
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil { // as written then; the relay says what it thinks of it
		return c.From
	}
	return from.Address
}

// TLSOrDefault says how the connection to the relay is protected.
func (r *SMTPRelay) TLSOrDefault() TLSMode { return or(r.TLS, TLSStartTLS) }

// PortOrDefault is the port that goes with the protection.
func (r *SMTPRelay) PortOrDefault() int32 {
	switch {
	case r.Port != 0:
		return r.Port
	case r.TLSOrDefault() == TLSImplicit:
		return 465
	case r.TLSOrDefault() == TLSDisabled:
		return 25
	default:
		return 587
	}
}

// MaxConnectionsOrDefault is how many connections are held open to the relay.
func (r *SMTPRelay) MaxConnectionsOrDefault() int32 {
	return or(r.MaxConnections, defaultMaxConnections)
}

// OpensOrDefault says whether opens are measured.
func (t *Tracking) OpensOrDefault() Switch {
	if t == nil {
		return Enabled
	}
	return or(t.Opens, Enabled)
}

// ClicksOrDefault says whether clicks are measured.
func (t *Tracking) ClicksOrDefault() Switch {
	if t == nil {
		return Enabled
	}
	return or(t.Clicks, Enabled)
}

// TimeZoneOr is the zone of the quiet hours; shop is the shop's own, empty where it does not say.
func (q *QuietHours) TimeZoneOr(shop string) string { return zone(q.TimeZone, shop) }

// PolicyOrDefault says what happens to a message in quiet hours.
func (q *QuietHours) PolicyOrDefault() QuietPolicy { return or(q.Policy, QuietDefer) }

// ScopeOrDefault is Channel or Namespace.
func (c *FrequencyCap) ScopeOrDefault() string { return or(c.Scope, CapChannel) }

// CurrencyOr is the currency of the cost; shop is the shop's own.
func (c *ChannelCost) CurrencyOr(shop string) string { return or(string(c.Currency), shop) }

func zone(z TimeZone, shop string) string { return or(or(string(z), shop), "UTC") }
