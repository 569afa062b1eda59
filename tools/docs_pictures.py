"""Own the pictures of the documentation's first page: what the parts do, and a recording of a terminal.

`make docs-pictures` draws them anew. The recording runs its commands for real, in a pseudo-terminal.
"""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from pathlib import Path
from string import Template
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tools.processes import tell

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "docs" / "assets"
RECORDING = ASSETS / "demo.svg"
COLUMNS = 96
LONGEST_PAUSE = 0.8
"""The seconds after which the recording goes on, though the command took longer."""

READING = 0.6
"""The seconds between the end of a command and the next one."""

SESSION = (
    "make -s demo >manifests.yaml",
    "head -n 5 manifests.yaml",
    "cat my-app/s3-source.yaml",
    "cmp-core validate my-app",
)
TRIGGER = "buket: test-bucket\npath: /apps/demo-app\n"


class Line(NamedTuple):
    """One line on the terminal, and how many seconds after the beginning it appears."""

    seconds: float
    text: str


def main() -> None:
    """Draw every picture."""
    ASSETS.mkdir(exist_ok=True)
    parts = Template((ROOT / "tools" / "overview.svg").read_text(encoding="utf-8"))
    for name, colours in THEMES.items():
        write(ASSETS / f"overview-{name}.svg", parts.substitute(colours))
    write(RECORDING, terminal(list(record())))


def write(path: Path, text: str) -> None:
    """Write a picture, and say so."""
    path.write_text(text, encoding="utf-8")
    tell(f"Wrote {path.relative_to(ROOT)}")


def record() -> Iterator[Line]:
    """Run the session in the checkout, and yield what a reader sees of it.

    What the commands leave behind lies in a folder of its own, where their output goes instead of the checkout.
    """
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="cmp-core-recording-") as folder:
        (Path(folder) / "my-app").mkdir()
        (Path(folder) / "my-app" / "s3-source.yaml").write_text(TRIGGER, encoding="utf-8")
        for command in SESSION:
            yield Line(seconds, f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m")
            seconds += READING
            for pause, text in run(command, Path(folder)):
                seconds += min(pause, LONGEST_PAUSE)
                yield Line(seconds, text)
            seconds += READING


def run(command: str, folder: Path) -> Iterator[tuple[float, str]]:
    """Run a command at a terminal, and yield each line that it prints with the seconds since the one before."""
    own, its = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG"}}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = command.replace("make ", f"make --no-print-directory --directory='{ROOT}' ")
    with subprocess.Popen(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env={**kept, "PATH": path, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    ):
        os.close(its)
        last = time.monotonic()
        with os.fdopen(own, "rb") as output:
            for line in _lines(output):
                now = time.monotonic()
                yield now - last, line.decode().rstrip("\r\n")
                last = now


def _lines(output: io.BufferedReader) -> Iterator[bytes]:
    while True:
        try:
            line = output.readline()
        except OSError:  # Linux says so where the last writer has gone
            return
        if not line:
            return
        yield line


def terminal(lines: Sequence[Line]) -> str:
    """Draw a terminal on which the lines appear one after the other, and at once for whoever wants no motion."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    times = []
    for line in lines:
        wrapped = Text.from_ansi(line.text).wrap(console, COLUMNS) or [Text("")]
        times += [line.seconds] * len(wrapped)
        for piece in wrapped:
            console.print(piece, no_wrap=True, highlight=False)
    delays = "".join(
        f'[clip-path="url(#demo-line-{number})"]{{animation-delay:{seconds:.2f}s}}'
        for number, seconds in enumerate(times)
    )
    picture = console.export_svg(
        title="", theme=MONOKAI, code_format=FRAME.replace("{delays}", _braced(delays)), unique_id="demo"
    )
    return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE).rstrip() + "\n"


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def texts_of(picture: str) -> list[str]:
    """Return the lines of text of a terminal that was drawn."""
    rows: dict[int, str] = {}
    for number, text in re.findall(r'clip-path="url\(#demo-line-(\d+)\)">([^<]*)</text>', picture):
        rows[int(number)] = rows.get(int(number), "") + text
    return [unescape(rows[number]).replace("\xa0", " ").rstrip() for number in sorted(rows)]


# Rich's own frame asks a third party for a font.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- Drawn by `make docs-pictures`. -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-matrix text {{ opacity: 0; animation: appear 0.01s linear forwards; }}
@keyframes appear {{ to {{ opacity: 1; }} }}
{delays}
@media (prefers-reduced-motion: reduce) {{ .{unique_id}-matrix text {{ opacity: 1; animation: none; }} }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

THEMES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "text": "#1c1e21",
        "dim": "#5b6470",
        "line": "#8a93a0",
        "box": "#ffffff",
        "group": "#f1f4f9",
        "own": "#4051b5",
    },
    "dark": {
        "text": "#e6e8ee",
        "dim": "#a3abba",
        "line": "#6d7686",
        "box": "#262a36",
        "group": "#1c1f29",
        "own": "#5468d8",
    },
}


if __name__ == "__main__":
    main()
