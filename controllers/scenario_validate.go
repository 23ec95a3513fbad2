// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

const (
	// validateTimeout is how long one Scenario's messages may take to be checked: LINE must not hold others up.
	validateTimeout = 15 * time.Second
	// validateAgain is how soon LINE is asked again that could not be, on machine time.
	validateAgain = 30 * time.Second
)

// lineValidator is a sender that can ask its provider whether it would take messages.
type lineValidator interface {
	Validate(ctx context.Context, messages []json.RawMessage) error
}

// verdicts are what LINE said of Scenarios' messages. The zero value has none.
type verdicts struct {
	once  sync.Once
	cache *lru.Cache[[sha256.Size]byte, string]
}

func (v *verdicts) get() *lru.Cache[[sha256.Size]byte, string] {
	v.once.Do(func() {
		var err error
		if v.cache, err = lru.New[[sha256.Size]byte, string](4096); err != nil {
			panic(err) // only a size below one is refused
		}
	})
	return v.cache
}

// validate has LINE check the messages of a Scenario that is another revision than when it was last asked. What
// LINE refuses is for somebody to change. Where it could not be asked it is asked again, and doubt says why.
func (r *ScenarioReconciler) validate(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed) (doubt string, again time.Duration, err error) {
	key, ready := r.verdictKey(scenario, a)
	if !ready {
		return "", validateAgain, nil // its messages wait for the channel, too
	}
	found, known := r.validated.get().Get(key)
	if !known {
		if found, doubt, err = r.ask(ctx, a); err != nil {
			return "", 0, err
		}
		if found == "" && doubt != "" {
			return doubt, validateAgain, nil
		}
		r.validated.get().Add(key, found)
	}
	if found != "" {
		return "", 0, stalled(crm.ReasonContentInvalid, "%s", found)
	}
	return "", 0, nil
}

// verdictKey is the same as long as the messages and the accounts that send them are. It is not ready while one
// of these is not.
func (r *ScenarioReconciler) verdictKey(scenario *crm.Scenario, a *dispatch.Armed) (key [sha256.Size]byte, ready bool) {
	text := fmt.Appendf(nil, "%s\x00%s\x00%s", a.Namespace, a.Name, a.Revision)
	for i := range scenario.Spec.Steps {
		for _, u := range channelsOfStep(&scenario.Spec.Steps[i]) {
			if u.kind != crm.ChannelLine {
				continue
			}
			ch, known := r.Channels.Configured(dispatch.Ref{Namespace: a.Namespace, Name: u.name})
			if !known {
				return key, false
			}
			text = fmt.Appendf(text, "\x00%s\x00%s", u.name, ch.Fingerprint)
		}
	}
	return sha256.Sum256(text), true
}

// ask is what LINE refuses of a Scenario's messages, or why it could not be asked.
func (r *ScenarioReconciler) ask(ctx context.Context, a *dispatch.Armed) (found, doubt string, err error) {
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	samples, err := r.Engine.LineSamples(ctx, a.Ref, a.Compiled)
	if err != nil {
		return "", "", err
	}
	for i := range samples {
		s := &samples[i]
		ch, _ := r.Channels.Configured(dispatch.Ref{Namespace: a.Namespace, Name: s.Channel})
		if ch == nil || ch.Mode == dispatch.ModeSandbox {
			continue
		}
		sender, can := ch.Sender.(lineValidator)
		if !can {
			continue
		}
		refused, err := askOne(ctx, ch, sender, s)
		switch {
		case err != nil:
			doubt = fmt.Sprintf("LINE could not check the messages of step %q, and is asked again: %s", s.Step, err)
		case refused != "":
			return fmt.Sprintf("%s.%s (step %q)", s.Path, refused, s.Step), "", nil
		}
	}
	return "", doubt, nil
}

// askOne is what LINE refuses of a sample; empty if nothing, or nothing that is the template's doing.
func askOne(ctx context.Context, ch *dispatch.Channel, sender lineValidator, s *dispatch.LineSample) (string, error) {
	if err := ch.Limiter.Wait(ctx); err != nil {
		return "", err
	}
	err := sender.Validate(ctx, s.Messages)
	var refused *line.Refusal
	if !errors.As(err, &refused) {
		return "", err
	}
	if len(refused.Details) == 0 {
		if len(s.Made) > 0 {
			return "", nil
		}
		return "messages: LINE refuses them: " + refused.Error(), nil
	}
	sure := line.Refusal{}
	for _, d := range refused.Details {
		if !s.Made[d.Property] { // a customer's own value may be right
			sure.Details = append(sure.Details, d)
		}
	}
	if len(sure.Details) == 0 {
		return "", nil
	}
	first := sure.Details[0]
	if first.Property == "" {
		first.Property = "messages"
	}
	text := first.Property + ": LINE refuses it: " + first.Message
	if sure.Details = sure.Details[1:]; len(sure.Details) > 0 {
		text += "; " + sure.Error()
	}
	return text, nil
}
