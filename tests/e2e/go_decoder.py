"""Own the talk with `godecode`, the small Go program that reads manifests with the libraries of Argo CD."""

import json
import select
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60


@dataclass(frozen=True, slots=True)
class GoAnswer:
    """What Argo CD makes of one text.

    Attributes:
        objects: Every object as the JSON text that the repo-server passes on, its keys sorted.
        error: Why it reads none at all, or empty.
    """

    objects: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True)
class GoDecoder:
    """One running `godecode`, which answers any number of texts."""

    process: "subprocess.Popen[bytes]"

    def decode(self, text: bytes) -> GoAnswer:
        """Return what Argo CD makes of a text."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        stdin.write(struct.pack(">I", len(text)) + text)
        stdin.flush()
        if not select.select([stdout], [], [], SECONDS)[0]:
            raise TimeoutError(f"godecode has not answered within {SECONDS} s: {text[:1000]!r}")
        line = stdout.readline()
        if not line:
            raise EOFError(f"godecode has ended with {self.process.wait()}: {text[:1000]!r}")
        answer = json.loads(line)
        return GoAnswer(tuple(answer["objects"] or ()), answer.get("error", ""))


@contextmanager
def run(program: Path) -> Iterator[GoDecoder]:
    """Run `godecode` until the block is left."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield GoDecoder(process)
        finally:
            process.kill()
