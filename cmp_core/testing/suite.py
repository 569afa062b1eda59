"""Own what the author of a backend tells the contract suite, and what all its tests share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cmp_core.artifact import Artifact
from cmp_core.deadline import Deadline
from cmp_core.documents import Document
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import CmpError, RenderError
from cmp_core.finding import split_sentence
from cmp_core.inspection import SDKS
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.models import Limits, Source
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.settings import Settings
from cmp_core.trigger import validated

FILES: Mapping[str, bytes] = {
    "deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: demo}\n",
    "nested/deeper/service.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: demo}\n",
    "nested/note.txt": b"\x00\xff not text",
}
"""What the tests publish, unless a suite names something else."""

HOSTILE_NAMES: Sequence[tuple[str, ...]] = (
    ("-rf",),
    (" a  b ",),
    (".hidden.yaml", ".git/config"),
    ("a:b.yaml",),
    ("a\\b.yaml",),
    ("a\nb.yaml",),
    ("a\x1b[31mb.yaml",),
    ("%2e%2e%2fb.yaml", "a%00b.yaml"),
    ("a?b=c#d.yaml",),
    ("[a]*.yaml", "a.yaml"),
    ("{a}+&;.yaml",),
    ("~", "$HOME"),
    ("__pycache__/a.pyc",),
    ("e\N{COMBINING ACUTE ACCENT}.yaml", "\N{LATIN SMALL LETTER E WITH ACUTE}.yaml"),
    ("A.yaml", "a.yaml"),
    ("\N{RIGHT-TO-LEFT OVERRIDE}lmay.yaml",),
    ("x" * 255,),
    ("x" * 300,),
    ("\udcff.yaml",),
    ("kustomization.yaml", "s3-source.yaml"),
)
"""Names that a store may hold, those of a row together; a disk, a shell, a URL or a pattern may misread them."""

CANARY = "canary-that-no-message-may-hold"
"""The value of a variable of the sidecar that no backend knows."""

_QUICK = {"connect_timeout": 1, "read_timeout": 2, "max_attempts": 1, "store_bytes": 0}
_LONGEST_SENTENCE = 1000


class CannotPublishError(Exception):
    """Raised by `Suite.publish` where the store cannot hold the names that it is given."""


class Suite:
    """What a backend's author tells; all but the name and the first four methods has a default.

    Attributes:
        backend: The name of the entry point under test.
        secrets: Texts that no message may hold: the credentials that the tests use.
        sdks: Packages that must not be loaded by importing the backend.
        files: What the tests publish. Where the source holds its files in a container that the limits count too,
            name some that take up less in there than by themselves; keep the paths.
        hostile_names: Names of which each arrives as it is or is refused; those of a row are published together.
        unsafe_names: Names that the store can hold and a folder cannot, such as ``../a.yaml`` or ``a//b.yaml``: each of
            them must be refused.
        patience: How many seconds threads, open files and processes of a fetch that was ended may take to go.
    """

    backend: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()
    sdks: ClassVar[tuple[str, ...]] = SDKS
    files: ClassVar[Mapping[str, bytes]] = FILES
    hostile_names: ClassVar[Sequence[tuple[str, ...]]] = HOSTILE_NAMES
    unsafe_names: ClassVar[Sequence[str]] = ()
    patience: ClassVar[float] = 5.0

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put `files` where the backend reads them, each time in a new place; return a trigger file's keys.

        Raises:
            CannotPublishError: The store cannot hold such names. An `OSError` or `ValueError` says the same.
        """
        raise NotImplementedError

    def missing(self) -> dict[str, Any]:
        """Return the keys of a source that does not exist."""
        raise NotImplementedError

    def denied(self) -> dict[str, Any]:
        """Return the keys of a source that exists and may not be read."""
        raise NotImplementedError

    def outage(self) -> dict[str, Any]:
        """Return the keys of a source whose service does not answer."""
        raise NotImplementedError

    def publish_again(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Publish the same files as another author would: by default in another order; override to date them back."""
        return self.publish(dict(reversed(list(files.items()))))

    def refused(self) -> dict[str, Any] | None:
        """Return the keys of a source that the operator of the tests does not allow.

        None, which is the default, stands for a backend without such a choice of its own: then the operator is made to
        allow other backends only.
        """
        return None

    def stalled(self) -> dict[str, Any] | None:
        """Return the keys of a source whose service takes the question and falls silent.

        Other sources must go on working. None, which is the default, leaves it at a time that runs out between two
        steps.
        """
        return None

    def variables(self) -> dict[str, str]:
        """Return the sidecar's own variables for a fetch."""
        return {}

    def environment(self, **settings: Any) -> BuildEnvironment:
        """Return a build environment with the given operator's settings, and one quick attempt at each call."""
        chosen = Settings.model_validate(_QUICK | settings, by_alias=False, by_name=True)
        return BuildEnvironment(settings=chosen, variables=self.variables() | {"CONTRACT_SECRET_TOKEN": CANARY})

    def exact_limits(self) -> Limits:
        """Return the limits that the files just keep."""
        sizes = list(map(len, self.files.values()))
        return Limits.model_validate(
            {"objects": len(sizes), "object_bytes": max(sizes), "total_bytes": sum(sizes)}, by_alias=False, by_name=True
        )

    def load(self) -> Backend:
        """Return the loaded backend."""
        return load_backend(find_backend(self.backend, installed_backends()))

    def read_source(self, values: Mapping[str, Any]) -> Source:
        """Return the source that `values` describe."""
        return validated(self.load().model, values, lambda _path: "contract")

    def fetch(self, values: Mapping[str, Any], destination: Path, **settings: Any) -> Artifact:
        """Fetch the source that `values` describe into a new folder."""
        return fetch_whole(self, values, destination, self.environment(**settings))

    def expect(self, kind: type[CmpError], values: Mapping[str, Any], tmp_path: Path) -> CmpError:
        """Fetch, and return the error of class `kind` that comes; it is one finished sentence without a secret."""
        with pytest.raises(kind) as caught:
            self.fetch(values, tmp_path / "destination")

        assert error_problems(caught.value, self.all_secrets()) == []
        return caught.value

    def all_secrets(self) -> tuple[str, ...]:
        """Return every text that no message may hold."""
        return (*self.secrets, CANARY)


def fetch_whole(
    suite: Suite, values: Mapping[str, Any], destination: Path, environment: BuildEnvironment, seconds: float = 45
) -> Artifact:
    """Fetch what `values` describe into a new folder as the host does, and return all that lies there."""
    source = suite.read_source(values)
    destination.mkdir(parents=True)
    environment = replace(environment, deadline=Deadline(seconds))
    return suite.load().fetch(source, destination, environment, Nesting(source, environment, "contract"))


def rendered(suite: Suite, values: Mapping[str, Any], artifact: Artifact) -> list[Document] | str:
    """Return the documents of what a fetch has brought, or the class of the error that there are none for."""
    environment = suite.environment()
    try:
        return suite.load().render(
            artifact, suite.read_source(values), environment, NestedRender(artifact.root, environment)
        )
    except RenderError as error:
        return type(error).__name__


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Return the bytes of every file by its path."""
    return {path: (artifact.root / path).read_bytes() for path in artifact.files}


def files_below(folder: Path) -> list[Path]:
    """Return all that lies below a folder and is no folder."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def error_problems(error: BaseException, secrets: Sequence[str]) -> list[str]:
    """Return what is wrong with an error as its reader sees it, a clause each."""
    message = str(error)
    remedy = getattr(error, "remedy", "") or split_sentence(message)[1]
    problems = {
        "it says nothing": not message.strip(),
        f"it is longer than {_LONGEST_SENTENCE} characters": len(message) > _LONGEST_SENTENCE,
        "it has several lines": "\n" in message or "\r" in message,
        "it holds a traceback": "Traceback" in message,
        "it does not say what to do, after its last colon": not remedy,
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    told = [text for text in texts_of(error) if any(secret in text for secret in secrets)]
    return [f"{problem}: {message!r}" for problem in found] + [f"it tells a secret: {text!r}" for text in told]


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield what an error says, its notes, and what the errors behind it say: a traceback in the log shows them."""
    behind: BaseException | None = error
    while behind is not None:
        yield str(behind)
        yield repr(behind)
        yield from getattr(behind, "__notes__", ())
        behind = behind.__cause__ or behind.__context__
