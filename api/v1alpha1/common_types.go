// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Duration is a length of time as written in Git: "90m", "36h", "30d", "2w", or several parts
// together ("1d12h"). A day is 24 hours, a week is seven days.
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}[smhdw])+$`
// +kubebuilder:validation:MaxLength=20
type Duration string

// SignedDuration is a Duration that may point back in time: "-3d", "12h".
// +kubebuilder:validation:Pattern=`^-?([0-9]{1,5}[smhdw])+$`
// +kubebuilder:validation:MaxLength=21
type SignedDuration string

// TimeOfDay is a wall-clock time, "HH:MM", 00:00 to 23:59.
// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
// +kubebuilder:validation:MaxLength=5
type TimeOfDay string

// TimeZone is an IANA zone name such as "Asia/Tokyo" or "UTC".
// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`
// +kubebuilder:validation:MaxLength=64
type TimeZone string

// Percentage is a share written with its sign, such as "5%" or "0.1%".
// +kubebuilder:validation:Pattern=`^[0-9]{1,5}(\.[0-9]{1,4})?%$`
// +kubebuilder:validation:MaxLength=11
type Percentage string

// Currency is an ISO 4217 code such as "JPY".
// +kubebuilder:validation:Pattern=`^[A-Z]{3}$`
// +kubebuilder:validation:MaxLength=3
type Currency string

// ObjectName is the name of an object in the same namespace.
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
// +kubebuilder:validation:MaxLength=253
type ObjectName string

// ChannelType names what carries a message.
// +kubebuilder:validation:Enum=line;email;sms
type ChannelType string

// The channel types, as they are written in a spec.
const (
	ChannelLine  ChannelType = "line"
	ChannelEmail ChannelType = "email"
	ChannelSMS   ChannelType = "sms"
)

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// name of the object, in the namespace of the resource that refers to it.
	// +required
	Name ObjectName `json:"name"`
}

// KeyReference names one key of a Secret or ConfigMap in the same namespace.
type KeyReference struct {
	// name of the object, in the namespace of the resource that refers to it.
	// +required
	Name ObjectName `json:"name"`
	// key in the object's data.
	// +required
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// ContentSource reads a template from elsewhere than the Scenario.
type ContentSource struct {
	// configMapKeyRef names the ConfigMap and the key that hold the template. A change of the
	// ConfigMap is a new revision of the Scenario.
	// +required
	ConfigMapKeyRef KeyReference `json:"configMapKeyRef"`
}

// durationUnits are the units that a Duration may use.
var durationUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// longest is what a time.Duration can hold, some 292 years: longer is for ever.
const longest = time.Duration(1<<63 - 1)

// ParseDuration reads a Duration or SignedDuration. What is longer than a time.Duration can be is
// the longest that it can.
func ParseDuration(s string) (time.Duration, error) {
	rest, sign := s, time.Duration(1)
	if strings.HasPrefix(rest, "-") {
		rest, sign = rest[1:], -1
	}
	var total time.Duration
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n < 1 {
			return 0, fmt.Errorf("duration %q: write a number and a unit (s, m, h, d, w), such as 90m or 30d", s)
		}
		unit, ok := durationUnits[rest[n]]
		v, err := strconv.ParseInt(rest[:n], 10, 32)
		if !ok || err != nil {
			return 0, fmt.Errorf("duration %q: write a number and a unit (s, m, h, d, w), such as 90m or 30d", s)
		}
		if part := time.Duration(v); part > (longest-total)/unit {
			total = longest
		} else {
			total += part * unit
		}
		rest = rest[n+1:]
	}
	if s == "" || s == "-" {
		return 0, fmt.Errorf("duration is empty: write a number and a unit (s, m, h, d, w), such as 90m or 30d")
	}
	return sign * total, nil
}

// Duration gives d as a time.Duration. The schema has checked the form, so anything else is zero.
func (d Duration) Duration() time.Duration {
	v, err := ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return v
}

// Or gives d, or what is given where d is not set.
func (d Duration) Or(otherwise time.Duration) time.Duration {
	if d == "" {
		return otherwise
	}
	return d.Duration()
}

// Duration gives d as a time.Duration. The schema has checked the form, so anything else is zero.
func (d SignedDuration) Duration() time.Duration {
	v, err := ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return v
}

// Fraction gives a share of one: "5%" is 0.05.
func (p Percentage) Fraction() float64 {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(p), "%"), 64)
	if err != nil {
		return 0
	}
	return v / 100
}

// Number gives an int-or-string as it was written, and "" where it is not set.
func Number(v *intstr.IntOrString) string {
	if v == nil {
		return ""
	}
	return v.String()
}
