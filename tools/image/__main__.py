"""Own `make image`: build the image where there is neither Docker nor a registry, and let the tests look at it.

`python -m tools.image bill ROOT FILE` writes the bill of materials of a root file system that was unpacked elsewhere.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.image import build, containers, own, parts, stand_ins, starts
from tools.processes import tell

ROOT = build.ROOT
BILL = ROOT / ".cache" / "image" / "bill-of-materials.json"


def main() -> int:
    """Do what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__.partition("\n")[0])
    steps = parser.add_subparsers(dest="step")
    steps.add_parser("build", help="build the image, and run no test")
    steps.add_parser("test", help="run the tests in the image that was built last")
    steps.add_parser(
        "figures", help="tell what each part of the image that was built last costs, and how fast it starts"
    )
    bill = steps.add_parser("bill", help="write a bill of materials")
    bill.add_argument("root", type=Path, help="an unpacked root file system")
    bill.add_argument("file", type=Path, help="the file to write")
    options = parser.parse_args()
    if options.step == "bill":
        write_bill(options.root, options.file)
        return 0
    containers.require()
    if options.step in {None, "build"}:
        timed("The stand-ins are there", stand_ins.make)
        timed(f"{build.NAME} is built", build.build)
        with build.root_of(build.NAME) as root:
            write_bill(root, BILL)
        timed(f"{own.OWN_NAME} is built", own.build_own)
        build.forget_old_layers()
    if options.step == "figures":
        show_figures()
    return test() if options.step in {None, "test"} else 0


def test() -> int:
    """Run what is marked `image`, in a network that is loopback alone, and return pytest's exit code."""
    tests = [sys.executable, "-m", "pytest", "-q", "-n", os.environ.get("TEST_WORKERS", "2"), "-m", "image", "tests"]
    command = ["unshare", "--net", sys.executable, "-m", "tools.image.loopback", *tests]
    variables = os.environ | {"CI": "true", "E2E_IMAGE": build.NAME}
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


def write_bill(root: Path, target: Path) -> None:
    """Write the bill of materials."""
    from tools.image import bill  # noqa: PLC0415  # its library takes half a second

    bill.write_bill(root, target)


def show_figures() -> None:
    """Print what docs/explanation/image.md reports."""
    with build.root_of(build.NAME) as root, build.root_of(stand_ins.python_image()) as base:
        sys.stdout.write(parts.table(root, base))
    sys.stdout.write(f"\n{starts.table()}")


def timed(done: str, step: Callable[[], None]) -> None:
    """Do a step, and tell how long it took."""
    started = time.monotonic()
    step()
    tell(f"{done}, after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
