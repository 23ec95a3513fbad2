// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"encoding/json"
	"errors"
	"strings"
)

// sesEvent is what Amazon SES tells of a mail, as a notification or as an event.
type sesEvent struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Message          string `json:"Message"` // where SNS wraps it
	Mail             struct {
		MessageID     string `json:"messageId"`
		CommonHeaders struct {
			MessageID string `json:"messageId"`
		} `json:"commonHeaders"`
		Headers []struct{ Name, Value string } `json:"headers"`
	} `json:"mail"`
	Bounce struct {
		Type       string         `json:"bounceType"`
		SubType    string         `json:"bounceSubType"`
		Recipients []sesRecipient `json:"bouncedRecipients"`
		MTA        string         `json:"reportingMTA"`
	} `json:"bounce"`
	Complaint struct {
		Recipients []sesRecipient `json:"complainedRecipients"`
		Type       string         `json:"complaintFeedbackType"`
	} `json:"complaint"`
	Delivery struct {
		Recipients []string `json:"recipients"`
		Response   string   `json:"smtpResponse"`
	} `json:"delivery"`
	Delay struct {
		Recipients []sesRecipient `json:"delayedRecipients"`
	} `json:"deliveryDelay"`
	Reject *struct {
		Reason string `json:"reason"`
	} `json:"reject"`
}

type sesRecipient struct {
	Address    string `json:"emailAddress"`
	Status     string `json:"status"`
	Diagnostic string `json:"diagnosticCode"`
}

var errNoNotification = errors.New("not a notification of Amazon SES")

// ParseSES reads a notification or an event of Amazon SES. The kind is None for what it tells beyond
// deliveries, bounces and complaints.
func ParseSES(text []byte) (*Report, error) {
	e, err := unwrapSES(text)
	if err != nil {
		return nil, err
	}
	r := &Report{Kind: None, MessageID: sesMessageID(e)}
	switch strings.ToLower(first(e.EventType, e.NotificationType)) {
	case "bounce":
		r.ReportingMTA = shorten(afterType(e.Bounce.MTA))
		for _, to := range e.Bounce.Recipients {
			r.add(to, Failed, sesClass(e.Bounce.Type, e.Bounce.SubType, to))
		}
		r.Kind = Failed
		if len(r.Recipients) == 0 {
			r.Class = sesClass(e.Bounce.Type, e.Bounce.SubType, sesRecipient{})
		}
		r.conclude()
	case "complaint":
		r.Kind, r.Feedback = Complained, shorten(strings.ToLower(first(e.Complaint.Type, "abuse")))
		for _, to := range e.Complaint.Recipients {
			r.add(to, Complained, "")
		}
		if r.Feedback == "not-spam" {
			r.Kind = None
		}
	case "delivery":
		r.Kind = Delivered
		for _, to := range e.Delivery.Recipients {
			r.add(sesRecipient{Address: to, Diagnostic: e.Delivery.Response}, Delivered, "")
		}
	case "deliverydelay":
		r.Kind = Delayed
		for _, to := range e.Delay.Recipients {
			r.add(to, Delayed, "")
		}
	case "reject": // SES found a virus in it, and sent nothing
		r.Kind, r.Class = Failed, Policy
		r.Recipients = []Recipient{{Kind: Failed, Class: Policy, Diagnostic: "rejected by Amazon SES"}}
	case "":
		return nil, errNoNotification
	}
	return r, nil
}

func unwrapSES(text []byte) (e sesEvent, err error) {
	for range 2 {
		e = sesEvent{}
		if json.Unmarshal(text, &e) != nil {
			return e, errNoNotification // the cause would quote it
		}
		if e.EventType != "" || e.NotificationType != "" || e.Message == "" {
			return e, nil
		}
		text = []byte(e.Message)
	}
	return e, nil
}

// sesMessageID is ours: SES gives mails one of its own, and keeps the first in their headers.
func sesMessageID(e sesEvent) string {
	for _, h := range e.Mail.Headers {
		if strings.EqualFold(h.Name, "Message-ID") {
			return messageID(h.Value)
		}
	}
	return messageID(e.Mail.CommonHeaders.MessageID)
}

func (r *Report) add(to sesRecipient, kind Kind, class Class) {
	if len(r.Recipients) < maxRecipients {
		r.Recipients = append(r.Recipients, Recipient{
			Address: findAddress(to.Address), Kind: kind, Class: class, Status: findStatus(to.Status), Diagnostic: shorten(afterType(to.Diagnostic)),
		})
	}
}

// sesClass takes SES's word where it is a definite one, and the server's where there is one.
func sesClass(kind, sub string, to sesRecipient) Class {
	switch strings.ToLower(sub) {
	case "noemail", "suppressed", "onaccountsuppressionlist":
		return Hard
	case "mailboxfull":
		return Soft
	case "messagetoolarge", "attachmentrejected":
		return Content
	case "contentrejected":
		return Policy
	}
	if to.Diagnostic != "" || to.Status != "" {
		if c := classify(afterType(to.Diagnostic), findStatus(to.Status), ""); c != Other {
			return c
		}
	}
	switch strings.ToLower(kind) {
	case "permanent":
		return Hard
	case "transient":
		return Soft
	}
	return Other
}
