// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package samples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/stage"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// common is what all recipes are applied beside.
const common = "recipes/common"

// uses are those that a shop finds a recipe for, by their numbers.
var uses = []int{2, 3, 4, 15, 16, 18, 19, 20, 21, 24, 25, 26, 27, 28, 29, 30, 31}

// recipes are the directories that may be applied one by one.
func recipes(t *testing.T) (dirs []string) {
	t.Helper()
	text, err := os.ReadFile("recipes/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range all.Resources {
		if dir := filepath.Join("recipes", name); dir != common {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func TestEachUseHasARecipe(t *testing.T) {
	dirs := recipes(t)
	for _, use := range uses {
		prefix := filepath.Join("recipes", fmt.Sprintf("%02d-", use))
		if !slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(dir, prefix) }) {
			t.Errorf("there is no recipe %s…", prefix)
		}
	}
	stories, err := filepath.Glob("recipes/*/timeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range stories {
		stories[i] = filepath.Dir(stories[i])
	}
	slices.Sort(dirs)
	if !slices.Equal(dirs, stories) {
		t.Errorf("recipes/kustomization.yaml names %q, and these have stories: %q", dirs, stories)
	}
}

// TestRecipesPlay plays each recipe's story, from what is imported to what arrives.
func TestRecipesPlay(t *testing.T) {
	for _, dir := range recipes(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			testenv.Stores(t, func(t *testing.T, dsn string) { stage.Play(t, dsn, common, dir) })
		})
	}
}

func TestRecipesAppliedTwiceDoNotChange(t *testing.T) {
	appliedTwice(t, testenv.ControlPlane(t), "recipes")
}

func TestRecipesAreSupported(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	cluster.Run(t, "", "apply", "--server-side", "--force-conflicts", "-k", "recipes")
	supported(t, cluster)
}

// supported fails for what a controller would refuse of all that was applied.
func supported(t *testing.T, cluster *testenv.Cluster) {
	t.Helper()
	for _, s := range list[crm.ScenarioList](t, cluster, "scenarios").Items {
		if fields := s.Spec.UnsupportedFields(); fields != nil {
			t.Errorf("Scenario %s uses %v", s.Name, fields)
		}
	}
	for _, s := range list[crm.SegmentList](t, cluster, "segments").Items {
		if fields := s.Spec.UnsupportedFields(); fields != nil {
			t.Errorf("Segment %s uses %v", s.Name, fields)
		}
	}
	for _, c := range list[crm.ChannelConfigList](t, cluster, "channelconfigs").Items {
		if fields := c.Spec.UnsupportedFields(); fields != nil {
			t.Errorf("ChannelConfig %s uses %v", c.Name, fields)
		}
	}
}
