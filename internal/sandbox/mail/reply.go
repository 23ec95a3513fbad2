// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
)

var texts = map[int]string{
	421: "Service not available, closing transmission channel",
	450: "Mailbox temporarily unavailable",
	451: "Local error in processing",
	452: "Insufficient system storage",
	454: "Temporary authentication failure",
	535: "Authentication credentials invalid",
	550: "Mailbox unavailable",
	552: "Message exceeds the storage allowed",
	554: "Transaction failed",
}

// smtpError is the reply that a fault asks for.
func smtpError(e fault.Effect) *smtp.SMTPError {
	text := e.Message
	if text == "" {
		text = texts[e.Status]
	}
	if text == "" {
		text = "Refused"
	}
	code := smtp.EnhancedCode{e.Status / 100, 0, 0}
	var given smtp.EnhancedCode
	if n, err := fmt.Sscanf(e.Enhanced, "%d.%d.%d", &given[0], &given[1], &given[2]); n == 3 && err == nil {
		code = given
	}
	return &smtp.SMTPError{Code: e.Status, EnhancedCode: code, Message: strings.NewReplacer("\r", " ", "\n", " ").Replace(text)}
}

func replyLine(e *smtp.SMTPError) string {
	return fmt.Sprintf("%d %d.%d.%d %s\r\n", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2], e.Message)
}

// login is the server's side of AUTH LOGIN, which go-sasl has for clients only.
type login struct {
	check func(name, password string) error
	name  *string
	asked bool
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.name == nil && response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.name == nil:
		name := string(response)
		l.name = &name
		return []byte("Password:"), false, nil
	case response == nil:
		return nil, false, errors.New("password is missing")
	}
	return nil, true, l.check(*l.name, string(response))
}
