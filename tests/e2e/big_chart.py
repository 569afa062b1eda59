"""A chart of some size: thirty templates, subcharts packed and unpacked, definitions, hooks, tests, and a schema."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping

COMPONENTS = ("api", "cart", "catalog", "mail", "orders", "payment", "search", "stock", "users", "web")

_HELPERS = """\
{{- define "shop.name" -}}{{ .Release.Name }}-{{ .component }}{{- end -}}
{{- define "shop.labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
"""

_DEPLOYMENT = """\
{{- $component := merge (dict "component" "NAME") . -}}
{{- with .Values.components.NAME }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "shop.name" $component }}
  labels: {{- include "shop.labels" $component | nindent 4 }}
  annotations:
    checksum/config: {{ toJson . | sha256sum }}
spec:
  replicas: {{ .replicas | default $.Values.replicas }}
  selector:
    matchLabels: {app.kubernetes.io/name: NAME, app.kubernetes.io/instance: {{ $.Release.Name }}}
  template:
    metadata:
      labels: {{- include "shop.labels" $component | nindent 8 }}
    spec:
      containers:
        - name: NAME
          image: "{{ $.Values.image.registry }}/NAME:{{ $.Values.image.tag | default $.Chart.AppVersion }}"
          {{- with .env }}
          env:
            {{- range $name, $value := . }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
          {{- end }}
{{- end }}
"""

_SERVICE = """\
{{- $component := merge (dict "component" "NAME") . -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "shop.name" $component }}
  labels: {{- include "shop.labels" $component | nindent 4 }}
spec:
  selector: {app.kubernetes.io/name: NAME, app.kubernetes.io/instance: {{ .Release.Name }}}
  ports: [{port: 80, targetPort: 8080}]
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "shop.name" $component }}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: NAME}}
  endpoints: [{port: http}]
{{- end }}
"""

_CONFIG = """\
{{- $component := merge (dict "component" "NAME") . -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "shop.name" $component }}
data:
  cluster: {{ .Capabilities.KubeVersion.Version | quote }}
  namespace: {{ .Release.Namespace | quote }}
  settings.ini: |
    [NAME]
    {{- range $key, $value := .Values.settings }}
    {{ $key }} = {{ $value }}
    {{- end }}
  script.sh: {{ .Files.Get "files/script.sh" | quote }}
"""

_HOOK = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "{{ .Values.image.registry }}/migrate:{{ .Values.image.tag }}"}]
"""

_TEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations: {helm.sh/hook: test}
spec:
  restartPolicy: Never
  containers: [{name: test, image: curl, args: ["http://{{ .Release.Name }}-web"]}]
"""

_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: coupons.shop.example.com}
spec:
  group: shop.example.com
  names: {kind: Coupon, plural: coupons}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""

_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["replicas", "image"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 1},
        "image": {"$ref": "#/definitions/image"},
    },
    "definitions": {
        "image": {
            "type": "object",
            "properties": {"registry": {"type": "string"}, "tag": {"type": "string"}},
            "required": ["registry"],
        }
    },
}


def big_chart() -> dict[str, bytes]:
    """Return the files of the chart, by their paths."""
    files = {
        "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 2.3.4\nappVersion: '1.10'\ndependencies:\n"
        "  - {name: cache, version: 1.x, repository: 'https://charts.example.com', condition: cache.enabled}\n"
        "  - {name: queue, version: 0.1.0, repository: 'file://../queue', alias: jobs}\n",
        ".helmignore": "*.bak\n",
        "values.yaml": "replicas: 2\nimage: {registry: registry.example.com, tag: ''}\nsettings: {level: info}\n"
        "cache: {enabled: true}\ncomponents:\n" + "".join(f"  {name}: {{env: {{}}}}\n" for name in COMPONENTS),
        "values-prod.yaml": "replicas: 5\nsettings: {level: warn, region: eu}\njobs: {workers: 7}\n",
        "values.schema.json": json.dumps(_SCHEMA),
        "templates/_helpers.tpl": _HELPERS,
        "templates/NOTES.txt": "Thank you for installing {{ .Chart.Name }}.\n",
        "templates/hooks/migrate.yaml": _HOOK,
        "templates/tests/reach.yaml": _TEST,
        "templates/nothing.yaml": "{{- if false }}\nkind: Never\n{{- end }}\n",
        "templates/old.yaml.bak": "{{ fail `ignored files are not rendered` }}\n",
        "files/script.sh": "#!/bin/sh\necho 'a: b'\n",
        "crds/coupon.yaml": _DEFINITION,
        "charts/queue/Chart.yaml": "apiVersion: v2\nname: queue\nversion: 0.1.0\n",
        "charts/queue/values.yaml": "workers: 1\n",
        "charts/queue/templates/queue.yaml": "apiVersion: v1\nkind: ConfigMap\n"
        "metadata: {name: {{ .Release.Name }}-queue}\ndata: {workers: '{{ .Values.workers }}'}\n",
    }
    for name in COMPONENTS:
        files[f"templates/{name}/deployment.yaml"] = _DEPLOYMENT.replace("NAME", name)
        files[f"templates/{name}/service.yaml"] = _SERVICE.replace("NAME", name)
        files[f"templates/{name}/config.yaml"] = _CONFIG.replace("NAME", name)
    cache = {
        "Chart.yaml": b"apiVersion: v2\nname: cache\nversion: 1.2.3\n",
        "values.yaml": b"size: 64Mi\n",
        "values.schema.json": b'{"properties": {"size": {"type": "string"}}}',
        "templates/cache.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-cache}\n"
        b"data: {size: {{ .Values.size }}}\n",
    }
    return {path: text.encode() for path, text in files.items()} | {"charts/cache-1.2.3.tgz": pack(cache, "cache")}


def pack(files: Mapping[str, bytes], folder: str) -> bytes:
    """Pack files below a folder, as ``helm package`` does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)
