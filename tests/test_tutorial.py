"""What the tutorials show is done, and the README's backend is loaded.

`make test-wheels` follows them from beginning to end, with uv and PyPI; here stands what that trial notices.
"""

import re
import time
from pathlib import Path

import pytest
from docs_support import blocks_of

from cmp_core import BuildEnvironment, SourceNotFoundError
from cmp_core.installed import InstalledBackend
from cmp_core.manager import load_backend
from cmp_core.nesting import Nesting
from cmp_core.trigger import validated
from tools.tutorial import PAGES, Reader, TutorialError, follow, read_steps

GOOD = """
```python
# src/module.py
ANSWER = 41

QUESTION = "?"
```

```sh
mkdir sub && cd sub
export GREETING="two words"
```

```sh
echo "$GREETING"
basename "$PWD"
```

```text
two …
sub
```

```diff
# ../src/module.py
-ANSWER = 41
+ANSWER = 42

 QUESTION = "?"
```

```sh
cd ..
grep -q 42 src/module.py
```

```python
QUESTION = "?"
```

```sh
false  # fails
```
"""


def try_out(page: str, folder: Path) -> int:
    """Follow a page from a new folder whose name holds a space."""
    place, start = folder / "the reader's place", folder / "the start"
    place.mkdir()
    start.mkdir()
    return follow(read_steps(page), Reader(place, start, {"PATH": "/usr/bin:/bin"}))


def test_a_page_that_is_right_is_followed(tmp_path: Path) -> None:
    """Files are written, edits made, and the shell keeps its folder and variables."""
    assert try_out(GOOD, tmp_path) == len(read_steps(GOOD)) == 8


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("grep -q 42", "grep -q 41", "33: the commands end with exit code 1"),
        ("grep -q 42", "false; grep -q 42", "33: the commands end with exit code 1"),
        ("grep -q 42", "false | cat; grep -q 42", "33: the commands end with exit code 1"),
        ("false  # fails", "true  # fails", "42: the commands end with exit code 0"),
        ("two …\n", "two\n", "20: what is printed is not what is shown, but:\ntwo words\n"),
        ("sub\n```", "sub\nmore\n```", "20: what is printed is not what is shown"),
        ("-ANSWER = 41", "-ANSWER = 40", r"25: the lines to edit stand 0 times in ../src/module\.py"),
        ("+ANSWER = 42\n\n", "+ANSWER = 42\n", "25: the lines to edit stand 0 times"),
        ('```python\nQUESTION = "?"', '```python\nQUESTION = "!"', "38: no file below .* holds what is shown"),
    ],
)
def test_a_page_that_is_wrong_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, reason: str) -> None:
    """A step that goes wrong ends the trial, whatever its kind."""
    assert right in GOOD

    with pytest.raises(TutorialError, match=rf"^{reason}"):
        try_out(GOOD.replace(right, wrong), tmp_path)


def test_an_edit_that_fits_twice_is_refused(tmp_path: Path) -> None:
    """The reader would not know which of the two is meant."""
    page = "```python\n# a.py\nx = 1\nx = 1\n```\n\n```diff\n# a.py\n-x = 1\n+x = 2\n```\n"

    with pytest.raises(TutorialError, match=r"^8: the lines to edit stand 2 times in a\.py, and not once"):
        try_out(page, tmp_path)


def test_a_tutorial_shows_every_kind_of_step() -> None:
    """It is read as it is meant: files and edits have their path, every output has its commands."""
    for page in PAGES:
        steps = read_steps(page.read_text(encoding="utf-8"))

        assert {step.language for step in steps} >= {"sh", "text", "yaml"}
        assert all(step.path for step in steps if step.language in {"diff", "yaml"})
        assert all(steps[index - 1].language == "sh" for index, step in enumerate(steps) if step.language == "text")
        assert page.read_text(encoding="utf-8").count("```") == 2 * len(steps)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_fits_into_a_quarter_of_an_hour(page: Path) -> None:
    """At 200 words a minute, and a third of a minute for every block that is read, run or written."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    done = [step for step in read_steps(text) if step.language != "text"]

    assert len(prose.split()) / 200 + len(done) / 3 < 15


def test_what_the_commands_leave_running_is_ended(tmp_path: Path) -> None:
    """A server that a page starts does not outlive the trial, however that ends."""
    reader = Reader(tmp_path, tmp_path, {"PATH": "/usr/bin:/bin"})

    left = int(reader.run("sleep 300 >/dev/null 2>&1 &\necho $!").stdout)
    running = Path("/proc", str(left)).exists()
    reader.leave()

    assert running
    assert not is_running(left)


def is_running(process: int) -> bool:
    """Tell whether a process is there and has not ended, and give it a moment to end."""
    state = Path("/proc", str(process), "stat")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.01)
    return True


def test_the_readmes_backend_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that the README shows is a whole backend."""
    (block,) = [block for block in blocks_of("python") if block.page == "README.md"]
    (tmp_path / "readme_backend.py").write_text(block.text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    backend = load_backend(InstalledBackend("folder", "readme", "0", "readme_backend"))
    source = validated(backend.model, {"path": "no-such-folder"}, lambda _path: "README.md")

    assert source.location == "file:///srv/manifests/no-such-folder"
    with pytest.raises(SourceNotFoundError, match="no-such-folder"):
        backend.fetch(source, tmp_path, BuildEnvironment(), Nesting(source, BuildEnvironment()))
