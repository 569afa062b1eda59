"""The reader that the end-to-end tests compare with is that of Argo CD: the same libraries at the same versions."""

import re
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tools"
READERS = {"k8s.io/apimachinery", "sigs.k8s.io/yaml", "go.yaml.in/yaml/v2", "sigs.k8s.io/json"}


def read_versions(module: str) -> dict[str, str]:
    """Return the version of every module that a Go module of ours is built with."""
    text = (TOOLS / module / "go.mod").read_text(encoding="utf-8")
    required = re.findall(r"^(?:require )?\s+(\S+) (v\S+)", text, re.MULTILINE)
    replaced = re.findall(r"^\s+(\S+) => \S+ (v\S+)", text, re.MULTILINE)
    return dict(required) | dict(replaced)


def test_godecode_is_built_with_the_libraries_of_argo_cd() -> None:
    """What reads and writes YAML and JSON in godecode is, to the version, what the genuine Argo CD is built with."""
    own, genuine = read_versions("godecode"), read_versions("argocd")

    different = {name: (own[name], genuine[name]) for name in READERS if own[name] != genuine[name]}

    assert different == {}
