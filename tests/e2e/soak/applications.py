"""Own the applications of the soak: their trigger files, their objects, and the one right answer to each."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

BUCKET = "soak"
MISSING_BUCKET = "soak-nowhere"
VERSION = "v1.0.0"

Manifests = tuple[str, ...]


class Failure(NamedTuple):
    """The error that an application deserves, whatever else goes wrong.

    Attributes:
        error: The class.
        words: What the message must name.
    """

    error: str
    words: str


@dataclass(frozen=True, slots=True)
class Application:
    """One folder of the repository, and what lies in S3 for it.

    Attributes:
        name: The folder's name, and the prefix in the bucket.
        weight: How often it is asked for.
        objects: The objects by their keys.
        manifests: What is right, one canonical text for each; empty where an error or a moving state is.
        failure: The error that is right.
        bucket: The bucket that the trigger file names.
        trigger: The trigger file; None where there is none.
    """

    name: str
    weight: int
    objects: Mapping[str, bytes] = field(default_factory=dict)
    manifests: Manifests = ()
    failure: Failure | None = None
    bucket: str = BUCKET
    trigger: str | None = ""

    @property
    def path(self) -> str:
        """The folder in the repository."""
        return f"apps/{self.name}"

    @property
    def prefix(self) -> str:
        """What all keys of the application begin with."""
        return f"{self.name}/"

    @property
    def announced(self) -> Mapping[str, str]:
        """What the parameter announcement must show."""
        return {"bucket": self.bucket, "path": self.name, "version": VERSION}

    def write(self, repository: Path) -> None:
        """Write the folder as it lies in Git."""
        folder = repository / self.path
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"# {self.name}\n", encoding="utf-8")
        if self.trigger is not None:
            text = self.trigger or f"bucket: {self.bucket}\npath: {self.name}\nversion: {VERSION}\n"
            (folder / "s3-source.yaml").write_text(text, encoding="utf-8")


def make_applications(scale: float = 1.0) -> list[Application]:
    """Return all of them but the one that somebody writes to.

    Args:
        scale: What to multiply the numbers of objects with, for a short soak.
    """
    return [
        _whole("two", 30, 2),
        _whole("hundred", 15, _scaled(100, scale), is_mixed=True),
        _whole("page", 6, _scaled(1000, scale)),
        _whole("pages", 4, _scaled(2100, scale), is_mixed=True),
        Application("empty", 4, failure=Failure("SourceNotFoundError", "nothing lies under s3://soak/empty")),
        Application(
            "no-bucket",
            4,
            failure=Failure("SourceNotFoundError", f"bucket `{MISSING_BUCKET}`"),
            bucket=MISSING_BUCKET,
        ),
        Application(
            "broken",
            4,
            {"good.yaml": _as_yaml([make_manifest("broken", 0)]), "bad.yaml": b"kind: [\n"},
            failure=Failure("RenderError", "bad.yaml:"),
        ),
        Application(
            "values",
            4,
            {"good.yaml": _as_yaml([make_manifest("values", 0)]), "values.yaml": b"replicas: 2\n"},
            failure=Failure("RenderError", "values.yaml:1"),
        ),
        Application(
            "misspelt",
            4,
            failure=Failure("SourceValidationError", "`buket`"),
            trigger="buket: soak\npath: misspelt\nversion: v1.0.0\n",
        ),
        Application("not-ours", 0, trigger=None),
    ]


def make_manifest(name: str, number: int, release: int = 0) -> dict[str, Any]:
    """Return a Kubernetes object that no other application, number or release has."""
    labels = {"app.kubernetes.io/part-of": name, "release": f"r{release}"}
    metadata = {"name": f"{name}-{number:04}", "labels": labels}
    if number % 3:
        text = f"Grüße von {name}\n---\nnumber: {number}\nrelease: {release}\n"
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text, "yes": "no"}}
    container = {
        "name": "web",
        "image": f"registry.example.com/{name}:1.{release}.{number}",
        "ports": [{"containerPort": 8080}, {"containerPort": 9090 + number % 100}],
        "env": [{"name": "NUMBER", "value": str(number)}, {"name": "EMPTY", "value": ""}],
        "resources": {"limits": {"cpu": "0.5", "memory": "64Mi"}},
    }
    pod = {"metadata": {"labels": labels}, "spec": {"hostNetwork": False, "containers": [container]}}
    spec = {"replicas": 1 + number % 5, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def canonical(manifest: Mapping[str, Any]) -> str:
    """Return the one text for an object, however it was written."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"))


def bucket_content(applications: Iterable[Application]) -> Iterator[tuple[str, bytes]]:
    """Yield every key of the bucket with its content."""
    for application in applications:
        for name, content in application.objects.items():
            yield application.prefix + name, content


def canonical_answer(manifests: Iterable[str]) -> Manifests:
    """Return what an answer says, in the order in which it says it."""
    return tuple(canonical(json.loads(manifest)) for manifest in manifests)


def dump(manifest: Mapping[str, Any]) -> bytes:
    """Return an object as a file of YAML."""
    return _as_yaml([manifest])


def _scaled(number: int, scale: float) -> int:
    return max(2, round(number * scale))


def _whole(name: str, weight: int, number: int, *, is_mixed: bool = False) -> Application:
    """Return an application whose objects are all right.

    Args:
        name: Its name.
        weight: How often it is asked for.
        number: How many objects there are.
        is_mixed: Whether some objects are JSON, and some hold two manifests.
    """
    objects: dict[str, bytes] = {}
    manifests: list[Mapping[str, Any]] = []
    for index in range(number):
        folder, is_json = f"{index // 100:02}", is_mixed and index % 3 == 1
        content = [make_manifest(name, index)]
        if is_mixed and index % 3 == 2:
            content.append(make_manifest(name, index + number))
        ending = "json" if is_json else "yaml"
        objects[f"{folder}/{index:04}.{ending}"] = _as_json(content[0]) if is_json else _as_yaml(content)
        manifests += content
    return Application(name, weight, objects, tuple(map(canonical, manifests)))


def _as_yaml(content: Iterable[Mapping[str, Any]]) -> bytes:
    documents = (yaml.dump(one, Dumper=yaml.CSafeDumper, sort_keys=False) for one in content)
    return "---\n".join(documents).encode()


def _as_json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode()
