// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func manifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, object)
	}
}

// What GitOps tools do all day: it may not change a thing.
func TestApplyTwiceChangesNothing(t *testing.T) {
	api, err := client.New(testenv.ControlPlane(t).Config, client.Options{FieldValidation: "Strict"})
	if err != nil {
		t.Fatal(err)
	}
	namespace := testenv.Namespace(t)
	all := manifests(t, "testdata/whole/everything.yaml")
	if len(all) != 5 {
		t.Fatalf("found %d manifests, want 5", len(all))
	}
	for _, manifest := range all {
		t.Run(manifest.GetKind()+"/"+manifest.GetName(), func(t *testing.T) {
			manifest.SetNamespace(namespace)
			apply := func() *unstructured.Unstructured {
				t.Helper()
				object := manifest.DeepCopy()
				if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("gitops"), client.ForceOwnership); err != nil {
					t.Fatal(err)
				}
				return object
			}
			first, second, third := apply(), apply(), apply()
			if got, want := text(t, third.Object), text(t, second.Object); got != want {
				t.Errorf("applied again it is\n%s\nand was\n%s", got, want)
			}
			// The API server stores the default of status with the first write after the creation.
			second.SetResourceVersion(first.GetResourceVersion())
			if got, want := text(t, second.Object), text(t, first.Object); got != want || first.GetGeneration() != 1 {
				t.Errorf("applied again it is\n%s\nand was\n%s", got, want)
			}
			if got, want := text(t, first.Object["spec"]), text(t, manifest.Object["spec"]); got != want {
				t.Errorf("spec is stored as\n%s\nand was written as\n%s", got, want)
			}
			observed, _, err := unstructured.NestedInt64(first.Object, "status", "observedGeneration")
			if err != nil || observed != -1 {
				t.Errorf("status.observedGeneration of a fresh object is %d (%v), want -1", observed, err)
			}
		})
	}
}

// A controller that reads and writes an object may not change its spec by that either.
func TestTypesKeepWhatIsWritten(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, manifest := range manifests(t, "testdata/whole/everything.yaml") {
		t.Run(manifest.GetKind()+"/"+manifest.GetName(), func(t *testing.T) {
			typed, err := scheme.New(manifest.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(text(t, manifest.Object)), typed); err != nil {
				t.Fatal(err)
			}
			var back map[string]any
			if err := json.Unmarshal([]byte(text(t, typed.DeepCopyObject())), &back); err != nil {
				t.Fatal(err)
			}
			written := manifest.DeepCopy()
			unstructured.RemoveNestedField(written.Object, "spec", "suspend") // false is left out
			if got, want := text(t, back["spec"]), text(t, written.Object["spec"]); got != want {
				t.Errorf("read and written again it is\n%s\nand was\n%s", got, want)
			}
		})
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKubectl(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	for name, c := range map[string]struct{ command, want string }{
		"explain a segment's condition": {"explain seg.spec.match.all.anyOf.spend.topPercent", "topPercent"},
		"explain a step":                {"explain scn.spec.steps.wait.at", "at is the time of day"},
		"explain a channel":             {"explain chc.spec.mode", "Default Live"},
		"get segments":                  {"get seg", "No resources found"},
		"the category":                  {"get kaeru", "No resources found"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--namespace", testenv.Namespace(t)}, strings.Fields(c.command)...)
			if out := cluster.Run(t, "", args...); !strings.Contains(out, c.want) {
				t.Errorf("kubectl %s prints\n%s\nwithout %q", c.command, out, c.want)
			}
		})
	}
}

func TestKubectlGetShowsWhatAnOperatorWants(t *testing.T) {
	cluster, namespace := testenv.ControlPlane(t), testenv.Namespace(t)
	whole, err := os.ReadFile("testdata/whole/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster.Run(t, string(whole), "--namespace", namespace, "apply", "--server-side", "-f", "-")
	for name, c := range map[string]struct{ kind, status, header, wide string }{
		"ChannelConfig": {
			"chc/line-main",
			`{"type":"line","account":"@kaeru","month":{"sent":12},"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"Verified","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
			"NAME TYPE ACCOUNT SENT AGE READY STATUS", "NAME TYPE ACCOUNT SENT AGE READY MODE COST REMAINING STATUS",
		},
		"Segment": {
			"seg/f2-candidates", `{"members":42,"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"Fresh","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
			"NAME MEMBERS AGE READY STATUS", "NAME MEMBERS AGE READY LINE EMAIL SMS ENTERED EXITED REFRESHED STATUS",
		},
		"Scenario": {
			"scn/second-purchase", `{"enrolled":7,"conditions":[{"type":"Ready","status":"True","reason":"Armed","message":"Armed","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
			"NAME SEGMENT ENROLLED CONVERTED NEXT RUN AGE READY STATUS", "NAME SEGMENT ENROLLED CONVERTED NEXT RUN AGE READY SUSPEND LAST RUN SENT RATE REVENUE COST STATUS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster.Run(t, "", "--namespace", namespace, "patch", c.kind, "--subresource", "status", "--type", "merge", "-p", `{"status":`+c.status+`}`)
			for _, view := range []struct{ flag, want string }{{"--output=", c.header}, {"--output=wide", c.wide}} {
				out := cluster.Run(t, "", "--namespace", namespace, "get", c.kind, view.flag)
				header, row, _ := strings.Cut(out, "\n")
				if got := strings.Join(strings.Fields(header), " "); got != view.want {
					t.Errorf("kubectl get %s %s shows\n%s\nwant\n%s", c.kind, view.flag, got, view.want)
				}
				if !strings.Contains(row, "True") {
					t.Errorf("kubectl get %s %s does not show Ready: %s", c.kind, view.flag, row)
				}
			}
		})
	}
}
