"""Web servers are read as far as the limits go, and what they list wrongly is refused or left alone."""

import gzip
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from cmp_backend_fsspec import web as module
from cmp_backend_fsspec.pages import links_of

from cmp_core import (
    CmpError,
    ConfigError,
    FetchError,
    IntegrityError,
    LimitExceededError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)

Answer = Callable[[Any], None]


def page_of(*links: str) -> Answer:
    """Answer with a page that holds these links."""
    body = "".join(f'<a href="{link}">x</a>' for link in links).encode()
    return lambda handler: handler.answer_with(body, headers={"Content-Type": "text/html"})


@pytest.fixture(autouse=True)
def _allowed(fetching: Any, web: Any) -> None:
    fetching.allow = [web.url]


def test_one_file_is_read_by_its_url(fetching: Any, web: Any) -> None:
    """With escapes in its name, and no other file."""
    web.files |= {"/apps/a b.yaml": b"kind: A\n", "/apps/c.yaml": b"kind: C\n"}

    artifact = fetching(f"{web.url}/apps/a%20b.yaml")

    assert fetching.kept() == {"a b.yaml": b"kind: A\n"}
    assert artifact.revision == artifact.digest


def test_a_folder_is_read_by_the_pages_that_list_it(fetching: Any, web: Any) -> None:
    """All below it, none beside it; the filter holds as for every source."""
    web.files |= {"/apps/a.yaml": b"A", "/apps/b/ü&c.yaml": b"C", "/apps/b/note.txt": b"N", "/apps-not/d.yaml": b"D"}

    fetching(f"{web.url}/apps/", include=["*.yaml"])

    assert fetching.kept() == {"a.yaml": b"A", "b/ü&c.yaml": b"C"}


def test_links_that_lead_elsewhere_are_none_of_the_folders() -> None:
    """To other hosts, protocols, parents, and to the same page in another order."""
    links = ["../", "/", "?C=N;O=D", "#top", "mailto:a@b", "javascript:x()", "//evil.com/apps/x.yaml", "./"]
    links += [
        "https://evil.com/apps/x.yaml",
        "/apps-not/x.yaml",
        "../apps/../etc/x.yaml",
        "http://[bad/x",
        "file:///etc",
    ]
    links += ["good.yaml", "/apps/also%20good.yaml", "https://h/apps/sub/", "good.yaml#part", "./deep/er.yaml"]

    found = links_of("".join(f"<A HREF='{link}'>x</A>" for link in links), "https://h/apps/")

    assert found == {
        "good.yaml": "https://h/apps/good.yaml",
        "also good.yaml": "https://h/apps/also%20good.yaml",
        "sub/": "https://h/apps/sub/",
        "deep/er.yaml": "https://h/apps/deep/er.yaml",
    }


def test_the_base_of_a_page_counts() -> None:
    """As it does for a browser."""
    page = '<base href="/apps/sub/"><a href="a.yaml">x</a><a href="/b.yaml">x</a>'

    assert links_of(page, "https://h/apps/") == {"sub/a.yaml": "https://h/apps/sub/a.yaml"}


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("a%2fb.yaml", "it holds an escaped slash"),
        ("%2e%2e/%2e%2e/etc/passwd", "a part of it is `.` or `..`"),
        ("a//b.yaml", "a part of it is empty"),
        ("a%00.yaml", "it holds a control character"),
        ("a%ff.yaml", "it is not valid Unicode"),
        ("%2e%2e/", "a part of it is `.` or `..`"),
        ("a//", "a part of it is empty"),
        ("a.yaml?version=2", "links to `a.yaml` with a query"),
        ("x" * 300, "longer than 255 bytes"),
    ],
)
def test_a_listed_name_that_cannot_be_stored_is_refused(fetching: Any, web: Any, link: str, told: str) -> None:
    """A page is written by whoever fills the folder."""
    web.answers["/apps/"] = page_of(link)

    with pytest.raises(IntegrityError, match=told):
        fetching(f"{web.url}/apps/")
    assert fetching.kept() == {}


def endless(handler: Any) -> None:
    """Send bytes until the client goes."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def chunked(handler: Any) -> None:
    """Send an answer that does not say how long it is."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"7\r\nkind: A\r\n1\r\n\n\r\n0\r\n\r\n")


def test_an_answer_without_length_is_read_to_its_end(fetching: Any, web: Any) -> None:
    """A server need not know how long it will be."""
    web.answers["/a.yaml"] = chunked

    fetching(f"{web.url}/a.yaml", limits={"objectBytes": 8})

    assert fetching.kept() == {"a.yaml": b"kind: A\n"}


@pytest.mark.parametrize(("answer", "most"), [(endless, 1_000_000), (chunked, 7)])
def test_the_limits_hold_whatever_a_server_sends(fetching: Any, web: Any, answer: Answer, most: int) -> None:
    """The surplus is not kept, and not asked for either."""
    web.answers["/a.yaml"] = answer

    with pytest.raises(LimitExceededError, match=f"larger than the {most} bytes"):
        fetching(f"{web.url}/a.yaml", limits={"objectBytes": most})
    assert fetching.kept() == {}


def test_a_huge_listing_is_refused(fetching: Any, web: Any) -> None:
    """By the number of its files, of its folders, and by the bytes of one page."""
    web.answers["/files/"] = page_of(*(f"{number}.yaml" for number in range(10_011)))
    web.answers["/folders/"] = page_of(*(f"{number}/" for number in range(module.MOST_FOLDERS + 1)))
    web.answers["/page/"] = lambda handler: handler.answer_with(
        b" " * (module.MOST_PAGE_BYTES + 1), headers={"Content-Type": "text/html"}
    )
    fetching.settings["limits"] = {"objects": 1}

    for folder, told in (
        ("files", "lists more than 10010 files"),
        ("folders", "1000 folders"),
        ("page", "the page of"),
    ):
        with pytest.raises(LimitExceededError, match=told):
            fetching(f"{web.url}/{folder}/")


def test_a_folder_inside_itself_ends(fetching: Any, web: Any) -> None:
    """A server can list folders without end."""
    deep = "/apps/"
    for _ in range(70):
        web.answers[deep] = page_of("x/")
        deep += "x/"
    web.answers[deep] = page_of("a.yaml")
    web.files[f"{deep}a.yaml"] = b"kind: A\n"

    artifact = fetching(f"{web.url}/apps/")

    assert [path.count("/") for path in artifact.files] == [70]


def cut_off(handler: Any) -> None:
    """Send less than was announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"kind: A\n")
    handler.close_connection = True


def silent(handler: Any) -> None:
    """Say nothing until the client goes."""
    handler.rfile.read(1)


def garbled(handler: Any) -> None:
    """Answer against the rules of HTTP."""
    handler.wfile.write(b"no http at all\r\n\r\n")
    handler.close_connection = True


def compressed(handler: Any) -> None:
    """Send what nobody has asked for."""
    handler.answer_with(gzip.compress(b"kind: A\n" * 1000), headers={"Content-Encoding": "gzip"})


def status(number: int, **headers: str) -> Answer:
    """Answer with a status."""
    body = b"" if number in {204, 304} else b"secret-text"
    return lambda handler: handler.answer_with(body, status=number, headers=headers)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (status(401), SourceAccessError, "must not be read by the sidecar's identity (status 401)"),
        (status(403), SourceAccessError, "(status 403)"),
        (status(404), SourceNotFoundError, "does not exist (status 404): check `url`"),
        (status(410), SourceNotFoundError, "(status 410)"),
        (status(429), TransientFetchError, "was throttled (status 429)"),
        (status(500), TransientFetchError, "failed on the service's side (status 500)"),
        (status(501), FetchError, "does not know such requests (status 501)"),
        (status(503), TransientFetchError, "(status 503)"),
        (status(206), FetchError, "could not be read (status 206)"),
        (status(204), FetchError, "could not be read (status 204)"),
        (status(304), FetchError, "leads elsewhere (status 304)"),
        (status(302), FetchError, "leads elsewhere (status 302)"),
        (status(418), FetchError, "could not be read (status 418)"),
        (status(302, Location="/a.yaml"), FetchError, "is redirected more than 5 times"),
        (cut_off, TransientFetchError, "could not be reached, or broke off (ContentLengthError)"),
        (garbled, TransientFetchError, "could not be reached, or broke off"),
        (silent, TransientFetchError, "did not answer in time"),
        (compressed, IntegrityError, "is sent in the encoding `gzip`"),
    ],
)
def test_what_goes_wrong_is_told_by_its_kind(
    fetching: Any, web: Any, answer: Answer, error: type[CmpError], told: str
) -> None:
    """With the place; what the server says is not repeated, and nothing is kept."""
    web.answers["/a.yaml"] = answer
    fetching.settings["readTimeout"] = 0.3

    with pytest.raises(CmpError) as caught:
        fetching(f"{web.url}/a.yaml")

    assert type(caught.value) is error
    assert f"{web.url}/a.yaml" in str(caught.value)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)
    assert fetching.kept() == {}


def test_a_passing_failure_is_asked_again(fetching: Any, web: Any) -> None:
    """As often as the operator says, and no more."""
    web.files["/a.yaml"] = b"kind: A\n"
    answers = [lambda handler: handler.answer_with(b"kind: A\n"), status(503), status(503)]

    def answer_next(handler: Any) -> None:
        answers.pop()(handler)

    web.answers["/a.yaml"] = answer_next

    fetching.settings["maxAttempts"] = 2
    with pytest.raises(TransientFetchError):
        fetching(f"{web.url}/a.yaml")
    fetching(f"{web.url}/a.yaml")

    assert fetching.kept() == {"a.yaml": b"kind: A\n"}
    assert len(web.asked) == 3


def test_a_redirect_within_what_is_allowed_is_followed(fetching: Any, web: Any) -> None:
    """Also to a signed URL, whose query is sent on."""
    web.answers["/latest.yaml"] = status(302, Location=f"{web.url}/v1.yaml?sig=secret")
    web.answers["/v1.yaml?sig=secret"] = lambda handler: handler.answer_with(b"kind: A\n")

    fetching(f"{web.url}/latest.yaml")

    assert fetching.kept() == {"latest.yaml": b"kind: A\n"}


def test_a_folder_that_is_redirected_is_not_read(fetching: Any, web: Any) -> None:
    """The links of another page would be other folders'."""
    web.answers["/apps/"] = status(301, Location="/other/")

    with pytest.raises(FetchError, match=r"leads elsewhere \(status 301\): name the place itself"):
        fetching(f"{web.url}/apps/")


def test_what_is_no_page_is_no_folder(fetching: Any, web: Any) -> None:
    """A server that lists no folders may answer with anything."""
    web.answers["/apps/"] = lambda handler: handler.answer_with(b"kind: A", headers={"Content-Type": "text/yaml"})
    web.answers["/empty/"] = page_of()

    with pytest.raises(FetchError, match="is answered with `text/yaml` and not with a page that lists files"):
        fetching(f"{web.url}/apps/")
    with pytest.raises(SourceNotFoundError, match="lists no file: put one there"):
        fetching(f"{web.url}/empty/")


def test_a_folder_that_changes_while_it_is_read_is_told(fetching: Any, web: Any) -> None:
    """It is listed again when its files are here."""
    web.files["/apps/a.yaml"] = b"kind: A\n"

    def grow(handler: Any) -> None:
        web.files["/apps/b.yaml"] = b"kind: B\n"
        handler.answer_with(b"kind: A\n")

    web.answers["/apps/a.yaml"] = grow

    with pytest.raises(TransientFetchError, match="changed while it was read"):
        fetching(f"{web.url}/apps/")


def test_the_deadline_ends_whatever_hangs(fetching: Any, web: Any) -> None:
    """Also a server that drips one byte after the other."""

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.02)

    web.answers["/a.yaml"] = drip
    fetching.seconds = 0.5
    started = time.monotonic()

    with pytest.raises(CmpError, match=r"stopped after 0\.5 s"):
        fetching(f"{web.url}/a.yaml")
    assert time.monotonic() - started < 5


def test_no_password_of_the_home_folder_is_sent(
    fetching: Any, web: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author chooses the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    web.files["/a.yaml"] = b"kind: A\n"

    fetching(f"{web.url}/a.yaml")

    (headers,) = web.headers_seen
    assert {name.lower() for name in headers} == {"host", "accept", "accept-encoding", "user-agent"}
    assert headers["Accept-Encoding"] == "identity"


def test_a_proxy_of_the_sidecar_is_used(fetching: Any, web: Any) -> None:
    """By the usual variables, and not for hosts that do without."""
    web.answers["http://charts.example.com/a.yaml"] = lambda handler: handler.answer_with(b"kind: A\n")
    fetching.allow.append("http://charts.example.com")
    fetching.variables = {"HTTP_PROXY": web.url, "no_proxy": "other.example.com"}

    fetching("http://charts.example.com/a.yaml")
    fetching.variables = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    web.files["/b.yaml"] = b"kind: B\n"
    fetching(f"{web.url}/b.yaml")

    assert fetching.kept() == {"a.yaml": b"kind: A\n", "b.yaml": b"kind: B\n"}


def test_a_proxy_that_is_no_url_is_told(fetching: Any, web: Any) -> None:
    """Without its value, which may hold a password."""
    fetching.variables = {"https_proxy": "secret@proxy"}

    with pytest.raises(ConfigError, match="HTTPS_PROXY is no URL of a proxy") as caught:
        fetching(f"{web.url}/a.yaml")
    assert "secret" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_told(fetching: Any, web: Any) -> None:
    """With what to do, since the reason is mostly a private CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    fetching.allow = [f"https://localhost:{web.server_port}"]

    with pytest.raises(FetchError, match=r"TLS failed .*SSL_CERT_FILE"):
        fetching(f"https://localhost:{web.server_port}/a.yaml")
