"""A folder that stands for the interpreter's site directory, with made-up backends in it."""

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cmp_core.installed import InstalledBackend, installed_backends

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"

MODEL = """
import pathlib
import cmp_core
from cmp_core import Artifact, Source, hookimpl

class DemoSource(Source):
    bucket: str

    @property
    def location(self):
        return f"demo://{self.bucket}"

@hookimpl
def source_model():
    return DemoSource
"""

BACKEND = f"""{MODEL}
@hookimpl
def fetch(source, destination):
    (destination / "a.yaml").write_text({MANIFEST!r})
    return Artifact.from_directory(destination)
"""

START = """
import site, sys
site.getsitepackages = lambda: [{directory!r}]
sys.path.append({directory!r})
from cmp_core.cli import console
console()
"""

_numbers = itertools.count()


@dataclass(frozen=True)
class FakeSite:
    """Where made-up distributions are installed."""

    directory: Path

    def install(
        self,
        code: str = BACKEND,
        *,
        name: str = "demo",
        distribution: str = "cmp-backend-demo",
        version: str = "1.2",
        target: str = "{module}",
    ) -> InstalledBackend:
        """Write a module and the record of the distribution that brought it."""
        module = f"made_up_backend_{next(_numbers)}"
        (self.directory / f"{module}.py").write_text(code, encoding="utf-8")
        target = target.format(module=module)
        self.record(distribution, version, f"[cmp_core]\n{name} = {target}\n")
        return InstalledBackend(name, distribution, version, target)

    def record(self, distribution: str, version: str, entry_points: str) -> Path:
        """Write a distribution's record alone."""
        info = self.directory / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
        return info

    def backends(self) -> tuple[InstalledBackend, ...]:
        """Return what is found here."""
        return installed_backends([str(self.directory)])

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a `cmp-core` whose only site directory this is."""
        return [sys.executable, "-c", START.format(directory=str(self.directory)), *arguments]

    def start(self, directory: Path, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start `cmp-core` in an application's folder."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=directory,
            env={"PATH": os.defpath, "TMPDIR": str(self.directory)} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, directory: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
        """Run `cmp-core` to its end in an application's folder."""
        with self.start(directory, *arguments, **variables) as process:
            stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
