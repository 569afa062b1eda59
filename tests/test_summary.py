"""The summary: how long each step of a request took, over both of its processes."""

import time

from cmp_core.summary import Summary


def test_a_step_is_timed_once_it_begins() -> None:
    """None stands for a step that was never begun."""
    summary = Summary()

    with summary.timed("fetch"):
        time.sleep(0.05)

    seconds = summary.seconds
    assert seconds["fetch"] is not None
    assert 0.05 <= seconds["fetch"] < 5
    assert (seconds["wait"], seconds["render"]) == (None, None)


def test_a_step_that_fails_has_taken_its_time() -> None:
    """What went wrong may be that it took too long."""
    summary = Summary()

    try:
        with summary.timed("render"):
            time.sleep(0.05)
            raise KeyError
    except KeyError:
        seconds = summary.seconds

    assert seconds["render"] is not None
    assert seconds["render"] >= 0.05


def test_a_step_that_goes_on_counts_up_to_now() -> None:
    """The last words of a process come in the middle of one."""
    summary = Summary()

    with summary.timed("wait"):
        time.sleep(0.05)
        seconds = summary.seconds

    assert seconds["wait"] is not None
    assert seconds["wait"] >= 0.05


def test_the_total_counts_from_the_beginning() -> None:
    """Of the process, which is before its first step."""
    total = Summary(started=time.monotonic() - 7).seconds["total"]

    assert total is not None
    assert 7 <= total < 12


def test_two_processes_are_one_request() -> None:
    """Both have waited, the first has fetched, and the whole began with the first."""
    first = Summary(started=time.monotonic() - 30)
    for step in ("wait", "fetch"):
        with first.timed(step):
            time.sleep(0.05)
    second = Summary(started=time.monotonic() - 5)
    with second.timed("wait"):
        time.sleep(0.05)

    second.take_over(first.hand_over(), started=time.monotonic() - 30)

    seconds = second.seconds
    assert seconds["wait"] is not None
    assert seconds["wait"] >= 0.1
    assert seconds["fetch"] == first.seconds["fetch"]
    assert seconds["total"] is not None
    assert 30 <= seconds["total"] < 35
