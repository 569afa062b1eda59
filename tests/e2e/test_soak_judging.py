"""The judge of the soak accepts what is right or explained, and nothing else: every planted wrong answer is found."""

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from e2e.cmp_client import Announcement
from e2e.soak.applications import Manifests, canonical, make_applications, make_manifest
from e2e.soak.clients import Answer, Request
from e2e.soak.judging import Judge, Verdict
from e2e.soak.publishing import FLOATING, History, Publisher
from e2e.soak.weather import KINDS, OUTAGE, Incident, Incidents

from cmp_core import errors
from tools.versitygw import SECRET_KEY

APPLICATIONS = {one.name: one for one in make_applications(0.1)}
HUNDRED = APPLICATIONS["hundred"]
RIGHT = list(HUNDRED.manifests)
BEGAN, ENDED, TIMEOUT = 100.0, 104.0, 20.0


def judge(
    value: Any = None,
    *,
    text: str = "",
    code: str = "",
    request: Request | None = None,
    met: tuple[str, ...] = (),
    finished: float = ENDED,
) -> Verdict:
    """Return the verdict on an answer to whoever met these faults meanwhile; by default `hundred` is asked for."""
    request = request or Request("generate", HUNDRED)
    name = request.application.name
    faults = [Incident(BEGAN + 1, kind, "soak", f"{name}/00/0001.yaml") for kind in met if kind != OUTAGE]
    incidents = Incidents(faults, [(BEGAN + 1, BEGAN + 2)] if OUTAGE in met else [])
    answer = Answer(request, BEGAN, finished, code or ("UNKNOWN" if text else "OK"), text, value)
    return Judge(History(), incidents, TIMEOUT).judge(answer)


def error_text(
    name: str = "TransientFetchError", message: str = "s3://soak/hundred is busy: try again later", **fields: Any
) -> str:
    """Return what Argo CD shows where cmp-core ended with an error; `fields` change its last line."""
    code = getattr(errors, name, errors.CmpError).exit_code
    first = {"level": "info", "message": "fetching s3://soak/hundred for application hundred"}
    last = {"level": "error", "message": message, "outcome": name, "exitCode": code, "seconds": {"total": 3.5}}
    lines = "".join(f"{json.dumps(line)}\n" for line in (first, last | fields))
    return f"error generating manifests: `/opt/cmp-core/bin/cmp-core init` failed exit status {code}: {lines}"


@pytest.fixture
def history() -> History:
    """What a prefix has held that has seen two releases."""
    objects: dict[str, bytes] = {}
    publisher = Publisher(objects.__setitem__, objects.pop, Random(1))
    publisher.publish_first()
    publisher.publish()
    return publisher.history


def judge_floating(history: History, manifests: Manifests, *, since: float) -> Verdict:
    """Return the verdict on an answer of just now, about the floating prefix, to whoever asked at that moment."""
    answer = Answer(Request("generate", FLOATING), since, time.monotonic(), "OK", value=manifests)
    return Judge(history, Incidents(), TIMEOUT).judge(answer)


def without_one(manifests: list[str]) -> list[str]:
    """Lose an object."""
    return manifests[:7] + manifests[8:]


def with_one_twice(manifests: list[str]) -> list[str]:
    """Give an object twice."""
    return [*manifests, manifests[3]]


def with_a_strange_one(manifests: list[str]) -> list[str]:
    """Give another application's object in the place of one."""
    return [*manifests[:-1], canonical(make_manifest("two", 1))]


def with_a_changed_value(manifests: list[str]) -> list[str]:
    """Read `"no"` as Go's library reads it without quotes."""
    return [text.replace('"yes":"no"', '"yes":false') for text in manifests]


def out_of_order(manifests: list[str]) -> list[str]:
    """Swap two objects."""
    return [manifests[1], manifests[0], *manifests[2:]]


def none_at_all(_: list[str]) -> list[str]:
    """Give an empty result, after which Argo CD would prune everything."""
    return []


def test_the_right_manifests_are_right_however_they_are_written() -> None:
    """What counts is the object: the order of its keys is nobody's promise."""
    verdict = judge([json.dumps(json.loads(text), indent=1) for text in RIGHT])

    assert verdict == Verdict("right")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_one, "missing: hundred-0015 of r0; that must not be there: none"),
        (with_one_twice, "missing: none; that must not be there: hundred-0012 of r0"),
        (with_a_strange_one, "that must not be there: two-0001 of r0"),
        (with_a_changed_value, "missing: hundred-0001 of r0"),
        (out_of_order, "not their order"),
        (none_at_all, "and 3 more"),
    ],
)
def test_anything_but_the_right_manifests_is_wrong(spoil: Callable[[list[str]], list[str]], reason: str) -> None:
    """No fault excuses an answer that is no error and not whole."""
    verdict = judge(spoil(RIGHT), met=tuple(KINDS))

    assert verdict.outcome == "wrong"
    assert reason in verdict.reason


def test_manifests_where_an_error_is_due_are_wrong() -> None:
    """A broken file must not be left out in silence."""
    verdict = judge([canonical(make_manifest("broken", 0))], request=Request("generate", APPLICATIONS["broken"]))

    assert verdict == Verdict("wrong", "1 manifests where RenderError is due")


def test_every_state_that_the_floating_prefix_had_is_right(history: History) -> None:
    """A writer replaces, adds and deletes: whatever existed at one moment of the request may come out."""
    asked = history.states[0].began

    verdicts = [judge_floating(history, state.manifests, since=asked) for state in history.states]

    assert len(verdicts) == 7
    assert set(verdicts) == {Verdict("right")}


def test_a_mixture_of_two_states_is_wrong(history: History) -> None:
    """One object of before and one of after, which the prefix never held together, are a release that nobody made."""
    first, last = history.states[0].manifests, history.states[-1].manifests
    mixture = (*first[:30], *last[30:])

    verdict = judge_floating(history, mixture, since=history.states[0].began)

    assert verdict.outcome == "wrong"
    assert "no state of the floating prefix" in verdict.reason


def test_a_state_of_before_the_request_is_wrong(history: History) -> None:
    """What was replaced before anybody asked must not come out of a store or of an old listing."""
    verdict = judge_floating(history, history.states[0].manifests, since=time.monotonic())

    assert verdict == Verdict("wrong", "a state of the floating prefix that it no longer or not yet had")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].excuses])
def test_a_fault_excuses_its_own_errors_and_no_others(kind: str) -> None:
    """Busy, denied and damaged are told apart, however many requests fail at once."""
    names = ("TransientFetchError", "SourceAccessError", "IntegrityError", "FetchError", "SourceNotFoundError")

    excused = {name for name in names if judge(text=error_text(name), met=(kind,)).outcome == "excused error"}

    assert excused == KINDS[kind].excuses


@pytest.mark.parametrize("met", [(), ("late by 1.5 s",)])
def test_an_error_that_nothing_excuses_is_wrong(met: tuple[str, ...]) -> None:
    """Whoever met nothing, or only a late answer, gets manifests."""
    verdict = judge(text=error_text(), met=met)

    assert verdict.outcome == "wrong"
    assert "explains TransientFetchError" in verdict.reason


def test_what_another_application_met_excuses_nothing() -> None:
    """A fault hits one request; the others that run meanwhile have no part in it."""
    fault = Incident(BEGAN + 1, "503 without a body", "soak", "pages/00/0001.yaml")
    answer = Answer(Request("generate", APPLICATIONS["page"]), BEGAN, ENDED, "UNKNOWN", error_text())

    verdict = Judge(History(), Incidents([fault]), TIMEOUT).judge(answer)

    assert verdict.outcome == "wrong"


def test_an_outage_excuses_that_nobody_answers() -> None:
    """While the port is closed, an error worth another try is due."""
    assert judge(text=error_text(), met=(OUTAGE,)).outcome == "excused error"
    assert judge(text=error_text("IntegrityError"), met=(OUTAGE,)).outcome == "wrong"


def test_the_error_that_an_application_deserves_needs_no_excuse_and_names_what_is_wrong() -> None:
    """The right class is not enough: whoever reads it must learn which file it is."""
    request = Request("generate", APPLICATIONS["broken"])

    verdicts = [
        judge(text=error_text(name, message), request=request).outcome
        for name, message in (
            ("RenderError", "bad.yaml:1: this is not valid YAML: correct it"),
            ("RenderError", "good.yaml:1: this is not valid YAML: correct it"),
            ("SourceNotFoundError", "bad.yaml: it is gone: upload it"),
        )
    ]

    assert verdicts == ["own error", "wrong", "wrong"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (error_text(message=f"the key {SECRET_KEY} is wrong"), "the secret key"),
        (error_text("CmpError", "defect in cmp-core: KeyError: 'a'"), "none of the errors"),
        (error_text("NoSuchError"), "none of the errors"),
        (error_text(exitCode=1), "has the exit code 75"),
        (error_text().replace("status 75", "status 1"), "has the exit code 75"),
        (error_text(message="long" * 1024), "4096 are the most"),
        (error_text(level="info"), "0 lines of 2 are errors"),
        (f'{error_text()}{{"level": "error", "message": "and another"}}\n', "2 lines of 3 are errors"),
        (f"{error_text()}Traceback (most recent call last):\n", "not cmp-core's"),
        ("error generating manifests: out of memory", "UNKNOWN is no error of cmp-core"),
    ],
)
def test_an_error_that_is_not_one_clear_error_is_wrong(text: str, reason: str) -> None:
    """Faults excuse a class of error, and never a defect, a second error, a stray line or a secret."""
    verdict = judge(text=text, met=("500 InternalError",))

    assert verdict.outcome == "wrong"
    assert reason in verdict.reason


def test_no_answer_may_come_after_the_deadline() -> None:
    """Even the right manifests are wrong then: nobody waits for them any more."""
    assert judge(RIGHT, finished=BEGAN + TIMEOUT).outcome == "right"
    assert judge(RIGHT, finished=BEGAN + TIMEOUT + 10).outcome == "wrong"


def test_running_out_of_time_needs_the_time_to_have_run_out_and_a_fault() -> None:
    """An early or a groundless end at the deadline is a wrong answer like any other."""
    spent, early = (error_text("DeadlineExceededError", seconds={"total": total}) for total in (TIMEOUT, 3.0))

    assert judge(text=spent, finished=BEGAN + TIMEOUT, met=("trickle of 1 kB/s",)).outcome == "excused error"
    assert judge(text=spent, finished=BEGAN + TIMEOUT).outcome == "wrong"
    assert judge(text=early, finished=BEGAN + 3, met=("trickle of 1 kB/s",)).outcome == "wrong"


def test_only_a_client_that_went_away_may_end_a_request() -> None:
    """A killed process and a cancelled call are nobody's answer to a patient client."""
    killed = "error generating manifests: `cmp-core generate` failed signal: killed: "
    hurried = Request("generate", HUNDRED, seconds=2.0)
    fickle = Request("generate", HUNDRED, cancelled_after=2.0)
    told = "error generating manifests: `cmp-core init` failed exit status 143: stopped by SIGTERM while waiting"

    assert judge(text=killed, request=hurried, finished=BEGAN + 2).outcome == "ended by client"
    assert judge(text=told, request=hurried, finished=BEGAN + 2).outcome == "ended by client"
    assert judge(text=told, request=hurried, finished=BEGAN + 1).outcome == "wrong"
    assert judge(text=told).outcome == "wrong"
    assert judge(text="cancelled", code="CANCELLED", request=fickle, finished=BEGAN + 2.1).outcome == "ended by client"
    assert judge(text=killed, request=hurried, finished=BEGAN + 1).outcome == "wrong"
    assert judge(text="cancelled", code="CANCELLED", request=fickle, finished=BEGAN + 1).outcome == "wrong"
    assert judge(text=killed).outcome == "wrong"
    assert judge(text="cancelled", code="CANCELLED").outcome == "wrong"


@pytest.mark.parametrize(
    ("name", "value", "outcome"),
    [
        ("two", (True, True), "right"),
        ("two", (False, True), "wrong"),
        ("two", (True, False), "wrong"),
        ("not-ours", (False, True), "right"),
        ("not-ours", (True, True), "wrong"),
    ],
)
def test_a_folder_is_ours_exactly_where_its_trigger_file_is(name: str, value: tuple[bool, bool], outcome: str) -> None:
    """Discovery that fails hands an application to Argo CD's plain rendering without a word."""
    assert judge(value, request=Request("match", APPLICATIONS[name])).outcome == outcome


def test_the_announcement_shows_what_the_trigger_file_says() -> None:
    """A value that is missing or another's is wrong, and so is an announcement for an invalid trigger file."""
    request = Request("announce", HUNDRED)
    right = [announcement(name, text) for name, text in HUNDRED.announced.items()]

    assert judge(right, request=request).outcome == "right"
    assert judge(right[1:], request=request).outcome == "wrong"
    assert judge([announcement("bucket", "another"), *right[1:]], request=request).outcome == "wrong"
    assert judge(right, request=Request("announce", APPLICATIONS["misspelt"])).outcome == "wrong"


def announcement(name: str, value: str) -> Announcement:
    """Return the announcement of one parameter."""
    return Announcement(
        name, name, "", required=False, item_type="", collection_type="string", string=value, array=[], map={}
    )
