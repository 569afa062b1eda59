"""Own the command of the soak: its options, what it says in the end, and its exit code."""

import argparse
import compileall
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.soak.course import Options, soak
from e2e.soak.page import PAGE, publish

from tools import binaries
from tools.processes import tell
from tools.wheel_smoke import build_wheels, install

FOLDER = Path(".cache/soak")


def main(arguments: list[str] | None = None) -> int:
    """Soak, publish what is wanted, and return 1 where an answer was wrong or something has leaked."""
    options = parse(arguments)
    argocd = binaries.find("argocd")
    if not argocd:
        sys.exit("argocd is not built: run make tools, which needs Go")
    with install_command(options.cmp_core) as command:
        summary = soak(
            Options(options.minutes * 60, options.seed, options.scale, argocd, command, options.folder.absolute())
        )
    complaints = [*summary["wrong"], *summary["leaks"]]
    for complaint in complaints:
        tell(f"Not well: {complaint}")
    tell(f"{sum(summary['outcomes'].values()):,} answers: {summary['outcomes']}; all of it is in {options.folder}")
    if not complaints and options.matplotlib:
        publish(options.matplotlib, options.folder, options.page)
    return 1 if complaints else 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the options; the defaults are what the documentation's figures are made with."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.soak", description="Ask the genuine argocd-cmp-server for minutes, with faults on."
    )
    parser.add_argument("--minutes", type=float, default=15, metavar="N", help="how long (default: 15)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what is random follows from it (default: 1)")
    parser.add_argument(
        "--scale", type=float, default=1, metavar="X", help="multiplies the numbers of objects (default: 1)"
    )
    parser.add_argument(
        "--cmp-core",
        type=Path,
        metavar="FILE",
        help="the console script to soak; by default the wheels are built and installed for it",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, metavar="DIR", help=f"where the results go (default: {FOLDER})"
    )
    parser.add_argument(
        "--matplotlib", type=Path, metavar="FILE", help="a Python that has matplotlib, to write the page with"
    )
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"the page to write (default: {PAGE})")
    parser.add_argument("--no-page", dest="matplotlib", action="store_const", const=None, help="write no page")
    return parser.parse_args(arguments)


@contextmanager
def install_command(given: Path | None) -> Iterator[Path]:
    """Give the console script: the one that is given, or that of the built wheels, with bytecode as in the image."""
    if given:
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="soak-wheels-") as name:
        command = install(build_wheels(Path(name) / "wheels"), Path(name) / "environment")
        compileall.compile_dir(Path(name) / "environment" / "lib", quiet=2, workers=2)
        yield command


if __name__ == "__main__":
    sys.exit(main())
