// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package argocd_test runs the health checks and actions for Argo CD over their tables, which have the
// form that Argo CD's own repository gives them, so that they can be moved there as they are.
package argocd_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	group     = "resource_customizations/crm.kaeru.dev"
	requested = "crm.kaeru.dev/requestedAt"
)

var (
	kinds  = []string{"ChannelConfig", "Segment", "Scenario"}
	update = flag.Bool("update", false, "write argocd-cm.yaml from the scripts")
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readYAML(t *testing.T, into any, path ...string) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path...)), into); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
}

type healthTests struct {
	Tests []struct {
		InputPath    string         `json:"inputPath"`
		HealthStatus map[string]any `json:"healthStatus"`
	} `json:"tests"`
}

func TestHealth(t *testing.T) {
	for _, kind := range kinds {
		dir := filepath.Join(group, kind)
		var table healthTests
		readYAML(t, &table, dir, "health_test.yaml")
		if len(table.Tests) < 8 {
			t.Errorf("%s: found %d tests", kind, len(table.Tests))
		}
		for _, test := range table.Tests {
			t.Run(kind+"/"+filepath.Base(test.InputPath), func(t *testing.T) {
				var object map[string]any
				readYAML(t, &object, dir, test.InputPath)
				if got, want := text(t, run(t, read(t, dir, "health.lua"), object)), text(t, test.HealthStatus); got != want {
					t.Errorf("health is %s, want %s", got, want)
				}
			})
		}
	}
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string `json:"inputPath"`
		Result    []struct {
			Name     string `json:"name"`
			Disabled bool   `json:"disabled"`
		} `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func TestActions(t *testing.T) {
	for _, kind := range kinds {
		dir := filepath.Join(group, kind, "actions")
		var table actionTests
		readYAML(t, &table, dir, "action_test.yaml")
		for _, test := range table.DiscoveryTests {
			t.Run(kind+"/discovery/"+filepath.Base(test.InputPath), func(t *testing.T) {
				var object map[string]any
				readYAML(t, &object, dir, test.InputPath)
				want := map[string]any{}
				for _, action := range test.Result {
					want[action.Name] = map[string]any{"disabled": action.Disabled}
				}
				if got, want := text(t, run(t, read(t, dir, "discovery.lua"), object)), text(t, want); got != want {
					t.Errorf("actions are %s, want %s", got, want)
				}
			})
		}
		tested := map[string]bool{}
		for _, test := range table.ActionTests {
			tested[test.Action] = true
			t.Run(kind+"/"+test.Action+"/"+filepath.Base(test.InputPath), func(t *testing.T) {
				var object, expected map[string]any
				readYAML(t, &object, dir, test.InputPath)
				readYAML(t, &expected, dir, test.ExpectedOutputPath)
				result := run(t, read(t, dir, test.Action, "action.lua"), object)
				checkRequestedAt(t, test.Action, result, expected)
				if got, want := text(t, result), text(t, plain(expected)); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		}
		for _, action := range []string{"suspend", "resume", "refresh"} {
			if !tested[action] {
				t.Errorf("%s: no test of %s", kind, action)
			}
		}
	}
}

// checkRequestedAt sees that the time is now, and puts it where the table has one that is past.
func checkRequestedAt(t *testing.T, action string, result any, expected map[string]any) {
	t.Helper()
	if action != "refresh" {
		return
	}
	annotations := func(object any) map[string]any {
		return object.(map[string]any)["metadata"].(map[string]any)["annotations"].(map[string]any)
	}
	got, _ := annotations(result)[requested].(string)
	at, err := time.Parse(time.RFC3339, got)
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("%s is %q (%v), want the time it is", requested, got, err)
	}
	annotations(expected)[requested] = got
}

// What users patch into argocd-cm is made of the scripts that are tested here.
func TestConfigMap(t *testing.T) {
	type definition struct {
		Name   string `json:"name"`
		Action string `json:"action.lua"`
	}
	data := map[string]string{}
	for _, kind := range kinds {
		dir := filepath.Join(group, kind)
		data["resource.customizations.health.crm.kaeru.dev_"+kind] = read(t, dir, "health.lua")
		scripts, err := filepath.Glob(filepath.Join(dir, "actions", "*", "action.lua"))
		if err != nil || len(scripts) != 3 {
			t.Fatalf("%s: found the actions %v (%v)", kind, scripts, err)
		}
		slices.Sort(scripts)
		var definitions []definition
		for _, script := range scripts {
			definitions = append(definitions, definition{filepath.Base(filepath.Dir(script)), read(t, script)})
		}
		actions, err := yaml.Marshal(map[string]any{"discovery.lua": read(t, dir, "actions", "discovery.lua"), "definitions": definitions})
		if err != nil {
			t.Fatal(err)
		}
		data["resource.customizations.actions.crm.kaeru.dev_"+kind] = string(actions)
	}
	body, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]string{"name": "argocd-cm"}, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat([]byte("# Copyright The Kaeru Authors.\n# SPDX-License-Identifier: Apache-2.0\n#\n"+
		"# Health and actions of Kaeru's kinds: kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml\n"+
		"# Made of the scripts beside it by go test ./config/argocd -update.\n"), body)
	if *update {
		if err := os.WriteFile("argocd-cm.yaml", want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal([]byte(read(t, "argocd-cm.yaml")), want) {
		t.Error("argocd-cm.yaml is not made of these scripts: run go test ./config/argocd -update")
	}
	if health := data["resource.customizations.health.crm.kaeru.dev_Scenario"]; strings.Contains(health, "string.") {
		t.Error("health.lua uses the string library, which Argo CD does not open for scripts of argocd-cm")
	}
}
