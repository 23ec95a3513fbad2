// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preview makes the message of one step for one customer, to look at (Render) or to send as a test
// (Test). Both go through the functions that runs are made with: the Scenario is compiled as the controller
// compiles it, the message rendered as dispatch renders it, and a test leaves through the channel's own sender.
//
// What is looked at is not known to the gateway: the links of a preview are plain, or signed with a key that is
// thrown away, and those of a test name a message that no report knows. Neither counts, and neither unsubscribes
// anybody.
package preview

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// DefaultPublicURL is what links stand below where nobody says: a name that leads nowhere.
const DefaultPublicURL = "https://links.example"

// Source is where all that a message is made of is read from.
type Source struct {
	// Objects are the resources: a cluster's, or Files.
	Objects   client.Reader
	Namespace string
	// Store is the database; nil where the customer comes from a file.
	Store     *store.Store
	Clock     clock.PassiveClock
	PublicURL string
	Compiler  *content.Compiler
}

// Question is which message is asked for.
type Question struct {
	Scenario, Step string
	// Customer is an id in the store; Recipient, where it is set, takes its place.
	Customer  string
	Recipient *dispatch.Recipient
	// Variant is the one to make; empty for the customer's own.
	Variant string
	// Fallback makes what goes out where the step's own message cannot.
	Fallback bool
	// Entry, where it is set, replaces what let the customer in.
	Entry map[string]any
}

// made is a scenario that was read and compiled, with what a message of it goes through.
type made struct {
	ref      dispatch.Ref
	revision string
	compiled *dispatch.Revision
	engine   *dispatch.Engine
	signer   *content.Signer
}

// open reads and compiles a Scenario.
func (s *Source) open(ctx context.Context, scenario string, signer *content.Signer) (*made, error) {
	var found crm.Scenario
	if err := s.get(ctx, "Scenario", scenario, &found); err != nil {
		return nil, err
	}
	bundle, err := controllers.Bundle(ctx, s.Objects, &found)
	if err != nil {
		return nil, fmt.Errorf("Scenario %s: %w", scenario, err)
	}
	compiled, err := dispatch.Compile(ctx, s.Compiler, bundle)
	if err != nil {
		return nil, fmt.Errorf("Scenario %s: %w", scenario, err)
	}
	if err := controllers.CheckOneWay(ctx, s.Objects, s.Namespace, compiled); err != nil {
		return nil, fmt.Errorf("Scenario %s: %w", scenario, err)
	}
	revision, _, err := bundle.Revision()
	if err != nil {
		return nil, err
	}
	return &made{
		ref: dispatch.Ref{Namespace: s.Namespace, Name: scenario}, revision: revision, compiled: compiled, signer: signer,
		engine: dispatch.NewEngine(dispatch.Options{
			Store: s.Store, Clock: s.Clock, Compiler: s.Compiler, Signer: signer, OneClick: oneClick(s.PublicURL),
			Channels: dispatch.NewChannels(nil), Log: logr.Discard(),
		}),
	}, nil
}

// get reads one resource, or says what is missing and where.
func (s *Source) get(ctx context.Context, kind, name string, into client.Object) error {
	err := s.Objects.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, into)
	_, fromFiles := s.Objects.(*Files)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) && fromFiles:
		return &notFoundError{fmt.Sprintf("%s %q is in none of the files for namespace %s: add its file with -f", kind, name, s.Namespace)}
	case apierrors.IsNotFound(err):
		return &notFoundError{fmt.Sprintf("%s %q does not exist in namespace %s", kind, name, s.Namespace)}
	}
	return fmt.Errorf("reading %s %s: %w", kind, name, err)
}

type notFoundError struct{ message string }

func (e *notFoundError) Error() string { return e.message }

// recipient is the customer of a question.
func (s *Source) recipient(ctx context.Context, m *made, q *Question) (*dispatch.Recipient, error) {
	to := q.Recipient
	if to == nil {
		if s.Store == nil {
			return nil, errors.New("no customer: name one in the store, with --store, or one in a file, with --customer")
		}
		var err error
		to, err = m.engine.Recipient(ctx, m.ref, m.compiled, q.Customer)
		if errors.Is(err, dispatch.ErrNoCustomer) {
			return nil, fmt.Errorf("customer %q is not known in namespace %s: import them, or describe one in a file with --customer", q.Customer, s.Namespace)
		}
		if err != nil {
			return nil, err
		}
	}
	if q.Entry != nil {
		to.Entry = q.Entry
	}
	return to, nil
}

// way is what a question's message goes through.
func (m *made) way(q *Question) journey.Way {
	// Draft says what is wrong with the question in more words.
	step, known := m.compiled.Journey.Step(q.Step)
	switch {
	case !known:
		return journey.Way{}
	case q.Fallback && step.Fallback != nil:
		return *step.Fallback
	}
	return step.Way
}

// throwaway signs links with a key that nobody has: they have the form and length of real ones, and the gateway
// knows none of them.
func throwaway(publicURL string) (*content.Signer, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return content.NewSigner(publicURL, key)
}

// oneClick says whether mails offer to unsubscribe with one click, as the manager decides it.
func oneClick(publicURL string) bool {
	u, err := url.Parse(publicURL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// newKey is the key of a message that no run has: random, so it is no real message's.
func newKey() uuid.UUID { return uuid.New() }
