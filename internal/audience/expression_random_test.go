// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	expressionShops    = 20
	expressionsPerShop = 80
)

// TestRandomExpressions holds what the database selects against CEL's own evaluation.
func TestRandomExpressions(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("customer", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("now", cel.TimestampType))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		held, evaluated := 0, 0
		for n := range expressionShops {
			r := random{rand.New(rand.NewPCG(seed, uint64(n)))}
			ns := fmt.Sprintf("shop-%d", n)
			now := r.now()
			s := r.shop(now)
			s.load(t, db, ns, now)
			o := oracle{s, now}
			for range expressionsPerShop {
				e := expressions{r}.truth(4)
				parsed, issues := env.Parse(e.cel)
				if issues.Err() != nil {
					t.Fatal(issues.Err())
				}
				program, err := env.Program(parsed)
				if err != nil {
					t.Fatal(err)
				}
				// Around it, other conditions make the statement start elsewhere.
				match, buyers, none := expressionMatch(e.ours), r.IntN(3) == 0, r.IntN(4) == 0
				if none {
					match = v1alpha1.Match{None: match.All}
				}
				if buyers {
					match.All = append(match.All, v1alpha1.NestedCondition{Condition: v1alpha1.Condition{Orders: &v1alpha1.OrdersCondition{}}})
				}
				want := []string{}
				for i := range s.people {
					p := &s.people[i]
					out, _, err := program.Eval(map[string]any{"customer": o.facts(p), "now": now})
					holds := err == nil && out.Value() == true
					if evaluated++; holds {
						held++
					}
					if holds != none && (!buyers || len(o.times(p)) > 0) {
						want = append(want, p.id)
					}
				}
				slices.Sort(want)
				if got := matching(t, db, ns, match, s.Shop, now); !slices.Equal(got, want) {
					query, _ := audience.Compile(match, audience.Env{Namespace: ns, Shop: s.Shop, Dialect: db.Dialect()})
					t.Fatalf("seed %d, shop %d, none %t, buyers %t, at %s in %s\n%s\n%s\ngot  %v\nwant %v\n%s\n%v", seed, n, none, buyers, now, s.Zone, e.ours, e.cel, got, want, query.SQL, query.Args(now, nil))
				}
			}
		}
		if held*20 < evaluated || held*20 > evaluated*19 {
			t.Errorf("%d of %d hold: the expressions tell nobody from anybody", held, evaluated)
		}
	})
}

// facts are what CEL sees of a person: an attribute once for each kind that it can be compared as.
func (o oracle) facts(p *person) map[string]any {
	times, total := o.times(p), int64(0)
	for _, b := range o.ordersOf(p, "", nil) {
		total += int64(b.total)
	}
	const unit = float64(money.Unit)
	m := map[string]any{"orders": int64(len(times)), "spend": float64(total) / unit}
	if n := len(times); n > 0 {
		m["average"] = float64(total/int64(n)) / unit
		m["first_order_at"], m["last_order_at"] = times[0], times[n-1]
		if n > 1 {
			m["previous_order_at"] = times[n-2]
		}
	}
	for _, name := range append([]string{"phone", "line_user_id"}, names...) {
		text := attributeText(p, name)
		if text == "" {
			continue
		}
		m[name], m[name+"#truth"] = text, text == "true"
		if number := plainNumber(text); number != nil {
			m[name+"#number"], _ = number.Float64()
		}
		if at, ok := o.moment(text); ok {
			m[name+"#moment"] = at
		}
	}
	return m
}

func (o oracle) moment(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00"} {
		if at, err := time.ParseInLocation(layout, text, o.zone()); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// expressions makes expressions: as Kaeru takes them, and as CEL does, in which an attribute says which
// kind it is compared as, fractions are not mixed with whole numbers, and a division by 0.0 is none.
type expressions struct{ r random }

type bilingual struct{ ours, cel string }

func same(format string, args ...any) bilingual {
	text := fmt.Sprintf(format, args...)
	return bilingual{text, text}
}

// join writes a template in both languages.
func join(template string, parts ...bilingual) bilingual {
	ours, theirs := make([]any, len(parts)), make([]any, len(parts))
	for i, p := range parts {
		ours[i], theirs[i] = p.ours, p.cel
	}
	return bilingual{fmt.Sprintf(template, ours...), fmt.Sprintf(template, theirs...)}
}

func one[T any](r random, made ...func() T) T { return made[r.IntN(len(made))]() }

func (x expressions) attribute(kind string) bilingual {
	name := pick(x.r, names[:6]...)
	ours := `customer["` + name + `"]`
	if name[0] < 0x80 && x.r.IntN(2) == 0 {
		ours = "customer." + name
	}
	return bilingual{ours, `customer["` + name + kind + `"]`}
}

func (x expressions) compare() string { return pick(x.r, "==", "!=", "<", "<=", ">", ">=") }

func (x expressions) truth(depth int) bilingual {
	leaves := []func() bilingual{
		func() bilingual { return same("%t", x.r.IntN(2) == 0) },
		func() bilingual { return x.attribute("#truth") },
		func() bilingual {
			name := pick(x.r, "orders", "average", "previous_order_at", "email", "birthday", "age", "vip", "nobody")
			return bilingual{"has(customer." + name + ")", `"` + name + `" in customer`}
		},
		func() bilingual { return same(`"%s" in customer`, pick(x.r, names...)) },
		func() bilingual {
			return join("%s in ["+strings.Join(some(x.r, `"20"`, `"true"`, `"東京"`, `"007"`, `"c01"`), ", ")+"]", x.words(0))
		},
		func() bilingual {
			return join("%s in ["+strings.Join(some(x.r, "20", "7", "-0.5", "30.5", "0"), ", ")+"]", pick(x.r, x.attribute("#number"), x.whole(0), x.fraction(0)))
		},
	}
	if depth == 0 {
		return one(x.r, leaves...)
	}
	less := depth - 1
	return one(x.r, append(leaves,
		func() bilingual { return join("(%s && %s)", x.truth(less), x.truth(less)) },
		func() bilingual { return join("(%s || %s)", x.truth(less), x.truth(less)) },
		func() bilingual { return join("!(%s)", x.truth(less)) },
		func() bilingual { return join("(%s ? %s : %s)", x.truth(less), x.truth(less), x.truth(less)) },
		func() bilingual {
			return join("(%s) "+pick(x.r, "==", "!=")+" (%s)", join("%s ? true : false", x.truth(less)), join("%s && true", x.truth(less)))
		},
		func() bilingual {
			a, b, operator := x.attribute(""), join("(%s && true)", x.truth(less)), pick(x.r, " == ", " != ")
			return bilingual{a.ours + operator + b.ours, a.cel + operator + "(" + b.cel + ` ? "true" : "false")`}
		},
		func() bilingual { return join("%s "+x.compare()+" %s", x.number(less), x.number(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.number(less), x.number(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.attribute("#number"), x.number(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.number(less), x.attribute("#number")) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.words(less), x.words(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.moment(less), x.moment(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.attribute("#moment"), x.moment(less)) },
		func() bilingual { return join("%s "+x.compare()+" %s", x.span(less), x.span(less)) },
		func() bilingual {
			return join("%s."+pick(x.r, "startsWith", "endsWith", "contains")+"(%s)", x.words(less), x.words(less))
		},
	)...)
}

func (x expressions) number(depth int) bilingual {
	if x.r.IntN(2) == 0 {
		return x.whole(depth)
	}
	return x.fraction(depth)
}

func (x expressions) whole(depth int) bilingual {
	leaves := []func() bilingual{
		func() bilingual { return same("%d", x.r.IntN(7)-2) },
		func() bilingual { return same("customer.orders") },
	}
	if depth == 0 {
		return one(x.r, leaves...)
	}
	less := depth - 1
	return one(x.r, append(leaves,
		func() bilingual { return join("size(%s)", x.words(less)) },
		func() bilingual { return join("(-%s)", x.whole(less)) },
		// Of what is small: CEL knows no whole number above 2^63, and Kaeru none that is exact above 2^53.
		func() bilingual {
			return join("int(%s)", pick(x.r, x.attribute("#number"), same("customer.spend"), same("-customer.average"), same("-2.7"), same("customer.spend / -3.0")))
		},
		func() bilingual {
			return join("(%s "+pick(x.r, "+", "-", "*", "/")+" %s)", x.whole(less), x.whole(less))
		},
		func() bilingual { return join("(%s ? %s : %s)", x.truth(less), x.whole(less), x.whole(less)) },
	)...)
}

func (x expressions) fraction(depth int) bilingual {
	leaves := []func() bilingual{
		func() bilingual { return same("%g", pick(x.r, 0.1, 0.5, -0.5, 3.3333, 20.5, 1e15, 1e-7)) },
		func() bilingual { return same("customer.spend") },
		func() bilingual { return same("customer.average") },
		func() bilingual { return join("double(%s)", x.attribute("#number")) },
	}
	if depth == 0 {
		return one(x.r, leaves...)
	}
	less := depth - 1
	calculate := func(a, b bilingual) bilingual {
		operator := pick(x.r, "+", "-", "*", "/")
		e := join("(%s "+operator+" %s)", a, b)
		if operator == "/" {
			e.cel = "(" + b.cel + " != 0.0 ? " + e.cel + ` : customer["#none"])`
		}
		return e
	}
	mixed := func() bilingual { // a whole number becomes a fraction among them
		w := x.whole(less)
		return bilingual{w.ours, "double(" + w.cel + ")"}
	}
	return one(x.r, append(leaves,
		func() bilingual { return calculate(x.fraction(less), x.fraction(less)) },
		func() bilingual { return calculate(mixed(), x.fraction(less)) },
		func() bilingual { return calculate(x.fraction(less), mixed()) },
		func() bilingual { return calculate(x.attribute("#number"), mixed()) },
		func() bilingual { return calculate(mixed(), x.attribute("#number")) },
		func() bilingual { return join("(-%s)", x.attribute("#number")) },
		func() bilingual { return join("double(%s)", x.whole(less)) },
		func() bilingual { return join("(%s ? %s : %s)", x.truth(less), x.fraction(less), x.fraction(less)) },
		func() bilingual {
			return join("(%s ? %s : %s)", x.truth(less), x.attribute("#number"), x.fraction(less))
		},
	)...)
}

func (x expressions) words(depth int) bilingual {
	leaves := []func() bilingual{
		func() bilingual {
			return same("%q", pick(x.r, "20", "true", "東京", "東", "京", "", "2", "0", "%", "@example.com", "example", "-02-", "0:", "a", "A", "c0", `'"`))
		},
		func() bilingual { return same("customer.%s", pick(x.r, "id", "email", "phone", "line_user_id")) },
		func() bilingual { return x.attribute("") },
		func() bilingual { return join("string(%s)", x.attribute("")) },
	}
	if depth == 0 || x.r.IntN(3) > 0 {
		return one(x.r, leaves...)
	}
	return join("(%s ? %s : %s)", x.truth(depth-1), x.words(depth-1), x.words(depth-1))
}

func (x expressions) moment(depth int) bilingual {
	leaves := []func() bilingual{
		func() bilingual { return same("now") },
		func() bilingual {
			return same("customer.%s", pick(x.r, "first_order_at", "last_order_at", "previous_order_at"))
		},
		func() bilingual {
			return same("timestamp(%q)", pick(x.r, "2026-02-28T15:30:00Z", "2026-03-01T00:30:00.001+09:00", "1990-02-28T00:00:00Z"))
		},
		func() bilingual { return join("timestamp(%s)", x.attribute("#moment")) },
	}
	if depth == 0 {
		return one(x.r, leaves...)
	}
	less := depth - 1
	return one(x.r, append(leaves,
		func() bilingual { return join("(%s "+pick(x.r, "+", "-")+" %s)", x.moment(less), x.span(less)) },
		func() bilingual { return join("(%s + %s)", x.span(less), x.moment(less)) },
		func() bilingual { return join("(%s - %s)", x.attribute("#moment"), x.span(less)) },
		func() bilingual { return join("(%s ? %s : %s)", x.truth(less), x.moment(less), x.moment(less)) },
		func() bilingual {
			return join("(%s ? %s : %s)", x.truth(less), x.moment(less), x.attribute("#moment"))
		},
	)...)
}

func (x expressions) span(depth int) bilingual {
	literal := func() bilingual {
		return same("duration(%q)", pick(x.r, "0s", "720h", "744h", "1440h", "-24h", "1ms", "1h30m"))
	}
	if depth == 0 {
		return literal()
	}
	less := depth - 1
	return one(x.r, literal,
		func() bilingual { return join("(%s - %s)", x.moment(less), x.moment(less)) },
		func() bilingual { return join("(now - %s)", x.attribute("#moment")) },
		func() bilingual { return join("(%s - %s)", x.attribute("#moment"), x.moment(less)) },
		func() bilingual { return join("(%s "+pick(x.r, "+", "-")+" %s)", x.span(less), x.span(less)) },
		func() bilingual { return join("(%s ? %s : %s)", x.truth(less), x.span(less), x.span(less)) },
	)
}
