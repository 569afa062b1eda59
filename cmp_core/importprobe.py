"""Own the loading of one backend in a process of its own: what it loads, what it does besides, and how long it takes.

`cmp_core.inspection` runs this file as a script, with the working directory that an attacker would fill. The argument
is a JSON object: `backend`, the fields of an `InstalledBackend`; `path`, the folders that modules are found in; and
`sites`, those that backends are found in. The answer on stdout is a JSON object too.
"""

import contextlib
import importlib
import json
import os
import site
import sys
import threading
import time
from pathlib import Path
from typing import Any

RESULT = 1
"""The descriptor of the answer, as it is when the process starts."""

_DEEDS = {
    "os.exec": "starts a program",
    "os.fork": "starts a process",
    "os.link": "changes the disk",
    "os.mkdir": "changes the disk",
    "os.posix_spawn": "starts a program",
    "os.remove": "changes the disk",
    "os.rename": "changes the disk",
    "os.rmdir": "changes the disk",
    "os.symlink": "changes the disk",
    "os.system": "starts a program",
    "socket.__new__": "opens a socket",
    "socket.getaddrinfo": "asks for an address",
    "socket.gethostbyname": "asks for an address",
    "subprocess.Popen": "starts a program",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Import the module, ask it for its model, and return what came of it.

    Returns:
        `seconds`: how long the import took; `packages`: what is loaded afterwards; `deeds`: what it did besides, a
        clause each; `problem`: why it cannot be imported, or nothing.
    """
    # The host's own modules are loaded anyway: they are not counted.
    from cmp_core.errors import CmpError  # noqa: PLC0415  # see above
    from cmp_core.installed import InstalledBackend  # noqa: PLC0415  # as above
    from cmp_core.manager import load_backend  # noqa: PLC0415  # as above

    installed = InstalledBackend(**request["backend"])
    here = str(Path.cwd())
    deeds: dict[str, None] = {}
    is_over = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if is_over:
            return
        if event in _DEEDS:
            deeds[_DEEDS[event]] = None
        elif event == "open" and isinstance(arguments[0], str | bytes) and (deed := _opened(arguments, here)):
            deeds[deed] = None

    sys.addaudithook(watch)
    started = time.perf_counter()
    problem = ""
    try:
        importlib.import_module(installed.target.partition(":")[0])
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
    seconds = time.perf_counter() - started
    with contextlib.suppress(CmpError):  # what is wrong with its hooks is told by whoever loads it
        load_backend(installed)
    is_over = True
    if threading.active_count() > 1:
        deeds["starts a thread"] = None
    if any(not Path(entry).is_absolute() or entry == here for entry in sys.path):
        deeds["adds the working directory to the module path"] = None
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    return {"seconds": seconds, "packages": packages, "deeds": list(deeds), "problem": problem}


def _opened(arguments: tuple[Any, ...], here: str) -> str:
    """Return what opening a file means, if it is more than reading what is installed."""
    path, _mode, flags = arguments
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  # `Path.resolve` would open files itself
    if flags & _WRITING and name != os.devnull:
        return f"writes {name}"
    return f"reads `{os.path.relpath(name, here)}` in the working directory" if name.startswith(f"{here}/") else ""


if __name__ == "__main__":
    answer = os.dup(RESULT)
    os.dup2(os.open(os.devnull, os.O_WRONLY), RESULT)  # what the module prints is no part of the answer
    asked = json.loads(sys.argv[1])
    sys.path[:] = asked["path"]
    site.getsitepackages = lambda *_: asked["sites"]
    os.write(answer, json.dumps(main(asked)).encode())
    os._exit(0)
