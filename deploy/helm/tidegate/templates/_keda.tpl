{{/* What KEDA's kafka trigger is told of TLS and SASL. */}}
{{- define "tidegate.kedaKafka" -}}
{{- $mechanism := .Values.kafka.auth.mechanism -}}
{{- if ne $mechanism "none" }}
tls: enable
{{- end }}
{{- if eq $mechanism "msk-iam" }}
sasl: oauthbearer
saslTokenProvider: aws_msk_iam
awsRegion: {{ required "kafka.auth.region is required with msk-iam" .Values.kafka.auth.region | quote }}
{{- else if eq $mechanism "plain" }}
sasl: plaintext
{{- else if hasPrefix "scram" $mechanism }}
sasl: {{ $mechanism | replace "-" "_" | replace "scram_sha_" "scram_sha" }}
{{- end }}
{{- end -}}

{{- define "tidegate.triggerAuthentication" -}}
{{- if or (eq .Values.kafka.auth.mechanism "msk-iam") (include "tidegate.kedaSecretKeys" . | fromYaml) -}}true{{- end -}}
{{- end -}}

{{/* KEDA's parameter: key of the secret. */}}
{{- define "tidegate.kedaSecretKeys" -}}
{{- $auth := .Values.kafka.auth -}}
{{- if or (eq $auth.mechanism "plain") (hasPrefix "scram" $auth.mechanism) }}
username: username
password: password
{{- end }}
{{- if eq $auth.mechanism "mtls" }}
cert: tls.crt
key: tls.key
{{- end }}
{{- if $auth.privateCa }}
ca: ca.crt
{{- end }}
{{- end -}}
