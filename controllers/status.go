// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers reconciles the three kinds: each reads a spec, calls the rooms that do the
// work, and writes status. There is no SQL here and no provider is called from here.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// stalledError is something that somebody has to change; trying again would not help. Watches bring
// the resource back when it is changed.
type stalledError struct{ reason, message string }

func (e *stalledError) Error() string { return e.message }

func stalled(reason, format string, args ...any) error {
	return &stalledError{reason, fmt.Sprintf(format, args...)}
}

// waitingError is something that is not there yet and will come by itself, or be tried again.
type waitingError struct{ reason, message string }

func (e *waitingError) Error() string { return e.message }

func waiting(reason, format string, args ...any) error {
	return &waitingError{reason, fmt.Sprintf(format, args...)}
}

// unsupported refuses fields that the schema has and the controller has not.
func unsupported(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	verb := "is"
	if len(paths) > 1 {
		verb = "are"
	}
	return stalled(crm.ReasonUnsupported, "%s %s not supported by this version of Kaeru: remove what is named", strings.Join(paths, ", "), verb)
}

// conditions writes conditions with one generation.
type conditions struct {
	list       *[]metav1.Condition
	generation int64
}

// messageLimit is what the schema of conditions allows.
const messageLimit = 32768

func (c conditions) set(kind string, status bool, reason, message string) {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	c.setStatus(kind, value, reason, message)
}

func (c conditions) setStatus(kind string, status metav1.ConditionStatus, reason, message string) {
	if len(message) > messageLimit {
		message = message[:messageLimit]
	}
	meta.SetStatusCondition(c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: c.generation,
	})
}

func (c conditions) remove(kind string) { meta.RemoveStatusCondition(c.list, kind) }

// ready says that the resource is accepted and armed.
func (c conditions) ready(reason, message string) {
	c.remove(crm.ConditionStalled)
	c.remove(crm.ConditionReconciling)
	c.set(crm.ConditionReady, true, reason, message)
}

// failed says why it is not: Stalled where somebody has to change something, else Reconciling.
func (c conditions) failed(err error) {
	var s *stalledError
	var w *waitingError
	switch {
	case errors.As(err, &s):
		c.remove(crm.ConditionReconciling)
		c.set(crm.ConditionStalled, true, s.reason, s.message)
		c.set(crm.ConditionReady, false, s.reason, s.message)
	case errors.As(err, &w):
		c.remove(crm.ConditionStalled)
		c.set(crm.ConditionReconciling, true, w.reason, w.message)
		c.set(crm.ConditionReady, false, w.reason, w.message)
	default:
		c.remove(crm.ConditionStalled)
		c.set(crm.ConditionReconciling, true, crm.ReasonProgressing, "trying again: "+err.Error())
		c.set(crm.ConditionReady, false, crm.ReasonProgressing, err.Error())
	}
}

// terminal says whether trying again by itself would not help.
func terminal(err error) bool {
	var s *stalledError
	return errors.As(err, &s)
}

// isWaiting says whether what is missing will wake the resource by itself.
func isWaiting(err error) bool {
	var w *waitingError
	return errors.As(err, &w)
}

// patchStatus writes the status if it is another than before.
func patchStatus(ctx context.Context, c client.Client, before, after client.Object, was, is any) error {
	if equality.Semantic.DeepEqual(was, is) {
		return nil
	}
	err := c.Status().Patch(ctx, after, client.MergeFrom(before), client.FieldOwner(crm.FieldOwner))
	if err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing status: %w", err))
	}
	return nil
}
