// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// Experiment tries variants of a step's content against each other.
type Experiment struct {
	Variants []crm.VariantShare
	// Winner says how one of them wins; nil where they run side by side.
	Winner *crm.Winner
	// Test names the experiment: another one where its variants or its metric are others.
	Test string
}

func experimentOf(s *crm.Step) *Experiment {
	x := &Experiment{}
	switch {
	case s.Email != nil:
		x.Winner = s.Email.Winner
		for i := range s.Email.Variants {
			x.Variants = append(x.Variants, s.Email.Variants[i].VariantShare)
		}
	case s.Line != nil:
		x.Winner = s.Line.Winner
		for i := range s.Line.Variants {
			x.Variants = append(x.Variants, s.Line.Variants[i].VariantShare)
		}
	case s.SMS != nil:
		x.Winner = s.SMS.Winner
		for i := range s.SMS.Variants {
			x.Variants = append(x.Variants, s.SMS.Variants[i].VariantShare)
		}
	}
	if len(x.Variants) == 0 {
		return nil
	}
	var names []string
	for _, v := range x.Variants {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	text := strings.Join(names, " ")
	if x.Winner != nil {
		text += " by " + x.Winner.Metric
	}
	sum := sha256.Sum256([]byte(text))
	x.Test = hex.EncodeToString(sum[:5])
	return x
}

// drawSpace keeps the draw of variants apart from others of the same customer.
const drawSpace = "variant"

// Assign draws a customer's variant: the same one as long as there are these variants with these weights.
// One that is added takes customers from the others and moves nobody between them, and when one is
// removed only its own customers go to others (weighted rendezvous hashing: Thaler and Ravishankar, IEEE/ACM
// Trans. Netw. 6, 1998; the weights as in Schindelhauer and Schomaker, SPAA 2005).
func (x *Experiment) Assign(ns, scenario, epoch, step, customer string) string {
	best, name := math.Inf(-1), ""
	for _, v := range x.Variants {
		if v.Weight <= 0 {
			continue
		}
		// A draw of 0 would win or lose against everything.
		score := -float64(v.Weight) / math.Log(max(Draw(drawSpace, ns, scenario, epoch, step, v.Name, customer), 0x1p-53))
		if score > best {
			best, name = score, v.Name
		}
	}
	return name
}

// checkVariants refuses variants of one step that have the same name.
func checkVariants(x *Experiment, path string) error {
	if x == nil {
		return nil
	}
	seen := map[string]bool{}
	for i, v := range x.Variants {
		if seen[v.Name] {
			return &Error{Path: fmt.Sprintf("%s.variants[%d].name", path, i), Message: "another variant has this name"}
		}
		seen[v.Name] = true
	}
	return nil
}
