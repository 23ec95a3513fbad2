// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// askers gives the senders of channels that can be sent through: one that is paused is not asked either.
func askers(channels *dispatch.Channels) func(ns, name string) (channel.Asker, bool) {
	return func(ns, name string) (channel.Asker, bool) {
		ch, _ := channels.Get(dispatch.Ref{Namespace: ns, Name: name})
		if ch == nil || ch.Mode == dispatch.ModeSandbox {
			return nil, false
		}
		asker, ok := ch.Sender.(channel.Asker)
		return asker, ok
	}
}
