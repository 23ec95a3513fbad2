// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// inPods is a run of 400 messages in four shards.
const inPods = channels + `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Segment
metadata: {name: everybody}
spec: {match: {all: [{reachable: {channels: [line]}}]}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: sale, labels: {kueue.x-k8s.io/queue-name: campaigns, team: crm}}
spec:
  segmentRef: {name: everybody}
  trigger: {schedule: {at: "$AT"}}
  dispatch:
    runner: $RUNNER
    shardSize: 100
    parallelism: 4
    $TEMPLATE
  steps:
  - name: push
    line: {channel: line-main, messages: [{type: text, text: "{{ customer.id }} https://shop.example/sale"}]}
`

const podTemplate = `podTemplate:
      resources: {requests: {cpu: 50m}, limits: {memory: 128Mi}}
      nodeSelector: {pool: batch}
      tolerations: [{key: batch, operator: Exists, effect: NoSchedule}]
      labels: {team: crm}
      annotations: {note: sale}`

func (s *shop) applyInPods(runner, template, perSecond string) {
	s.t.Helper()
	s.apply(strings.NewReplacer("perSecond: 5000", "perSecond: "+perSecond, "$RUNNER", runner, "$TEMPLATE", template, "$AT", time.Now().Add(12*time.Second).UTC().Format(time.RFC3339)).Replace(inPods))
}

func (s *shop) people(n int) {
	s.t.Helper()
	var customers strings.Builder
	customers.WriteString("id,line_user_id,consent_line\n")
	for i := range n {
		fmt.Fprintf(&customers, "k%04d,U%032x,true\n", i, i)
	}
	s.ingest("customers", customers.String())
}

// job waits for the Job of the run.
func (s *shop) job() *batchv1.Job {
	s.t.Helper()
	var job *batchv1.Job
	s.eventually(time.Minute, func() error {
		var all batchv1.JobList
		must(s.t, s.client.List(s.t.Context(), &all, client.InNamespace(s.ns)))
		if len(all.Items) == 0 {
			return fmt.Errorf("there is no Job; the Scenario says %s", show(s.scenario("sale").Status))
		}
		job = &all.Items[0]
		return nil
	})
	return job
}

// workersMay makes what the pods of runner Job need.
func (s *shop) workersMay() {
	s.t.Helper()
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: s.ns, Name: name} }
	must(s.t, s.client.Create(s.t.Context(), &corev1.ServiceAccount{ObjectMeta: meta("kaeru-worker")}))
	must(s.t, s.client.Create(s.t.Context(), &corev1.Secret{ObjectMeta: meta("kaeru-store"), StringData: map[string]string{"dsn": s.dsn}}))
}

// pod runs what the pod of an index runs.
func (s *shop) pod(binary string, job *batchv1.Job, index int) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), binary, job.Spec.Template.Spec.Containers[0].Args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig, "KAERU_STORE="+s.dsn, fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	must(s.t, cmd.Start())
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &log
}

// TestPodsSend has processes of kaeru worker send what the pods of a Job would: one of them is killed in the
// middle, and the next goes on; the manager itself sends nothing.
func TestPodsSend(t *testing.T) {
	binary := buildBinary(t)
	s := newShop(t, testenv.Postgres(t), clock.Real())
	s.people(400)
	s.workersMay()
	s.start()
	s.applyInPods("Job", podTemplate, "40")
	s.ready("scenario/sale")
	job := s.job()
	checkPods(t, s, job)
	if time.Sleep(2 * time.Second); s.total() > 0 {
		t.Fatalf("the manager sent %d messages that are the pods'", s.total())
	}

	first, _ := s.pod(binary, job, 0)
	s.eventually(30*time.Second, func() error {
		if s.total() < 5 {
			return fmt.Errorf("the first pod has sent %d", s.total())
		}
		return nil
	})
	must(t, first.Process.Kill())
	_ = first.Wait()
	t.Logf("killed after %d messages", s.total())

	var pods []*exec.Cmd
	var logs []*bytes.Buffer
	for i := range 4 {
		cmd, log := s.pod(binary, job, i)
		pods, logs = append(pods, cmd), append(logs, log)
	}
	for i, cmd := range pods {
		if err := cmd.Wait(); err != nil {
			t.Errorf("index %d: %v\n%s", i, err, logs[i])
		}
		if text := logs[i].String(); !strings.Contains(text, "Index is done") || strings.Contains(text, "U0000") || strings.Contains(text, "k00") {
			t.Errorf("the log of index %d tells no story, or tells of customers:\n%s", i, text)
		}
	}
	s.eventually(30*time.Second, func() error {
		got := s.scenario("sale").Status
		if got.LastRun == nil || len(got.Active) > 0 || got.Steps[0].Sent != 400 {
			return fmt.Errorf("the run is not over: %s", show(got))
		}
		return nil
	})
	if got := s.perRecipient("line"); len(got) != 400 {
		t.Errorf("%d customers got a message", len(got))
	}
	// Without an index, or one that is none, a worker says so and ends.
	cmd, log := s.pod(binary, job, 7)
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), "no shard of this index") {
		t.Errorf("index 7: %v, %s", err, log)
	}
}

func checkPods(t *testing.T, s *shop, job *batchv1.Job) {
	t.Helper()
	pod := job.Spec.Template.Spec
	worker := pod.Containers[0]
	want := []string{"worker", "--namespace", s.ns, "--scenario", "sale", "--run", job.Name, "--public-url", "http://" + s.public, "--webhook-allowed-hosts", "hooks.shop.example"}
	if !slices.Equal(worker.Args, want) || worker.Image != "kaeru" {
		t.Errorf("%s runs %v", worker.Image, worker.Args)
	}
	if e := worker.Env; len(e) != 1 || e[0].Value != "" || e[0].ValueFrom.SecretKeyRef.Name != "kaeru-store" || e[0].ValueFrom.SecretKeyRef.Key != "dsn" {
		t.Errorf("env %s", show(e))
	}
	if job.Spec.ManagedBy != nil || *job.Spec.Completions != 4 || *job.Spec.Parallelism != 4 || job.Spec.BackoffLimitPerIndex == nil || job.Spec.PodFailurePolicy == nil {
		t.Errorf("Job %s", show(job.Spec))
	}
	if job.Labels["kueue.x-k8s.io/queue-name"] != "campaigns" || job.Labels["team"] != "" {
		t.Errorf("labels %v", job.Labels)
	}
	template := job.Spec.Template
	if pod.NodeSelector["pool"] != "batch" || len(pod.Tolerations) != 1 || template.Labels["team"] != "crm" || template.Annotations["note"] != "sale" ||
		worker.Resources.Limits.Memory().String() != "128Mi" || pod.ServiceAccountName != "kaeru-worker" {
		t.Errorf("pod %s", show(template))
	}
}

// TestJobThatFails has the manager send what the pods of a Job did not, and say so.
func TestJobThatFails(t *testing.T) {
	s := newShop(t, testenv.Postgres(t), clock.Real())
	s.people(400)
	s.workersMay()
	s.start()
	s.applyInPods("Job", "", "5000")
	job := s.job()
	before := job.DeepCopy()
	now := metav1.Now().Rfc3339Copy()
	job.Status.StartTime = &now
	for _, kind := range []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: "FailedIndexes", LastProbeTime: now, LastTransitionTime: now})
	}
	must(t, s.client.Status().Patch(t.Context(), job, client.MergeFrom(before)))
	s.eventually(time.Minute, func() error {
		if got := s.scenario("sale").Status; got.LastRun == nil || len(got.Active) > 0 || got.Steps[0].Sent != 400 {
			return fmt.Errorf("the run is not over: %s", show(got))
		}
		return nil
	})
	if got := s.perRecipient("line"); len(got) != 400 {
		t.Errorf("%d customers got a message", len(got))
	}
	var events eventsv1.EventList
	must(t, s.client.List(t.Context(), &events, client.InNamespace(s.ns)))
	if !slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool {
		return e.Reason == crm.ReasonRunnerFailed && strings.Contains(e.Note, "4 of 4 shards left")
	}) {
		t.Error("no event says that the Job failed")
	}
}

// TestJobSuspended suspends the Job of a run that the manager works off itself: nothing more is sent until it goes on.
func TestJobSuspended(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.people(400)
	s.start()
	s.applyInPods("InProcess", "", "40")
	job := s.job()
	suspend := func(v bool) {
		s.cluster.Run(t, "", "patch", "job", job.Name, "-n", s.ns, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"suspend":%v}}`, v))
	}
	suspend(true)
	s.eventually(20*time.Second, func() error {
		must(t, s.client.Get(t.Context(), types.NamespacedName{Namespace: s.ns, Name: job.Name}, job))
		if job.Status.Active > 0 || !slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type == batchv1.JobSuspended && c.Status == corev1.ConditionTrue
		}) {
			return fmt.Errorf("the Job is not suspended: %s", show(job.Status))
		}
		return nil
	})
	// The lease is looked at every ten seconds; what had begun then ends.
	time.Sleep(12 * time.Second)
	held := s.total()
	time.Sleep(3 * time.Second)
	if got := s.total(); got != held || held >= 400 {
		t.Errorf("%d messages were sent when the Job was suspended, and %d later", held, got)
	}
	suspend(false)
	s.eventually(time.Minute, func() error {
		if got := s.scenario("sale").Status; len(got.Active) > 0 || got.Steps[0].Sent != 400 {
			return fmt.Errorf("the run is not over: %s", show(got))
		}
		return nil
	})
	if got := s.perRecipient("line"); len(got) != 400 {
		t.Errorf("%d customers got a message", len(got))
	}
}

// TestRunnerJobNeeds says what is missing, in the words that the user can act on.
func TestRunnerJobNeeds(t *testing.T) {
	says := func(s *shop, want string) {
		s.t.Helper()
		s.eventually(30*time.Second, func() error {
			for _, c := range s.scenario("sale").Status.Conditions {
				if c.Type == crm.ConditionStalled && strings.Contains(c.Message, want) {
					return nil
				}
			}
			return fmt.Errorf("the status does not say %q: %s", want, show(s.scenario("sale").Status.Conditions))
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		s := newShop(t, testenv.SQLite(t), clock.Real())
		s.start()
		s.applyInPods("Job", "", "5000")
		says(s, "spec.dispatch.runner: Job needs PostgreSQL")
	})
	t.Run("postgres", func(t *testing.T) {
		s := newShop(t, testenv.Postgres(t), clock.Real())
		s.start()
		s.applyInPods("Job", "", "5000")
		says(s, `Secret "kaeru-store" does not exist`)
	})
}
