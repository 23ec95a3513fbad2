// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// ruleTable is a file of testdata/rules: each rule with a manifest that passes and one that is refused.
type ruleTable struct {
	Base  json.RawMessage `json:"base"`
	Rules []struct {
		Name     string          `json:"name"`
		Accepted json.RawMessage `json:"accepted"`
		Refused  json.RawMessage `json:"refused"`
		Message  string          `json:"message"`
	} `json:"rules"`
}

func ruleTables(t *testing.T) map[string]ruleTable {
	t.Helper()
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %d tables (%v), want one a kind", len(files), err)
	}
	tables := map[string]ruleTable{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var table ruleTable
		if err := yaml.UnmarshalStrict(text, &table); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		tables[strings.TrimSuffix(filepath.Base(file), ".yaml")] = table
	}
	return tables
}

func TestRules(t *testing.T) {
	api, err := client.New(testenv.ControlPlane(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	namespace := testenv.Namespace(t)
	create := func(t *testing.T, base, patch []byte) error {
		t.Helper()
		manifest, err := jsonpatch.MergePatch(base, patch)
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(manifest, object); err != nil {
			t.Fatal(err)
		}
		object.SetNamespace(namespace)
		return api.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict"))
	}
	for kind, table := range ruleTables(t) {
		for _, rule := range table.Rules {
			t.Run(kind+"/"+rule.Name, func(t *testing.T) {
				if err := create(t, table.Base, rule.Accepted); err != nil {
					t.Errorf("accepted: %v", err)
				}
				err := create(t, table.Base, rule.Refused)
				if err == nil {
					t.Fatalf("refused: accepted, want %q", rule.Message)
				}
				// The API server puts the value, or its type, between the two.
				field, message, _ := strings.Cut(rule.Message, ": Invalid value: ")
				if !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), message) {
					t.Errorf("refused: %v\nwant: %s", err, rule.Message)
				}
			})
		}
	}
}

func TestEveryRuleHasItsCase(t *testing.T) {
	tables := ruleTables(t)
	for kind, crd := range crds(t) {
		messages := map[string]bool{}
		walk(schemaOf(crd), "", func(_ string, s *apiextensionsv1.JSONSchemaProps) {
			for _, v := range s.XValidations {
				messages[v.Message] = true
			}
		})
		if len(messages) < 5 {
			t.Errorf("%s: found %d rules in the CRD, want more", kind, len(messages))
		}
		for message := range messages {
			tested := false
			for _, rule := range tables[strings.ToLower(kind)].Rules {
				tested = tested || strings.HasSuffix(rule.Message, message)
			}
			if !tested {
				t.Errorf("%s: no case in testdata/rules for %q", kind, message)
			}
		}
	}
}
