// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"fmt"
	"slices"
	"strings"
)

// variables are the names that data is found under, and what is below them: nil where that is
// free, as a customer's attributes are.
var variables = map[string][]string{
	"customer":        nil,
	"entry":           nil,
	"coupon":          {"code", "expires_at", "pool"},
	"links":           {"preferences", "unsubscribe"},
	"recommendations": {"first", "last", "size"},
	"shop":            {"currency", "dormantAfter", "language", "lowStock", "name", "timeZone", "url"},
}

// productFields are what a product is made of.
var productFields = []string{"category", "id", "image_url", "name", "price", "reason", "stock", "url"}

var forloopFields = []string{"first", "index", "index0", "last", "length", "rindex", "rindex0"}

// trustedRoots are what a shop, and not its customers, has written.
var trustedRoots = map[string]bool{"shop": true, "recommendations": true, "links": true, "forloop": true}

// scope knows the names of a template while it is compiled.
type scope struct {
	// local are names that the template itself gives: by assign, capture or for.
	local map[string]*local
	// used are the roots and paths of data that the template reads.
	used map[string]bool
}

type local struct {
	fields  []string // nil where they are not known
	trusted bool
}

func newScope() *scope { return &scope{local: map[string]*local{}, used: map[string]bool{}} }

// set gives a name to what an expression reads; one name may be given more than once.
func (s *scope) set(name string, trusted bool) {
	if l, ok := s.local[name]; ok {
		l.trusted, l.fields = l.trusted && trusted, nil
		return
	}
	s.local[name] = &local{trusted: trusted}
}

// check finds out whether the data can have p at all.
func (s *scope) check(p path) error {
	root := p.names[0]
	if l, ok := s.local[root]; ok {
		return checkField(p, l.fields)
	}
	if root == "forloop" {
		return fmt.Errorf("forloop is known inside of for only")
	}
	fields, ok := variables[root]
	if !ok {
		return unknownVariable(root)
	}
	for i := range p.names {
		s.used[strings.Join(p.names[:i+1], ".")] = true
	}
	if root == "recommendations" && len(p.names) > 2 && p.names[1] != "size" {
		return checkField(path{names: p.names[1:]}, productFields)
	}
	return checkField(p, fields)
}

func checkField(p path, fields []string) error {
	if len(p.names) < 2 || fields == nil || slices.Contains(fields, p.names[1]) {
		return nil
	}
	return fmt.Errorf("%s has no %s: it has %s", p.names[0], p.names[1], strings.Join(fields, ", "))
}

func unknownVariable(name string) error {
	switch name {
	case "empty", "blank", "null", "none":
		return fmt.Errorf("%s is not known: compare with nil or with \"\"", name)
	}
	known := make([]string, 0, len(variables))
	for v := range variables {
		known = append(known, v)
	}
	slices.Sort(known)
	return fmt.Errorf("unknown variable %s: templates know %s", name, strings.Join(known, ", "))
}

// ownProduct is something of the product that an entry names, which is the shop's: see Data.Entry.
func ownProduct(p path) bool {
	return len(p.names) > 2 && p.names[0] == "entry" && p.names[1] == "product"
}

// trusts says whether all that an expression reads was written by the shop.
func (s *scope) trusts(paths []path) bool {
	for _, p := range paths {
		if l, ok := s.local[p.names[0]]; ok {
			if !l.trusted {
				return false
			}
		} else if !trustedRoots[p.names[0]] && !ownProduct(p) {
			return false
		}
	}
	return true
}
