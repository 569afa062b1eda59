"""Own the command line: what each command takes and prints, and the exit code it ends with."""

import argparse
import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from cmp_core.errors import CmpError, OutputError, UsageError

if TYPE_CHECKING:
    from cmp_core.environment import BuildEnvironment

STDIN = 0
STDOUT = 1
STDERR = 2
INTERRUPTED = 130
TERMINATED = 143

Write = Callable[[bytes], None]


class _Terminated(SystemExit):
    """SIGTERM came; everything cleans up behind itself on the way out.

    An event loop swallows any other exception that a signal raises in one of its callbacks.
    """


def console() -> NoReturn:
    """Run as the console script ``cmp-core``.

    Standard output is kept for the result alone. The process ends without tearing down the
    interpreter, which costs a loaded SDK a tenth of a second.
    """
    sys.path[:] = [entry for entry in sys.path if Path(entry).is_absolute()]
    signal.signal(signal.SIGTERM, _terminate)
    result = _claim_stdout()
    code = main(sys.argv[1:], lambda content: write_all(result, content))
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


def main(arguments: Sequence[str], write: Write) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after ``cmp-core``.
        write: Takes the command's result, whole and once.
    """
    try:
        try:
            options = build_parser().parse_args(arguments)
        except _Help as help_text:
            write(str(help_text).encode())
        else:
            options.run(options, write)
    except _Terminated:
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


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _fail(error: CmpError) -> int:
    from cmp_core import reporting  # noqa: PLC0415  # `version` and `discover` do without logging

    reporting.fail(error)
    return error.exit_code


@contextmanager
def _environment() -> Iterator["BuildEnvironment"]:
    """Set up what every command needs that reads a trigger file, and hold it to the deadline."""
    from cmp_core import reporting  # noqa: PLC0415  # `version` and `discover` do without pydantic
    from cmp_core.environment import BuildEnvironment  # noqa: PLC0415  # as above

    environment = BuildEnvironment.from_environ()
    reporting.configure(environment.settings.log_level, environment.settings.log_format)
    with reporting.progress() as progress, environment.deadline.enforced(reporting.fail):
        yield environment.watched_by(progress)


def _init(options: argparse.Namespace, _write: Write) -> None:
    from cmp_core import pipeline  # noqa: PLC0415  # loads pydantic and pluggy

    with _environment() as environment:
        pipeline.init(options.directory, environment)


def _generate(options: argparse.Namespace, write: Write) -> None:
    from cmp_core import pipeline  # noqa: PLC0415  # loads pydantic and pluggy

    with _environment() as environment:
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


def _backends(options: argparse.Namespace, write: Write) -> None:
    from cmp_core.environment import check_settings  # noqa: PLC0415  # only what is needed
    from cmp_core.installed import installed_backends  # noqa: PLC0415  # as above

    check_settings()
    keys = ("name", "triggerFile", "distribution", "version")
    rows = [(b.name, b.trigger_file, b.distribution, b.version) for b in installed_backends()]
    if options.output == "json":
        _write_json(write, [dict(zip(keys, row, strict=True)) for row in rows])
        return
    table = [("NAME", "TRIGGER FILE", "DISTRIBUTION", "VERSION"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    write("".join(f"{line}\n" for line in lines).encode())


def _version(_options: argparse.Namespace, write: Write) -> None:
    from importlib.metadata import version  # noqa: PLC0415  # only what is needed

    from cmp_core.environment import check_settings  # noqa: PLC0415  # as above

    check_settings()
    write(f"cmp-core {version('cmp-core')}\n".encode())


def _write_json(write: Write, value: object) -> None:
    write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


class _Help(Exception):  # noqa: N818  # the answer to -h, not an error
    """The text that -h asks for."""


class _Parser(argparse.ArgumentParser):
    """Raises a wrong command line as the error that it is, and help as a result to write."""

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002  # argparse's own signature
        self.color = False  # from 3.14 on, Python would ask stderr's terminal, while the result goes to stdout
        raise _Help(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}: see `{self.prog} -h`")


class _Command(NamedTuple):
    """One command: its name, what runs it, what its help says, and whether it works in an application's folder."""

    name: str
    run: Callable[[argparse.Namespace, Write], None]
    about: str
    example: str
    has_directory: bool = True


_COMMANDS = (
    _Command("init", _init, "Fetch what the trigger file names and keep it for generate", "cmp-core init"),
    _Command("generate", _generate, "Print the manifests, all of them or none", "cmp-core generate > manifests.yaml"),
    _Command(
        "discover",
        _discover,
        "Print the name of the trigger file, or nothing",
        "cmp-core discover --directory apps/demo",
    ),
    _Command(
        "parameters", _parameters, "Print the parameters that Argo CD's UI may offer, as JSON", "cmp-core parameters"
    ),
    _Command(
        "validate",
        _validate,
        "Check trigger files without fetching anything",
        "cmp-core validate apps/*/s3-source.yaml",
    ),
    _Command(
        "schema",
        _schema,
        "Print the JSON Schema of trigger files",
        "cmp-core schema s3 > s3.schema.json",
        has_directory=False,
    ),
    _Command("backends", _backends, "List the installed backends", "cmp-core backends -o json", has_directory=False),
    _Command("version", _version, "Print the version", "cmp-core version", has_directory=False),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="cmp-core",
        description="Make S3, and anything else that is not Git, a source for Argo CD.",
        epilog="example: cmp-core generate --directory apps/demo",
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    parsers = {command.name: _add_command(subparsers, command) for command in _COMMANDS}
    parsers["validate"].add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="trigger files or folders that hold one"
    )
    parsers["schema"].add_argument(
        "backend", metavar="BACKEND", nargs="?", help="one backend (default: any that is installed)"
    )
    parsers["backends"].add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="how to print the list"
    )
    return parser


def _add_command(subparsers: "argparse._SubParsersAction[_Parser]", command: _Command) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        command.name,
        help=command.about,
        description=f"{command.about}.",
        epilog=f"example: {command.example}",
        allow_abbrev=False,
    )
    parser.set_defaults(run=command.run)
    if command.has_directory:
        parser.add_argument(
            "--directory",
            metavar="DIR",
            type=Path,
            default=Path(),
            help="the application's folder, which holds the trigger file (default: the working directory)",
        )
    return parser
