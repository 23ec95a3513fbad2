// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedByKaeru = "kaeru"
	// kueueLabels begin so; those of a Scenario are its Jobs' too.
	kueueLabels = "kueue.x-k8s.io/"
	// triesPerIndex is how often the pod of one index may fail.
	triesPerIndex = 6
	// overseeEvery is how often a run that pods work off is looked at, on machine time.
	overseeEvery = 5 * time.Second
	// workerGrace is how long a pod may take to end what it is sending.
	workerGrace = 60
)

// Workers say what the pods of runner Job run as. They run in the Scenario's namespace.
type Workers struct {
	Image string
	// ServiceAccount may get ChannelConfigs, Secrets and ConfigMaps of its namespace.
	ServiceAccount string
	// StoreSecret and StoreKey are where the pods find the store's address.
	StoreSecret, StoreKey string
	// PublicURL and WebhookHosts are the manager's.
	PublicURL, WebhookHosts string
}

// checkRunner says what runner Job needs and does not have here.
func (r *ScenarioReconciler) checkRunner(ctx context.Context, scenario *crm.Scenario) error {
	if scenario.Spec.Dispatch.RunnerOrDefault() != crm.RunnerJob {
		return nil
	}
	const path = "spec.dispatch.runner"
	if r.Store.Dialect() == store.SQLite {
		return stalled(crm.ReasonUnsupported, "%s: Job needs PostgreSQL, and this manager keeps its data in SQLite: set it to InProcess", path)
	}
	secret, err := readSecret(ctx, r.Live, scenario.Namespace, path, crm.ObjectName(r.Workers.StoreSecret))
	if err != nil {
		return err
	}
	if _, err := secretKey(secret, path, r.Workers.StoreKey); err != nil {
		return err
	}
	var account corev1.ServiceAccount
	err = r.Live.Get(ctx, types.NamespacedName{Namespace: scenario.Namespace, Name: r.Workers.ServiceAccount}, &account)
	if apierrors.IsNotFound(err) {
		return stalled(crm.ReasonServiceAccountNotFound, "%s: ServiceAccount %q does not exist: create it in namespace %s, with the ClusterRole of Kaeru's workers", path, r.Workers.ServiceAccount, scenario.Namespace)
	}
	if err != nil {
		return fmt.Errorf("reading ServiceAccount %s: %w", r.Workers.ServiceAccount, err)
	}
	return nil
}

// createJob makes the Job of a run: one that Kaeru works off itself, or one whose pods do.
func (r *ScenarioReconciler) createJob(ctx context.Context, scenario *crm.Scenario, run dispatch.Run) (batchv1.Job, error) {
	shards := int32(max(run.Shards, 1))
	mode := batchv1.IndexedCompletion
	job := batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: scenario.Namespace, Name: run.Name,
			Labels: map[string]string{crm.LabelScenario: scenario.Name, labelManagedBy: managedByKaeru},
		},
		Spec: batchv1.JobSpec{
			CompletionMode: &mode, Completions: &shards, Parallelism: ptrTo(min(shards, scenario.Spec.Dispatch.ParallelismOrDefault())),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "worker", Image: r.Workers.Image, Args: []string{"worker"}}},
			}},
		},
	}
	if run.Runner == dispatch.RunnerJob {
		r.work(scenario, run, &job)
	} else {
		job.Spec.ManagedBy, job.Spec.BackoffLimit = ptrTo(crm.JobManager), ptrTo(int32(triesPerIndex))
	}
	if err := ctrl.SetControllerReference(scenario, &job, r.Scheme()); err != nil {
		return job, fmt.Errorf("owning Job %s: %w", run.Name, err)
	}
	if err := r.Create(ctx, &job); err != nil {
		return job, fmt.Errorf("creating Job %s: %w", run.Name, err)
	}
	return job, nil
}

// work has the pods of a Job send. What they are told names no customer.
func (r *ScenarioReconciler) work(scenario *crm.Scenario, run dispatch.Run, job *batchv1.Job) {
	for name, value := range scenario.Labels {
		if strings.HasPrefix(name, kueueLabels) {
			job.Labels[name] = value
		}
	}
	job.Spec.BackoffLimitPerIndex = ptrTo(int32(triesPerIndex))
	// A pod that was evicted, or whose node was lost, is no failure: another goes on where it ended.
	job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}}}
	template := &job.Spec.Template
	template.Labels = map[string]string{crm.LabelScenario: scenario.Name, labelManagedBy: managedByKaeru, "app.kubernetes.io/component": "worker"}
	pod, worker := &template.Spec, &template.Spec.Containers[0]
	pod.ServiceAccountName = r.Workers.ServiceAccount
	pod.TerminationGracePeriodSeconds = ptrTo(int64(workerGrace))
	pod.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: ptrTo(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	worker.Args = []string{"worker", "--namespace", scenario.Namespace, "--scenario", scenario.Name, "--run", run.Name, "--public-url", r.Workers.PublicURL}
	if r.Workers.WebhookHosts != "" {
		worker.Args = append(worker.Args, "--webhook-allowed-hosts", r.Workers.WebhookHosts)
	}
	worker.Env = []corev1.EnvVar{{Name: "KAERU_STORE", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: r.Workers.StoreSecret}, Key: r.Workers.StoreKey,
	}}}}
	worker.SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptrTo(false), ReadOnlyRootFilesystem: ptrTo(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	worker.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
	if t := scenario.Spec.Dispatch.PodTemplate; t != nil {
		shape(template, t)
	}
}

// shape is what the Scenario says of the pods.
func shape(template *corev1.PodTemplateSpec, t *crm.PodTemplate) {
	pod, worker := &template.Spec, &template.Spec.Containers[0]
	for name, value := range t.Labels {
		if _, ours := template.Labels[name]; !ours {
			template.Labels[name] = string(value)
		}
	}
	template.Annotations = stringsOf(t.Annotations)
	pod.NodeSelector, pod.PriorityClassName = stringsOf(t.NodeSelector), string(t.PriorityClassName)
	for _, o := range t.Tolerations {
		pod.Tolerations = append(pod.Tolerations, corev1.Toleration{
			Key: o.Key, Operator: corev1.TolerationOperator(o.Operator), Value: o.Value,
			Effect: corev1.TaintEffect(o.Effect), TolerationSeconds: o.TolerationSeconds,
		})
	}
	if r := t.Resources; r != nil {
		worker.Resources = corev1.ResourceRequirements{Requests: quantities(r.Requests), Limits: quantities(r.Limits)}
	}
}

// quantities are those of the API, whose pattern lets through what Kubernetes reads.
func quantities(of map[string]crm.ResourceQuantity) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, value := range of {
		if q, err := resource.ParseQuantity(string(value)); err == nil {
			out[corev1.ResourceName(name)] = q
		}
	}
	return out
}

func stringsOf[T ~string](of map[string]T) map[string]string {
	out := make(map[string]string, len(of))
	for name, value := range maps.All(of) {
		out[name] = string(value)
	}
	return out
}

// overseen follows a run whose Job has pods. Kubernetes keeps the Job's status; what its pods leave behind when it
// fails, Kaeru sends itself.
func (r *ScenarioReconciler) overseen(ctx context.Context, scenario *crm.Scenario, job *batchv1.Job, ref dispatch.Ref, run dispatch.Run) (again time.Time, err error) {
	if run.State != dispatch.RunPlanned && run.State != dispatch.RunRunning {
		return time.Time{}, nil
	}
	again = r.Clock.Now().Add(overseeEvery)
	if !finished(job) || run.State == dispatch.RunPlanned {
		return again, nil
	}
	left, err := r.Engine.TakeOver(ctx, ref, run.Name)
	if err == nil && left > 0 {
		r.Recorder.Eventf(scenario, job, "Warning", crm.ReasonRunnerFailed, "Dispatch",
			"the Job of run %s ended with %d of %d shards left, which the manager sends itself: see its pods' logs and events", run.Name, left, run.Shards)
	}
	return again, err
}

func isSuspended(job *batchv1.Job) bool { return job.Spec.Suspend != nil && *job.Spec.Suspend }
