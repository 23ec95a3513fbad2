// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Revision is a bundle ready to plan and send with.
type Revision struct {
	Bundle  journey.Bundle
	Journey *journey.Journey

	templates map[string]template
	shop      map[string]any
	loc       *time.Location
}

// template renders one step's message, or what it writes; one of them is set.
type template struct {
	email *content.Email
	line  *content.Line
	sms   *content.SMS
	call  *call
	// update is of a step that sends nothing.
	update *content.Attributes
	// coupon says that it reads the customer's coupon.
	coupon bool
	// recommend is which products it shows; nil for none.
	recommend *crm.Recommend
	// variants are the same with the content of each variant, and fallback is what goes out instead.
	variants map[string]template
	fallback *template
}

// Compile reads a bundle. What somebody has to change in the Scenario comes back as *journey.Error.
func Compile(ctx context.Context, compiler *content.Compiler, b journey.Bundle) (*Revision, error) {
	j, err := journey.Compile(b)
	if err != nil {
		return nil, err
	}
	loc, err := b.Shop.Location()
	if err != nil {
		return nil, err
	}
	r := &Revision{Bundle: b, Journey: j, templates: map[string]template{}, loc: loc}
	if r.shop, err = shopData(b.Shop); err != nil {
		return nil, err
	}
	for i := range b.Spec.Steps {
		step := &b.Spec.Steps[i]
		t, field, err := compileTemplate(ctx, compiler, step)
		if err != nil {
			return nil, contentError(fmt.Sprintf("spec.steps[%d].%s", i, field), err)
		}
		if instead := step.Instead(); instead != nil {
			f, kind, err := compileMessage(ctx, compiler, instead)
			if err != nil {
				return nil, contentError(fmt.Sprintf("spec.steps[%d].%s.fallback.%s", i, field, kind), err)
			}
			t.fallback = &f
		}
		t.coupon = t.uses("coupon") || t.fallback != nil && t.fallback.uses("coupon")
		for name, variant := range variantsOf(step) {
			v, field, err := compileTemplate(ctx, compiler, variant)
			if err != nil {
				return nil, contentError(fmt.Sprintf("spec.steps[%d].%s.variants, %s", i, field, name), err)
			}
			if t.variants == nil {
				t.variants = map[string]template{}
			}
			v.fallback = t.fallback
			t.variants[name], t.coupon = v, t.coupon || v.uses("coupon")
		}
		if t.coupon && b.Spec.Coupon == nil {
			return nil, &journey.Error{Path: fmt.Sprintf("spec.steps[%d].%s", i, field), Message: "reads coupon, and there is none: set spec.coupon to a pool"}
		}
		r.templates[step.Name] = t
	}
	return r, nil
}

// data is what templates of this revision see for a customer. Nil is what there is none of.
func (r *Revision) data(customer, entry, coupon map[string]any) *content.Data {
	return &content.Data{Customer: customer, Entry: entry, Coupon: coupon, Shop: r.shop, Location: r.loc, Currency: r.Bundle.Shop.Currency}
}

func (t *template) uses(name string) bool {
	return t.email != nil && t.email.Uses(name) || t.line != nil && t.line.Uses(name) || t.sms != nil && t.sms.Uses(name) ||
		t.update != nil && t.update.Uses(name) || t.call != nil && t.call.body != nil && t.call.body.Uses(name)
}

// recommends tells whether any message shows products that are recommended.
func (r *Revision) recommends() bool {
	for _, t := range r.templates {
		if t.recommend != nil || t.fallback != nil && t.fallback.recommend != nil {
			return true
		}
	}
	return false
}

func compileTemplate(ctx context.Context, compiler *content.Compiler, step *crm.Step) (t template, field string, err error) {
	if message := step.Message(); message != nil {
		return compileMessage(ctx, compiler, message)
	}
	switch {
	case step.Webhook != nil:
		t.call, err = compileCall(compiler, step.Webhook)
		return t, "webhook", err
	case step.Update != nil:
		attributes := map[string]string{}
		for name, value := range step.Update.Attributes {
			attributes[name] = string(value)
		}
		t.update, err = compiler.CompileAttributes(attributes)
		return t, "update", err
	}
	return t, "", nil
}

func compileMessage(ctx context.Context, compiler *content.Compiler, m *crm.Fallback) (t template, kind string, err error) {
	through, _ := m.Through()
	switch {
	case m.Email != nil:
		t.email, err = compiler.CompileEmail(ctx, content.EmailSource{
			Subject: m.Email.Subject, Preheader: m.Email.Preheader,
			MJML: m.Email.MJML, HTML: m.Email.HTML, Text: m.Email.Text,
		})
	case m.Line != nil:
		messages := make([]json.RawMessage, len(m.Line.Messages))
		for i := range m.Line.Messages {
			messages[i] = m.Line.Messages[i].Raw
		}
		t.line, err = compiler.CompileLine(messages)
	default:
		t.sms, err = compiler.CompileSMS(m.SMS.Text)
	}
	t.recommend = m.Recommends()
	if err == nil && t.uses("recommendations") && t.recommend == nil {
		err = &content.Error{Message: "reads recommendations, and there are none: set recommend"}
	}
	return t, string(through), err
}

// contentError turns what the compiler found into an error with the field's whole path.
func contentError(path string, err error) error {
	var found *content.Error
	if !errors.As(err, &found) {
		return fmt.Errorf("compiling %s: %w", path, err)
	}
	if found.Field != "" {
		path += "." + found.Field
	}
	message := found.Message
	if found.Line > 0 {
		message = fmt.Sprintf("line %d: %s", found.Line, found.Message)
	}
	return &journey.Error{Path: path, Message: message}
}

func shopData(shop journey.Shop) (map[string]any, error) {
	text, err := json.Marshal(shop)
	if err != nil {
		return nil, fmt.Errorf("writing the shop: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("reading the shop: %w", err)
	}
	return m, nil
}

// ShardSize is how many messages a shard of a run holds.
func (r *Revision) ShardSize() int64 { return int64(r.Bundle.Spec.Dispatch.ShardSizeOrDefault()) }

// Segment is the audience; empty where there is none.
func (r *Revision) Segment() string {
	if r.Bundle.Spec.SegmentRef == nil {
		return ""
	}
	return string(r.Bundle.Spec.SegmentRef.Name)
}

// Parallelism is how many shards of a run are worked off at once.
func (r *Revision) Parallelism() int { return int(r.Bundle.Spec.Dispatch.ParallelismOrDefault()) }

// revisions gives compiled revisions from the store. A run keeps the one that planned it, so the
// last few of each Scenario are in use at once.
type revisions struct {
	store    *store.Store
	compiler *content.Compiler
	cache    *lru.Cache[revisionKey, *Revision]
}

type revisionKey struct{ ns, scenario, revision string }

func newRevisions(st *store.Store, compiler *content.Compiler) *revisions {
	cache, err := lru.New[revisionKey, *Revision](256)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &revisions{store: st, compiler: compiler, cache: cache}
}

// errNoRevision says that the store does not know a revision that a message names.
var errNoRevision = errors.New("the revision that planned the message is not in the store")

func (r *revisions) get(ctx context.Context, ns, scenario, revision string) (*Revision, error) {
	key := revisionKey{ns, scenario, revision}
	if found, ok := r.cache.Get(key); ok {
		return found, nil
	}
	var text string
	err := r.store.QueryRow(ctx, `SELECT bundle FROM revisions WHERE ns = $1 AND scenario = $2 AND revision = $3`,
		ns, scenario, revision).Scan(&text)
	if store.IsNotFound(err) {
		return nil, errNoRevision
	}
	if err != nil {
		return nil, fmt.Errorf("reading revision %s of scenario %s/%s: %w", revision, ns, scenario, err)
	}
	bundle, err := journey.ReadBundle([]byte(text))
	if err != nil {
		return nil, err
	}
	compiled, err := Compile(ctx, r.compiler, bundle)
	if err != nil {
		return nil, fmt.Errorf("compiling revision %s of scenario %s/%s: %w", revision, ns, scenario, err)
	}
	r.cache.Add(key, compiled)
	return compiled, nil
}

// journey gives the journey of a revision within a transaction, without its content.
func (r *revisions) journey(ctx context.Context, tx *store.Tx, ref Ref, revision string) (*journey.Journey, error) {
	if found, ok := r.cache.Get(revisionKey{ref.Namespace, ref.Name, revision}); ok {
		return found.Journey, nil
	}
	var text string
	err := tx.QueryRow(ctx, `SELECT bundle FROM revisions WHERE ns = $1 AND scenario = $2 AND revision = $3`,
		ref.Namespace, ref.Name, revision).Scan(&text)
	if err != nil {
		return nil, fmt.Errorf("reading revision %s of scenario %s/%s: %w", revision, ref.Namespace, ref.Name, err)
	}
	bundle, err := journey.ReadBundle([]byte(text))
	if err != nil {
		return nil, err
	}
	j, err := journey.Compile(bundle)
	if err != nil {
		return nil, fmt.Errorf("compiling revision %s of scenario %s/%s: %w", revision, ref.Namespace, ref.Name, err)
	}
	return j, nil
}

// Compiled gives a revision that this process has compiled already.
func (e *Engine) Compiled(ref Ref, revision string) (*Revision, bool) {
	return e.revisions.cache.Get(revisionKey{ref.Namespace, ref.Name, revision})
}
