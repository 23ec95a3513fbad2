// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package samples_test applies the samples, and the README's first Scenario, to a real API server.
package samples_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const namespace = "shop"

func TestAppliedTwiceNothingChanges(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	for _, dir := range []string{".", "demo"} {
		appliedTwice(t, cluster, dir)
		if n := len(objects(t, cluster)); n < 10 {
			t.Errorf("%s: only %d objects are there", dir, n)
		}
	}
}

func appliedTwice(t *testing.T, cluster *testenv.Cluster, dir string) {
	t.Helper()
	cluster.Run(t, "", "apply", "--server-side", "--force-conflicts", "-k", dir)
	before := objects(t, cluster)
	cluster.Run(t, "", "apply", "--server-side", "-k", dir)
	for what, is := range objects(t, cluster) {
		if before[what] != is {
			t.Errorf("%s: applied again, %s is another:\n%s\n%s", dir, what, before[what], is)
		}
	}
	// As older tools do it, with a copy of the whole in an annotation.
	cluster.Run(t, "", "apply", "--dry-run=server", "-k", dir)
}

func TestEverythingIsSupported(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	cluster.Run(t, "", "apply", "--server-side", "--force-conflicts", "-k", ".")
	supported(t, cluster)
}

func TestReadmeApplies(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	manifest, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no YAML")
	}
	cluster := testenv.ControlPlane(t)
	cluster.Run(t, "", "apply", "--server-side", "-f", "shop/namespace.yaml")
	cluster.Run(t, manifest, "apply", "--server-side", "--dry-run=server", "-f", "-")
	if n := strings.Count(manifest, "kind: "); n != 3 {
		t.Errorf("the README has %d resources, and a first Scenario needs 3", n)
	}
}

func list[T any](t *testing.T, cluster *testenv.Cluster, kind string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(cluster.Run(t, "", "get", kind, "-n", namespace, "-o", "json")), &out); err != nil {
		t.Fatalf("get %s: %v", kind, err)
	}
	return out
}

// objects are all that is there, but for the version of its bytes: the first apply of a resource
// leaves its status to the schema's default, and the second writes that down once.
func objects(t *testing.T, cluster *testenv.Cluster) map[string]string {
	t.Helper()
	text := cluster.Run(t, "", "get", "channelconfigs,segments,scenarios,configmaps,secrets", "-n", namespace, "-o", "json", "--show-managed-fields")
	var all unstructured.UnstructuredList
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i := range all.Items {
		o := &all.Items[i]
		o.SetResourceVersion("")
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out[o.GetKind()+"/"+o.GetName()] = string(b)
	}
	return out
}
