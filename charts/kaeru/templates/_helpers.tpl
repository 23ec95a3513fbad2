{{- /*
Copyright The Kaeru Authors.
SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- define "kaeru.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kaeru.selectorLabels" -}}
app.kubernetes.io/name: kaeru
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kaeru.labels" -}}
{{ include "kaeru.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kaeru.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "kaeru.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.create is false: name the ServiceAccount in serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kaeru.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "kaeru.publicURL" -}}
{{- if .Values.gateway.publicURL -}}
{{- .Values.gateway.publicURL -}}
{{- else if .Values.gateway.ingress.enabled -}}
{{- printf "%s://%s" (ternary "https" "http" (ne .Values.gateway.ingress.tlsSecretName "")) .Values.gateway.ingress.host -}}
{{- else -}}
{{- $port := ternary "" (printf ":%v" .Values.gateway.service.port) (eq (int .Values.gateway.service.port) 80) -}}
{{- printf "http://%s-gateway.%s.svc%s" (include "kaeru.fullname" .) .Release.Namespace $port -}}
{{- end -}}
{{- end -}}

{{- /* What the schema cannot say of several values together. */ -}}
{{- define "kaeru.validate" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.store.postgres.secretName) -}}
{{- fail (printf "replicas: %d needs PostgreSQL, as the embedded database has one writer: set store.postgres.secretName, or replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- end -}}
