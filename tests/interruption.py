"""Own the interruption of a call by a signal at every point at which Python could let one in."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from cmp_core.deadline import Terminated

MOST_POINTS = 10_000

_REACHED, _PASSED, _BROKEN = 0, 1, 2


def interrupted_everywhere(call: Callable[[], object]) -> Iterator[int]:
    """Run the call in one process after the other, each interrupted at the next point of it; yield after each of them.

    Python lets a signal in between any two of its own instructions; here that is before every line and before every
    return, in whatever module. The clean-up that follows is not interrupted: no second signal comes. In the last
    process the call runs to its end.
    """
    for point in range(1, MOST_POINTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the child only makes this call, and ends
            child = os.fork()
        if not child:
            os._exit(_run_to(point, call))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in {_REACHED, _PASSED}, f"at point {point}: exit code {code}"
        yield point
        if code == _PASSED:
            return
    raise AssertionError(f"the call has more than {MOST_POINTS} points")


def _run_to(point: int, call: Callable[[], object]) -> int:
    passed = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal passed
        passed += event in {"line", "return"}
        if passed == point:
            sys.settrace(None)
            raise Terminated
        return trace

    sys.settrace(trace)
    try:
        call()
    except Terminated:
        return _REACHED
    except BaseException:  # noqa: BLE001  # nothing may go on in the child
        traceback.print_exc()
        return _BROKEN
    finally:
        sys.settrace(None)
    return _PASSED if passed < point else _BROKEN
