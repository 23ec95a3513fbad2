// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// apply applies directories to an empty namespace, with the doubles in the providers' place.
func (s *stage) apply(dirs []string) {
	s.Helper()
	s.clear()
	s.Cleanup(s.clear)
	var objects []*unstructured.Unstructured
	for _, dir := range dirs {
		objects = append(objects, s.kustomize(dir)...)
	}
	var secrets []*unstructured.Unstructured
	for _, o := range objects {
		if o.GetKind() == "ChannelConfig" {
			secrets = append(secrets, s.connect(o))
		}
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}}}
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List"}}
	list.Items = append(list.Items, *ns)
	for _, o := range append(secrets, objects...) {
		list.Items = append(list.Items, *o)
	}
	manifests, err := list.MarshalJSON()
	s.ok(err)
	s.cluster.Run(s.T, string(manifests), "apply", "--server-side", "--force-conflicts", "-f", "-")
	s.arm(objects)
}

// rounds is how many resources may wait one for another, as segments do that are made of segments.
const rounds = 10

// arm has Kaeru take up what was applied. In a cluster what others wait for wakes them when it is ready.
func (s *stage) arm(objects []*unstructured.Unstructured) {
	s.Helper()
	desks := map[string]*desk{"ChannelConfig": s.channels, "Segment": s.segments, "Scenario": s.scenarios}
	for range rounds {
		for _, o := range objects {
			if d := desks[o.GetKind()]; d != nil {
				d.nudge(dispatch.Ref{Namespace: namespace, Name: o.GetName()})
			}
		}
		s.settle(true)
		if len(s.unready()) == 0 {
			return
		}
	}
	s.ready()
}

// clear deletes what an earlier play, or another test, left in the namespace. Nothing here collects what
// a deleted resource owns.
func (s *stage) clear() {
	for _, o := range []client.Object{
		&crm.Scenario{}, &crm.Segment{}, &crm.ChannelConfig{}, &batchv1.Job{}, &appsv1.ControllerRevision{}, &corev1.ConfigMap{}, &corev1.Secret{},
	} {
		// Not the test's context, which has ended when this is called at its end.
		err := s.client.DeleteAllOf(context.Background(), o, client.InNamespace(namespace), client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			s.Errorf("clearing the namespace: %v", err)
		}
	}
}

func (s *stage) kustomize(dir string) (objects []*unstructured.Unstructured) {
	s.Helper()
	text := s.cluster.Run(s.T, "", "kustomize", dir)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		s.ok(err)
		if ns := o.GetNamespace(); ns != "" && ns != namespace {
			s.Fatalf("%s: %s %s is in the namespace %s: write namespace: %s", dir, o.GetKind(), o.GetName(), ns, namespace)
		}
		objects = append(objects, o)
	}
}

// connect leads a channel to its provider's double, and gives the Secret for that.
func (s *stage) connect(o *unstructured.Unstructured) (secret *unstructured.Unstructured) {
	s.Helper()
	var c crm.ChannelConfig
	s.ok(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &c))
	urls := s.doubles.URLs()
	var name string
	data := map[string]any{}
	set := func(value any, path ...string) {
		s.ok(unstructured.SetNestedField(o.Object, value, append([]string{"spec"}, path...)...))
	}
	switch {
	case c.Spec.Line != nil:
		set(urls.LINE, "line", "endpoint")
		name = string(c.Spec.Line.CredentialsSecretRef.Name)
		data["channelAccessToken"], data["channelSecret"] = sandbox.DefaultLINEToken, lineSecret
	case c.Spec.SMS != nil:
		set(urls.Twilio, "sms", "twilio", "endpoint")
		name = string(c.Spec.SMS.Twilio.CredentialsSecretRef.Name)
		data["accountSID"], data["authToken"] = sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken
	default:
		host, port, err := net.SplitHostPort(urls.SMTP)
		s.ok(err)
		number, err := strconv.ParseInt(port, 10, 32)
		s.ok(err)
		set(host, "email", "smtp", "host")
		set(number, "email", "smtp", "port")
		set("Disabled", "email", "smtp", "tls")
		name = "smtp"
		set(name, "email", "smtp", "credentialsSecretRef", "name")
		data["username"], data["password"] = sandbox.DefaultSMTPUser, sandbox.DefaultSMTPPassword
	}
	// A rate is on the machine's clock, and would be waited for.
	set(int64(1000), "rateLimit", "perSecond")
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": namespace}, "stringData": data,
	}}
}
