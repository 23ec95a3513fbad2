// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config_test applies the manifests to a real API server.
package config_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const system = "kaeru-system"

// readAll opens what kubectl will read: go test takes an old result for a new one otherwise.
func readAll(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func apply(t *testing.T, cluster *testenv.Cluster, args ...string) {
	t.Helper()
	readAll(t, ".")
	// Not the conflicts of one test with another: envtest has installed the CRDs before.
	cluster.Run(t, "", append([]string{"apply", "--server-side", "--force-conflicts"}, args...)...)
	cluster.Run(t, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
}

func get[T any](t *testing.T, cluster *testenv.Cluster, args ...string) T {
	t.Helper()
	var object T
	out := cluster.Run(t, "", append([]string{"--namespace", system, "get", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		t.Fatalf("get %v: %v", args, err)
	}
	return object
}

func TestCRDsInstallByThemselves(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	apply(t, cluster, "-k", "crd")
	// As older tools do it, with a copy of the whole in an annotation.
	cluster.Run(t, "", "apply", "--dry-run=server", "-k", "crd")
}

func TestDefault(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	apply(t, cluster, "-k", "default")
	all := "deployment,service,role,rolebinding,networkpolicy,serviceaccount"
	before := get[map[string]any](t, cluster, all)
	apply(t, cluster, "-k", "default")
	after := get[map[string]any](t, cluster, all)
	if a, b := marshal(t, before), marshal(t, after); a != b {
		t.Errorf("applied twice it differs:\n%s\n%s", a, b)
	}
	deployment := get[appsv1.Deployment](t, cluster, "deployment", "kaeru-manager")
	if *deployment.Spec.Replicas != 1 || deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("the embedded database has one writer: %d replicas, strategy %s", *deployment.Spec.Replicas, deployment.Spec.Strategy.Type)
	}
	checkPod(t, cluster, deployment)
	checkServices(t, cluster, deployment, "kaeru-gateway")
	checkRights(t, cluster)
}

func TestWithPostgresAndPrometheus(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	apply(t, cluster, "-f", "testdata/servicemonitor.yaml")
	apply(t, cluster, "-k", "testdata/everything")
	deployment := get[appsv1.Deployment](t, cluster, "deployment", "kaeru-manager")
	container := deployment.Spec.Template.Spec.Containers[0]
	if !strings.Contains(strings.Join(container.Args, " "), "--leader-elect") {
		t.Errorf("two replicas without leader election: %v", container.Args)
	}
	for _, env := range container.Env {
		if env.Name == "KAERU_STORE" && (env.Value != "" || env.ValueFrom == nil || env.ValueFrom.SecretKeyRef.Name != "kaeru-store") {
			t.Errorf("KAERU_STORE is not from the Secret: %+v", env)
		}
	}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			t.Errorf("two replicas share the volume %s", volume.Name)
		}
	}
	if deployment.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		t.Errorf("strategy is %s, want RollingUpdate", deployment.Spec.Strategy.Type)
	}
	checkPod(t, cluster, deployment)
	checkServices(t, cluster, deployment, "kaeru-gateway", "kaeru-metrics")
}

// checkPod has the API server look at a pod of the deployment, in the namespace that enforces the
// restricted Pod Security Standard.
func checkPod(t *testing.T, cluster *testenv.Cluster, deployment appsv1.Deployment) {
	t.Helper()
	template := deployment.Spec.Template
	pod := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: system, Labels: template.Labels},
		Spec:       template.Spec,
	}
	cluster.Run(t, marshal(t, pod), "create", "--dry-run=server", "-f", "-")

	loose := pod.DeepCopy()
	loose.Spec.SecurityContext.SeccompProfile = nil
	cmd := cluster.Command(t.Context(), "create", "--dry-run=server", "-f", "-")
	cmd.Stdin = strings.NewReader(marshal(t, loose))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "violates PodSecurity") {
		t.Errorf("the namespace does not enforce the restricted standard: %v\n%s", err, out)
	}
	if container := pod.Spec.Containers[0]; !*container.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root file system is writable")
	}
}

// checkServices sees that services select the pods and name ports that they have.
func checkServices(t *testing.T, cluster *testenv.Cluster, deployment appsv1.Deployment, names ...string) {
	t.Helper()
	ports := map[string]bool{}
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = true
	}
	for _, name := range names {
		service := get[corev1.Service](t, cluster, "service", name)
		for key, value := range service.Spec.Selector {
			if deployment.Spec.Template.Labels[key] != value {
				t.Errorf("service %s selects %s=%s, which the pods are not", name, key, value)
			}
		}
		for _, port := range service.Spec.Ports {
			if !ports[port.TargetPort.StrVal] {
				t.Errorf("service %s: the pods have no port %s", name, port.TargetPort.String())
			}
		}
	}
}

// checkRights asks the API server what the manager may do, and what it may not.
func checkRights(t *testing.T, cluster *testenv.Cluster) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	for question, want := range map[string]bool{ // namespace verb group/resource[/subresource]
		"shop list crm.kaeru.dev/segments":                   true,
		"shop watch crm.kaeru.dev/channelconfigs":            true,
		"shop patch crm.kaeru.dev/scenarios/status":          true,
		"shop create batch/jobs":                             true,
		"shop patch batch/jobs/status":                       true,
		"shop get /secrets":                                  true,
		"shop create events.k8s.io/events":                   true,
		system + " update coordination.k8s.io/leases":        true,
		"shop update coordination.k8s.io/leases":             false,
		"shop delete crm.kaeru.dev/segments":                 false,
		"shop update /secrets":                               false,
		"shop create /pods":                                  false,
		"shop update rbac.authorization.k8s.io/rolebindings": false,
	} {
		words := strings.Fields(question)
		what := append(strings.Split(words[2], "/"), "")
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + system + ":kaeru-manager",
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: words[0], Verb: words[1], Group: what[0], Resource: what[1], Subresource: what[2],
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != want {
			t.Errorf("the manager may %s: %t, want %t", question, review.Status.Allowed, want)
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
