// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// once starts a server on the first use in the process. A failure stays: each test that needs the
// server then fails with it, and at once.
type once[T any] struct {
	sync.Once
	server T
	err    error
}

func (o *once[T]) get(tb testing.TB, start func(context.Context) (T, error)) T {
	tb.Helper()
	// Not the test's context: the server is for those after it too.
	o.Do(func() { o.server, o.err = start(context.Background()) })
	if o.err != nil {
		tb.Fatal(o.err)
	}
	return o.server
}

var (
	controlPlane once[*Cluster]
	postgres     once[*url.URL]
)

// ControlPlane is a Kubernetes API server with Kaeru's CRDs, the same one for all tests of the
// process: what a test makes belongs in a Namespace of its own.
func ControlPlane(tb testing.TB) *Cluster {
	tb.Helper()
	return controlPlane.get(tb, startWithCRDs)
}

// OwnControlPlane is one that ends with the test, for managers that must be the only ones, and for what
// would keep those of later tests busy.
func OwnControlPlane(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := startWithCRDs(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func startWithCRDs(ctx context.Context) (*Cluster, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	return StartControlPlane(ctx, Options{CRDs: []string{filepath.Join(root, "config", "crd", "bases")}})
}

// Namespace makes a namespace in ControlPlane and returns its name. It is not deleted: nothing
// there would finish that, and the whole server ends with the process.
func Namespace(tb testing.TB) string {
	tb.Helper()
	return ControlPlane(tb).Namespace(tb)
}

// Namespace makes a namespace and returns its name.
func (c *Cluster) Namespace(tb testing.TB) string {
	tb.Helper()
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		tb.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(tb.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return namespace.Name
}

// Postgres makes an empty database and returns its postgres:// URL; the database is dropped with
// the test. Its server is KAERU_TEST_POSTGRES, the URL of one where databases may be made, or else
// started once for the process.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := postgres.get(tb, func(ctx context.Context) (*url.URL, error) {
		if dsn := os.Getenv("KAERU_TEST_POSTGRES"); dsn != "" {
			return url.Parse(dsn)
		}
		s, err := StartPostgres(ctx)
		if err != nil {
			return nil, err
		}
		return s.URL, nil
	})
	dsn, drop, err := createDatabase(tb.Context(), server)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := drop(context.Background()); err != nil { // the test's context has ended
			tb.Error(err)
		}
	})
	return dsn
}

// SQLite returns the sqlite:// address of a database file that does not exist yet and goes with the test.
func SQLite(tb testing.TB) string {
	tb.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(tb.TempDir(), "kaeru.db"))
}

// Stores runs a test on both stores, as the subtests sqlite and postgres, each on an empty database.
func Stores(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": SQLite, "postgres": Postgres} {
		t.Run(name, func(t *testing.T) { test(t, dsn(t)) })
	}
}

// Run runs kubectl as the client that may do everything, and returns what it printed; the test fails when it does.
func (c *Cluster) Run(tb testing.TB, stdin string, args ...string) string {
	tb.Helper()
	cmd := c.Command(tb.Context(), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
