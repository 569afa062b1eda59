"""What the tests of the documentation share: its pages, their blocks, links and headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "changes/README.md",
        "backends/*/README.md",
        "deploy/**/*.md",
        "examples/*/README.md",
        "docs/**/*.md",
    )
    for page in ROOT.glob(pattern)
)

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: The page's path in the repository.
        line: The line on which the block's text begins.
        language: What stands behind the fence.
        text: What stands in it.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def title(self) -> str:
        """The comment on its first line: the file that it shows."""
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ") if first.startswith("# ") else ""


def blocks_of(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages."""
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            text.count("\n", 0, fence.start("text")) + 1,
            fence["language"],
            fence["text"],
        )
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for fence in _FENCE.finditer(text)
        if fence["language"] in languages
    ]


def prose_of(page: Path) -> str:
    """Return a page without its fenced blocks and code spans."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)


def links_of(page: Path) -> list[str]:
    """Return the targets of a page's links within the repository."""
    targets = [link["target"] for link in _LINK.finditer(prose_of(page))]
    return [target for target in targets if not target.startswith(("https://", "http://", "mailto:"))]


def headings_of(page: Path) -> list[str]:
    """Return a page's headings as plain text."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [heading.replace("`", "") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
