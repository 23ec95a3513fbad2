// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memory is a client that reads what it has not read before from the API server, and the rest from
// memory: on a stage nobody else writes. It is what a cache is in a cluster, without a delay. It is for
// one goroutine.
type memory struct {
	client.Client
	// read is by kind, and then by the question.
	read map[string]map[string]answer
}

// answer is what the API server said.
type answer struct {
	object runtime.Object
	err    error
}

func newMemory(c client.Client) *memory {
	return &memory{Client: c, read: map[string]map[string]answer{}}
}

// Get is the Client's.
func (m *memory) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	return m.ask(into, fmt.Sprintf("%T %s", into, key), func() error { return m.Client.Get(ctx, key, into, opts...) })
}

// List is the Client's.
func (m *memory) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	return m.ask(into, fmt.Sprintf("%T %s %s %s", into, o.Namespace, o.LabelSelector, o.FieldSelector), func() error { return m.Client.List(ctx, into, opts...) })
}

func (m *memory) ask(into runtime.Object, question string, read func() error) error {
	kind, err := m.kind(into)
	if err != nil {
		return err
	}
	if m.read[kind] == nil {
		m.read[kind] = map[string]answer{}
	}
	known, ok := m.read[kind][question]
	if !ok {
		err := read()
		known = answer{into.DeepCopyObject(), err}
		if client.IgnoreNotFound(err) == nil {
			m.read[kind][question] = known
		}
		return err
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(known.object.DeepCopyObject()).Elem())
	return known.err
}

// kind is that of the objects, for a list of them too.
func (m *memory) kind(o runtime.Object) (string, error) {
	kinds, _, err := m.Scheme().ObjectKinds(o)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(kinds[0].Kind, "List"), nil
}

// forget forgets what was read of a kind of which something is written.
func (m *memory) forget(o runtime.Object) {
	if kind, err := m.kind(o); err == nil {
		delete(m.read, kind)
	}
}

// Create is the Client's.
func (m *memory) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	defer m.forget(o)
	return m.Client.Create(ctx, o, opts...)
}

// Delete is the Client's.
func (m *memory) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	defer m.forget(o)
	return m.Client.Delete(ctx, o, opts...)
}

// Update is the Client's.
func (m *memory) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	defer m.forget(o)
	return m.Client.Update(ctx, o, opts...)
}

// Patch is the Client's.
func (m *memory) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	defer m.forget(o)
	return m.Client.Patch(ctx, o, p, opts...)
}

// DeleteAllOf is the Client's.
func (m *memory) DeleteAllOf(ctx context.Context, o client.Object, opts ...client.DeleteAllOfOption) error {
	defer m.forget(o)
	return m.Client.DeleteAllOf(ctx, o, opts...)
}

// Status is the Client's.
func (m *memory) Status() client.SubResourceWriter { return status{m.Client.Status(), m} }

// status writes the status of what is remembered.
type status struct {
	client.SubResourceWriter
	memory *memory
}

// Patch is the writer's.
func (s status) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	defer s.memory.forget(o)
	return s.SubResourceWriter.Patch(ctx, o, p, opts...)
}
