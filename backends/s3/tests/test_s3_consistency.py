"""What goes out is a state that the path really had, and every byte of it is proven."""

import base64
import hashlib
import itertools
import logging
import re
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from awscrt import checksums
from cmp_backend_s3 import fetching, listing
from cmp_backend_s3.integrity import find_corruption
from hypothesis import given
from hypothesis import strategies as st

from cmp_core import DeadlineExceededError, FetchError, IntegrityError, SourceNotFoundError, TransientFetchError


def replaced_once(change: Callable[[], object]) -> Callable[..., None]:
    """Return a script that makes a change between the first listing and the first object."""
    first = iter([True])
    one_at_a_time = threading.Lock()

    def script(request: Any, _: Any) -> None:
        if not request.is_listing:
            with one_at_a_time:
                if next(first, False):
                    change()

    return script


def honour_if_match(request: Any, forward: Any, reply: Any) -> Any:
    """Answer as S3 does where moto does not: 412 when the ETag is no longer that of `If-Match`."""
    found = forward()
    if "if-match" in request.headers and found.status == 200 and found.headers["ETag"] != request.headers["if-match"]:
        return reply.error(412, "PreconditionFailed")
    return found


def test_an_object_replaced_after_the_listing_starts_it_over(put: Any, fetch_source: Any, faults: Any) -> None:
    """S3 refuses the old ETag, and the second listing gives the new state."""
    put({"p/a.yaml": b"old a", "p/b.yaml": b"old b"})
    change = replaced_once(lambda: put({"p/a.yaml": b"new a", "p/b.yaml": b"new b"}))

    def script(request: Any, forward: Any) -> Any:
        change(request, forward)
        return None if request.is_listing else honour_if_match(request, forward, faults.Reply)

    faults.script = script

    artifact = fetch_source("p")

    assert [(artifact.root / name).read_bytes() for name in artifact.files] == [b"new a", b"new b"]
    assert len(faults.listings) == 3


def test_an_answer_with_another_etag_starts_over_too(put: Any, fetch_source: Any, faults: Any) -> None:
    """A service that does not know If-Match gives a new object for an old listing; it is not taken."""
    put({"p/a.yaml": b"old"})

    def script(request: Any, forward: Any) -> Any:
        if request.is_listing:
            return None
        request.headers.pop("if-match")
        change(request, forward)
        return forward()

    change = replaced_once(lambda: put({"p/a.yaml": b"new"}))
    faults.script = script

    artifact = fetch_source("p")

    assert (artifact.root / "a.yaml").read_bytes() == b"new"
    assert len(faults.listings) == 3


def test_an_object_that_vanishes_starts_the_listing_over(
    s3: Any, bucket: str, put: Any, fetch_source: Any, faults: Any
) -> None:
    """An object deleted between listing and reading is not in the next listing."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})
    faults.script = replaced_once(lambda: s3.delete_object(Bucket=bucket, Key="p/b.yaml"))

    artifact = fetch_source("p")

    assert artifact.files == ("a.yaml",)
    assert sorted(entry.name for entry in artifact.root.iterdir()) == ["a.yaml"]


def test_a_path_that_vanishes_is_not_found(s3: Any, bucket: str, put: Any, fetch_source: Any, faults: Any) -> None:
    """When the last object is deleted meanwhile, the new listing says that there is nothing."""
    put({"p/a.yaml": b"a"})
    faults.script = replaced_once(lambda: s3.delete_object(Bucket=bucket, Key="p/a.yaml"))

    with pytest.raises(SourceNotFoundError):
        fetch_source("p")


def test_a_path_that_keeps_changing_is_an_error(
    put: Any, fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three outdated listings, with pauses in which the writer may finish, the error tells how to publish."""
    monkeypatch.setattr(fetching, "PAUSES", (0.3, 0.5))
    put({"p/a.yaml": b"0"})
    counter = itertools.count(1)

    def script(request: Any, forward: Any) -> Any:
        if request.is_listing:
            return None
        put({"p/a.yaml": str(next(counter)).encode()})
        return honour_if_match(request, forward, faults.Reply)

    faults.script = script
    started = time.monotonic()

    with pytest.raises(TransientFetchError, match=r"3 listings in a row were outdated.*a prefix of its own"):
        fetch_source("p")

    assert len(faults.listings) == 3
    assert time.monotonic() - started >= 0.4


def test_the_deadline_says_that_the_path_keeps_changing(
    put: Any, fetch_source: Any, faults: Any, make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no time is left for another round, the user still reads why."""
    monkeypatch.setattr(fetching, "PAUSES", (30.0,))
    put({"p/a.yaml": b"0"})
    fetch_source("p")  # the SDK is loaded before the three seconds begin
    faults.script = replaced_once(lambda: put({"p/a.yaml": b"1"}))

    with pytest.raises(DeadlineExceededError, match=r"stopped after 3 s while fetching s3://.*/p, which changes while"):
        fetch_source("p", make_environment(timeout=3))


def test_a_fetch_that_started_over_says_so(
    bucket: str, put: Any, fetch_source: Any, faults: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line tells the operator that somebody writes where others read."""
    put({"p/a.yaml": b"0"})
    faults.script = replaced_once(lambda: put({"p/a.yaml": b"1"}))

    with caplog.at_level(logging.INFO, "cmp_core"):
        fetch_source("p")

    told = [record.message for record in caplog.records if "changed" in record.message]
    assert told == [f"s3://{bucket}/p changed while it was read; round 2 was in order"]


@pytest.mark.parametrize("change", ["added", "deleted", "replaced"])
def test_a_change_while_several_pages_are_read_starts_over(
    s3: Any, bucket: str, put: Any, fetch_source: Any, faults: Any, *, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Pages of different moments are noticed by listing again after the objects."""
    monkeypatch.setattr(listing, "PAGE_KEYS", 2)
    put({f"p/{number}.yaml": b"old" for number in range(3)})
    changes: dict[str, Callable[[], object]] = {
        "added": lambda: put({"p/00.yaml": b"new"}),
        "deleted": lambda: s3.delete_object(Bucket=bucket, Key="p/0.yaml"),
        "replaced": lambda: put({"p/0.yaml": b"new"}),
    }
    expected = {"added": 4, "deleted": 2, "replaced": 3}[change]
    last_get = {"done": False}

    def script(request: Any, forward: Any) -> Any:
        if request.is_listing or last_get["done"] or len(faults.gets) < 3:
            return None
        last_get["done"] = True
        reply = forward()
        changes[change]()
        return reply

    faults.script = script

    artifact = fetch_source("p")

    assert len(artifact.files) == expected
    assert len(list(artifact.root.iterdir())) == expected
    assert change != "replaced" or (artifact.root / "0.yaml").read_bytes() == b"new"


def test_a_page_that_mixes_two_moments_starts_over(put: Any, fetch_source: Any, faults: Any) -> None:
    """A service may look at one key after the other: when it has passed `a`, `a` is added, then `z` is replaced."""
    put({"p/z.yaml": b"old"})

    def script(request: Any, forward: Any) -> Any:
        if len(faults.listings) > 1 or not request.is_listing:
            return None
        put({"p/a.yaml": b"new"})
        put({"p/z.yaml": b"new"})
        reply = forward()
        reply.body = re.sub(rb"<Contents><Key>p/a.yaml</Key>.*?</Contents>", b"", reply.body, flags=re.DOTALL)
        return reply

    faults.script = script

    artifact = fetch_source("p")

    assert artifact.files == ("a.yaml", "z.yaml")
    assert len(faults.listings) == 4


def test_every_listing_is_confirmed_after_the_last_object(put: Any, fetch_source: Any, faults: Any) -> None:
    """One page alone may hold keys of different moments, and what the store gives is not asked for again."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})

    fetch_source("p")

    assert [request.is_listing for request in faults.requests] == [True, False, False, True]


def test_one_object_needs_no_second_listing(put: Any, fetch_source: Any, faults: Any) -> None:
    """A single object is a state by itself: S3 replaces it as a whole."""
    put({"p/a.yaml": b"a"})

    fetch_source("p/a.yaml")

    assert [request.is_listing for request in faults.requests] == [True, True, False]


def test_a_repeated_page_is_an_error_and_no_loop(put: Any, fetch_source: Any, faults: Any) -> None:
    """A service that gives one continuation token twice would be asked for ever."""
    body = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
        b"</ListBucketResult>"
    )
    faults.script = lambda *_: faults.Reply(200, body)

    with pytest.raises(TransientFetchError, match="repeats a page"):
        fetch_source("p")

    assert len(faults.listings) == 2


def test_a_cut_off_listing_without_a_token_is_an_error(fetch_source: Any, faults: Any) -> None:
    """A truncated page that does not say where it goes on is never taken for the whole."""
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    faults.script = lambda *_: faults.Reply(200, body)

    with pytest.raises(TransientFetchError, match="does not come to an end"):
        fetch_source("p")

    assert len(faults.listings) == 1


def test_a_body_that_breaks_off_is_read_again(put: Any, fetch_source: Any, faults: Any) -> None:
    """A connection cut in the middle costs another try, by the SDK's own call."""
    put({"p/a.yaml": b"0123456789"})

    def script(request: Any, forward: Any) -> Any:
        if request.is_listing or len(faults.gets) > 1:
            return None
        reply = forward()
        reply.sent = 4
        return reply

    faults.script = script

    artifact = fetch_source("p", None)

    assert (artifact.root / "a.yaml").read_bytes() == b"0123456789"
    assert len(faults.gets) == 2


def test_a_body_that_always_breaks_off_is_transient(put: Any, fetch_source: Any, faults: Any) -> None:
    """After the last try the error names the object and says that the transfer broke off."""
    put({"p/a.yaml": b"0123456789"})

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        reply.sent = None if request.is_listing else 4
        return reply

    faults.script = script

    with pytest.raises(TransientFetchError, match=r"s3:GetObject on s3://.*/p/a\.yaml .* broke off"):
        fetch_source("p")


def test_a_body_that_stalls_is_timed_out(put: Any, fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """A connection on which nothing more comes is given up after the read time-out."""
    put({"p/a.yaml": b"0123456789"})

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        reply.sent, reply.stalls = (None, False) if request.is_listing else (4, True)
        return reply

    faults.script = script

    with pytest.raises(TransientFetchError, match="got no answer in time"):
        fetch_source("p", make_environment(read_timeout=0.2))


def test_the_deadline_ends_everything(put: Any, fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """The total time holds, however patient the single call is."""
    put({"p/a.yaml": b"0123456789"})

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        reply.sent, reply.stalls = 4, True
        return reply

    faults.script = script

    with pytest.raises(DeadlineExceededError, match=r"stopped after 0\.7 s"):
        fetch_source("p", make_environment(timeout=0.7, read_timeout=30))


def test_wrong_bytes_of_the_right_size_are_an_integrity_error(
    put: Any, fetch_source: Any, faults: Any, make_environment: Any
) -> None:
    """Content that does not have its checksum is asked for once more, then refused."""
    put({"p/a.yaml": b"right"})

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        reply.body = reply.body if request.is_listing else b"wrong"
        return reply

    faults.script = script

    with pytest.raises(IntegrityError, match=r"s3:GetObject on s3://.*/p/a\.yaml .* does not have"):
        fetch_source("p", make_environment(max_attempts=4))

    assert len(faults.gets) == 2


@pytest.mark.parametrize("body", [b"righ", b"righty"])
def test_a_wrong_size_is_an_integrity_error(put: Any, fetch_source: Any, faults: Any, body: bytes) -> None:
    """A body shorter or longer than the listing announced is never taken."""
    put({"p/a.yaml": b"right"})

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        reply.body = reply.body if request.is_listing else body
        return reply

    faults.script = script

    with pytest.raises(FetchError) as refused:
        fetch_source("p")

    assert isinstance(refused.value, IntegrityError)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_that_s3_keeps_is_asked_for_and_holds(
    put: Any, fetch_source: Any, faults: Any, algorithm: str
) -> None:
    """Each of S3's checksum algorithms comes with the object and is verified."""
    content = b"kind: ConfigMap\n"
    put({"p/a.yaml": content})
    expected = base64.b64encode(CHECKSUMS[algorithm.lower()](content)).decode()

    def script(request: Any, forward: Any) -> Any:
        reply = forward()
        if request.headers.get("x-amz-checksum-mode") == "ENABLED":
            reply.headers[f"x-amz-checksum-{algorithm.lower()}"] = expected
        return reply

    faults.script = script

    assert fetch_source("p").files == ("a.yaml",)
    assert faults.gets[0].headers["x-amz-checksum-mode"] == "ENABLED"


CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda content: zlib.crc32(content).to_bytes(4, "big"),
    "crc32c": lambda content: checksums.crc32c(content).to_bytes(4, "big"),
    "crc64nvme": lambda content: checksums.crc64nvme(content).to_bytes(8, "big"),
    "sha1": lambda content: hashlib.sha1(content, usedforsecurity=False).digest(),
    "sha256": lambda content: hashlib.sha256(content).digest(),
}


@given(content=st.binary(min_size=1), position=st.integers(min_value=0), algorithm=st.sampled_from(sorted(CHECKSUMS)))
def test_any_flipped_bit_is_found_by_any_checksum(content: bytes, position: int, algorithm: str) -> None:
    """Whatever S3 gives a checksum for, one wrong bit does not pass."""
    headers = {"etag": '"0-2"', f"x-amz-checksum-{algorithm}": base64.b64encode(CHECKSUMS[algorithm](content)).decode()}
    flipped = bytearray(content)
    flipped[position % len(content)] ^= 1 << position % 8

    found = find_corruption(bytes(flipped), headers, len(content))

    assert found == f"does not have its {algorithm.upper()} checksum"
    assert not find_corruption(content, headers, len(content))


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"},
        {"etag": f'"{"0" * 32}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"etag": f'"{"0" * 32}-2"'},
        {"etag": '"opaque"', "x-amz-checksum-sha256": "AAAA-3"},
    ],
)
def test_what_is_no_checksum_of_the_content_is_not_taken_for_one(headers: dict[str, str]) -> None:
    """ETags of KMS, customer keys and several parts, and composite checksums, say nothing about the bytes."""
    assert not find_corruption(b"content", headers, 7)


@pytest.mark.parametrize("encryption", [{}, {"x-amz-server-side-encryption": "AES256"}])
def test_an_etag_that_is_the_md5_is_verified(encryption: dict[str, str]) -> None:
    """Plain and SSE-S3 objects have their MD5 as ETag."""
    assert (
        find_corruption(b"content", {"etag": f'"{"0" * 32}"', **encryption}, 7) == "does not have the MD5 of its ETag"
    )


def test_a_checksum_that_cannot_be_decoded_does_not_hold() -> None:
    """A malformed header is a mismatch, not a crash."""
    assert find_corruption(b"content", {"x-amz-checksum-crc32": "%%%"}, 7) == "does not have its CRC32 checksum"
