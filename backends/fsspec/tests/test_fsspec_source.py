"""One URL has one meaning, and what could have another, hold a secret or reach the disk is refused before a fetch."""

import pytest
from cmp_backend_fsspec.address import read_url
from cmp_backend_fsspec.protocols import PROTOCOLS, REFUSED, REFUSED_CLASSES
from cmp_backend_fsspec.source import FsspecSource
from fsspec.registry import known_implementations
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cmp_core.redact import Redactor

SECRET = "hunter2-secret"


def refusal(url: str, **options: str) -> str:
    """Return what is said of a source."""
    with pytest.raises(ValidationError) as caught:
        FsspecSource.model_validate({"url": url, "options": options})
    (problem,) = caught.value.errors()
    return str(problem["ctx"]["error"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://charts.example.com", "https://charts.example.com/"),
        ("https://charts.example.com:443/a/", "https://charts.example.com/a/"),
        ("http://charts.example.com:80/a", "http://charts.example.com/a"),
        ("http://charts.example.com:8080/a%20b.yaml", "http://charts.example.com:8080/a%20b.yaml"),
        ("https://charts.example.com/ü/b.yaml", "https://charts.example.com/ü/b.yaml"),
        ("gs://bucket_1/apps/demo", "gs://bucket_1/apps/demo"),
        ("az://manifests/apps", "az://manifests/apps"),
        ("az://$web/apps", "az://$web/apps"),
        ("abfs://manifests@store1.dfs.core.windows.net/apps", "abfs://store1.blob.core.windows.net/manifests/apps"),
        ("github://org:repo@main/deploy", "github://org/repo@main/deploy"),
        ("github://org:repo@main", "github://org/repo@main"),
        ("az://store1.dfs.core.windows.net/manifests/apps", "az://store1.blob.core.windows.net/manifests/apps"),
        ("ftp://ftp.example.com:2121/pub/", "ftp://ftp.example.com:2121/pub/"),
    ],
)
def test_a_url_is_told_in_one_form(written: str, meant: str) -> None:
    """What messages say and what the operator allows is the same for all ways to write it."""
    source = FsspecSource.model_validate({"url": written})

    assert source.location == meant
    assert Redactor()(meant) == meant


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "is no URL: write it as `PROTOCOL://…`"),
        ("/etc/passwd", "is no URL"),
        ("charts.example.com/a", "is no URL"),
        ("HTTPS://charts.example.com/", "is no URL: write it as `PROTOCOL://…`, with the protocol in small letters"),
        ("FILE:///etc/passwd", "is no URL"),
        ("file:/etc/passwd", "is no URL"),
        ("file:///etc/passwd", "names the protocol `file`, which reads the sidecar's own disk"),
        ("local:///etc/passwd", "names the protocol `local`, which reads the sidecar's own disk"),
        ("memory://x", "names the protocol `memory`, which holds only what this very process has put there"),
        ("simplecache::https://charts.example.com/a", "holds `::`: URLs cannot be chained"),
        ("zip://*.yaml::file:///etc/x.zip", "holds `::`: URLs cannot be chained"),
        ("https://[::1]/a", "holds `::`"),
        (f"https://user:{SECRET}@charts.example.com/", "holds a user or password"),
        (f"https://{SECRET}@charts.example.com/", "holds a user or password"),
        (f"gs://user:{SECRET}@bucket/a", "holds a user or password"),
        (f"az://user:{SECRET}@container/a", "holds a user or password"),
        (f"https://charts.example.com/a?sig={SECRET}", "holds a query or a fragment"),
        (f"gs://bucket/a#{SECRET}", "holds a query or a fragment"),
        ("https://charts.example.com/a b", "holds a space, a backslash or a control character"),
        ("https://charts.example.com\\@evil.example.com/", "holds a space, a backslash or a control character"),
        ("https://charts.example.com/a\r\nHost: evil", "holds a space, a backslash or a control character"),
        ("https://charts.example.com/\u202egpj.exe", "holds a space, a backslash or a control character"),
        ("https:///a", "is no URL of https: write `https://HOST or HOST:PORT, in small letters/PATH`"),
        ("https://Charts.Example.com/", "is no URL of https"),
        ("https://charts.example.com:0/", "is no URL of https"),
        ("https://bücher.example.com/", "is no URL of https"),
        ("https://charts.example.com./", "is no URL of https"),
        ("https://%31%32%37.0.0.1/", "is no URL of https"),
        ("http://2130706433/", "names a host by a number: write its name, or its address as `192.0.2.1`"),
        ("http://127.1/", "names a host by a number"),
        ("http://0x7f000001/", "names a host by a number"),
        ("http://0177.0.0.1/", "names a host by a number"),
        ("http://127.0.0.1.5:80/", "names a host by a number"),
        ("https://charts.example.com/a/../b", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com/a/%2e%2e/b", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com/a/%2E./b", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com//a", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com/a%00b", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com/a%ff", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("https://charts.example.com/a%2fb", "holds an escaped slash, backslash or percent sign"),
        ("https://charts.example.com/a%5cb", "holds an escaped slash, backslash or percent sign"),
        ("https://charts.example.com/a%252e%252e", "holds an escaped slash, backslash or percent sign"),
        ("https://charts.example.com/100%", "holds a `%` that is followed by no two hex digits"),
        ("gs://bucket/a%2e%2e", "holds a `%`, which only http and https read"),
        ("gs://bucket/../other/a", "holds `//`, `.`, `..` or a part that is no file's name"),
        ("az://container@evil.example.com/a", "holds a user or password"),
        ("az://container@a.evil.example.com#.blob.core.windows.net/a", "holds a query or a fragment"),
        ("github://org/repo", "is no URL of github: write `github://ORGANISATION:REPOSITORY@BRANCH/PATH`"),
        ("https://charts.example.com/" + "a" * 3000, "is longer than 2048 bytes"),
    ],
)  # fmt: skip  # one line a case
def test_a_url_of_two_meanings_is_refused(url: str, told: str) -> None:
    """With what to do, and without repeating what may be a secret."""
    message = refusal(url)

    assert message.startswith(told)
    assert SECRET not in message


@given(st.text(alphabet=st.sampled_from("htps:/.%2ef@?#*a\\ \n"), max_size=30) | st.text(max_size=30))
def test_every_url_is_read_or_refused_in_words(text: str) -> None:
    """No text breaks the reading, and what is read leads to no other place than it says."""
    try:
        address = read_url(f"https://{text}")
    except ValueError:
        return

    assert address.protocol == "https"
    assert not {"..", "."} & set(address.path.split("/"))
    assert not set("@?#\\ ") & set(str(address))
    assert read_url(str(address)) == address


@pytest.mark.parametrize(
    ("url", "options", "told"),
    [
        ("https://charts.example.com/", {"headers": "x"}, "holds `headers`, which https does not take here: remove it; known are none"),  # noqa: E501  # one line a case
        ("gs://bucket/", {"endpoint_url": "https://evil"}, "holds `endpoint_url`, which gs does not take here: remove it; known are requester_pays, token"),  # noqa: E501  # one line a case
        ("gs://bucket/", {"token": "ya29.secret"}, "is wrong: `token` of gs must be `anon`"),
        ("gs://bucket/", {"requester_pays": "yes!"}, "is wrong: `requester_pays` of gs must be `true`, or the project that pays"),  # noqa: E501  # one line a case
        ("az://c/", {"account_key": "x"}, "holds `account_key`, which az does not take here: remove it; known are account_name, anon"),  # noqa: E501  # one line a case
        ("az://c/", {"account_host": "evil"}, "holds `account_host`"),
        ("az://c/", {"account_name": "a.evil.com/"}, "is wrong: `account_name` of az must be the name of a"),
        ("az://c/", {"anon": "1"}, "is wrong: `anon` of az must be `true` or `false`"),
        ("az://c@one1/", {"account_name": "two2"}, "names another storage account than `url`"),
    ],
)  # fmt: skip  # one line a case
def test_only_harmless_options_are_known(url: str, options: dict[str, str], told: str) -> None:
    """None that names an endpoint, and none that is a secret: what is wrong is not repeated."""
    message = refusal(url, **options)

    assert message.startswith(told)
    assert "secret" not in message


def test_an_account_may_stand_in_the_url_or_in_the_options() -> None:
    """Both are the same place, which the operator allows or not."""
    one = FsspecSource.model_validate({"url": "az://manifests@store1/apps"})
    two = FsspecSource.model_validate({"url": "az://manifests/apps", "options": {"account_name": "store1"}})

    assert one.location == two.location == "az://store1.blob.core.windows.net/manifests/apps"


def test_every_protocol_of_fsspec_has_been_looked_at() -> None:
    """A new one in a later release is read only after somebody has decided on it."""
    decided = set(REFUSED) | set(PROTOCOLS) | OTHERS

    assert set(known_implementations) - decided == set()


OTHERS = {
    *("box", "dbfs", "dropbox", "ftp", "gdrive", "gist", "hf", "lakefs", "oci", "ocilake", "oss", "smb", "tos"),
    *("tosfs", "wandb", "webdav", "webhdfs"),
}
"""What an operator may allow: each reads a service of the network, and nothing of the sidecar but its identity."""


def test_the_class_behind_every_refused_protocol_is_refused_too() -> None:
    """An installed package may give it another name."""
    classes = {known_implementations[name]["class"] for name in REFUSED if name in known_implementations}
    by_name = {path.rpartition(".")[2] for path in REFUSED_CLASSES}
    heirs = {"SimpleCacheFileSystem", "WholeFileCacheFileSystem", "AzureDatalakeFileSystem", "PyscriptFileSystem"}

    assert {path.rpartition(".")[2] for path in classes} - by_name <= heirs
