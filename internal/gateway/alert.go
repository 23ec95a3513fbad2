// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strconv"

	"github.com/kaeru-dev/kaeru/internal/channel/sms"
)

// alert tells of a text message that did not arrive for a reason that operators should hear of.
func (g *Gateway) alert(m message, c callback) {
	if c.kind() != receiptUndelivered {
		return
	}
	code, _ := strconv.Atoi(c.errorCode) // none, or none that is known, is nothing to tell of
	g.Alert(m.ns, m.channel, sms.Undelivered(code).Reason)
}
