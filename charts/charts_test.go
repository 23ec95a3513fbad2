// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package charts_test renders the chart and has a real API server look at what comes out.
package charts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const namespace = "chart-test"

// readAll opens what kubectl and helm will read: go test takes an old result for a new one otherwise.
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

// helm renders the chart and gives what helm printed, and whether it agreed.
func helm(t *testing.T, sets ...string) (string, error) {
	t.Helper()
	readAll(t, "kaeru")
	program, err := exec.CommandContext(t.Context(), "../hack/tools/build.sh", "helm").Output()
	if err != nil {
		t.Fatalf("build helm: %v", err)
	}
	args := []string{"template", "kaeru", "kaeru", "--namespace", namespace}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	out, err := exec.CommandContext(t.Context(), strings.TrimSpace(string(program)), args...).CombinedOutput()
	return string(out), err
}

func render(t *testing.T, sets ...string) []*unstructured.Unstructured {
	t.Helper()
	out, err := helm(t, sets...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	return objects(t, out)
}

func objects(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(manifests)), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

// find gives the one object of a kind whose name ends so.
func find[T any](t *testing.T, all []*unstructured.Unstructured, kind, suffix string) T {
	t.Helper()
	var found T
	for _, object := range all {
		if object.GetKind() == kind && strings.HasSuffix(object.GetName(), suffix) {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &found); err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("no %s …%s in %v", kind, suffix, kinds(all))
	return found
}

func kinds(all []*unstructured.Unstructured) []string {
	var names []string
	for _, object := range all {
		names = append(names, object.GetKind())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRenderedManifestsAreAccepted(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	cluster.Run(t, "", "apply", "-f", "../config/testdata/servicemonitor.yaml")
	cluster.Run(t, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
	cluster.Run(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+namespace+`","labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`,
		"create", "-f", "-")
	base := []string{
		"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Deployment", "NetworkPolicy",
		"PersistentVolumeClaim", "Role", "RoleBinding", "Service", "ServiceAccount",
	}
	without := func(kinds ...string) []string {
		return slices.DeleteFunc(slices.Clone(base), func(k string) bool { return slices.Contains(kinds, k) })
	}
	with := func(kinds ...string) []string { return slices.Sorted(slices.Values(append(kinds, base...))) }
	for name, c := range map[string]struct {
		sets  []string
		kinds []string
		check func(*testing.T, appsv1.Deployment)
	}{
		"as it comes": {nil, base, func(t *testing.T, d appsv1.Deployment) {
			if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || hasArg(d, "--leader-elect") {
				t.Errorf("one writer: strategy %s, arguments %v", d.Spec.Strategy.Type, d.Spec.Template.Spec.Containers[0].Args)
			}
			wantPublicURL(t, d, "http://kaeru-gateway."+namespace+".svc")
		}},
		"PostgreSQL and three replicas": {
			[]string{"replicas=3", "store.postgres.secretName=pg", "store.postgres.secretKey=uri"},
			slices.Sorted(slices.Values(append(without("PersistentVolumeClaim"), "PodDisruptionBudget"))),
			func(t *testing.T, d appsv1.Deployment) {
				wantArg(t, d, "--leader-elect")
				env := d.Spec.Template.Spec.Containers[0].Env[0]
				if env.Name != "KAERU_STORE" || env.ValueFrom.SecretKeyRef.Name != "pg" || env.ValueFrom.SecretKeyRef.Key != "uri" {
					t.Errorf("the store is %+v", env)
				}
				if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || *d.Spec.Replicas != 3 {
					t.Errorf("strategy %s, %d replicas", d.Spec.Strategy.Type, *d.Spec.Replicas)
				}
			},
		},
		"an Ingress with TLS": {
			[]string{"gateway.ingress.enabled=true", "gateway.ingress.host=crm.shop.example", "gateway.ingress.tlsSecretName=crm-tls", "gateway.ingress.className=nginx"},
			with("Ingress"),
			func(t *testing.T, d appsv1.Deployment) { wantPublicURL(t, d, "https://crm.shop.example") },
		},
		"a public URL of its own": {
			[]string{"gateway.publicURL=https://mail.shop.example/crm", "gateway.service.port=8888", "gateway.service.type=LoadBalancer"}, base,
			func(t *testing.T, d appsv1.Deployment) { wantPublicURL(t, d, "https://mail.shop.example/crm") },
		},
		"inbound mail": {
			[]string{"inboundMail.enabled=true", "inboundMail.service.type=LoadBalancer"}, base,
			func(t *testing.T, d appsv1.Deployment) { wantArg(t, d, "--inbound-smtp-address=:2525") },
		},
		"workers in pods": {
			[]string{"workers.namespaces={default}", "store.postgres.secretName=pg", "workers.storeSecretName=crm-store"}, without("PersistentVolumeClaim"),
			func(t *testing.T, d appsv1.Deployment) { wantArg(t, d, "--worker-store-secret=crm-store") },
		},
		"Prometheus": {[]string{"metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.labels.release=prometheus"}, with("ServiceMonitor"), nil},
		"a claim that is there": {
			[]string{"store.sqlite.existingClaim=old"}, without("PersistentVolumeClaim"),
			func(t *testing.T, d appsv1.Deployment) {
				if claim := d.Spec.Template.Spec.Volumes[0].PersistentVolumeClaim; claim == nil || claim.ClaimName != "old" {
					t.Errorf("the volume is %+v", d.Spec.Template.Spec.Volumes[0])
				}
			},
		},
		"CRDs, roles and accounts by others": {
			[]string{"crds.install=false", "rbac.create=false", "serviceAccount.create=false", "serviceAccount.name=kaeru", "networkPolicy.enabled=false"},
			[]string{"Deployment", "PersistentVolumeClaim", "Service"}, nil,
		},
		"everything about pods": {
			[]string{
				"image.digest=sha256:" + strings.Repeat("a", 64), "imagePullSecrets={regcred}", "podLabels.team=crm", "podAnnotations.note=x",
				"nodeSelector.pool=crm", "tolerations[0].key=crm", "tolerations[0].operator=Exists", "priorityClassName=high",
				"extraArgs={--verbose}", "extraEnv[0].name=TZ", "extraEnv[0].value=UTC", "fullnameOverride=crm", "resources.limits.cpu=2",
				"topologySpreadConstraints[0].maxSkew=1", "topologySpreadConstraints[0].topologyKey=zone", "topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
			}, base,
			func(t *testing.T, d appsv1.Deployment) {
				wantArg(t, d, "--verbose")
				if d.Name != "crm" || d.Spec.Template.Spec.Containers[0].Image != "ghcr.io/kaeru-dev/kaeru@sha256:"+strings.Repeat("a", 64) {
					t.Errorf("%s runs %s", d.Name, d.Spec.Template.Spec.Containers[0].Image)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, c.sets...)
			if got := kinds(all); !slices.Equal(got, c.kinds) {
				t.Errorf("kinds are %v, want %v", got, c.kinds)
			}
			list := map[string]any{"apiVersion": "v1", "kind": "List", "items": all}
			cluster.Run(t, marshal(t, list), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
			deployment := find[appsv1.Deployment](t, all, "Deployment", "")
			pod := corev1.Pod{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: namespace, Labels: deployment.Spec.Template.Labels},
				Spec:       deployment.Spec.Template.Spec,
			}
			pod.Spec.PriorityClassName = "" // has to be there already
			cluster.Run(t, marshal(t, pod), "create", "--dry-run=server", "-f", "-")
			for key, value := range deployment.Spec.Selector.MatchLabels {
				if deployment.Spec.Template.Labels[key] != value {
					t.Errorf("the deployment selects %s=%s, which its pods are not", key, value)
				}
			}
			if c.check != nil {
				c.check(t, deployment)
			}
		})
	}
}

func hasArg(d appsv1.Deployment, arg string) bool {
	return slices.Contains(d.Spec.Template.Spec.Containers[0].Args, arg)
}

func wantArg(t *testing.T, d appsv1.Deployment, arg string) {
	t.Helper()
	if !hasArg(d, arg) {
		t.Errorf("arguments are %v, want %s among them", d.Spec.Template.Spec.Containers[0].Args, arg)
	}
}

func wantPublicURL(t *testing.T, d appsv1.Deployment, want string) {
	t.Helper()
	for _, env := range d.Spec.Template.Spec.Containers[0].Env {
		if env.Name == "KAERU_PUBLIC_URL" && env.Value == want {
			return
		}
	}
	t.Errorf("environment is %v, want the public URL %s", d.Spec.Template.Spec.Containers[0].Env, want)
}

func TestBadValuesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"two writers":             {"replicas=2", "replicas: 2 needs PostgreSQL, as the embedded database has one writer: set store.postgres.secretName, or replicas: 1"},
		"no replica":              {"replicas=0", "/replicas"},
		"workers without a store": {"workers.namespaces={shop}", "workers.namespaces needs store.postgres.secretName"},
		"unknown value":           {"postgres.secretName=pg", "postgres"},
		"unknown nested value":    {"store.postgres.secret=pg", "secret"},
		"an Ingress without host": {"gateway.ingress.enabled=true", "/gateway/ingress/host"},
		"a URL without a scheme":  {"gateway.publicURL=crm.shop.example", "/gateway/publicURL"},
		"a digest without sha256": {"image.digest=abc", "/image/digest"},
		"no account to use":       {"serviceAccount.create=false", "serviceAccount.create is false: name the ServiceAccount in serviceAccount.name"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := helm(t, c.set)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("--set %s: %v, want %q in\n%s", c.set, err, c.want, out[:min(len(out), 600)])
			}
		})
	}
}

// Both ways to install give the same manager, the same rights and the same CRDs.
func TestChartIsAsTheManifests(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	readAll(t, "../config")
	chart := render(t)
	manifests := objects(t, cluster.Run(t, "", "kustomize", "../config/default"))

	for suffix, names := range map[string][2]string{"rules": {"-manager", "kaeru-manager-role"}, "editor": {"-editor", "-editor"}, "viewer": {"-viewer", "-viewer"}} {
		got, want := find[rbacv1.ClusterRole](t, chart, "ClusterRole", names[0]), find[rbacv1.ClusterRole](t, manifests, "ClusterRole", names[1])
		if !reflect.DeepEqual(got.Rules, want.Rules) {
			t.Errorf("%s: the chart's role may\n%s\nand that of config/rbac\n%s", suffix, marshal(t, got.Rules), marshal(t, want.Rules))
		}
	}
	role, wantRole := find[rbacv1.Role](t, chart, "Role", "-leader-election"), find[rbacv1.Role](t, manifests, "Role", "-leader-election")
	if !reflect.DeepEqual(role.Rules, wantRole.Rules) {
		t.Errorf("leader election: the chart's role may\n%s\nand that of config/rbac\n%s", marshal(t, role.Rules), marshal(t, wantRole.Rules))
	}

	pod, wantPod := find[appsv1.Deployment](t, chart, "Deployment", "").Spec.Template.Spec, find[appsv1.Deployment](t, manifests, "Deployment", "").Spec.Template.Spec
	for _, p := range []*corev1.PodSpec{&pod, &wantPod} {
		p.ServiceAccountName, p.Volumes[0].PersistentVolumeClaim.ClaimName = "", "" // the release's
		container := &p.Containers[0]
		container.Image, container.ImagePullPolicy = "", ""
		container.Args = slices.DeleteFunc(container.Args, func(arg string) bool { return strings.HasPrefix(arg, "--image=") })
		container.Env = slices.DeleteFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "KAERU_PUBLIC_URL" })
	}
	if got, want := marshal(t, pod), marshal(t, wantPod); got != want {
		t.Errorf("the chart's pod is\n%s\nand that of config/manager\n%s", got, want)
	}

	crds := 0
	for _, object := range manifests {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		crds++
		got := find[unstructured.Unstructured](t, chart, "CustomResourceDefinition", object.GetName())
		if got.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s goes when the chart is uninstalled, and all objects with it", object.GetName())
		}
		if !reflect.DeepEqual(got.Object["spec"], object.Object["spec"]) {
			t.Errorf("%s is not the one of config/crd/bases: run make generate", object.GetName())
		}
	}
	if crds != 3 {
		t.Errorf("found %d CRDs, want 3", crds)
	}
}
