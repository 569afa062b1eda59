"""What can get better is asked for again: a bounded number of times, within the deadline, and told in one line."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from cmp_backend_s3 import retrying
from cmp_backend_s3.failures import Call
from cmp_backend_s3.retrying import Retries, longest_pause
from hypothesis import given
from hypothesis import strategies as st

from cmp_core import CmpError, Deadline, DeadlineExceededError, FetchError, SourceAccessError, TransientFetchError

ATTEMPTS = 3


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of the time."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE", retrying.FIRST_PAUSE / 10)


def failing(faults: Any, reply: Any, times: int = 10**6) -> Callable[..., Any]:
    """Return a script that fails the first requests for objects, and lets listings through."""
    replies = iter([reply] * times if times < 10**6 else iter(lambda: reply, None))
    return lambda request, _: None if request.is_listing else next(replies, None)


@pytest.mark.parametrize(
    ("status", "code", "error_class", "asked"),
    [
        (503, "SlowDown", TransientFetchError, ATTEMPTS),
        (500, "InternalError", TransientFetchError, ATTEMPTS),
        (429, "TooManyRequests", TransientFetchError, ATTEMPTS),
        (400, "RequestTimeout", TransientFetchError, ATTEMPTS),
        (403, "AccessDenied", SourceAccessError, 1),
        (400, "ExpiredToken", SourceAccessError, 1),
        (403, "RequestTimeTooSkewed", SourceAccessError, 1),
        (403, "InvalidObjectState", FetchError, 1),
        (418, "Teapot", FetchError, 1),
    ],
)
def test_an_object_is_asked_for_as_often_as_it_can_help(
    put: Any,
    fetch_source: Any,
    faults: Any,
    make_environment: Any,
    *,
    status: int,
    code: str,
    error_class: type[CmpError],
    asked: int,
) -> None:
    """`maxAttempts` requests in all for what can get better, and one for what cannot."""
    put({"p/a.yaml": b"a"})
    faults.script = failing(faults, faults.Reply.error(status, code))

    with pytest.raises(error_class) as refused:
        fetch_source("p", make_environment(max_attempts=ATTEMPTS))

    assert type(refused.value) is error_class
    assert len(faults.gets) == asked


def test_a_body_that_breaks_off_is_asked_for_that_often(
    put: Any, fetch_source: Any, faults: Any, make_environment: Any
) -> None:
    """The tries of the SDK and our own are the same ones, and do not multiply."""
    put({"p/a.yaml": b"a" * 100})
    faults.script = failing(faults, faults.Reply(200, b"a" * 100, sent=50))

    with pytest.raises(TransientFetchError, match="broke off"):
        fetch_source("p", make_environment(max_attempts=ATTEMPTS))

    assert len(faults.gets) == ATTEMPTS


def test_a_listing_that_breaks_off_is_asked_for_that_often(
    fetch_source: Any, faults: Any, make_environment: Any
) -> None:
    """A listing's body counts like an object's."""
    faults.script = lambda *_: faults.Reply(200, b"<ListBucketResult>" + b" " * 100, sent=50)

    with pytest.raises(TransientFetchError, match="broke off"):
        fetch_source("p", make_environment(max_attempts=ATTEMPTS))

    assert len(faults.listings) == ATTEMPTS


def test_what_was_asked_again_is_told_in_one_line_of_the_log(
    put: Any, fetch_source: Any, faults: Any, make_environment: Any, *, caplog: pytest.LogCaptureFixture
) -> None:
    """A fetch that came through in the end says how often, what and why, the commonest first."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})
    replies = iter([faults.Reply.error(500, "InternalError")])
    objects = failing(faults, faults.Reply.error(503, "SlowDown"), 3)
    faults.script = lambda request, forward: next(replies, None) if request.is_listing else objects(request, forward)

    with caplog.at_level(logging.INFO, "cmp_core"):
        fetch_source("p", make_environment(max_attempts=5))

    told = [record.message for record in caplog.records if "asked again" in record.message]
    assert told == ["asked again 4 times: s3:GetObject SlowDown (3), s3:ListBucket InternalError (1)"]


def test_what_was_asked_again_is_told_in_the_error(
    put: Any, fetch_source: Any, faults: Any, make_environment: Any, *, caplog: pytest.LogCaptureFixture
) -> None:
    """The error ends with the line, which the log does not say a second time."""
    put({"p/a.yaml": b"a"})
    faults.script = failing(faults, faults.Reply.error(503, "SlowDown"))

    with caplog.at_level(logging.INFO, "cmp_core"), pytest.raises(TransientFetchError) as refused:
        fetch_source("p", make_environment(max_attempts=ATTEMPTS))

    assert str(refused.value).endswith(" (asked again 2 times: s3:GetObject SlowDown)")
    assert "asked again" not in caplog.text


def test_the_deadline_tells_what_was_asked_again(fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """When the time runs out during a try, the tries before it are told all the same."""
    replies = iter([faults.Reply.error(503, "SlowDown")])
    faults.script = lambda *_: next(replies, faults.Reply(200, b"never sent", sent=0, stalls=True))

    with pytest.raises(DeadlineExceededError, match=r"asked again once: s3:ListBucket SlowDown"):
        fetch_source("p", make_environment(max_attempts=ATTEMPTS, timeout=1, read_timeout=30))


def test_the_step_of_the_deadline_may_change_in_between() -> None:
    """What was asked again is told beside whatever is being done, once."""
    deadline = Deadline(60)
    retries = Retries(9, deadline)
    deadline.step = "fetching"
    for _ in range(2):
        retries.count(Call("s3:GetObject", "b"), "SlowDown")
    assert deadline.step == "fetching (asked again 2 times: s3:GetObject SlowDown)"

    deadline.step = "fetching once more"
    retries.count(Call("s3:GetObject", "b"), "SlowDown")

    assert deadline.step == "fetching once more (asked again 3 times: s3:GetObject SlowDown)"


def test_no_pause_outlasts_the_deadline(fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """Where the time left is shorter than the pause, the last failure is told at once."""
    faults.script = lambda *_: faults.Reply.error(503, "SlowDown", **{"Retry-After": "4"})
    begin = time.monotonic()

    with pytest.raises(TransientFetchError, match=r"was throttled \(SlowDown\)"):
        fetch_source("p", make_environment(max_attempts=10, timeout=3))

    assert len(faults.requests) == 1
    assert time.monotonic() - begin < 3


def test_the_service_may_ask_for_patience(put: Any, fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """`Retry-After` is kept, in seconds."""
    put({"p/a.yaml": b"a"})
    faults.script = failing(faults, faults.Reply.error(503, "SlowDown", **{"Retry-After": "1"}), 1)
    begin = time.monotonic()

    fetch_source("p", make_environment(max_attempts=2))

    assert 1 <= time.monotonic() - begin < 20


@pytest.mark.parametrize("patience", ["3600", "-1", "nan", "inf", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 5000])
def test_no_header_holds_a_request(
    put: Any, fetch_source: Any, faults: Any, *, make_environment: Any, monkeypatch: pytest.MonkeyPatch, patience: str
) -> None:
    """A `Retry-After` longer than the longest pause waits for that; one that is no number is ignored."""
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.5)
    put({"p/a.yaml": b"a"})
    faults.script = failing(faults, faults.Reply.error(503, "SlowDown", **{"Retry-After": patience}), 1)
    begin = time.monotonic()

    fetch_source("p", make_environment(max_attempts=2))

    assert time.monotonic() - begin < 20


@given(st.integers(min_value=1, max_value=10**6))
def test_pauses_double_up_to_a_bound(attempt: int) -> None:
    """The longest pause before each try is known, whatever the number of tries."""
    assert longest_pause(attempt) == min(retrying.LONGEST_PAUSE, retrying.FIRST_PAUSE * 2 ** min(attempt - 1, 60))


def test_the_jitter_is_full() -> None:
    """Pauses are spread from nothing to the longest, so that many sidecars do not ask at one moment."""
    retries = Retries(9, Deadline(60))

    pauses = [retries.choose_pause(3, 0.0) / longest_pause(3) for _ in range(2000)]

    assert 0 <= min(pauses) < 0.05
    assert 0.95 < max(pauses) <= 1
    assert 0.45 < sum(pauses) / len(pauses) < 0.55


def test_many_kinds_of_failures_stay_one_short_line() -> None:
    """Three kinds are named and the rest is counted, since the line stands in Argo CD's UI."""
    retries = Retries(9, Deadline(60))
    for number in range(50):
        for _ in range(number + 1):
            retries.count(Call("s3:GetObject", "b"), f"Code{number}")

    assert str(retries) == (
        "asked again 1,275 times: s3:GetObject Code49 (50), s3:GetObject Code48 (49), s3:GetObject Code47 (48), "
        "others (1,128)"
    )


def test_one_failure_is_told_without_figures() -> None:
    """Singular and plural are told apart, and nothing is said where nothing was asked again."""
    retries = Retries(9, Deadline(60))
    assert str(retries) == ""

    retries.count(Call("s3:GetObject", "b"), "SlowDown")
    assert str(retries) == "asked again once: s3:GetObject SlowDown"

    retries.count(Call("s3:GetObject", "b"), "SlowDown")
    assert str(retries) == "asked again 2 times: s3:GetObject SlowDown"
