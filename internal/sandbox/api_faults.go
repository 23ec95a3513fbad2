// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
)

// newFault is a rule, or a preset by its name.
type newFault struct {
	Fault
	Preset string `json:"preset,omitempty"`
}

func (s *Sandbox) addFault(w http.ResponseWriter, r *http.Request) {
	var given newFault
	if !decode(w, r, &given) {
		return
	}
	rule, err := given.Fault, error(nil)
	if given.Preset != "" {
		if rule != (Fault{}) {
			refuse(w, http.StatusBadRequest, "preset stands alone: narrow it like %s:count=3", given.Preset)
			return
		}
		rule, err = fault.Parse(given.Preset)
	}
	if err == nil {
		rule, err = s.faults.Add(rule)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	reply(w, http.StatusCreated, rule)
}

// webhookAnswer is what a webhook was answered with.
type webhookAnswer struct {
	Status int `json:"status"`
}

func (s *Sandbox) lineEvent(w http.ResponseWriter, r *http.Request) {
	var e LINEEvent
	if !decode(w, r, &e) {
		return
	}
	status, err := s.line.Happen(r.Context(), e)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	reply(w, http.StatusOK, webhookAnswer{status})
}

// FaultPresets are all failures that have a name.
func FaultPresets() []FaultPreset { return fault.Presets() }
