"""Own the rows of the table in which an answer comes that S3 does not give."""

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from e2e.fault_stage import (
    FIRST,
    GETTING,
    LISTING,
    PAUSED,
    PAUSED_ONCE,
    STALLED,
    STALLS,
    Arrange,
    Row,
    again,
    on_get,
    on_listing,
)
from e2e.service_faults import CHANGES
from e2e.wire_faults import NETWORK, NOT_S3, PATIENCE, TIMEOUT

from cmp_core import DeadlineExceededError, FetchError, IntegrityError, TransientFetchError
from tools.fault_server import Answer, Fault, error, is_any, is_get_of, is_listing, page

GARBLED = (
    "brought an answer against the rules of HTTP (ClientResponseError) at every try: look for a proxy or load balancer "
    "on the way, and ask again later"
)
UNREADABLE = (
    "brought an answer that cannot be read (status 200) at every try: ask again later, and check the endpoint and "
    "HTTPS_PROXY"
)
REWRITTEN = "more than once: look for what rewrites answers on the way, and upload the object again"
ENDLESS = (
    f"{LISTING} does not come to an end: the service repeats a page, or does not say where the next one is: ask again "
    "later"
)
LAST_PAGE = rb"<IsTruncated>false</IsTruncated>"
is_first = is_get_of(FIRST)


def change_listing(pattern: bytes, replacement: bytes) -> Arrange:
    """Change what the service lists."""
    return on_listing(
        Fault(lambda answer: answer.with_body(re.sub(pattern, replacement, answer.body, flags=re.DOTALL)))
    )


def change_object(change: Callable[[bytes], bytes], times: int | None = None) -> Arrange:
    """Change an object's content on its way."""
    return on_get(Fault(lambda answer: answer.with_body(change(answer.body))), times=times)


def set_header(name: str, value: str | None) -> Arrange:
    """Change a header of an object."""
    return on_get(Fault(lambda answer: answer.with_header(name, value)))


def claim_length(length: str) -> Fault:
    """Say another length than the body has, and close the connection behind it."""
    return Fault(lambda answer: answer.with_header("Content-Length", length), then="close")


def zip_answer(answer: Answer) -> Answer:
    """Compress an answer that nobody asked to be compressed."""
    return answer.with_body(gzip.compress(answer.body)).with_header("Content-Encoding", "gzip")


def frame(framing: Literal["chunked", "close"]) -> Fault:
    """Tell the end of bodies without a length."""
    return Fault(lambda answer: replace(answer, framing=framing))


ANSWERS = (
    Row(
        "page-for-a-listing",
        "200 with a captive proxy's web page in place of the listing",
        on_listing(Fault(page(200))),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "page-for-an-object",
        "... in place of an object",
        on_get(Fault(page(200))),
        IntegrityError,
        f"{GETTING} brought content that came without an ETag, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "page-511",
        "511: the network wants a login",
        on_listing(Fault(page(511))),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "error-in-a-200",
        "200 with S3's XML of an error inside, for the listing",
        on_listing(Fault(error(200, "SlowDown"))),
        TransientFetchError,
        f"{LISTING} was throttled (SlowDown) at every try: read fewer objects, or ask again later"
        + again("ListBucket", "SlowDown"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "error-in-a-200-once",
        "... once, for an object",
        on_get(Fault(error(200, "InternalError")), times=1),
        text="asked again once: s3:GetObject WrongContentError",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "token-repeated",
        "a listing gives one continuation token again and again",
        change_listing(LAST_PAGE, b"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"),
        TransientFetchError,
        ENDLESS,
        asked=2,
        counts=is_listing,
    ),
    Row(
        "token-lost",
        "a listing says that there is more, and not where",
        change_listing(LAST_PAGE, b"<IsTruncated>true</IsTruncated>"),
        TransientFetchError,
        ENDLESS,
        counts=is_listing,
    ),
    Row(
        "end-too-early",
        "a listing says that it is the last page, and where the next one is",
        change_listing(LAST_PAGE, LAST_PAGE + b"<NextContinuationToken>x</NextContinuationToken>"),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "listing-twice",
        "a listing names one key twice",
        change_listing(rb"(<Contents>.*?</Contents>)", rb"\1\1"),
        IntegrityError,
        "`a.yaml` is listed twice: rename one at the source, or exclude it",
        counts=is_listing,
    ),
    Row(
        "listing-outside",
        "a listing names keys outside of the prefix",
        change_listing(rb"apps/demo/a.yaml", rb"apps/other/a.yaml"),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "listing-without-sizes",
        "a listing leaves out what S3 always says",
        change_listing(rb"<Size>.*?</Size>", b""),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "listing-half",
        "a listing's XML ends in its middle, though the answer is whole",
        on_listing(Fault(lambda answer: answer.with_body(answer.body[:300]))),
        TransientFetchError,
        f"{LISTING} {UNREADABLE}" + again("ListBucket", "200"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "listing-empty",
        "200 with nothing in it, for the listing",
        on_listing(Fault(Answer(200))),
        FetchError,
        f"{LISTING} {NOT_S3}",
        counts=is_listing,
    ),
    Row(
        "listing-zipped",
        "a listing comes as gzip that nobody asked for",
        on_listing(Fault(zip_answer)),
        TransientFetchError,
        f"{LISTING} {UNREADABLE}" + again("ListBucket", "200"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "object-zipped",
        "... an object",
        on_get(Fault(zip_answer)),
        IntegrityError,
        f"{GETTING} brought content that has more bytes than the 51 of the listing, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "zip-claimed",
        "an object is called gzip and is not: its bytes are what S3 keeps, and go out as they are",
        set_header("Content-Encoding", "gzip"),
        counts=is_first,
    ),
    Row(
        "length-too-small",
        "an object has more bytes than its Content-Length says",
        on_get(claim_length("20")),
        TransientFetchError,
        f"{GETTING} {GARBLED}" + again("GetObject", "ClientResponseError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "length-too-large",
        "an object has fewer bytes than its Content-Length says, and the connection ends",
        on_get(claim_length("500")),
        TransientFetchError,
        f"{GETTING} broke off (ClientPayloadError) {NETWORK}" + again("GetObject", "ClientPayloadError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "length-too-large-and-kept",
        "... and the connection stays",
        set_header("Content-Length", "500"),
        TransientFetchError,
        f"{GETTING} got no answer in time (SocketTimeoutError): {PATIENCE}"
        + again("GetObject", "SocketTimeoutError", often="once"),
        asked=2,
        counts=is_first,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "length-no-number",
        "a Content-Length is no number",
        on_get(claim_length("abc")),
        TransientFetchError,
        f"{GETTING} {GARBLED}" + again("GetObject", "ClientResponseError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "length-of-a-listing",
        "a listing has more bytes than its Content-Length says",
        on_listing(claim_length("300")),
        TransientFetchError,
        f"{LISTING} {GARBLED}" + again("ListBucket", "ClientResponseError"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "content-changed",
        "an object's content is changed on its way, not its length",
        change_object(lambda body: body.replace(b"name: a", b"name: x")),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "content-changed-once",
        "... once",
        change_object(lambda body: body.replace(b"name: a", b"name: x"), times=1),
        text="asked again once: s3:GetObject WrongContentError",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "content-shortened",
        "an object comes with a part of its content, and the length of that part",
        change_object(lambda body: body[:20]),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "etag-of-another",
        "an object comes with another ETag than the listing's, each time",
        set_header("ETag", '"0123456789abcdef0123456789abcdef"'),
        TransientFetchError,
        CHANGES,
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "etag-missing",
        "an object comes without its ETag",
        set_header("ETag", None),
        IntegrityError,
        f"{GETTING} brought content that came without an ETag, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "checksum-wrong",
        "an object comes with another CRC-32 than it has",
        set_header("x-amz-checksum-crc32", "AAAAAA=="),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "206",
        "206 with a part of an object",
        on_get(Fault(lambda answer: replace(answer.with_body(answer.body[:20]), status=206))),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=3,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "204",
        "204 for an object",
        on_get(Fault(Answer(204))),
        IntegrityError,
        f"{GETTING} brought content that came without an ETag, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=3,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "304",
        "304 for an object",
        on_get(Fault(Answer(304))),
        FetchError,
        f"{GETTING} {NOT_S3}",
        asked=2,
        counts=is_first,
    ),
    Row(
        "object-empty",
        "200 with no bytes for an object that has some",
        change_object(lambda _: b""),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "chunked",
        "every answer comes in chunks, without a length",
        lambda stage: stage.faults.on(is_any, frame("chunked")),
        counts=is_first,
    ),
    Row(
        "until-the-end",
        "every answer ends with its connection, without a length",
        lambda stage: stage.faults.on(is_any, frame("close")),
        counts=is_first,
    ),
    Row(
        "until-the-end-cut",
        "... and an object is cut",
        on_get(replace(frame("close"), body_bytes=20)),
        IntegrityError,
        f"{GETTING} brought content that does not have its checksum, {REWRITTEN}"
        + again("GetObject", "WrongContentError", often="once"),
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "huge-header",
        "a header of 20,000 bytes",
        set_header("X-Huge", "y" * 20_000),
        TransientFetchError,
        f"{GETTING} {GARBLED}" + again("GetObject", "ClientResponseError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "only-interim",
        "100 Continue, and nothing after it",
        on_get(Fault(Answer(100))),
        DeadlineExceededError,
        f"stopped after 10 s while fetching s3://test-bucket/apps/demo: {TIMEOUT}",
        counts=is_first,
        settings={"CMP_TIMEOUT": "10", "CMP_READ_TIMEOUT": "2"},
        seconds=10 + 1,
    ),
)
