{{- define "tidegate.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tidegate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Labels that select: (dict "context" $ "component" "consumer") */}}
{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "tidegate.fullname" .context }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version }}
{{- end -}}

{{/* Name of a component's service account: (dict "context" $ "component" "consumer") */}}
{{- define "tidegate.serviceAccount" -}}
{{- $account := (index .context.Values .component).serviceAccount -}}
{{- default (printf "%s-%s" (include "tidegate.fullname" .context) .component) $account.name -}}
{{- end -}}

{{- define "tidegate.scalerEnabled" -}}
{{- if and .Values.scaling.enabled (or (eq .Values.scaling.law "slo") .Values.scaler.shadow) -}}true{{- end -}}
{{- end -}}

{{- define "tidegate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "tidegate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* How to reach Kafka, as environment. Secrets by reference only. */}}
{{- define "tidegate.kafkaEnv" -}}
{{- $auth := .Values.kafka.auth -}}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ required "kafka.brokers is required: a host:port list" .Values.kafka.brokers | quote }}
- name: KAFKA_TOPIC
  value: {{ .Values.kafka.topic | quote }}
{{- if eq $auth.mechanism "msk-iam" }}
- name: KAFKA_SECURITY_PROTOCOL
  value: SASL_SSL
- name: KAFKA_SASL_MECHANISM
  value: AWS_MSK_IAM
- name: AWS_REGION
  value: {{ required "kafka.auth.region is required with msk-iam" $auth.region | quote }}
{{- else if ne $auth.mechanism "none" }}
- name: KAFKA_SECURITY_PROTOCOL
  value: {{ ternary "SSL" "SASL_SSL" (has $auth.mechanism (list "tls" "mtls")) }}
{{- end }}
{{- if or (eq $auth.mechanism "plain") (hasPrefix "scram" $auth.mechanism) }}
{{- $secret := required (printf "kafka.auth.secretName is required with %s" $auth.mechanism) $auth.secretName }}
- name: KAFKA_SASL_MECHANISM
  value: {{ $auth.mechanism | upper }}
- name: KAFKA_SASL_USERNAME
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: username } }
- name: KAFKA_SASL_PASSWORD_FILE
  value: /etc/tidegate/kafka/password
{{- end }}
{{- if eq $auth.mechanism "mtls" }}
- name: KAFKA_TLS_CERTIFICATE
  value: /etc/tidegate/kafka/tls.crt
- name: KAFKA_TLS_KEY
  value: /etc/tidegate/kafka/tls.key
{{- end }}
{{- if $auth.privateCa }}
- name: KAFKA_TLS_CA
  value: /etc/tidegate/kafka/ca.crt
{{- end }}
{{- end -}}

{{- define "tidegate.kafkaArgs" -}}
{{- range $key, $value := .Values.kafka.librdkafka }}
- --kafka-config
- {{ printf "%s=%v" $key $value | quote }}
{{- end }}
{{- end -}}

{{/* Whether a secret is mounted for Kafka. */}}
{{- define "tidegate.kafkaSecret" -}}
{{- $auth := .Values.kafka.auth -}}
{{- if or $auth.privateCa (has $auth.mechanism (list "mtls" "plain" "scram-sha-256" "scram-sha-512")) -}}
{{ required "kafka.auth.secretName is required" $auth.secretName }}
{{- end -}}
{{- end -}}

{{- define "tidegate.kafkaMount" -}}
{{- if include "tidegate.kafkaSecret" . }}
- { name: kafka, mountPath: /etc/tidegate/kafka, readOnly: true }
{{- end }}
{{- end -}}

{{- define "tidegate.kafkaVolume" -}}
{{- with include "tidegate.kafkaSecret" . }}
- name: kafka
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- end -}}

{{- define "tidegate.topologySpread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "tidegate.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/* The consumer's settings file: what has no flag or variable. */}}
{{- define "tidegate.consumerConfig" -}}
[kafka]
start_jitter_ms = {{ .Values.consumer.startJitterMs | int }}

[consume]
drain_timeout_ms = {{ mul .Values.consumer.drainTimeoutSeconds 1000 }}
{{- with .Values.consumer.config }}
{{ . }}
{{- end }}
{{- end -}}
