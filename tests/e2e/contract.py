"""Own what the tests of the contract with Argo CD share: a plugin to talk to, a checkout, and objects for S3."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from e2e.cmp_client import Application, CmpClient, CmpError
from e2e.cmp_server import CmpServer

TRIGGER = "bucket: test-bucket\npath: apps/demo\nversion: v1.0.0\n"

_INSTALLED = re.compile(r"`/\S+/bin/cmp-core ")
_REQUEST = re.compile(r" \[request [0-9a-f]+\]")


class Plugin(NamedTuple):
    """A running `argocd-cmp-server`, and who speaks with it."""

    server: CmpServer
    client: CmpClient


class StartPlugin(Protocol):
    """Starts a further server, with settings or a plugin file of its own."""

    def __call__(self, *, plugin: Path = ..., command: Path = ..., **variables: str) -> AbstractContextManager[Plugin]:
        """Give the plugin until the block is left."""
        ...


@dataclass(frozen=True)
class Checkout:
    """A checkout of a Git repository with one application's folder in it."""

    root: Path

    @property
    def folder(self) -> Path:
        """The application's folder."""
        return self.root / Application().path

    def write(self, files: Mapping[str, str]) -> None:
        """Write files into the application's folder."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


def config_map(name: str, **values: str) -> bytes:
    """Return a manifest."""
    return json.dumps(manifest(name, **values)).encode() + b"\n"


def manifest(name: str, **values: str) -> dict[str, Any]:
    """Return what the manifest means."""
    data = {"data": values} if values else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} | data


def objects(manifests: Iterable[str]) -> list[dict[str, Any]]:
    """Return the objects that the repo-server makes of the answer: a List is opened one level deep."""
    whole = [json.loads(text) for text in manifests]
    return [each for item in whole for each in (item["items"] if item["kind"].endswith("List") else [item])]


def names(manifests: Iterable[str]) -> list[str]:
    """Return the objects' names."""
    return [found["metadata"]["name"] for found in objects(manifests)]


def failure(client: CmpClient, checkout: Path | bytes, **options: Any) -> CmpError:
    """Return the error that `generate` ends with."""
    with pytest.raises(CmpError) as raised:
        client.generate(checkout, **options)
    return raised.value


def without_places(text: str, endpoint: str = "") -> str:
    """Return an error's text without what differs from run to run: ids, ports, and where cmp-core is installed."""
    text = _INSTALLED.sub("`cmp-core ", _REQUEST.sub("", text))
    return text.replace(endpoint, "{endpoint}") if endpoint else text
