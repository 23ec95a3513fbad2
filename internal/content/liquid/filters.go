// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/filters"
)

// maxValue bounds the text, and maxItems the list, that a filter is given or makes. With them no
// chain of filters, and no loop over one, can fill the memory.
const (
	maxValue = 64 << 10
	maxItems = 1000
)

// filterError is a message of ours, which holds no data.
type filterError string

func (e filterError) Error() string { return string(e) }

const (
	errTooLong   = filterError("the text is too long")
	errTooMany   = filterError("the list is too long")
	errNotNumber = filterError("the value is not a number")
	errNotDate   = filterError("the value is not a date")
)

// filterArgs are the filters there are, with the least and the most arguments each takes.
var filterArgs = map[string][2]int{
	"abs": {0, 0}, "append": {1, 1}, "at_least": {1, 1}, "at_most": {1, 1}, "capitalize": {0, 0}, "ceil": {0, 0},
	"compact": {0, 0}, "concat": {1, 1}, "date": {0, 1}, "date_ja": {0, 1}, "default": {1, 1}, "divided_by": {1, 1},
	"downcase": {0, 0}, "escape": {0, 0}, "escape_once": {0, 0}, "first": {0, 0}, "floor": {0, 0}, "join": {0, 1},
	"json": {0, 0}, "last": {0, 0}, "lstrip": {0, 0}, "map": {1, 1}, "minus": {1, 1}, "modulo": {1, 1},
	"money": {0, 1}, "newline_to_br": {0, 0}, "plus": {1, 1}, "prepend": {1, 1}, "remove": {1, 1},
	"remove_first": {1, 1}, "replace": {2, 2}, "replace_first": {2, 2}, "reverse": {0, 0}, "round": {0, 1},
	"rstrip": {0, 0}, "sama": {0, 0}, "san": {0, 0}, "size": {0, 0}, "slice": {1, 2}, "sort": {0, 1},
	"sort_natural": {0, 0}, "split": {1, 1}, "strip": {0, 0}, "strip_html": {0, 0}, "strip_newlines": {0, 0},
	"times": {1, 1}, "truncate": {0, 2}, "truncatewords": {0, 2}, "uniq": {0, 0}, "upcase": {0, 0},
	"url_decode": {0, 0}, "url_encode": {0, 0}, "yen": {0, 0},
}

func checkCall(c call) error {
	want, ok := filterArgs[c.name]
	switch {
	case c.name == "raw":
		return fmt.Errorf("raw must be the last filter")
	case !ok:
		known := make([]string, 0, len(filterArgs))
		for name := range filterArgs {
			known = append(known, name)
		}
		slices.Sort(known)
		return fmt.Errorf("unknown filter %s: templates know %s, raw", c.name, strings.Join(known, ", "))
	case c.args < want[0]:
		return fmt.Errorf("filter %s needs %d more argument(s)", c.name, want[0]-c.args)
	case c.args > want[1]:
		return fmt.Errorf("filter %s takes %d argument(s), not %d", c.name, want[1], c.args)
	}
	return nil
}

// Filters see their arguments only, so what differs by shop is in the set of filters itself.
type filterKey struct {
	location *time.Location
	currency string
}

const maxFilterSets = 256

// filterSet is the filters of one render at a time, since they are charged to it.
type filterSet struct {
	config expressions.Config
	meter  *meter
}

var filterSets = struct {
	sync.RWMutex
	sets map[filterKey]*sync.Pool
}{sets: map[filterKey]*sync.Pool{}}

// filtersFor are the sets of filters for a shop: one is taken for a render, and given back.
func filtersFor(location *time.Location, currency string) *sync.Pool {
	if location == nil {
		location = time.UTC
	}
	key := filterKey{location, currency}
	filterSets.RLock()
	set, ok := filterSets.sets[key]
	filterSets.RUnlock()
	if ok {
		return set
	}
	set = &sync.Pool{New: func() any { return newFilters(location, currency) }}
	filterSets.Lock()
	defer filterSets.Unlock()
	if len(filterSets.sets) >= maxFilterSets {
		clear(filterSets.sets)
	}
	filterSets.sets[key] = set
	return set
}

func newFilters(location *time.Location, currency string) *filterSet {
	set := &filterSet{config: expressions.NewConfig(), meter: &meter{}}
	filters.AddStandardFilters(&set.config)
	c := &meteredFilters{&set.config, set.meter}
	addText(c)
	addLists(c)
	addNumbers(c)
	addShop(c, location, currency)
	return set
}
