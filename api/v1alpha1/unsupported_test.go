// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// supported reads the fields that work, of which testdata/supported.txt has one a line: its path in
// the schema, with condition. for all places that take one, and =value where only that value works.
func supported(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/supported.txt")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			fields[line] = true
		}
	}
	return fields
}

// sample is a value that the schema takes, as small as can be.
func sample(s *apiextensionsv1.JSONSchemaProps) any {
	switch {
	case s.XIntOrString, s.Type == "integer":
		return 1
	case s.Type == "boolean":
		return true
	case s.Type == "object":
		return map[string]any{}
	default:
		return "x"
	}
}

// nest makes the document in which only the field at path is set.
func nest(path string, value any) any {
	step, rest, more := strings.Cut(path, ".")
	if more {
		value = nest(rest, value)
	}
	for ; strings.HasSuffix(step, "[]") || strings.HasSuffix(step, "{}"); step = step[:len(step)-2] {
		if strings.HasSuffix(step, "[]") {
			value = []any{value}
		} else {
			value = map[string]any{"x": value}
		}
	}
	return map[string]any{step: value}
}

var conditions = regexp.MustCompile(`^spec\.match\.(all|any|none)\[\](\.(anyOf|allOf)\[\])?\.`)

func TestEveryFieldWorksOrIsReported(t *testing.T) {
	fields := supported(t)
	stale := maps.Clone(fields)
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if !isSpec(path) || len(s.Properties) > 0 || s.Items != nil || s.AdditionalProperties != nil {
				return
			}
			values := []any{sample(s)}
			if len(s.Enum) > 0 {
				values = nil
				for _, e := range s.Enum {
					values = append(values, strings.Trim(string(e.Raw), `"`))
				}
			}
			name := kind + " " + conditions.ReplaceAllString(path, "condition.")
			for _, value := range values {
				want := fields[name]
				delete(stale, name)
				if text, ok := value.(string); ok && fields[name+"="+text] {
					want = true
					delete(stale, name+"="+text)
				}
				reported := unsupportedIn(t, kind, nest(path, value))
				switch at := indexed(path); {
				case want && len(reported) > 0:
					t.Errorf("%s: %s = %v is listed as supported and reported as %v", kind, path, value, reported)
				case !want && len(reported) != 1:
					t.Errorf("%s: %s = %v is not listed as supported, and reported as %v", kind, path, value, reported)
				case !want && at != reported[0] && !strings.HasPrefix(at, reported[0]+".") && !strings.HasPrefix(at, reported[0]+"["):
					t.Errorf("%s: %s = %v is reported as %s", kind, path, value, reported[0])
				}
			}
		})
	}
	for name := range stale {
		t.Errorf("testdata/supported.txt: %s is no field of the schema", name)
	}
}

// indexed gives the path of the first item where path is that of all.
func indexed(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "[]", "[0]"), "{}", "")
}

func unsupportedIn(t *testing.T, kind string, document any) []string {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	decode := func(into any) {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %s: %v", kind, text, err)
		}
	}
	switch kind {
	case "ChannelConfig":
		var o v1alpha1.ChannelConfig
		decode(&o)
		return o.Spec.UnsupportedFields()
	case "Segment":
		var o v1alpha1.Segment
		decode(&o)
		return o.Spec.UnsupportedFields()
	case "Scenario":
		var o v1alpha1.Scenario
		decode(&o)
		return o.Spec.UnsupportedFields()
	}
	t.Fatalf("kind %s is not known here", kind)
	return nil
}

func TestWhatIsBuiltIsNotRefused(t *testing.T) {
	spec := v1alpha1.ScenarioSpec{
		Goal: &v1alpha1.Goal{Event: "Signed Up", Within: "7d"},
		Steps: []v1alpha1.Step{
			{Name: "one", Exit: &v1alpha1.ExitStep{}},
			{Name: "two", Exit: &v1alpha1.ExitStep{}, Wait: &v1alpha1.Wait{Weekdays: []v1alpha1.Weekday{"Mon"}}},
		},
		Dispatch: &v1alpha1.Dispatch{Runner: v1alpha1.RunnerJob, PodTemplate: &v1alpha1.PodTemplate{}},
	}
	if got := spec.UnsupportedFields(); len(got) > 0 {
		t.Errorf("refused: %v", got)
	}
}
