"""What fsspec knows is read by its library where the operator allows it, and never by one that reaches the disk."""

import base64
import io
import json
import sys
from typing import Any, ClassVar

import pytest
import requests
from cmp_backend_fsspec import failures
from fsspec import AbstractFileSystem
from fsspec.config import conf
from fsspec.implementations.github import GithubFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from cmp_core import (
    BackendError,
    CmpError,
    ConfigError,
    FetchError,
    LimitExceededError,
    PolicyError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)


class VaultFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """A filesystem as a stranger's package may bring it: it needs a token, and lists one folder after the other."""

    protocol = "vault"
    cachable = False
    files: ClassVar[dict[str, bytes]] = {}
    opened_with: ClassVar[list[dict[str, Any]]] = []
    failure: ClassVar[Exception | None] = None

    def __init__(self, **options: Any) -> None:
        """Keep what it is opened with."""
        super().__init__(**options)
        self.opened_with.append(options)

    def ls(self, path: str, **_: Any) -> list[Any]:
        """List a folder, or a file."""
        if self.failure:
            raise self.failure
        prefix = f"{path}/" if path else ""
        if path in self.files:
            return [{"name": path, "type": "file", "size": None}]
        inside = {name.removeprefix(prefix).partition("/") for name in self.files if name.startswith(prefix)}
        if not inside:
            raise FileNotFoundError(path)
        kinds = {prefix + name: "directory" if slash else "file" for name, slash, _ in inside}
        return [{"name": name, "type": kind, "size": None} for name, kind in kinds.items()]

    def _open(self, path: str, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self.files[path])


class SneakyFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """The local disk under another name."""

    protocol = "sneaky"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in (
        ("vault", f"{__name__}.VaultFileSystem"),
        ("sneaky", f"{__name__}.SneakyFileSystem"),
        ("absent", "no_such_library.FileSystem"),
    ):
        monkeypatch.setitem(known_implementations, name, {"class": place})
    monkeypatch.setitem(sys.modules, __name__, sys.modules[VaultFileSystem.__module__])
    VaultFileSystem.files, VaultFileSystem.failure = {}, None
    VaultFileSystem.opened_with.clear()


def refusal(fetching: Any, url: str, **values: Any) -> CmpError:
    """Return why a URL is not read."""
    with pytest.raises(CmpError) as caught:
        fetching(url, **values)
    assert fetching.kept() == {}
    return caught.value


def test_any_filesystem_is_read_where_the_operator_allows_it(fetching: Any) -> None:
    """By folders, without sizes; what is an option and whose word counts is the operator's."""
    VaultFileSystem.files = {"team/a.yaml": b"A", "team/sub/b.yaml": b"B", "team-not/c.yaml": b"C"}
    fetching.allow, fetching.own = ["vault://team"], {"options": ["vault.region", "vault.mode"]}
    fetching.variables = {"FSSPEC_VAULT_TOKEN": "t0ken", "FSSPEC_VAULT_MODE": "strict", "FSSPEC_GS_TOKEN": "x"}

    fetching("vault://team", options={"region": "eu", "mode": "lax"})

    assert fetching.kept() == {"a.yaml": b"A", "sub/b.yaml": b"B"}
    assert VaultFileSystem.opened_with[0] == {
        "mode": "strict",
        "region": "eu",
        "token": "t0ken",
        "use_listings_cache": False,
    }


def test_the_limits_hold_for_any_filesystem(fetching: Any) -> None:
    """For bytes whose number nobody tells before."""
    VaultFileSystem.files = {"team/a.yaml": b"A" * 100}
    fetching.allow = ["vault://team"]

    error = refusal(fetching, "vault://team/a.yaml", limits={"totalBytes": 99})

    assert isinstance(error, LimitExceededError)


def test_fsspecs_own_files_say_nothing(fetching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could lead an author's URL elsewhere."""
    monkeypatch.setitem(conf, "vault", {"token": "from-a-file"})
    VaultFileSystem.files = {"team/a.yaml": b"A"}
    fetching.allow = ["vault://team"]

    fetching("vault://team")

    assert "token" not in VaultFileSystem.opened_with[0]


def test_the_disk_is_not_read_under_another_name(fetching: Any) -> None:
    """Whatever a package has called it, and whatever the operator allows."""
    fetching.allow = ["sneaky://*"]

    error = refusal(fetching, "sneaky://etc/passwd")

    assert isinstance(error, PolicyError)
    assert "is read by fsspec.implementations.local.LocalFileSystem, which can reach the sidecar's own disk" in str(
        error
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("absent://x/a", "the library that reads `absent://` is not installed (`no_such_library` is missing)"),
        ("nonsense://x/a", "no installed library reads `nonsense://`"),
        ("hf://datasets/a", "the library that reads `hf://` is not installed"),
    ],
)
def test_a_missing_library_is_told(fetching: Any, url: str, told: str) -> None:
    """With what to install."""
    fetching.allow = [f"{url.partition(':')[0]}://*"]

    error = refusal(fetching, url)

    assert isinstance(error, BackendError)
    assert told in str(error)


@pytest.mark.parametrize(
    ("library", "url", "extra"),
    [
        ("gcsfs", "gs://b/a", "gcs"),
        ("adlfs", "az://b@store1/a", "azure"),
        ("requests", "github://o:r@main/a", "github"),
    ],
)
def test_a_missing_extra_is_told(
    fetching: Any, monkeypatch: pytest.MonkeyPatch, library: str, url: str, extra: str
) -> None:
    """The image has the libraries of those protocols only that its operator has chosen."""
    monkeypatch.setitem(sys.modules, library, None)
    fetching.allow = ["gs://*", "az://*.blob.core.windows.net", "github://*"]

    error = refusal(fetching, url)

    assert isinstance(error, BackendError)
    assert f"is not installed: install `cmp-backend-fsspec[{extra}]` into the sidecar's image" in str(error)


@pytest.mark.parametrize(
    ("failure", "error", "told"),
    [
        (PermissionError("no"), SourceAccessError, "access to vault://team/ was denied"),
        (FileNotFoundError("no"), SourceNotFoundError, "vault://team/ does not exist"),
        (ConnectionResetError("no"), TransientFetchError, "could not be reached, or broke off"),
        (TimeoutError("no"), TransientFetchError, "did not answer in time"),
        (requests.ConnectionError("no"), TransientFetchError, "could not be reached, or broke off"),
        (requests.ReadTimeout("no"), TransientFetchError, "did not answer in time"),
        (OSError(5, "no"), FetchError, "could not be read: no"),
        (EOFError("no"), TransientFetchError, "could not be reached, or broke off"),
    ],
)
def test_a_librarys_failures_are_told_by_their_kind(
    fetching: Any, failure: Exception, error: type[CmpError], told: str
) -> None:
    """Whichever class of exceptions it has chosen."""
    VaultFileSystem.failure = failure
    fetching.allow = ["vault://team"]

    caught = refusal(fetching, "vault://team")

    assert type(caught) is error
    assert told in str(caught)


def test_a_librarys_defect_stays_one(fetching: Any) -> None:
    """It is reported with its traceback, as every backend's."""
    VaultFileSystem.failure = ZeroDivisionError("no")
    fetching.allow = ["vault://team"]

    with pytest.raises(ZeroDivisionError):
        fetching("vault://team")


@pytest.fixture
def github(web: Any, monkeypatch: pytest.MonkeyPatch, fetching: Any) -> Any:
    """A server that answers as GitHub's API does, with one repository."""
    monkeypatch.setattr(GithubFileSystem, "url", f"{web.url}/repos/{{org}}/{{repo}}/git/trees/{{sha}}")
    monkeypatch.setattr(
        GithubFileSystem, "content_url", f"{web.url}/repos/{{org}}/{{repo}}/contents/{{path}}?ref={{sha}}"
    )
    trees = {
        "main": [("README.md", "blob", "r1", 2), ("deploy", "tree", "t1", 0)],
        "t1": [("a.yaml", "blob", "a1", 8), ("base", "tree", "t2", 0)],
        "t2": [("b.yaml", "blob", "b1", 8)],
    }
    for sha, entries in trees.items():
        tree = [
            {"path": path, "type": kind, "sha": tag, "size": size, "mode": "100644"}
            for path, kind, tag, size in entries
        ]
        give(web, f"/repos/example/charts/git/trees/{sha}", {"tree": tree})
    for path, content in {
        "README.md": b"hi",
        "deploy/a.yaml": b"kind: A\n",
        "deploy/base/b.yaml": b"kind: B\n",
    }.items():
        encoded = base64.b64encode(content).decode()
        give(web, f"/repos/example/charts/contents/{path}?ref=main", {"content": encoded, "download_url": None})
    fetching.allow = ["github://example/charts"]
    return web


def give(web: Any, path: str, answer: object) -> None:
    """Let the server answer with JSON."""
    web.answers[path] = lambda handler: handler.answer_with(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("url", "files"),
    [
        ("github://example:charts@main/deploy", {"a.yaml": b"kind: A\n", "base/b.yaml": b"kind: B\n"}),
        ("github://example:charts@main/deploy/a.yaml", {"a.yaml": b"kind: A\n"}),
        ("github://example:charts@main", {"README.md": b"hi", "deploy/a.yaml": b"kind: A\n", "deploy/base/b.yaml": b"kind: B\n"}),  # noqa: E501  # one line a case
    ],
)  # fmt: skip  # one line a case
def test_a_repository_of_github_is_read(github: Any, fetching: Any, url: str, files: dict[str, bytes]) -> None:
    """A folder, a file or all of it, with the revision that Git's own hashes give."""
    artifact = fetching(url)

    assert fetching.kept() == files
    assert artifact.revision != artifact.digest
    assert "Authorization" not in github.headers_seen[0]


def test_githubs_token_comes_from_the_sidecar(github: Any, fetching: Any) -> None:
    """Never from the trigger file."""
    fetching.variables = {"GITHUB_TOKEN": "t0ken"}

    fetching("github://example:charts@main/deploy/a.yaml")

    assert {headers["Authorization"] for headers in github.headers_seen} == {
        "Basic " + base64.b64encode(b"x-access-token:t0ken").decode()
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SourceAccessError), (403, SourceAccessError), (404, SourceNotFoundError), (502, TransientFetchError)],
)
def test_githubs_refusals_are_told_by_their_status(
    github: Any, fetching: Any, status: int, error: type[CmpError]
) -> None:
    """Of which its library makes exceptions of requests."""
    github.answers["/repos/example/charts/git/trees/main"] = lambda handler: handler.answer_with(b"", status=status)

    assert type(refusal(fetching, "github://example:charts@main/deploy")) is error


def test_another_account_than_that_of_the_connection_string_is_told(fetching: Any) -> None:
    """The SDK would read the one for the other."""
    fetching.allow = ["az://*.blob.core.windows.net"]
    fetching.variables = {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=store1;AccountKey=c2VjcmV0"}

    error = refusal(fetching, "az://manifests@store2/apps")

    assert isinstance(error, ConfigError)
    assert "`store2` is not that of the sidecar's AZURE_STORAGE_CONNECTION_STRING" in str(error)
    assert "c2VjcmV0" not in str(error)


def test_azure_needs_an_account(fetching: Any) -> None:
    """That the URL names, or the sidecar's variables."""
    fetching.allow = ["az://*"]

    error = refusal(fetching, "az://manifests/apps")

    assert isinstance(error, ConfigError)
    assert "names no storage account: write it as `account_name`" in str(error)


def test_google_cloud_storage_needs_an_identity(fetching: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without one the library would ask as nobody."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    fetching.allow = ["gs://*"]

    error = refusal(fetching, "gs://bucket/apps")

    assert isinstance(error, SourceAccessError)
    assert "needs an identity, and the sidecar has none that serves (DefaultCredentialsError)" in str(error)


def test_every_exception_that_is_told_by_name_exists() -> None:
    """A name that a library has given up would never be met again."""
    import adlfs  # noqa: F401, PLC0415  # these load slowly
    import aiohttp  # noqa: PLC0415  # as above
    import azure.core.exceptions as azure  # noqa: PLC0415  # as above
    import fsspec.exceptions as fsspec  # noqa: PLC0415  # as above
    import gcsfs.retry as gcsfs  # noqa: PLC0415  # as above
    import google.auth.exceptions as google  # noqa: PLC0415  # as above

    homes = {"aiohttp": aiohttp, "azure": azure, "fsspec": fsspec, "gcsfs": gcsfs, "google": google}
    homes |= {"requests": requests.exceptions, "builtins": __builtins__, "socket": __import__("socket")}
    for row in failures._TYPES:
        for whole in row.names:
            package, _, name = whole.partition(".")
            home = homes[package]
            kind = home[name] if isinstance(home, dict) else getattr(home, name, None) or _inside(aiohttp, name)
            assert issubclass(kind, BaseException)
            assert kind.__module__.partition(".")[0] == package


def _inside(module: Any, name: str) -> Any:
    return getattr(module.http_exceptions, name)
