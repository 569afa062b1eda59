"""Own the spelling of the command line: what every command is called, takes and says about itself."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cmp_core.errors import UsageError

Write = Callable[[bytes], None]
"""Takes a command's result, whole and once."""


class Argument(NamedTuple):
    """One argument of a command: its names, and what argparse is told about it."""

    names: tuple[str, ...]
    options: dict[str, Any]


DIRECTORY = Argument(
    ("--directory",),
    {
        "metavar": "DIR",
        "type": Path,
        "default": Path(),
        "help": "the application's folder, which holds the trigger file (default: the working directory)",
    },
)


class Command(NamedTuple):
    """One command: its name, what runs it and may return an exit code, what its help says, and what it takes."""

    name: str
    run: Callable[[argparse.Namespace, Write], int | None]
    about: str
    example: str
    arguments: tuple[Argument, ...] = (DIRECTORY,)


class HelpRequested(Exception):  # noqa: N818  # the answer to -h, not an error
    """The text that -h asks for."""


def make_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; what it reads holds the command's `run`."""
    parser = _Parser(
        prog="cmp-core",
        description="Make S3, and anything else that is not Git, a source for Argo CD.",
        epilog="example: cmp-core generate --directory apps/demo",
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        subparser = subparsers.add_parser(
            command.name,
            help=command.about,
            description=f"{command.about}.",
            epilog=f"example: {command.example}",
            allow_abbrev=False,
        )
        subparser.set_defaults(run=command.run)
        for argument in command.arguments:
            subparser.add_argument(*argument.names, **argument.options)
    return parser


class _Parser(argparse.ArgumentParser):
    """Raises a wrong command line as the error that it is, and help as a result to write."""

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002  # argparse's own signature
        self.color = False  # from 3.14 on, Python would ask stderr's terminal, while the result goes to stdout
        raise HelpRequested(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}: see `{self.prog} -h`")
