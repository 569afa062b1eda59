"""The documentation says what the code does: links, examples, commands and the texts of errors."""

import ast
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from block_kinds import blocks_of_kind, is_trigger_file, is_wrong_trigger_file
from cmp_backend_tarball import bounds
from docs_support import DOCS, PAGES, ROOT, Block, blocks_of, headings_of, links_of

from cmp_core import cli, errors, outline, trigger
from cmp_core.deadline import INTERRUPTED, TERMINATED
from cmp_core.environment import SETTINGS_PATH, BuildEnvironment
from cmp_core.errors import CmpError, SourceValidationError
from cmp_core.filewriter import DEEPEST, LONGEST_PATH
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend
from cmp_core.models import Source
from cmp_core.nesting import MOST_NESTED
from cmp_core.reporting import MAX_BYTES, MAX_ERROR_BYTES, MAX_LINE_BYTES
from cmp_core.settings import Settings, load_settings
from cmp_core.strictyaml import MAX_DEPTH, read_yaml
from cmp_core.trigger import TriggerFile, resolve_source

TROUBLESHOOT = DOCS / "how-to" / "troubleshoot.md"
PLACEHOLDER = "…"
DEFAULTS = Settings()


def github_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def mkdocs_anchor(heading: str) -> str:
    """Return the anchor that Python-Markdown gives to a heading."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def has_anchor(page: Path, anchor: str) -> bool:
    """Tell whether both GitHub and mkdocs find the anchor on a page."""
    headings = headings_of(page)
    return anchor in map(github_anchor, headings) and anchor in map(mkdocs_anchor, headings)


def trigger_file_name(block: Block) -> str:
    """Return the name that a trigger file has by its title, or else by its kind."""
    if "-source.yaml" in block.title:
        return Path(block.title.partition(",")[0]).name
    kind = re.search(r"^kind: (\w+)Source$", block.text, re.MULTILINE)
    return f"{kind[1].lower() if kind else 's3'}-source.yaml"


def validate_trigger_file(block: Block) -> Source:
    """Read a trigger file as the host does."""
    name = trigger_file_name(block)
    backend = name.removesuffix("-source.yaml")
    model = load_backend(find_backend(backend, installed_backends())).model
    content = block.text.encode()
    tree = read_yaml(content, max_bytes=trigger.MAX_BYTES)
    return resolve_source(TriggerFile(name, backend, tree, content), model, BuildEnvironment())


def commands_of(block: Block) -> Iterator[list[str]]:
    """Yield the words of every call of cmp-core in a block, without comments and redirections."""
    for line in block.text.splitlines():
        words = re.sub(r"\s(#|\||2?>).*", "", line).split()
        at = next((index for index, word in enumerate(words) if word.rpartition("/")[2] == "cmp-core"), None)
        if at is not None and (at == 0 or words[at - 1] == "--"):
            yield words[at + 1 :]


@cache
def texts_of_the_code() -> list[str]:
    """Return every text in the code of the host and the backends, with a placeholder for what is filled in."""
    modules = [*(ROOT / "cmp_core").glob("*.py"), *(ROOT / "backends").glob("*/src/**/*.py")]
    found = []
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"\{\w+\}", PLACEHOLDER, node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values)
                found.append("".join(map(str, parts)))
    return found


ERROR_CLASSES = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, CmpError)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists, and an anchor a heading that both GitHub and mkdocs find."""
    broken = []
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and not has_anchor(there, anchor)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_pages_link_within_the_documentation(page: Path) -> None:
    """The built documentation holds nothing outside of docs/."""
    outside = [
        target
        for target in links_of(page)
        if not (page.parent / target.partition("#")[0]).resolve().is_relative_to(DOCS)
    ]

    assert outside == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("reference/trigger-file.md", f"at most {trigger.MAX_BYTES // 1024} KiB large and {MAX_DEPTH} levels deep"),
        ("reference/settings.md", f"`{SETTINGS_PATH}`"),
        ("reference/exit-codes.md", f"{INTERRUPTED} after an interrupt (Ctrl-C), {TERMINATED} after SIGTERM"),
        ("explanation/bytes.md", f"nest deeper than {outline.MAX_DEPTH} levels"),
        ("explanation/security.md", f"at most {trigger.MAX_BYTES // 1024} KiB of it"),
        ("explanation/security.md", f"at most {MAX_LINE_BYTES} bytes, and {MAX_ERROR_BYTES // 1024} KiB are kept free"),
        ("explanation/security.md", f"A command says at most {MAX_BYTES // 1024} KiB"),
        ("explanation/security.md", f"| time of a request | {DEFAULTS.timeout:g} s |"),
        ("explanation/security.md", f"| {DEFAULTS.limits.objects:,}, {DEFAULTS.limits.object_bytes >> 20} MiB, "),
        ("explanation/security.md", f" MiB, {DEFAULTS.limits.total_bytes >> 20} MiB | `limits` |"),
        ("explanation/security.md", f"| connections of a request | {DEFAULTS.max_connections} |"),
        ("explanation/security.md", f"| tries of a call | {DEFAULTS.max_attempts} |"),
        ("explanation/security.md", f"| the store | {DEFAULTS.store_bytes >> 20} MiB |"),
        ("explanation/security.md", f"| sources inside a source | {MOST_NESTED} levels |"),
        ("explanation/security.md", f"| {bounds.MOST_RATIO} times its size beyond {bounds.FREE_BYTES >> 20} MiB, ten"),
        ("explanation/security.md", f"| memory of a decoder | {bounds.DECODER_BYTES >> 20} MiB |"),
        ("reference/tarball.md", f"more bytes than {bounds.MOST_RATIO} times the archive's size, beyond "),
        ("reference/tarball.md", f"beyond {bounds.FREE_BYTES >> 20} MiB | `LimitExceededError`"),
        ("reference/tarball.md", f"need more than {bounds.DECODER_BYTES >> 20} MiB of memory"),
        ("reference/tarball.md", f"more than {LONGEST_PATH} bytes or {DEEPEST} parts"),
    ],
)
def test_figures_are_those_of_the_code(page: str, text: str) -> None:
    """A bound that the code has changed is changed in the documentation too."""
    assert text in (DOCS / page).read_text(encoding="utf-8")


def test_every_page_is_reached_from_the_index() -> None:
    """A page that nothing leads to is not read."""
    reached, queue = set(), [DOCS / "index.md"]
    while queue:
        page = queue.pop()
        if page not in reached:
            reached.add(page)
            targets = (target.partition("#")[0] for target in links_of(page))
            queue += [(page.parent / target).resolve() for target in targets if target.endswith(".md")]

    assert sorted(set(DOCS.rglob("*.md")) - reached) == []


@pytest.mark.parametrize("block", blocks_of("yaml"), ids=str)
def test_yaml_parses(block: Block) -> None:
    """Whoever copies a block gets YAML without an error in it."""
    documents = list(yaml.safe_load_all(block.text))

    assert documents
    assert all(isinstance(document, dict) for document in documents)


@pytest.mark.parametrize("block", blocks_of("json"), ids=str)
def test_json_parses(block: Block) -> None:
    """Whoever copies a block gets JSON without an error in it."""
    assert isinstance(json.loads(block.text), dict)


@pytest.mark.parametrize("block", blocks_of("toml"), ids=str)
def test_toml_parses(block: Block) -> None:
    """Whoever copies a block gets TOML without an error in it."""
    assert "cmp_core" in tomllib.loads(block.text).get("project", {}).get("entry-points", {})


TRIGGER_FILES = [block for block in blocks_of("yaml") if is_trigger_file(block)]


@pytest.mark.parametrize(
    "block",
    [b for b in TRIGGER_FILES if not is_wrong_trigger_file(b) and "folder-source" not in b.title],
    ids=str,
)
def test_trigger_files_are_valid(block: Block) -> None:
    """A trigger file in the documentation passes the host's own reader."""
    assert validate_trigger_file(block).location


def test_the_wrong_trigger_file_is_as_wrong_as_it_says() -> None:
    """The mistakes that first steps makes on purpose are all told."""
    (block,) = filter(is_wrong_trigger_file, TRIGGER_FILES)

    with pytest.raises(SourceValidationError, match=r"^3 problems:(\n  s3-source\.yaml:\d+: .+){3}$"):
        validate_trigger_file(block)


def test_settings_files_are_valid(tmp_path: Path) -> None:
    """A settings file in the documentation passes the host's own reader."""
    shown = blocks_of_kind("settings")

    for block in shown:
        (tmp_path / "settings.yaml").write_text(block.text, encoding="utf-8")
        load_settings({}, tmp_path / "settings.yaml")

    assert len(shown) > 4


def test_the_settings_file_with_every_default_changes_nothing(tmp_path: Path) -> None:
    """The defaults in the reference are those of the code."""
    (generated,) = [block for block in blocks_of("yaml") if block.text.startswith("timeout:")]
    (tmp_path / "settings.yaml").write_text(generated.text, encoding="utf-8")

    assert load_settings({}, tmp_path / "settings.yaml") == load_settings({}, tmp_path / "none.yaml")


@pytest.mark.parametrize("block", blocks_of("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    """Whoever copies a block gets Python without an error in it."""
    assert compile(block.text, str(block), "exec").co_code


@pytest.mark.parametrize("block", [block for block in blocks_of("sh") if any(commands_of(block))], ids=str)
def test_commands_exist(block: Block) -> None:
    """The parser of the command line takes every call of cmp-core."""
    for words in commands_of(block):
        options = cli.build_parser().parse_args(words)

        assert callable(options.run)


def test_the_targets_that_are_named_exist() -> None:
    """The Makefile has every target that the documentation tells to make."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^)make (?:-s )?([a-z0-9-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert {"demo", "test", "check", "docs-generate"} <= named
    assert sorted(target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)) == []


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda page: page.stem)
def test_decisions_are_short_and_listed(page: Path) -> None:
    """A decision is its context, its choice and its consequences, on at most 40 lines."""
    text = page.read_text(encoding="utf-8")
    number = int(page.name[:4])

    assert text.count("\n") <= 40
    assert headings_of(page)[0].startswith(f"{number}. ")
    assert headings_of(page)[1:] == ["Context", "Choice", "Consequences"]
    listed = headings_of(page)[0].removeprefix(f"{number}. ")
    assert f"{number}. [{listed}]({page.name})" in (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", ERROR_CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_in_troubleshooting(error: type[CmpError]) -> None:
    """Whoever meets an error finds its class there, with its exit code."""
    assert f"{error.__name__} ({error.exit_code})" in headings_of(TROUBLESHOOT)


SHOWN_TEXTS = [line for block in blocks_of_kind("the text of an error") for line in block.text.splitlines()]


@pytest.mark.parametrize("shown", SHOWN_TEXTS)
def test_texts_of_errors_are_those_of_the_code(shown: str) -> None:
    """Whoever searches the documentation for what they read finds it."""
    pieces = [piece.strip(" :") for piece in shown.split(PLACEHOLDER)]
    pattern = re.compile(".*".join(re.escape(piece) for piece in pieces if piece), re.DOTALL)

    assert len("".join(pieces)) >= 8
    assert any(pattern.search(text) for text in texts_of_the_code())
