"""Own the start-up times: how long commands take in the image, with the bytecode that it brings and without."""

import json
import subprocess
from collections.abc import Mapping, Sequence

from tools.image.build import NAME
from tools.image.containers import environment, sandboxed
from tools.live_argocd.deployed import INSTALLED_COMMAND

RUNS = 30
PYTHON = "/opt/cmp-core/bin/python"
COMMANDS: Mapping[str, Sequence[str]] = {
    "Python alone": (PYTHON, "-IS", "-c", "pass"),
    "`cmp-core version`": (INSTALLED_COMMAND, "version"),
    "`cmp-core backends`": (INSTALLED_COMMAND, "backends"),
    "`cmp-core backends` without bytecode": (PYTHON, "-X", "pycache_prefix=/tmp/none", INSTALLED_COMMAND, "backends"),
}
_TIMER = """
import json, subprocess, sys, time
runs, *command = sys.argv[1:]
found = []
for _ in range(int(runs)):
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found.append(time.perf_counter() - started)
print(json.dumps(found))
"""


def table() -> str:
    """Return a table of the shortest and the median of some runs, in milliseconds."""
    rows = [f"| {name} | {milliseconds(times(command))} |" for name, command in COMMANDS.items()]
    return "\n".join([f"| Command | shortest of {RUNS} (median) |", "| --- | --- |", *rows, ""])


def times(command: Sequence[str]) -> list[float]:
    """Return how many seconds each of some runs of a command has taken in a container of the image."""
    options = [f"--entrypoint={PYTHON}"]
    words = [*sandboxed(network="none", options=options), NAME, "-ISc", _TIMER, str(RUNS), *command]
    answer = subprocess.run(words, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    found: list[float] = json.loads(answer.stdout)
    return sorted(found)


def milliseconds(found: Sequence[float]) -> str:
    """Return the shortest and the median time for a reader."""
    return f"{1000 * found[0]:.0f} ms ({1000 * found[len(found) // 2]:.0f})"
