// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Explanation says how one customer stands with each condition of a segment, at one moment. As JSON it
// is what kaeru audience --explain writes. Its times are in the shop's zone.
type Explanation struct {
	Namespace string `json:"namespace"`
	Segment   string `json:"segment"`
	Customer  string `json:"customer"`
	// At is the moment of the verdicts.
	At time.Time `json:"at"`
	// Conditions are all that the match has, in its order.
	Conditions []Verdict `json:"conditions"`
	// Lists are those of all, any and none that the match has.
	Lists []ListVerdict `json:"lists"`
	// Holds is the verdict of the whole match.
	Holds bool `json:"holds"`
	// Member tells whether the customer is one, as of the last refresh, and Since from when on.
	Member bool       `json:"member"`
	Since  *time.Time `json:"since,omitempty"`
	// Was is the last time that somebody who is no member was one.
	Was *Period `json:"was,omitempty"`
	// RefreshedAt is the last refresh, and KeptSince from when on it is known who came and left.
	RefreshedAt time.Time `json:"refreshedAt"`
	KeptSince   time.Time `json:"keptSince"`
	// Note says why Member is not what Holds says, where it is not.
	Note string `json:"note,omitempty"`
}

// Period is from a moment until just before another.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Verdict is how a customer stands with one condition.
type Verdict struct {
	// Place is where the condition stands in the match, such as any[1].anyOf[0].
	Place     string             `json:"place"`
	Condition v1alpha1.Condition `json:"condition"`
	Value     Value              `json:"value"`
	Holds     bool               `json:"holds"`
}

// ListVerdict is how a customer stands with all, any or none.
type ListVerdict struct {
	List  string `json:"list"`
	Holds bool   `json:"holds"`
	// By are the entries that decide it: of all, those that do not hold; of any and none, those that do.
	By []string `json:"by,omitempty"`
}

// Explain looks at one customer by the match that the last refresh of a segment was made with. It only
// reads. Its errors are sentences for whoever asked.
func (r *Refresher) Explain(ctx context.Context, ns, segment, customer string) (*Explanation, error) {
	var out *Explanation
	err := r.Store.ReadTx(ctx, func(tx *store.Tx) error {
		states, err := readStates(ctx, tx, `ns = $1 AND name = $2`, ns, segment)
		if err != nil {
			return fmt.Errorf("read the state of segment %s: %w", segment, err)
		}
		state := states[segment]
		switch {
		case state.Mode == "":
			return neverRefreshed(ns, segment)
		case state.definition == "":
			return fmt.Errorf("segment %q of namespace %s has no conditions to explain by, since it is suspended: "+
				"set spec.suspend to false and ask again after its next refresh; its members are still those of its last one", segment, ns)
		}
		spec, shop, err := parseDefinition(state.definition)
		if err != nil {
			return err
		}
		var known bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM customers WHERE ns = $1 AND id = $2)`, ns, customer).Scan(&known); err != nil {
			return fmt.Errorf("look for the customer: %w", err)
		}
		if !known {
			return fmt.Errorf("customer %q is not known in namespace %s: give the id that the customer was imported with", customer, ns)
		}
		e := &explainer{
			tx: tx, customer: customer, now: r.Clock.Now(), cuts: Thresholds{},
			env: Env{Namespace: ns, Segment: segment, Shop: shop, Dialect: tx.Dialect()},
		}
		out, err = e.explain(ctx, spec.Match, state.State)
		return err
	})
	return out, err
}

// neverRefreshed is the error of a segment that there is nothing known of.
func neverRefreshed(ns, segment string) error {
	return fmt.Errorf("segment %q of namespace %s was never refreshed: apply it, and see kubectl get segments -n %s", segment, ns, ns)
}

type explainer struct {
	tx       *store.Tx
	env      Env
	customer string
	now      time.Time
	// cuts are the thresholds that were asked for so far.
	cuts Thresholds
}

func (e *explainer) explain(ctx context.Context, match v1alpha1.Match, state State) (*Explanation, error) {
	out := &Explanation{
		Namespace: e.env.Namespace, Segment: e.env.Segment, Customer: e.customer, At: e.local(e.now), Holds: true,
		RefreshedAt: e.local(state.RefreshedAt), KeptSince: e.local(state.KeptSince),
	}
	for _, list := range []struct {
		name    string
		entries []v1alpha1.NestedCondition
		// decides is the verdict of an entry that makes it one of By.
		decides bool
		holds   func(deciding int) bool
	}{
		{"all", match.All, false, func(n int) bool { return n == 0 }},
		{"any", match.Any, true, func(n int) bool { return n > 0 }},
		{"none", match.None, true, func(n int) bool { return n == 0 }},
	} {
		if len(list.entries) == 0 {
			continue
		}
		verdict := ListVerdict{List: list.name}
		for i := range list.entries {
			place := fmt.Sprintf("%s[%d]", list.name, i)
			verdicts, holds, err := e.entry(ctx, &list.entries[i], place)
			if err != nil {
				return nil, err
			}
			out.Conditions = append(out.Conditions, verdicts...)
			if holds == list.decides {
				verdict.By = append(verdict.By, place)
			}
		}
		verdict.Holds = list.holds(len(verdict.By))
		out.Lists = append(out.Lists, verdict)
		out.Holds = out.Holds && verdict.Holds
	}
	if err := e.membership(ctx, out); err != nil {
		return nil, fmt.Errorf("look for the customer in the segment: %w", err)
	}
	return out, nil
}

// entry is a condition or a group of a list, with the verdicts of its conditions.
func (e *explainer) entry(ctx context.Context, c *v1alpha1.NestedCondition, place string) (verdicts []Verdict, holds bool, err error) {
	group, decides := []v1alpha1.Condition{c.Condition}, false
	format := place
	switch {
	case len(c.AnyOf) > 0:
		group, decides, format = c.AnyOf, true, place+".anyOf"
	case len(c.AllOf) > 0:
		group, format = c.AllOf, place+".allOf"
	}
	holds = !decides
	for i := range group {
		at := format
		if at != place {
			at = fmt.Sprintf("%s[%d]", format, i)
		}
		v, err := e.condition(ctx, &group[i], at)
		if err != nil {
			return nil, false, fmt.Errorf("look at %s: %w", at, err)
		}
		if v.Holds == decides {
			holds = decides
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, holds, nil
}

// theCandidate is what the table candidates has of somebody, of the one customer, whose placeholder it takes.
// A reader may not fill that table, nor should it: this way the database itself sees to it that nothing changes.
const theCandidate = `(SELECT c.id AS customer_id, c.email, c.phone, c.line_user_id, c.attributes, c.reach,
    m.orders, m.spend, m.first_order_at, m.last_order_at, m.previous_order_at
  FROM customers c LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = c.id WHERE c.ns = $1 AND c.id = %s) b`

func (e *explainer) from(s *statement) string { return fmt.Sprintf(theCandidate, s.text(e.customer)) }

func (e *explainer) condition(ctx context.Context, c *v1alpha1.Condition, place string) (Verdict, error) {
	s := &statement{env: e.env, bound: make(map[any]int), each: true}
	s.text(e.env.Namespace) // $1
	path := "spec.match." + place
	p, shown, err := e.windowedShare(s, c.Spend, path)
	if err == nil && shown == nil {
		if p, err = s.condition(c, path); err == nil {
			shown, err = e.shown(s, p, c, path)
		}
	}
	if err != nil {
		return Verdict{}, err
	}
	query := "SELECT " + strings.Join(append([]string{"(" + p.holds + ") IS TRUE"}, shown.columns...), ",\n  ") + "\nFROM " + e.from(s)
	if len(s.with) > 0 {
		query = "WITH " + strings.Join(s.with, ", ") + "\n" + query
	}
	for _, cut := range s.cuts {
		if _, known := e.cuts[cut]; known {
			continue
		}
		// As it is now: those that are kept are as of the last refresh that asked for them.
		t, err := computeThreshold(ctx, e.tx, e.env.Namespace, cut)
		if err != nil {
			return Verdict{}, fmt.Errorf("compute the threshold of %s: %w", cut.Measure, err)
		}
		e.cuts[cut] = t.value
	}
	v := Verdict{Place: place, Condition: *c}
	if err := e.tx.QueryRow(ctx, query, valuesOf(s.args, e.now, e.cuts)...).Scan(append([]any{&v.Holds}, shown.into...)...); err != nil {
		return Verdict{}, store.WithoutData(err)
	}
	v.Value, err = shown.value(ctx)
	return v, err
}

// membership adds whether and when the customer is or was in the segment.
func (e *explainer) membership(ctx context.Context, out *Explanation) error {
	var entered, exited int64
	err := e.tx.QueryRow(ctx, `SELECT entered_at FROM memberships WHERE ns = $1 AND segment = $2 AND customer_id = $3`,
		e.env.Namespace, e.env.Segment, e.customer).Scan(&entered)
	switch {
	case err == nil:
		since := e.local(store.Time(entered))
		out.Member, out.Since = true, &since
	case !store.IsNotFound(err):
		return err
	default:
		err = e.tx.QueryRow(ctx, `SELECT entered_at, exited_at FROM past_memberships WHERE ns = $1 AND segment = $2 AND customer_id = $3
			ORDER BY exited_at DESC, entered_at DESC LIMIT 1`, e.env.Namespace, e.env.Segment, e.customer).Scan(&entered, &exited)
		if err == nil {
			out.Was = &Period{e.local(store.Time(entered)), e.local(store.Time(exited))}
		} else if !store.IsNotFound(err) {
			return err
		}
	}
	if out.Member != out.Holds {
		does := "lets them in"
		if out.Member {
			does = "takes them out"
		}
		out.Note = fmt.Sprintf("the members are those of the last refresh, %s before this: unless something changes again, the next one %s",
			e.now.Sub(out.RefreshedAt).Round(time.Second), does)
	}
	return nil
}

func (e *explainer) local(t time.Time) time.Time { return t.In(e.env.Shop.zone()) }

// localTime is a moment of the database, and nil for none.
func (e *explainer) localTime(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	at := e.local(store.Time(ms.Int64))
	return &at
}
