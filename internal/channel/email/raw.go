// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// Raw is the mail as Send hands it to the server, but for the dots. No server is asked.
func (s *Sender) Raw(m *channel.Message) ([]byte, error) {
	if err := check(m); err != nil {
		return nil, err
	}
	to, err := parseRecipient(m.To)
	if err != nil {
		return nil, err
	}
	raw, err := s.render(m, to)
	if err != nil {
		return nil, fmt.Errorf("rendering the mail: %w", err)
	}
	if s.signer != nil {
		return s.signer.sign(raw)
	}
	return raw, nil
}
