"""The generated parts of the reference are fresh, and a stale one is told with its remedy."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_support import DOCS, ROOT

from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend


def test_generated_pages_are_fresh() -> None:
    """What the code says about itself stands in the reference as it is now."""
    result = run_generator(ROOT / "tools" / "generate_docs.py", "--check")

    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_page_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    """Whoever changes the code learns from the failing check what to run."""
    script = copy_of_the_generator(tmp_path)
    page = tmp_path / "docs" / "reference" / "exit-codes.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| 78 |", "| 87 |"), encoding="utf-8")

    result = run_generator(script, "--check")

    assert result.returncode == 1
    assert result.stderr == "docs/reference/exit-codes.md is stale: run `make docs-generate`\n"


def test_generating_mends_a_stale_page_and_leaves_the_prose(tmp_path: Path) -> None:
    """Only the blocks between the marks are written."""
    script = copy_of_the_generator(tmp_path)
    page = tmp_path / "docs" / "reference" / "exit-codes.md"
    fresh = page.read_text(encoding="utf-8")
    page.write_text(fresh.replace("| 78 |", "| 87 |"), encoding="utf-8")

    result = run_generator(script)

    assert (result.returncode, result.stderr) == (0, "wrote docs/reference/exit-codes.md\n")
    assert page.read_text(encoding="utf-8") == fresh


def test_every_generated_block_has_its_place_in_a_page() -> None:
    """A block that no page holds would be rendered in vain, and one that two pages hold is said twice."""
    script = (ROOT / "tools" / "generate_docs.py").read_text(encoding="utf-8")
    folders = (DOCS / "explanation", DOCS / "reference")
    pages = "".join(page.read_text(encoding="utf-8") for folder in folders for page in folder.glob("*.md"))
    blocks = re.findall(r'^    "([\w-]+)": (?:render_\w+|lambda)', script, re.MULTILINE)

    assert len(blocks) >= 10
    assert sorted(re.findall(r"<!-- generated ([\w-]+) -->", pages)) == sorted(blocks)


def test_every_row_of_a_generated_table_has_its_cells() -> None:
    """Nothing that a cell holds, an object's odd name or an error's text, ends the cell or the row."""
    folders = (DOCS / "explanation", DOCS / "reference")
    pages = [page.read_text(encoding="utf-8") for folder in folders for page in folder.glob("*.md")]
    blocks = re.findall(r"<!-- generated [\w-]+ -->\n\n(\|.*?)\n\n<!-- /generated -->", "".join(pages), re.DOTALL)

    tables = [[len(re.findall(r"(?<!\\)\|", line)) for line in block.split("\n")] for block in blocks]

    assert len(tables) >= 10
    assert all(len(set(counts)) == 1 for counts in tables)


def copy_of_the_generator(folder: Path) -> Path:
    """Copy the generator and the pages that it fills."""
    shutil.copytree(DOCS / "reference", folder / "docs" / "reference")
    (folder / "tools").mkdir()
    return Path(shutil.copy(ROOT / "tools" / "generate_docs.py", folder / "tools"))


def run_generator(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator."""
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("backend", ["s3", "tarball", "helm", "multi", "fsspec"])
def test_every_key_of_a_trigger_file_is_in_a_generated_table(backend: str) -> None:
    """Whoever looks a key up finds it, also one that the backend has gained since the page was written."""
    own = {"s3": "trigger-file"}.get(backend, backend)
    pages = "".join((DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8") for name in (own, "trigger-file"))
    generated = "".join(re.findall(r"<!-- generated [\w-]+ -->(.*?)<!-- /generated -->", pages, re.DOTALL))
    fields = load_backend(find_backend(backend, installed_backends())).model.model_fields

    missing = [field.alias or name for name, field in fields.items() if f"| `{field.alias or name}` |" not in generated]

    assert len(fields) >= 5
    assert [key for key in missing if key not in {"apiVersion", "kind", "metadata"}] == []
