// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

// Holds says whether a step would be taken by somebody of whom this is known: it has no condition, or its
// condition holds.
func (s *Step) Holds(f Facts) bool { return s.cond == nil || s.cond.holds(f) }
