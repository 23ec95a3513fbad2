// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// definition is what decides who belongs to a segment. The database keeps it, so that whoever learns
// something about a customer can tell which segments that concerns.
type definition struct {
	Match        v1alpha1.Match
	Zone         string
	DormantAfter time.Duration
}

func define(spec *v1alpha1.SegmentSpec, shop Shop) (string, error) {
	text, err := json.Marshal(definition{spec.Match, shop.zone().String(), shop.DormantAfter})
	if err != nil {
		return "", fmt.Errorf("write the definition of a segment: %w", err)
	}
	return string(text), nil
}

func parseDefinition(text string) (*v1alpha1.SegmentSpec, Shop, error) {
	var d definition
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, Shop{}, fmt.Errorf("read the definition of a segment: %w", err)
	}
	zone, err := time.LoadLocation(d.Zone)
	if err != nil {
		return nil, Shop{}, fmt.Errorf("read the definition of a segment: %w", err)
	}
	return &v1alpha1.SegmentSpec{Match: d.Match}, Shop{Zone: zone, DormantAfter: d.DormantAfter}, nil
}

// SpecHash tells two matches apart, and the defaults of the shop that they depend on. The
// description and the interval change nothing about who belongs to a segment.
func SpecHash(spec *v1alpha1.SegmentSpec, shop Shop) (string, error) {
	text, err := define(spec, shop)
	return hashOf(text), err
}

func hashOf(definition string) string {
	sum := sha256.Sum256([]byte(definition))
	return hex.EncodeToString(sum[:8])
}
