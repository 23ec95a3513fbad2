// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Runner says who works a run's Job off.
// +kubebuilder:validation:Enum=InProcess;Job
type Runner string

// The runners.
const (
	RunnerInProcess Runner = "InProcess"
	RunnerJob       Runner = "Job"
)

// Dispatch says how runs are carried out.
// +kubebuilder:validation:XValidation:rule="!has(self.podTemplate) || (has(self.runner) && self.runner == 'Job')",message="podTemplate belongs to runner Job: set runner: Job or remove it"
type Dispatch struct {
	// runner is InProcess (Kaeru works the Job off itself) or Job (its pods do). Default InProcess.
	// +optional
	Runner Runner `json:"runner,omitempty"`
	// shardSize is how many messages an index of the Job holds. Default 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	ShardSize int32 `json:"shardSize,omitempty"`
	// parallelism is how many indexes are worked off at once. Default 4.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Parallelism int32 `json:"parallelism,omitempty"`
	// successfulJobsHistoryLimit is how many complete Jobs are kept. Default 3.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	SuccessfulJobsHistoryLimit *int32 `json:"successfulJobsHistoryLimit,omitempty"`
	// failedJobsHistoryLimit is how many failed Jobs are kept. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	FailedJobsHistoryLimit *int32 `json:"failedJobsHistoryLimit,omitempty"`
	// podTemplate shapes the pods of runner Job.
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`
}

// PodTemplate shapes the pods of runner Job.
// +kubebuilder:validation:MinProperties=1
type PodTemplate struct {
	// resources of the worker's container.
	// +optional
	Resources *PodResources `json:"resources,omitempty"`
	// nodeSelector of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`
	// tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// priorityClassName of the pods.
	// +optional
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`
	// labels of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// annotations of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// PodResources are what a worker asks for, as strings that stay as written.
// +kubebuilder:validation:MinProperties=1
type PodResources struct {
	// requests by resource name, such as cpu: 100m.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Requests map[string]ResourceQuantity `json:"requests,omitempty"`
	// limits by resource name, such as memory: 256Mi.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Limits map[string]ResourceQuantity `json:"limits,omitempty"`
}

// ResourceQuantity is a Kubernetes quantity, kept as written: "100m", "256Mi".
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=32
type ResourceQuantity string

// Toleration is a pod's, with seconds as a number.
type Toleration struct {
	// key of the taint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`
	// operator is Exists or Equal. Default Equal.
	// +optional
	// +kubebuilder:validation:Enum=Exists;Equal
	Operator string `json:"operator,omitempty"`
	// value of the taint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`
	// effect of the taint. Default: all effects.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
	// tolerationSeconds is how long NoExecute is tolerated. Default: for ever.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}
