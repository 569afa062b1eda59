"""Own the objects of everyday manifests: what people deploy, made up, with the texts that they put inside."""

import base64
import json
import textwrap
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import yaml
from e2e import everyday_texts as texts

Object = dict[str, Any]
Make = Callable[[str, Random], Object]

CRD_LEAVES = 330
"""How many leaves the larger schemas have; written as YAML that is more than 5,000 lines."""


def custom_resource_definition(name: str, random: Random) -> Object:
    """Return a definition with a schema; the first one of a writer's is long."""
    leaves = CRD_LEAVES if name.endswith("-0") else 20
    kind = name.title().replace("-", "")
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": _schema(random, leaves)}}
    columns = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1}]
    names = {"kind": kind, "listKind": f"{kind}List", "plural": f"{name}s", "shortNames": [name[:3], "no"]}
    return _object("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}s.example.org") | {
        "spec": {
            "group": "example.org",
            "names": names,
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == "v1",
                    "additionalPrinterColumns": columns,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in ("v1", "v1beta1")
            ],
        },
        "status": {"conditions": [], "acceptedNames": {"kind": "", "plural": ""}, "storedVersions": []},
    }


def deployment(name: str, random: Random) -> Object:
    """Return a deployment, whose numbers, switches and versions are texts where Kubernetes wants texts."""
    labels = {"app.kubernetes.io/name": name, "version": "1.10", "canary": "yes", "build": "0123", "commit": "12e4567"}
    environment = {
        "ON": "on",
        "PORT": "8080",
        "EMPTY": "",
        "RATIO": "0.10",
        "MASK": "0o22",
        "URL": "http://$(HOST):80/?a=b&c=d",
    }
    container = {
        "name": "main",
        "image": f"registry.example.org:5000/{name}@sha256:{random.randbytes(32).hex()}",
        "command": ["/bin/sh", "-c", 'exec "$0" --flag={a,b} | tee /dev/null # not a comment'],
        "args": [
            "-v=2",
            "--",
            "*",
            "{}",
            "[x]",
            "@y",
            "%z",
            "!n",
            "&m",
            "?",
            "- q",
            "null",
            "~",
            "true",
            "1e3",
            "\ttab",
        ],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": 1, "memory": 134217728}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": random.randint(1, 60)},
        "securityContext": {"runAsUser": 65532, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
    }
    pod = {"containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}], "nodeSelector": None}
    return _object("apps/v1", "Deployment", name, labels) | {
        "spec": {
            "replicas": random.randint(0, 9),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"checksum/config": _digest(random)}},
                "spec": pod,
            },
        }
    }


def embedded_yaml(name: str, random: Random) -> Object:
    """Return a config map of YAML files: several documents, comments, templates, block scalars."""
    alerts = [
        texts.ALERT.replace("NUMBER", str(number)).replace("NAME", name) for number in range(random.randint(1, 9))
    ]
    rules = "# rules\ngroups:\n- name: a\n  rules:\n" + textwrap.indent("".join(alerts), "  ")
    kubeconfig = yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": name}]})
    return _config(
        name,
        {"rules.yaml": rules, "two.yaml": texts.DOCUMENTS, "values.yml": texts.VALUES, "kubeconfig": kubeconfig},
    )


def embedded_json(name: str, random: Random) -> Object:
    """Return a config map of JSON files: pretty, on one line of many thousand characters, and lines of it."""
    panels = [
        {"id": number, "title": " ".join(random.sample(texts.WORDS, 5)), "gridPos": {"x": 0}} for number in range(90)
    ]
    dashboard = {
        "title": name,
        "panels": panels,
        "templating": {"list": [{"regex": "/^(.*)\\.svc$/"}]},
        "refresh": None,
    }
    return _config(
        name,
        {
            "pretty.json": json.dumps(dashboard, indent=2),
            "line.json": json.dumps(dashboard, ensure_ascii=False, separators=(",", ":")),
            "lines.ndjson": "".join(json.dumps(panel) + "\n" for panel in panels[:5]),
        },
    )


def embedded_certificates(name: str, random: Random) -> Object:
    """Return a config map of PEM files: a chain, a key, with and without a last line end."""
    blocks = [
        f"-----BEGIN {what}-----\n{base64.encodebytes(random.randbytes(900)).decode()}-----END {what}-----\n"
        for what in ("CERTIFICATE", "CERTIFICATE", "PUBLIC KEY")
    ]
    return _config(
        name, {"ca.crt": "".join(blocks[:2]), "key.pem": blocks[2].rstrip("\n"), "all.pem": "# all\n\n".join(blocks)}
    )


def embedded_scripts(name: str, random: Random) -> Object:
    """Return a config map of programs and settings in the languages of a cluster."""
    return _config(
        name,
        {
            "run.sh": texts.SHELL * random.randint(1, 5),
            "main.py": texts.PYTHON,
            "nginx.conf": texts.NGINX,
            "app.properties": texts.PROPERTIES,
            "app.toml": texts.TOML,
            "table.csv": "a;b;c\n1,5;\"x\";'y'\n",
            "template.tpl": texts.TEMPLATE,
            "leading": "  two blanks before\nnone here\n",
            "Makefile": "all:\n\t@echo $(X)\n",
            "trailing": "blank lines at the end count\n\n\n",
        },
    )


def secret(name: str, random: Random) -> Object:
    """Return a secret: Base64 in one long line, and texts."""
    docker = json.dumps({"auths": {"registry.example.org": {"auth": base64.b64encode(b"user:secret").decode()}}})
    data = {key: base64.b64encode(random.randbytes(size)).decode() for key, size in (("small", 4), ("large", 3000))}
    return _object("v1", "Secret", name) | {
        "type": "Opaque",
        "data": data,
        "stringData": {".dockerconfigjson": docker, "password": "p@ss: 'word' \\ #1", "pin": "0042", "token": "1e10"},
    }


def role(name: str, random: Random) -> Object:
    """Return a role with empty texts, stars and numbers in names."""
    verbs = ["get", "list", "watch", "*"]
    rules = [
        {"apiGroups": ["", "apps"], "resources": ["pods", "pods/log"], "verbs": random.sample(verbs, 3)},
        {"apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x:y", "-", "5"], "verbs": verbs},
        {"nonResourceURLs": ["/metrics", "/api/*"], "verbs": ["get"]},
    ]
    return _object("rbac.authorization.k8s.io/v1", "ClusterRole", name) | {"rules": rules, "aggregationRule": None}


def workflow(name: str, random: Random) -> Object:
    """Return a workflow whose templates use braces of their own."""
    steps = [
        {"name": f"step-{number}", "arguments": {"parameters": [{"name": "x", "value": "{{inputs.parameters.x}}"}]}}
        for number in range(random.randint(1, 20))
    ]
    script = {"image": "python:3.12", "source": "import sys\nprint('{{inputs.parameters.x}}')\n", "command": ["python"]}
    templates = [{"name": "main", "steps": [[step] for step in steps]}, {"name": "one", "script": script}]
    return _object("argoproj.io/v1alpha1", "Workflow", name) | {"spec": {"entrypoint": "main", "templates": templates}}


def cron_job(name: str, random: Random) -> Object:
    """Return a job with a schedule, times and numbers of several kinds."""
    return _object("batch/v1", "CronJob", name) | {
        "spec": {
            "schedule": f"*/{random.randint(1, 59)} * * * *",
            "timeZone": "Etc/UTC",
            "startingDeadlineSeconds": 9223372036854775807,
            "jobTemplate": {
                "spec": {"backoffLimit": 0, "ratio": 0.5, "tiny": 1e-07, "from": "12:30", "until": "2001-01-01"}
            },
        }
    }


def ingress(name: str, random: Random) -> Object:
    """Return an ingress with annotations of several lines."""
    annotations = {
        "example.org/snippet": texts.SNIPPET,
        "example.org/on": "true",
        "example.org/text": " ".join(random.choices(texts.WORDS, k=60)),
    }
    paths = [{"path": "/(.*)", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}]
    found = _object("networking.k8s.io/v1", "Ingress", name) | {
        "spec": {"rules": [{"host": "*.example.org", "http": {"paths": paths}}]}
    }
    found["metadata"]["annotations"] = annotations
    return found


def policy(name: str, random: Random) -> Object:
    """Return a network policy, most of which is empty."""
    ports = [{"protocol": "UDP", "port": 53}, {"port": random.randint(1, 65535), "endPort": 65535}]
    rules = [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": []}}], "ports": ports}]
    return _object("networking.k8s.io/v1", "NetworkPolicy", name) | {
        "spec": {"podSelector": {}, "ingress": rules, "egress": []}
    }


OBJECTS: Mapping[str, Make] = {
    make.__name__.replace("_", "-"): make
    for make in (
        custom_resource_definition, deployment, embedded_yaml, embedded_json, embedded_certificates, embedded_scripts,
        secret, role, workflow, cron_job, ingress, policy,
    )
}  # fmt: skip
"""What makes objects, by a word for what they are."""


def _object(version: str, kind: str, name: str, labels: Mapping[str, str] | None = None) -> Object:
    metadata = {"name": name, "namespace": "demo", "labels": labels or {"app.kubernetes.io/managed-by": "hand"}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _config(name: str, data: Mapping[str, str]) -> Object:
    return _object("v1", "ConfigMap", name) | {"data": dict(data)}


def _digest(random: Random) -> str:
    return random.randbytes(32).hex()


def _schema(random: Random, leaves: int) -> Object:
    """Return a schema of so many leaves, in objects and lists that nest."""
    if leaves == 1:
        description = " ".join(random.choices(texts.WORDS, k=random.randint(3, 40)))
        return {**random.choice(_LEAVES), "description": description}
    parts = min(leaves, random.randint(2, 6))
    sizes = [leaves // parts + (number < leaves % parts) for number in range(parts)]
    properties = {
        f"{random.choice('abcdefg')}Field{number}": _schema(random, size) for number, size in enumerate(sizes)
    }
    found = {"type": "object", "required": sorted(properties)[:1], "properties": properties}
    return found if random.random() < 0.7 else {"type": "array", "items": found, "x-kubernetes-list-type": "atomic"}


_LEAVES: list[Object] = [
    {"type": "string", "enum": ["on", "off", "No", "1"], "default": "on"},
    {"type": "string", "pattern": "^([-+]?[0-9]+(\\.[0-9]+)?)?$", "maxLength": 63},
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    {"type": "integer", "format": "int64", "minimum": -1, "maximum": 9223372036854775807},
    {"type": "boolean", "default": False},
]
