"""Own the command line: what each command takes and prints, and the exit code it ends with."""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cmp_core.commandline import DIRECTORY, Argument, Command, HelpRequested, Write, make_parser
from cmp_core.deadline import INTERRUPTED, TERMINATED, Terminated, terminate
from cmp_core.errors import CmpError, OutputError
from cmp_core.shortage import shortage_behind

if TYPE_CHECKING:
    from cmp_core.environment import BuildEnvironment

STDIN = 0
STDOUT = 1
STDERR = 2


def console() -> NoReturn:
    """Run as the console script ``cmp-core``.

    Standard output is kept for the result alone. The process ends without tearing down the
    interpreter, which costs a loaded SDK a tenth of a second.
    """
    started = time.monotonic()
    sys.path[:] = [entry for entry in sys.path if Path(entry).is_absolute()]
    signal.signal(signal.SIGTERM, terminate)
    sys.unraisablehook = _log_unraisable
    result = _claim_stdout()
    code = main(sys.argv[1:], lambda content: write_all(result, content), started)
    os._exit(code)


def _claim_stdout() -> int:
    """Return a descriptor for the result alone; -1 where stdout is closed.

    What a library prints goes nowhere: on stdout it would become a field of the first object, and on stderr it would
    go past the redaction. A descriptor below 3 that is closed would be given to the next file that is opened, and
    what is meant for people would land in it: so these are all opened first.
    """
    try:
        result = fcntl.fcntl(STDOUT, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    except OSError:
        result = -1
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)
    return result


def main(arguments: Sequence[str], write: Write, started: float | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after ``cmp-core``.
        write: Takes the command's result, whole and once.
        started: When the process started, in seconds of the monotonic clock; by default now.
    """
    try:
        try:
            options = build_parser().parse_args(arguments, argparse.Namespace(started=started))
        except HelpRequested as help_text:
            write(str(help_text).encode())
        else:
            return options.run(options, write) or 0
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED
    except CmpError as error:
        return _fail(error)
    except BaseException as error:  # noqa: BLE001  # also SystemExit: a library's exit(0) must not pass for success
        defect = CmpError(f"defect in cmp-core: {type(error).__name__}: {error}: please report it")
        defect.__cause__ = error
        return _fail(defect)
    return 0


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content` and close the descriptor.

    Raises:
        OutputError: The reader is gone or the disk is full.
    """
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.close(descriptor)
    except OSError as error:
        raise OutputError(
            f"stdout did not take the result ({error.strerror}): run again with a reader that takes all of it"
        ) from error


def _log_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    """Keep an error in a finaliser for ``debug``: Python would write it to stderr, past the redaction."""
    import logging  # noqa: PLC0415  # `version` and `discover` do without logging

    logging.getLogger("cmp_core").debug("cannot be raised: %r", failure.exc_value, exc_info=failure.exc_value)


def _fail(error: CmpError) -> int:
    from cmp_core import reporting  # noqa: PLC0415  # `version` and `discover` do without logging

    told = shortage_behind(error) or error
    reporting.fail(told)
    return told.exit_code


@contextmanager
def _environment() -> Iterator["BuildEnvironment"]:
    """Set up what a command needs that reads a trigger file and fetches nothing, and hold it to the deadline."""
    from cmp_core import reporting  # noqa: PLC0415  # `version` and `discover` do without pydantic
    from cmp_core.environment import BuildEnvironment  # noqa: PLC0415  # as above

    environment = BuildEnvironment.from_environ()
    reporting.configure(environment.settings.log_level, environment.settings.log_format)
    with reporting.progress() as progress, environment.deadline.enforced(reporting.fail):
        yield environment.watched_by(progress)


def _init(options: argparse.Namespace, _write: Write) -> None:
    from cmp_core.admission import admitted  # noqa: PLC0415  # only what is needed

    with admitted(options.directory, options.started) as environment:
        from cmp_core import pipeline  # noqa: PLC0415  # loads pydantic and pluggy, which are for those who are in

        pipeline.init(options.directory, environment)


def _generate(options: argparse.Namespace, write: Write) -> None:
    from cmp_core.admission import admitted  # noqa: PLC0415  # only what is needed

    with admitted(options.directory, options.started) as environment:
        from cmp_core import pipeline  # noqa: PLC0415  # as above

        write(pipeline.generate(options.directory, environment))


def _discover(options: argparse.Namespace, write: Write) -> None:
    from cmp_core.environment import check_settings  # noqa: PLC0415  # only what is needed
    from cmp_core.installed import installed_backends  # noqa: PLC0415  # as above

    check_settings()
    names = (backend.trigger_file for backend in installed_backends())
    found = next((name for name in names if (options.directory / name).is_file()), None)
    write(f"{found}\n".encode() if found else b"")


def _parameters(options: argparse.Namespace, write: Write) -> None:
    from cmp_core import offline  # noqa: PLC0415  # loads pydantic and pluggy

    with _environment() as environment:
        _write_json(write, offline.announce(options.directory, environment))


def _validate(options: argparse.Namespace, write: Write) -> None:
    from cmp_core import offline  # noqa: PLC0415  # loads pydantic and pluggy

    with _environment() as environment:
        valid = offline.validate_sources(options.paths or [options.directory], environment)
    write("".join(f"{path}: valid: {location}\n" for path, location in valid).encode("utf-8", "surrogateescape"))


def _schema(options: argparse.Namespace, write: Write) -> None:
    from cmp_core import offline  # noqa: PLC0415  # loads pydantic and pluggy

    with _environment():
        _write_json(write, offline.schema_of(options.backend))


def _doctor(options: argparse.Namespace, write: Write) -> int:
    from cmp_core import doctor, reporting  # noqa: PLC0415  # loads pydantic and pluggy

    surroundings = doctor.Surroundings.from_environ()
    reporting.configure(surroundings.environment.settings.log_level, surroundings.environment.settings.log_format)
    report = doctor.open_report()

    def tell() -> None:
        write((report.as_json() if options.output == "json" else report.as_text()).encode())

    doctor.diagnose(options.folder, surroundings, report, last_words=tell)
    tell()
    return report.exit_code


def _backends(options: argparse.Namespace, write: Write) -> int:
    if options.check is not None:
        return _check_backend(options, write)
    from cmp_core.environment import check_settings  # noqa: PLC0415  # only what is needed
    from cmp_core.installed import installed_backends  # noqa: PLC0415  # as above

    check_settings()
    keys = ("name", "triggerFile", "distribution", "version")
    rows = [(b.name, b.trigger_file, b.distribution, b.version) for b in installed_backends()]
    if options.output == "json":
        _write_json(write, [dict(zip(keys, row, strict=True)) for row in rows])
        return 0
    table = [("NAME", "TRIGGER FILE", "DISTRIBUTION", "VERSION"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    write("".join(f"{line}\n" for line in lines).encode())
    return 0


def _check_backend(options: argparse.Namespace, write: Write) -> int:
    from cmp_core import doctor, inspection  # noqa: PLC0415  # loads pydantic and pluggy

    report = doctor.open_report()
    with _environment() as environment:
        environment.deadline.step = f"checking backend `{options.check}`"
        for finding in inspection.inspect_backend(options.check, environment):
            report.add(finding)
    write((report.as_json() if options.output == "json" else report.as_text()).encode())
    return report.exit_code


def _new_backend(options: argparse.Namespace, write: Write) -> None:
    import shlex  # noqa: PLC0415  # only what is needed

    from cmp_core.environment import check_settings  # noqa: PLC0415  # as above
    from cmp_core.installed import installed_backends  # noqa: PLC0415  # as above
    from cmp_core.newbackend import name_backend, write_backend  # noqa: PLC0415  # as above

    check_settings()
    backend = name_backend(options.name, installed_backends())
    count = write_backend(backend, options.target)
    told = (
        f"{options.target}: wrote {backend.distribution} for {backend.trigger_file}, {count} files. Now run:",
        f"  cd {shlex.quote(str(options.target))}",
        "  uv run pytest",
    )
    write("".join(f"{line}\n" for line in told).encode("utf-8", "surrogateescape"))


def _version(_options: argparse.Namespace, write: Write) -> None:
    from importlib.metadata import version  # noqa: PLC0415  # only what is needed

    from cmp_core.environment import check_settings  # noqa: PLC0415  # as above

    check_settings()
    write(f"cmp-core {version('cmp-core')}\n".encode())


def _write_json(write: Write, value: object) -> None:
    write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


_FOLDER = Argument(
    ("folder",),
    {
        "metavar": "DIR",
        "nargs": "?",
        "type": Path,
        "help": "the application's folder, with its trigger file (default: the working directory, with or without one)",
    },
)
_OUTPUT = Argument(("-o", "--output"), {"choices": ("text", "json"), "default": "text", "help": "how to print it"})
_PATHS = Argument(
    ("paths",), {"metavar": "PATH", "nargs": "*", "type": Path, "help": "trigger files or folders that hold one"}
)
_BACKEND = Argument(
    ("backend",), {"metavar": "BACKEND", "nargs": "?", "help": "one backend (default: any that is installed)"}
)
_CHECK = Argument(
    ("--check",),
    {
        "metavar": "NAME",
        "help": "check one backend without a source: its import, its hooks, its schema, its parameters",
    },
)
_NAME = Argument(
    ("name",),
    {
        "metavar": "NAME",
        "help": "the backend's name, the prefix of its trigger file: small letters, digits, hyphens",
    },
)
_TARGET = Argument(
    ("target",), {"metavar": "DIR", "type": Path, "help": "the folder to write: one that does not exist or is empty"}
)
_COMMANDS = (
    Command("init", _init, "Fetch what the trigger file names and keep it for generate", "cmp-core init"),
    Command("generate", _generate, "Print the manifests, all of them or none", "cmp-core generate > manifests.yaml"),
    Command(
        "discover",
        _discover,
        "Print the name of the trigger file, or nothing",
        "cmp-core discover --directory apps/demo",
    ),
    Command(
        "parameters", _parameters, "Print the parameters that Argo CD's UI may offer, as JSON", "cmp-core parameters"
    ),
    Command(
        "validate",
        _validate,
        "Check trigger files without fetching anything",
        "cmp-core validate apps/*/s3-source.yaml",
        (DIRECTORY, _PATHS),
    ),
    Command(
        "schema",
        _schema,
        "Print the JSON Schema of trigger files",
        "cmp-core schema s3 > s3.schema.json",
        (_BACKEND,),
    ),
    Command(
        "backends",
        _backends,
        "List the installed backends, or check one of them",
        "cmp-core backends --check s3",
        (_CHECK, _OUTPUT),
    ),
    Command(
        "doctor",
        _doctor,
        "Tell in order what works and what does not, for the sidecar and a folder",
        "cmp-core doctor apps/demo",
        (_FOLDER, _OUTPUT),
    ),
    Command(
        "new-backend",
        _new_backend,
        "Write the distribution of a new backend, complete with its tests",
        "cmp-core new-backend folder cmp-backend-folder",
        (_NAME, _TARGET),
    ),
    Command("version", _version, "Print the version", "cmp-core version", ()),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    return make_parser(_COMMANDS)
