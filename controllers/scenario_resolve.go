// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// resolve reads all that a Scenario refers to, and compiles it: the same check that a run would
// fail on, made when the Scenario is read.
func (r *ScenarioReconciler) resolve(ctx context.Context, scenario *crm.Scenario) (*dispatch.Armed, error) {
	shop, err := readShop(ctx, r.Live, scenario.Namespace)
	if err != nil {
		return nil, err
	}
	if err := shop.CheckPurpose(scenario.Spec.Purpose); err != nil {
		return nil, stalled(crm.ReasonInvalidSpec, "spec.purpose: %s", err)
	}
	bundle := journey.Bundle{Spec: *scenario.Spec.DeepCopy(), Shop: shop}
	for i := range bundle.Spec.Steps {
		if err := r.inline(ctx, scenario.Namespace, &bundle.Spec.Steps[i], fmt.Sprintf("spec.steps[%d]", i)); err != nil {
			return nil, err
		}
	}
	if err := r.checkSegment(ctx, scenario); err != nil {
		return nil, err
	}
	if err := r.checkEnters(ctx, scenario); err != nil {
		return nil, err
	}
	if err := r.checkChannels(ctx, scenario, shop); err != nil {
		return nil, err
	}
	if err := r.checkWebhooks(ctx, scenario); err != nil {
		return nil, err
	}
	if err := r.checkRunner(ctx, scenario); err != nil {
		return nil, err
	}
	revision, text, err := bundle.Revision()
	if err != nil {
		return nil, err
	}
	ref := dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name}
	compiled, ok := r.Engine.Compiled(ref, revision)
	if !ok {
		if compiled, err = dispatch.Compile(ctx, r.Compiler, bundle); err != nil {
			var found *journey.Error
			if errors.As(err, &found) {
				return nil, stalled(reasonOf(found), "%s", found.Error())
			}
			return nil, err
		}
	}
	if err := CheckOneWay(ctx, r, scenario.Namespace, compiled); err != nil {
		return nil, err
	}
	scenario.Status.Revision = revision
	a := &dispatch.Armed{
		Ref: ref, Epoch: scenario.Spec.Epoch, Revision: revision, Bundle: text, Compiled: compiled,
		Suspended: scenario.Spec.Suspend,
	}
	if scenario.Spec.SegmentRef != nil {
		a.Segment = string(scenario.Spec.SegmentRef.Name)
	}
	return a, nil
}

func reasonOf(e *journey.Error) string {
	switch {
	case len(e.Path) > 3 && e.Path[len(e.Path)-3:] == ".if":
		return crm.ReasonExpressionInvalid
	case e.Path == "ConfigMap "+crm.ShopConfigMap:
		return crm.ReasonConfigMapInvalid
	}
	return crm.ReasonContentInvalid
}

// inline writes the content that a step refers to into it.
func (r *ScenarioReconciler) inline(ctx context.Context, namespace string, step *crm.Step, path string) error {
	for _, c := range mailsOf(step) {
		if err := r.inlineContent(ctx, namespace, c.EmailContent, path+c.path); err != nil {
			return err
		}
	}
	return nil
}

// mailOf is the content of a mail, and where in its step it is.
type mailOf struct {
	*crm.EmailContent
	path string
}

// mailsOf are all that a step may send.
func mailsOf(step *crm.Step) (out []mailOf) {
	if e := step.Email; e != nil {
		out = append(out, mailOf{&e.EmailContent, ".email"})
		for i := range e.Variants {
			out = append(out, mailOf{&e.Variants[i].EmailContent, fmt.Sprintf(".email.variants[%d]", i)})
		}
	}
	if f := step.Instead(); f != nil && f.Email != nil {
		kind, _ := step.Message().Through()
		out = append(out, mailOf{&f.Email.EmailContent, "." + string(kind) + ".fallback.email"})
	}
	return out
}

func (r *ScenarioReconciler) inlineContent(ctx context.Context, namespace string, e *crm.EmailContent, path string) error {
	for _, from := range []struct {
		field  string
		source **crm.ContentSource
		into   *string
	}{
		{"mjmlFrom", &e.MJMLFrom, &e.MJML},
		{"htmlFrom", &e.HTMLFrom, &e.HTML},
		{"textFrom", &e.TextFrom, &e.Text},
	} {
		if *from.source == nil {
			continue
		}
		text, err := readKey(ctx, r.Live, namespace, path+"."+from.field, (*from.source).ConfigMapKeyRef)
		if err != nil {
			return err
		}
		*from.into, *from.source = text, nil
	}
	return nil
}

func (r *ScenarioReconciler) checkSegment(ctx context.Context, scenario *crm.Scenario) error {
	if scenario.Spec.SegmentRef == nil {
		return nil
	}
	name := string(scenario.Spec.SegmentRef.Name)
	err := r.Get(ctx, types.NamespacedName{Namespace: scenario.Namespace, Name: name}, &crm.Segment{})
	if apierrors.IsNotFound(err) {
		return stalled(crm.ReasonSegmentNotFound, "spec.segmentRef: Segment %q does not exist: create it in namespace %s", name, scenario.Namespace)
	}
	return err
}

// entersOf names the Scenarios that steps enter.
func entersOf(spec *crm.ScenarioSpec) []string {
	var names []string
	for i := range spec.Steps {
		if e := spec.Steps[i].Enter; e != nil {
			names = append(names, string(e.Scenario))
		}
	}
	return unique(names)
}

// checkEnters refuses to enter Scenarios that are not there, and a way that leads back to where it began.
func (r *ScenarioReconciler) checkEnters(ctx context.Context, scenario *crm.Scenario) error {
	names := entersOf(&scenario.Spec)
	if len(names) == 0 {
		return nil
	}
	var list crm.ScenarioList
	if err := r.List(ctx, &list, client.InNamespace(scenario.Namespace)); err != nil {
		return fmt.Errorf("listing scenarios: %w", err)
	}
	enters := map[string][]string{}
	for i := range list.Items {
		enters[list.Items[i].Name] = entersOf(&list.Items[i].Spec)
	}
	enters[scenario.Name] = names
	for _, name := range names {
		if _, known := enters[name]; !known {
			return stalled(crm.ReasonScenarioNotFound, "spec.steps: Scenario %q does not exist: create it in namespace %s", name, scenario.Namespace)
		}
	}
	if circle := audience.Circle(scenario.Name, func(name string) []string { return enters[name] }); circle != nil {
		return stalled(crm.ReasonScenarioCycle, "spec.steps: scenarios enter one another in a circle: %s; remove one of these steps", strings.Join(circle, " → "))
	}
	return nil
}

// checkChannels refuses channels that are not there or of another kind. One that is there and not
// ready is no error: its messages wait for it.
func (r *ScenarioReconciler) checkChannels(ctx context.Context, scenario *crm.Scenario, shop journey.Shop) error {
	for i := range scenario.Spec.Steps {
		for _, u := range channelsOfStep(&scenario.Spec.Steps[i]) {
			if err := r.checkChannel(ctx, scenario, shop, fmt.Sprintf("spec.steps[%d].%s.channel", i, u.path), u); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *ScenarioReconciler) checkChannel(ctx context.Context, scenario *crm.Scenario, shop journey.Shop, path string, u channelUse) error {
	var c crm.ChannelConfig
	err := r.Get(ctx, types.NamespacedName{Namespace: scenario.Namespace, Name: u.name}, &c)
	if apierrors.IsNotFound(err) {
		return stalled(crm.ReasonChannelNotFound, "%s: ChannelConfig %q does not exist: create it in namespace %s", path, u.name, scenario.Namespace)
	}
	if err != nil {
		return err
	}
	if is := c.Spec.Type(); is != u.kind {
		return stalled(crm.ReasonChannelTypeWrong, "%s: ChannelConfig %q is of type %s, and a message of kind %s needs one of type %s", path, u.name, is, u.kind, u.kind)
	}
	if g := scenario.Spec.Guardrails; g != nil && g.Budget != nil && c.Spec.Cost != nil {
		if budget, cost := g.Budget.CurrencyOr(shop.Currency), c.Spec.Cost.CurrencyOr(shop.Currency); budget != cost {
			return stalled(crm.ReasonInvalidSpec, "spec.guardrails.budget.currency: the budget is in %s, and ChannelConfig %q costs %s: write one currency", budget, u.name, cost)
		}
	}
	return nil
}

// channelUse is a channel that a step sends through, and where in the step that is said.
type channelUse struct {
	kind       crm.ChannelType
	name, path string
}

// channelsOfStep are those that the step's message and its fallback go through.
func channelsOfStep(s *crm.Step) (out []channelUse) {
	message := s.Message()
	if message == nil {
		return nil
	}
	kind, name := message.Through()
	out = append(out, channelUse{kind, string(name), string(kind)})
	if instead := s.Instead(); instead != nil {
		other, name := instead.Through()
		out = append(out, channelUse{other, string(name), string(kind) + ".fallback." + string(other)})
	}
	return out
}

// keptRevisions is how many ControllerRevisions a Scenario keeps for people to look at. The engine
// works from the store, which keeps all that messages refer to.
const keptRevisions = 10

// keepRevision writes the revision that new runs are planned with as a ControllerRevision.
func (r *ScenarioReconciler) keepRevision(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed) error {
	name := scenario.Name + "-" + a.Revision
	var list appsv1.ControllerRevisionList
	if err := r.List(ctx, &list, client.InNamespace(scenario.Namespace), client.MatchingLabels{crm.LabelScenario: scenario.Name}); err != nil {
		return fmt.Errorf("listing revisions: %w", err)
	}
	var latest int64
	for i := range list.Items {
		if list.Items[i].Name == name {
			return nil
		}
		latest = max(latest, list.Items[i].Revision)
	}
	revision := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Namespace, Name: name, Labels: map[string]string{crm.LabelScenario: scenario.Name}},
		Data:       runtime.RawExtension{Raw: a.Bundle},
		Revision:   latest + 1,
	}
	if err := ctrl.SetControllerReference(scenario, revision, r.Scheme()); err != nil {
		return fmt.Errorf("owning revision %s: %w", name, err)
	}
	if err := r.Create(ctx, revision); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing revision %s: %w", name, err)
	}
	return r.prune(ctx, list.Items, latest+1-keptRevisions)
}

func (r *ScenarioReconciler) prune(ctx context.Context, revisions []appsv1.ControllerRevision, upTo int64) error {
	for i := range revisions {
		if revisions[i].Revision > upTo {
			continue
		}
		if err := client.IgnoreNotFound(r.Delete(ctx, &revisions[i])); err != nil {
			return fmt.Errorf("deleting revision %s: %w", revisions[i].Name, err)
		}
	}
	return nil
}
