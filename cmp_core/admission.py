"""Own the way into a request: its clock, its id and its slot come first, and only then what is heavy to load."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmp_core import reporting
from cmp_core.deadline import Deadline, Terminated, terminable
from cmp_core.environment import BuildEnvironment, bootstrap_settings, process_variables, read_application
from cmp_core.scratch import Scratch, request_id
from cmp_core.slots import Turn, take_slot
from cmp_core.store import state_directory
from cmp_core.summary import Summary


@contextmanager
def admitted(directory: Path, started: float | None = None) -> Iterator[BuildEnvironment]:
    """Let a request in when it is its turn, hold it to its deadline, and say in the end how it went.

    Nothing that is imported until the slot is there may load pydantic, PyYAML or an SDK: thirty requests may wait, and
    each of them is a process (``docs/explanation/performance.md``).

    Args:
        directory: The application's folder.
        started: When the process started, in seconds of the monotonic clock.

    Raises:
        CmpError: The request failed.
    """
    variables = process_variables()
    settings = bootstrap_settings(variables)
    application = read_application(variables)
    started = time.monotonic() if started is None else started
    summary = Summary(request_id(directory), application=application.name, project=application.project, started=started)
    deadline = Deadline(settings.timeout, started=started)
    reporting.configure(settings.log_level, settings.log_format, summary)
    try:
        with deadline.enforced(reporting.fail), terminable(lambda end: reporting.give_up(end, deadline.step)):
            state = state_directory(settings.state_directory, variables)
            begun = _continued_from(directory, state, started)
            if begun is not None:
                deadline.use(time.monotonic() - begun)
                summary.take_over({}, begun)
            # Who goes on has waited before.
            turn = Turn.NEW if begun is None else Turn.CONTINUED
            with summary.timed("wait"):
                slot = take_slot(state, settings.max_concurrency, turn, deadline)
            with slot, reporting.progress() as progress:
                environment = BuildEnvironment.from_environ(variables, deadline=deadline, summary=summary)
                yield environment.watched_by(progress)
        reporting.conclude(summary)
    except (Terminated, KeyboardInterrupt) as end:
        reporting.give_up(end, deadline.step)
        raise


def _continued_from(directory: Path, state: Path | None, started: float) -> float | None:
    """Return when the request began whose `init` has left its result, in seconds of the monotonic clock."""
    try:
        return Scratch(directory, state).continued_from(started)
    except OSError:
        return None
