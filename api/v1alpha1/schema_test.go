// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func crds(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %d CRDs (%v), want three", len(files), err)
	}
	found := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[crd.Spec.Names.Kind] = crd
	}
	return found
}

func schemaOf(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.JSONSchemaProps {
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk visits a schema and all below it. Paths are such as spec.steps[].email.subject, with {} for
// the values of a map.
func walk(s *apiextensionsv1.JSONSchemaProps, path string, visit func(path string, s *apiextensionsv1.JSONSchemaProps)) {
	visit(path, s)
	for name := range s.Properties {
		child := s.Properties[name]
		walk(&child, strings.TrimPrefix(path+"."+name, "."), visit)
	}
	if s.Items != nil {
		walk(s.Items.Schema, path+"[]", visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(s.AdditionalProperties.Schema, path+"{}", visit)
	}
}

func isSpec(path string) bool { return path == "spec" || strings.HasPrefix(path, "spec.") }

// A default in a spec is a difference for ever in Argo CD and Flux.
func TestSpecHasNoDefaults(t *testing.T) {
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			switch {
			case s.Default == nil:
			case path == "status" && string(s.Default.Raw) == `{"observedGeneration":-1}`:
			default:
				t.Errorf("%s: %s has the default %s: put it into a getter", kind, path, s.Default.Raw)
			}
		})
		if schemaOf(crd).Properties["status"].Default == nil {
			t.Errorf("%s: status has no default, want observedGeneration -1", kind)
		}
	}
}

// What the API server could normalise, or clients would write differently, does not stay as written.
func TestSpecValuesStayAsWritten(t *testing.T) {
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if !isSpec(path) {
				return
			}
			if s.Type == "number" {
				t.Errorf("%s: %s is a float: use an int-or-string", kind, path)
			}
			if s.Type == "boolean" && path != "spec.suspend" {
				t.Errorf("%s: %s is a bool: use an enum", kind, path)
			}
			if s.Type == "" && !s.XIntOrString {
				t.Errorf("%s: %s has no type", kind, path)
			}
			if s.Type == "object" && len(s.Properties) == 0 && s.AdditionalProperties == nil &&
				!slices.Contains([]string{"spec.steps[].exit", "spec.trigger.segmentEntry"}, path) &&
				!strings.HasSuffix(path, ".messages[]") { // LINE's own objects
				t.Errorf("%s: %s is an object without a shape", kind, path)
			}
		})
	}
}

func TestListsAndTextsAreBounded(t *testing.T) {
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if s.Type == "array" && s.XListType == nil {
				t.Errorf("%s: %s has no listType", kind, path)
			}
			if !isSpec(path) {
				return
			}
			if s.Type == "array" && s.MaxItems == nil {
				t.Errorf("%s: %s has no maxItems", kind, path)
			}
			if s.AdditionalProperties != nil && s.MaxProperties == nil {
				t.Errorf("%s: %s has no maxProperties", kind, path)
			}
			if (s.Type == "string" || s.XIntOrString) && s.MaxLength == nil && s.Enum == nil {
				t.Errorf("%s: %s has no maxLength", kind, path)
			}
		})
	}
}

func TestEveryFieldIsExplained(t *testing.T) {
	for kind, crd := range crds(t) {
		walk(schemaOf(crd), "", func(path string, s *apiextensionsv1.JSONSchemaProps) {
			name := path[strings.LastIndex(path, ".")+1:]
			if path == "" || path == "metadata" || strings.HasSuffix(name, "[]") || strings.HasSuffix(name, "{}") {
				return // kubectl explain says what metadata is by itself
			}
			if path == "apiVersion" || path == "kind" { // the sentences of Kubernetes itself
				name = strings.ToUpper(name[:1]) + name[1:]
				name = strings.Replace(name, "Api", "API", 1)
			}
			rest, ok := strings.CutPrefix(s.Description, name)
			if !ok || len(rest) < 6 || !strings.ContainsAny(rest[:1], " ,:;") {
				t.Errorf("%s: the description of %s is %q: begin with %q and say what it is", kind, path, s.Description, name)
			}
			if isSpec(path) && !strings.HasSuffix(s.Description, ".") {
				t.Errorf("%s: the description of %s is no sentence: %q", kind, path, s.Description)
			}
		})
	}
}

// Client-side apply keeps a copy in an annotation, which may have 262,144 bytes.
func TestCRDsAreSmall(t *testing.T) {
	limits := map[string]int{"ChannelConfig": 32 << 10, "Segment": 164 << 10, "Scenario": 96 << 10}
	for kind, crd := range crds(t) {
		text, err := json.Marshal(crd)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > limits[kind] {
			t.Errorf("%s has %d bytes, want at most %d: shorten its descriptions and rules", kind, len(text), limits[kind])
		}
	}
}

func TestNames(t *testing.T) {
	short := map[string]string{"ChannelConfig": "chc", "Segment": "seg", "Scenario": "scn"}
	for kind, crd := range crds(t) {
		names := crd.Spec.Names
		if !slices.Equal(names.ShortNames, []string{short[kind]}) || !slices.Equal(names.Categories, []string{"kaeru"}) {
			t.Errorf("%s: short names %v, categories %v", kind, names.ShortNames, names.Categories)
		}
		if crd.Spec.Scope != apiextensionsv1.NamespaceScoped {
			t.Errorf("%s is %s, want it Namespaced", kind, crd.Spec.Scope)
		}
	}
}
