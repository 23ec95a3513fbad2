// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// columns are the names of attributes that the customer's row has columns for.
var columns = map[string]bool{"id": true, "email": true, "phone": true, "line_user_id": true}

func (s *statement) attribute(c *v1alpha1.AttributeCondition, path string) (predicate, error) {
	if strings.ContainsAny(c.Name, `"\`) {
		return predicate{}, &Invalid{path + ".name", `no attribute's name has a " or a \: remove it`}
	}
	s.kinds |= store.TouchedCustomer
	text := s.attributeText(c.Name)
	switch {
	case len(c.In) > 0:
		return when(s.among(s.attributeWord(c.Name, c.In), c.In)), nil
	case len(c.NotIn) > 0:
		return when("NOT (" + s.among(s.attributeWord(c.Name, c.NotIn), c.NotIn) + ")"), nil
	case c.AtLeast != nil || c.AtMost != nil:
		return s.attributeNumber(c, text, path)
	case c.Before != "" || c.After != "":
		return s.attributeDate(c, text, path)
	case c.Presence == v1alpha1.AttributePresent:
		return predicate{text + " IS NOT NULL", text + " IS NULL"}, nil
	case c.Presence == v1alpha1.AttributeAbsent:
		return predicate{text + " IS NULL", text + " IS NOT NULL"}, nil
	case c.AnniversaryWithin != "":
		return s.anniversary(c, text, path)
	}
	return predicate{}, &Invalid{path, "set exactly one of in, notIn, atLeast/atMost, before/after, presence, anniversaryWithin"}
}

// attributeText is an attribute as text. It is NULL where it is absent or empty, which is the same.
func (s *statement) attributeText(name string) string {
	if columns[name] {
		return "NULLIF(" + s.customer(name) + ", '')"
	}
	s.read(factAttributes, "", "")
	key := s.env.Dialect.JSONKey(name)
	return "NULLIF(" + s.env.Dialect.JSONText(s.customer("attributes"), s.bind(named{"text", key}, constant(key))) + ", '')"
}

// attributeWord is attributeText to be compared with these.
func (s *statement) attributeWord(name string, values []string) string {
	if columns[name] {
		return s.attributeText(name)
	}
	s.read(factAttributes, "", "")
	return "NULLIF(" + s.word(s.customer("attributes"), name, values) + ", '')"
}

func (s *statement) attributeNumber(c *v1alpha1.AttributeCondition, text, path string) (predicate, error) {
	number := s.asNumber(text)
	var limits, parts []string
	for _, side := range []struct {
		name, operator string
		limit          *intstr.IntOrString
	}{{"atLeast", ">=", c.AtLeast}, {"atMost", "<=", c.AtMost}} {
		if side.limit == nil {
			continue
		}
		limit := v1alpha1.Number(side.limit)
		if !numberForm.MatchString(limit) {
			return predicate{}, &Invalid{path + "." + side.name, "is not a number such as 20 or \"-0.5\""}
		}
		limits = append(limits, s.numeric(limit))
		parts = append(parts, fmt.Sprintf("%s %s %s", number, side.operator, limits[len(limits)-1]))
	}
	if len(limits) == 2 && s.env.Dialect == store.SQLite {
		// To read the number takes longer than all the rest.
		return when(number + " BETWEEN " + limits[0] + " AND " + limits[1]), nil
	}
	return when(strings.Join(parts, " AND ")), nil
}

// numberForm is what is taken as a number in an attribute, be it written as a number or as text. The
// lengths keep PostgreSQL from failing on what it could not hold.
const numberPattern = `^-?[0-9]{1,100}([.][0-9]{1,100})?$`

var numberForm = regexp.MustCompile(numberPattern)

// asNumber is a text as a number, NULL where it is none.
func (s *statement) asNumber(text string) string {
	if s.env.Dialect == store.SQLite {
		return "kaeru_number(" + text + ")"
	}
	// A pattern takes ten times as long as a look at the digits, which most numbers consist of.
	return fmt.Sprintf("(CASE WHEN TRANSLATE(%[1]s, '0123456789', '') = '' AND LENGTH(%[1]s) <= 100 OR %[1]s ~ '%[2]s' THEN CAST(%[1]s AS NUMERIC) END)", text, numberPattern)
}

// numeric is a number to compare with asNumber.
func (s *statement) numeric(limit string) string {
	if s.env.Dialect == store.SQLite {
		v, _ := strconv.ParseFloat(limit, 64) // its form was checked, and as large as it may be, it has a value
		return s.placeholder("real", v)
	}
	return "CAST(" + s.placeholder("numeric", limit) + " AS NUMERIC)"
}
