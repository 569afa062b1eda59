"""Own the Debian packages that a few targets need: install those that are missing, where this process may do so."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.processes import tell

DATABASE = Path("/var/lib/dpkg")


def main() -> None:
    """Require the packages that the arguments name."""
    require(*sys.argv[1:])


def require(*packages: str) -> None:
    """Return when all packages are installed; end the process with the right command where that takes another user."""
    missing = missing_of(packages)
    if not missing:
        return
    apt_get = shutil.which("apt-get")
    if os.geteuid() or not apt_get:
        sys.exit(f"Debian packages are missing: apt-get install --no-install-recommends {' '.join(missing)}")
    with one_after_the_other():
        install(apt_get, missing_of(packages))


def missing_of(packages: Sequence[str]) -> list[str]:
    """Return those of the packages that are not installed."""
    return [package for package in packages if not is_installed(package)]


@contextmanager
def one_after_the_other() -> Iterator[None]:
    """Wait for other targets that install: `apt-get update` itself waits for nobody."""
    descriptor = os.open(DATABASE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install(apt_get: str, missing: Sequence[str]) -> None:
    """Install packages; another target may have done so meanwhile."""
    if not missing:
        return
    tell(f"Installing the Debian packages {', '.join(missing)}")
    # In runlevel 1 Debian's scripts start no service for what they install.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    wait = "DPkg::Lock::Timeout=300"
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        if code := subprocess.run(
            [apt_get, "--quiet", "--quiet", "--option", wait, *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode:
            sys.exit(f"apt-get {words[0]} exited {code}: see above")


def is_installed(package: str) -> bool:
    """Return whether dpkg has the package, unpacked and set up."""
    dpkg_query = shutil.which("dpkg-query")
    if not dpkg_query:
        return False
    answer = subprocess.run(
        [dpkg_query, "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout == "installed"


if __name__ == "__main__":
    main()
