"""Own the judgement on every answer: right, one clear error that something excuses, ended by its client, or wrong."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from e2e.soak.applications import Application, Manifests, canonical_answer
from e2e.soak.clients import OK, SECONDS, Answer
from e2e.soak.publishing import FLOATING, History
from e2e.soak.weather import Incidents, excused

from cmp_core import errors
from cmp_core.deadline import GRACE_SECONDS, TERMINATED
from cmp_core.errors import CmpError
from tools.versitygw import SECRET_KEY

Outcome = Literal["right", "own error", "excused error", "ended by client", "wrong"]

_PART_OF_PROCESS = 0.2  # of the slack, for a process to be woken by its alarm
_SERVER_MARGIN = 0.2  # seconds that argocd-cmp-server stops before the client's deadline, and a little more
_ENDED = (
    "signal: killed",
    "signal: terminated",
    f"failed exit status {TERMINATED}: ",  # SIGTERM to the process group was quicker than SIGKILL to the command
    "context deadline exceeded",
    "context canceled",
)
_FAILED_COMMAND = re.compile(r"`[^`]+ \w+` failed exit status (?P<code>\d+): (?P<said>.*)", re.DOTALL)
_LONGEST_ERROR = 4096  # bytes
_MOST_NAMES = 10


class Verdict(NamedTuple):
    """What an answer is, and where it is no manifest, why; `error` is the class of the error that it is."""

    outcome: Outcome
    reason: str = ""
    error: str = ""


class WrongAnswerError(Exception):
    """An answer that must never be; the text says why."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows what is right, and what went wrong meanwhile.

    Attributes:
        history: The states of the floating prefix.
        incidents: The faults.
        timeout: `CMP_TIMEOUT` of the sidecar, in seconds.
        slack: The seconds beyond that for what is not cmp-core: packing, unpacking, starting processes.
    """

    history: History
    incidents: Incidents
    timeout: float
    slack: float = 5.0

    def judge(self, answer: Answer) -> Verdict:
        """Return the verdict on one answer."""
        try:
            if answer.seconds > self.timeout + GRACE_SECONDS + self.slack:
                raise WrongAnswerError(f"it took {answer.seconds:.1f} s, and the deadline is {self.timeout:g} s")
            return self._judge_value(answer) if answer.code == OK else self._judge_error(answer)
        except WrongAnswerError as error:
            return Verdict("wrong", str(error))

    def _judge_value(self, answer: Answer) -> Verdict:
        request = answer.request
        if request.method == "generate":
            self._check_manifests(answer)
        elif request.method == "announce":
            _check_announcement(answer.value, request.application)
        else:
            right = (True, False) if request.method == "check" else (request.application.trigger is not None, True)
            if answer.value != right:
                raise WrongAnswerError(f"{request.method} says {answer.value}, and {right} is right")
        return Verdict("right")

    def _check_manifests(self, answer: Answer) -> None:
        application = answer.request.application
        if application.failure:
            raise WrongAnswerError(f"{len(answer.value)} manifests where {application.failure.error} is due")
        got = canonical_answer(answer.value)
        if application.name != FLOATING.name:
            if got != application.manifests:
                raise WrongAnswerError(_describe_difference(got, application.manifests))
            return
        states = self.history.between(answer.started, answer.finished)
        if not any(got == state.manifests for state in states):
            raise WrongAnswerError(_describe_mixture(got, [state.manifests for state in states], self.history))

    def _judge_error(self, answer: Answer) -> Verdict:
        if SECRET_KEY in answer.text:
            raise WrongAnswerError("the secret key stands in the error")
        if _is_ended_by_client(answer):
            return Verdict("ended by client")
        error = _read_error(answer)
        failure = answer.request.application.failure
        if failure and error.name == failure.error and failure.words in error.message:
            return Verdict("own error", error.message, error.name)
        self._check_excuse(answer, error)
        return Verdict("excused error", error.message, error.name)

    def _check_excuse(self, answer: Answer, error: "_Error") -> None:
        """Hold an error against what its application met: one that nothing explains is as wrong as a manifest."""
        if error.name == "DeadlineExceededError":
            self._check_deadline(answer, error)
            return
        application = answer.request.application
        met = self.incidents.kinds_for(application, answer.started, answer.finished)
        allowed = excused(met)
        if application.name == FLOATING.name and len(self.history.between(answer.started, answer.finished)) > 1:
            allowed.add("TransientFetchError")
        if error.name not in allowed:
            raise WrongAnswerError(f"nothing that this request met ({sorted(met)}) explains {error.name}")

    def _check_deadline(self, answer: Answer, error: "_Error") -> None:
        latest = self.timeout + GRACE_SECONDS + self.slack * _PART_OF_PROCESS
        if not self.timeout - 0.5 <= error.seconds <= latest:
            raise WrongAnswerError(
                f"it ran out of time after {error.seconds} s, and the deadline is {self.timeout:g} s"
            )
        if not self.incidents.has_any(answer.started - self.timeout, answer.finished):
            raise WrongAnswerError("it ran out of time, and nothing was wrong with anybody's requests")


class _Error(NamedTuple):
    """What cmp-core has said: the class of the error, its message, and the seconds since the request began."""

    name: str
    message: str
    seconds: float


def _read_error(answer: Answer) -> _Error:
    """Return the one clear error that an answer must be if it is no manifest."""
    found = _FAILED_COMMAND.search(answer.text)
    if not found:
        raise WrongAnswerError(f"{answer.code} is no error of cmp-core")
    lines = _read_lines(found["said"])
    failures = [line for line in lines if line["level"] == "error"]
    if len(failures) != 1 or failures[0] is not lines[-1]:
        raise WrongAnswerError(f"{len(failures)} lines of {len(lines)} are errors, and one at the end is right")
    (failure,) = failures
    # `parameters` is no request that is let in and timed; its exit code alone tells the class.
    name = failure.get("outcome") or _class_of(int(found["code"]))
    known = getattr(errors, name, None)
    if not (isinstance(known, type) and issubclass(known, CmpError)) or known is CmpError:
        raise WrongAnswerError(f"{name} is none of the errors that cmp-core explains")
    if known.exit_code != int(found["code"]) or failure.get("exitCode", known.exit_code) != known.exit_code:
        raise WrongAnswerError(f"{name} has the exit code {known.exit_code}, not {found['code']}")
    return _Error(name, failure["message"], failure.get("seconds", {}).get("total", 0.0))


def _read_lines(said: str) -> list[dict[str, Any]]:
    if len(said.encode()) > _LONGEST_ERROR:
        raise WrongAnswerError(f"the error has {len(said.encode())} bytes, and {_LONGEST_ERROR} are the most")
    try:
        lines = [json.loads(line) for line in said.splitlines()]
    except ValueError as error:
        raise WrongAnswerError("something that is not cmp-core's stands among its lines") from error
    if not lines or not all(isinstance(line, dict) and {"level", "message"} <= line.keys() for line in lines):
        raise WrongAnswerError("a line has no level or no message")
    return lines


def _class_of(exit_code: int) -> str:
    """Return the class for an announcement that fails: only what is written in Git can be wrong with it."""
    return "SourceValidationError" if exit_code == errors.SourceValidationError.exit_code else f"exit code {exit_code}"


def _is_ended_by_client(answer: Answer) -> bool:
    request = answer.request
    if request.cancelled_after is not None and answer.code == "CANCELLED":
        return answer.seconds >= request.cancelled_after
    is_late = answer.seconds >= request.seconds - _SERVER_MARGIN
    is_told = answer.code == "DEADLINE_EXCEEDED" or any(word in answer.text for word in _ENDED)
    return request.seconds < SECONDS and is_late and is_told


def _check_announcement(announcements: Sequence[Any], application: Application) -> None:
    if application.failure and application.failure.error == "SourceValidationError":
        raise WrongAnswerError("parameters are announced for a trigger file that is not valid")
    shown = {announcement.name: announcement.string for announcement in announcements}
    wrong = {name: shown.get(name) for name, value in application.announced.items() if shown.get(name) != value}
    if wrong:
        raise WrongAnswerError(f"announced {wrong}, and {dict(application.announced)} is right")


def _describe_difference(got: Manifests, right: Manifests) -> str:
    missing, extra = Counter(right) - Counter(got), Counter(got) - Counter(right)
    if not missing and not extra:
        return "all manifests are right, but not their order"
    return f"missing: {_names(missing)}; that must not be there: {_names(extra)}"


def _describe_mixture(got: Manifests, states: Sequence[Manifests], history: History) -> str:
    if any(got == state.manifests for state in history.states):
        return "a state of the floating prefix that it no longer or not yet had"
    nearest = max(states, key=lambda state: _count_common(state, got))
    return f"no state of the floating prefix; held against the nearest: {_describe_difference(got, nearest)}"


def _count_common(state: Manifests, got: Manifests) -> int:
    return sum((Counter(state) & Counter(got)).values())


def _names(manifests: Counter[str]) -> str:
    """Return the names and releases of some manifests, for the report."""
    told = []
    for text in list(manifests)[:_MOST_NAMES]:
        metadata = json.loads(text).get("metadata", {})
        told.append(f"{metadata.get('name')} of {metadata.get('labels', {}).get('release')}")
    more = len(manifests) - len(told)
    return (", ".join(told) or "none") + (f" and {more} more" if more else "")
