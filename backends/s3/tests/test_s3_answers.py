"""An answer that is not S3's is never taken for a smaller result: each kind of it is told for what it is."""

import re
from typing import Any

import pytest

from cmp_core import CmpError, ConfigError, FetchError, IntegrityError, SourceNotFoundError, TransientFetchError

ENTRY = b"<Contents><Key>p/a.yaml</Key><ETag>1</ETag><Size>1</Size></Contents>"


def page_of(*elements: bytes) -> bytes:
    """Return a page of a listing."""
    return b"<ListBucketResult>" + b"".join(elements) + b"</ListBucketResult>"


def refusal_of(fetch_source: Any, error_class: type[CmpError]) -> str:
    """Return the message of the error that a fetch raises, which is of exactly this class."""
    with pytest.raises(error_class) as refused:
        fetch_source("p")
    assert type(refused.value) is error_class
    return str(refused.value)


def test_a_redirect_to_a_login_page_is_not_followed(fetch_source: Any, faults: Any) -> None:
    """Nobody but the endpoint is asked, so that no page of somebody else is read as a listing."""
    faults.script = lambda *_: faults.Reply(302, b"", {"Location": f"{faults.url}/login"})

    message = refusal_of(fetch_source, FetchError)

    assert "was not answered as S3 does" in message
    assert not [seen for seen in faults.requests if seen.path == "/login"]


def test_a_redirected_object_is_not_read_elsewhere(put: Any, fetch_source: Any, faults: Any) -> None:
    """The short way to an object follows no redirect either."""
    put({"p/a.yaml": b"a"})
    reply = faults.Reply(302, b"", {"Location": f"{faults.url}/login"})
    faults.script = lambda request, _: None if request.is_listing else reply

    refusal_of(fetch_source, FetchError)

    assert not [seen for seen in faults.requests if seen.path == "/login"]


@pytest.mark.parametrize("status", [301, 307])
def test_redirects_without_end_are_few_requests(fetch_source: Any, faults: Any, status: int) -> None:
    """A service that redirects the question where the bucket is as well is asked that question once."""
    faults.script = lambda *_: faults.Reply.error(status, "TemporaryRedirect", Location=f"{faults.url}/elsewhere")

    message = refusal_of(fetch_source, ConfigError)

    assert "set `region` to the bucket's own" in message
    assert len(faults.requests) <= 3


@pytest.mark.parametrize(
    ("status", "error_class", "text", "asked"),
    [
        (404, SourceNotFoundError, "does not exist", 1),
        (407, ConfigError, "the proxy, which demands a user and password (407)", 1),
        (408, TransientFetchError, "was given up by the service (408)", 2),
        (429, TransientFetchError, "was throttled (429)", 2),
        (500, TransientFetchError, "failed on the service's side (500)", 2),
    ],
)
def test_a_bare_status_says_enough(
    fetch_source: Any, faults: Any, *, status: int, error_class: type[CmpError], text: str, asked: int
) -> None:
    """Load balancers and proxies answer without S3's code."""
    faults.script = lambda *_: faults.Reply(status)

    assert text in refusal_of(fetch_source, error_class)
    assert len(faults.requests) == asked


@pytest.mark.parametrize(
    ("status", "content_type", "error_class", "text", "asked"),
    [
        (200, "text/html", FetchError, "was not answered as S3 does", 1),
        (511, "text/html", FetchError, "was not answered as S3 does", 1),
        (503, "text/html", TransientFetchError, "was answered by a web page (503)", 2),
        (200, "application/json", TransientFetchError, "brought an answer that cannot be read (status 200)", 2),
        (500, "application/json", TransientFetchError, "brought an answer that cannot be read (status 500)", 2),
    ],
)
def test_a_listing_that_is_no_xml_is_told_by_its_status(
    fetch_source: Any,
    faults: Any,
    *,
    status: int,
    content_type: str,
    error_class: type[CmpError],
    text: str,
    asked: int,
) -> None:
    """The status is the one that was sent, and a page that asks for a login is not asked for again."""
    faults.script = lambda *_: faults.Reply(status, b"<html><br>{}", {"Content-Type": content_type})

    assert text in refusal_of(fetch_source, error_class)
    assert len(faults.requests) == asked


@pytest.mark.parametrize(
    "body",
    [
        page_of(b"<IsTruncated>false</IsTruncated>", ENTRY, b"<NextContinuationToken>2</NextContinuationToken>"),
        page_of(ENTRY),
        *(
            page_of(b"<IsTruncated>false</IsTruncated>", re.sub(b"<%b>.*</%b>" % (name, name), b"", ENTRY))
            for name in (b"Key", b"ETag", b"Size")
        ),
        page_of(b"<IsTruncated>false</IsTruncated>", ENTRY.replace(b"<Size>1", b"<Size>many")),
        page_of(b"<IsTruncated>false</IsTruncated>", ENTRY.replace(b"p/a.yaml", b"q/a.yaml")),
    ],
    ids=["a next page after the last", "no end", "no key", "no ETag", "no size", "a size in words", "a foreign key"],
)
def test_a_page_that_says_too_little_is_no_listing(fetch_source: Any, faults: Any, body: bytes) -> None:
    """What S3 always says is demanded, since a page without it may be a part of one."""
    faults.script = lambda *_: faults.Reply(200, body, {"Content-Type": "application/xml"})

    assert "was not answered as S3 does" in refusal_of(fetch_source, FetchError)


def test_content_without_an_etag_is_not_taken(put: Any, fetch_source: Any, faults: Any) -> None:
    """Whoever answers in S3's place with content of the right length has nothing that proves it."""
    put({"p/a.yaml": b"a"})
    faults.script = lambda request, _: None if request.is_listing else faults.Reply(200, b"x")

    assert "came without an ETag" in refusal_of(fetch_source, IntegrityError)


def test_an_answer_against_the_rules_of_http_is_asked_for_again(put: Any, fetch_source: Any, faults: Any) -> None:
    """A length that is no number, from a load balancer in trouble, need not be the last word."""
    put({"p/a.yaml": b"a"})
    bad = iter([faults.Reply(200, b"a", {"Content-Length": "abc"})])
    faults.script = lambda request, _: None if request.is_listing else next(bad, None)

    assert fetch_source("p").files == ("a.yaml",)
    assert len(faults.gets) == 2
