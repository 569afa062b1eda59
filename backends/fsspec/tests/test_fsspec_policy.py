"""Nothing is read that the operator has not allowed: no protocol, no host, no address behind a host."""

from typing import Any

import pytest
from cmp_backend_fsspec.address import read_url
from cmp_backend_fsspec.guard import check_address
from cmp_backend_fsspec.settings import FsspecSettings, read_allowance

from cmp_core import PolicyError, Settings, SettingsError


def refusal(fetching: Any, url: str, **values: Any) -> str:
    """Return why the operator's settings refuse a URL; nothing is kept."""
    with pytest.raises(PolicyError) as caught:
        fetching(url, **values)
    assert fetching.kept() == {}
    return str(caught.value)


def test_nothing_is_allowed_by_default(fetching: Any, web: Any) -> None:
    """The error says which setting is missing, and the server is not asked."""
    message = refusal(fetching, f"{web.url}/a.yaml")

    assert message == (
        f"{web.url}/a.yaml must not be read: the operator's settings do not allow it: add `{web.url}` to "
        "`backends.fsspec.allow` (CMP_BACKENDS_FSSPEC_ALLOW)"
    )
    assert web.asked == []


@pytest.mark.parametrize(
    ("allowed", "url", "covers"),
    [
        ("https://charts.example.com", "https://charts.example.com/a", True),
        ("https://charts.example.com:443", "https://charts.example.com/a", True),
        ("https://charts.example.com", "https://charts.example.com:8443/a", False),
        ("https://charts.example.com", "http://charts.example.com/a", False),
        ("https://charts.example.com", "https://charts.example.com.evil.com/a", False),
        ("https://charts.example.com", "https://chartsXexample.com/a".lower(), False),
        ("https://*.example.com", "https://a.b.example.com/x", True),
        ("https://*.example.com", "https://example.com/x", False),
        ("https://*.example.com", "https://evil.com/x.example.com", False),
        ("https://*", "https://anything.example.org/x", True),
        ("https://*", "https://anything.example.org:8443/x", False),
        ("https://h.example.com/public", "https://h.example.com/public/a", True),
        ("https://h.example.com/public", "https://h.example.com/public", True),
        ("https://h.example.com/public/", "https://h.example.com/public-not", False),
        ("https://h.example.com/public", "https://h.example.com/", False),
        ("gs://team-*", "gs://team-a/x", True),
        ("gs://team-*", "gs://other/x", False),
        ("gs://team-*", "gcs://team-a/x", False),
        ("az://*", "az://manifests/x", True),
        ("az://*", "az://manifests@evilstore/x", False),
        ("az://store1.blob.core.windows.net", "az://manifests@store1/x", True),
        ("az://store1.blob.core.windows.net/manifests", "az://manifests@store1/x", True),
        ("az://store1.blob.core.windows.net/manifests", "az://others@store1/x", False),
        ("az://*.blob.core.windows.net", "az://manifests@store1/x", True),
        ("github://example", "github://example:charts@main/x", True),
        ("github://example/charts", "github://example:charts@main/x", True),
        ("github://example/charts", "github://example:charts-2@main/x", False),
        ("github://example", "github://evil:charts@main/x", False),
    ],
)  # fmt: skip  # one line a case
def test_an_entry_allows_what_it_says(allowed: str, url: str, covers: bool) -> None:  # noqa: FBT001  # what the case says
    """A star stands for a part of a name, never for a port, an account or a path."""
    assert read_allowance(allowed).covers(read_url(url)) is covers


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"allow": ["https"]}, "`allow` holds `https`, which allows nothing: write `https://charts.example.com`"),
        ({"allow": ["https://"]}, "`allow` holds `https://`, which allows nothing"),
        ({"allow": ["file://*"]}, "`allow` holds the protocol `file`, which reads the sidecar's own disk"),
        ({"allow": ["s3://bucket"]}, "`allow` holds the protocol `s3`, which the s3 backend reads"),
        ({"allow": ["https://h:*"]}, "`allow` holds `https://h:*`, which names no host: write `HOST` or `HOST:PORT`"),
        ({"allow": ["https://H"]}, "`allow` holds `https://H`, which names no host"),
        ({"allow": ["https://u:p@h"]}, "`allow` holds `https://u:p@h`, which names no host"),
        ({"allow": ["https://[::1]"]}, "`allow` holds `https://[::1]`, which names no host"),
        ({"options": ["tls"]}, "`options` holds `tls`, which names no option: write `PROTOCOL.OPTION`"),
        ({"options": ["gs.endpoint_url"]}, "`options` holds `gs.endpoint_url`: the options of gs are fixed"),
        ({"options": ["ftp.password"]}, "`options` holds `ftp.password`, which could carry a secret or lead elsewhere"),
        ({"options": ["webdav.base_url"]}, "`options` holds `webdav.base_url`, which could carry a secret or lead"),
        ({"alow": []}, "unknown key `alow`: did you mean `allow`?"),
    ],
)
def test_a_setting_that_allows_nothing_or_too_much_is_refused(values: dict[str, Any], told: str) -> None:
    """The operator is told, with the place; what is never read cannot be allowed."""
    settings = Settings.model_validate({"backends": {"fsspec": values}})

    with pytest.raises(SettingsError) as caught:
        settings.of("fsspec", FsspecSettings)
    assert f"`backends.fsspec`: {told}" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "named", "is_refused"),
    [
        ("93.184.216.34", False, False),
        ("2606:4700::1111", False, False),
        ("127.0.0.1", False, True),
        ("127.0.0.1", True, False),
        ("10.0.0.1", False, True),
        ("10.0.0.1", True, False),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("::1", False, True),
        ("fc00::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("169.254.169.254", False, True),
        ("169.254.169.254", True, True),
        ("::ffff:169.254.169.254", True, True),
        ("64:ff9b::a9fe:a9fe", True, True),
        ("2002:a9fe:a9fe::1", True, True),
        ("fe80::1%eth0", True, True),
        ("fd00:ec2::254", True, True),
        ("fd20:ce::254", True, True),
        ("100.100.100.200", True, True),
        ("168.63.129.16", True, True),
        ("0.0.0.0", True, True),  # noqa: S104  # nothing is bound
        ("::", True, True),
        ("224.0.0.1", True, True),
    ],
)  # fmt: skip  # one line a case
def test_inside_addresses_need_a_host_that_the_operator_has_named(address: str, named: bool, is_refused: bool) -> None:  # noqa: FBT001  # what the case says
    """And no name leads to where a cloud gives away the machine's identity."""
    if not is_refused:
        check_address(address, "h.example.com", names_host=named)
        return
    with pytest.raises(PolicyError, match=r"^h.example.com leads to the .*address"):
        check_address(address, "h.example.com", names_host=named)


def test_a_pattern_does_not_open_the_inside(fetching: Any, web: Any) -> None:
    """A tenant can make any name resolve to any address."""
    web.files["/a.yaml"] = b"kind: A\n"
    fetching.allow = [f"http://*:{web.server_port}"]

    by_name = refusal(fetching, f"http://localhost:{web.server_port}/a.yaml")
    by_address = refusal(fetching, f"{web.url}/a.yaml")

    for message in (by_name, by_address):
        assert "leads to the inside address 127.0.0.1" in message or "leads to the inside address ::1" in message
    assert web.asked == []


def test_a_host_is_named_for_its_own_port_and_protocol_only(fetching: Any, web: Any) -> None:
    """What listens beside it is another service."""
    port = web.server_port
    fetching.allow = [f"http://*:{port}", f"gs://localhost:{port}", "http://localhost", f"http://localhost:{port + 1}"]

    message = refusal(fetching, f"http://localhost:{port}/a.yaml")

    assert "names the host only by a pattern" in message or "name the host only by a pattern" in message
    assert web.asked == []


def test_a_named_host_may_lie_inside(fetching: Any, web: Any) -> None:
    """The operator knows where it is."""
    web.files["/a.yaml"] = b"kind: A\n"
    fetching.allow = [f"http://localhost:{web.server_port}"]

    fetching(f"http://localhost:{web.server_port}/a.yaml")

    assert fetching.kept() == {"a.yaml": b"kind: A\n"}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("http://169.254.169.254/latest/?x=secret", "is redirected to http://169.254.169.254, which the"),
        ("http://other.example.com/a.yaml", "is redirected to http://other.example.com, which the operator's settings"),
        ("https://127.0.0.1/a.yaml", "is redirected to https://127.0.0.1, which the operator's settings do not allow"),
        ("file:///etc/passwd", "is redirected to a URL that is not read here"),
        ("ftp://127.0.0.1/a", "is redirected to ftp://127.0.0.1, which the operator's settings do not allow"),
        ("http://user:secret@127.0.0.1/a", "is redirected to a URL that is not read here"),
        ("//evil.example.com/a", "is redirected to http://evil.example.com, which the operator's settings do not"),
        ("http://[::1]/a", "is redirected to a URL that is not read here"),
    ],
)  # fmt: skip  # one line a case
def test_a_redirect_leads_no_further_than_the_operator_allows(fetching: Any, web: Any, target: str, told: str) -> None:
    """Neither to another host or port nor to another protocol; a query in it is not told."""
    web.answers["/a.yaml"] = lambda handler: handler.answer_with(b"", status=302, headers={"Location": target})
    fetching.allow = [web.url]

    message = refusal(fetching, f"{web.url}/a.yaml")

    assert told in message
    assert "secret" not in message
    assert web.asked == ["/a.yaml"]


def test_an_option_needs_the_operators_word(fetching: Any) -> None:
    """Where this backend has no table."""
    fetching.allow = ["ftp://127.0.0.1:1"]

    message = refusal(fetching, "ftp://127.0.0.1:1/x", options={"tls": "true"})

    assert "must not be read with the option `tls`" in message
    assert "add it to `backends.fsspec.options` as `ftp.tls`" in message
