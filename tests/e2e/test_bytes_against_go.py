"""Argo CD's own reader finds in our output the very objects of the source files, and refuses none that we accept.

`GO_CASES=100000 pytest -n 0 tests/e2e/test_bytes_against_go.py` makes up that many cases; how they ended is told.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from e2e.comparison import MENDED, SAME, check, compare
from e2e.conftest import Find
from e2e.dialects import MENDED_ROWS, ROWS, Mended, Refused
from e2e.everyday_files import WRITERS, everyday_files
from e2e.go_decoder import GoDecoder, run
from e2e.made_up_files import File, Write, damaged_file, files, json_stream, long_file, plain_file, soup
from hypothesis import HealthCheck, Phase, given, settings
from test_golden import CASES, GOLDEN, read_objects

from cmp_core.errors import CmpError
from cmp_core.render import assemble

pytestmark = pytest.mark.e2e

GO_CASES = int(os.environ.get("GO_CASES", "0"))
RENDERED = [
    name
    for name in CASES
    if (GOLDEN / name / "expected.yaml").exists() and not (GOLDEN / name / "app" / "tarball-source.yaml").exists()
]
"""The golden cases that come out, and whose objects are manifests, no archives of them."""

MENDED_CASES = {"directives-and-ends"}


class Style(NamedTuple):
    """One way to make up files.

    Attributes:
        write: What writes one.
        share: How many of all cases are made up so.
        passed: How many of these must at least come through, or else the comparison would say little.
    """

    write: Write
    share: float
    passed: float


STYLES = [
    Style(plain_file, 0.45, 0.5),
    Style(json_stream, 0.2, 0.5),
    Style(long_file, 0.1, 0.5),
    Style(damaged_file, 0.2, 0.05),
    Style(soup, 0.05, 0.0),
]


@pytest.fixture(scope="module")
def go(tool: Find) -> Iterator[GoDecoder]:
    """Argo CD's reader."""
    with run(tool("godecode")) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """How many cases ended in which way; told at the end, whatever pytest captures."""
    counts: Counter[str] = Counter()
    yield counts
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    if terminal and capture and GO_CASES:  # a worker of xdist has no terminal
        lines = [f"{counts.total():9} cases", *(f"{count:9} {verdict}" for verdict, count in counts.most_common())]
        with capture.global_and_fixture_disabled():
            terminal.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.write.__name__)
def test_made_up_files_come_out_as_argo_cd_reads_them(go: GoDecoder, tally: Counter[str], style: Style) -> None:
    """Of any file come equal objects, or a refusal that the table knows; in CI the files are always the same."""
    counts: Counter[str] = Counter()

    @settings(
        max_examples=round((GO_CASES or 2000) * style.share),
        derandomize=not GO_CASES,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(files(style.write))
    def make_up(case: tuple[File, ...]) -> None:
        counts[compare(go, case)] += 1

    make_up()

    tally += counts
    assert counts[SAME] + counts[MENDED] >= style.passed * counts.total()


@pytest.mark.parametrize("name", RENDERED)
def test_golden_files_come_out_as_argo_cd_reads_them(go: GoDecoder, name: str) -> None:
    """What is golden holds the objects of the source files that it was made of, one by one."""
    expected = (GOLDEN / name / "expected.yaml").read_bytes()
    objects = [content for _, content in sorted(read_objects(GOLDEN / name).items())]
    sources = [content for content in objects if is_printed(content, expected)]

    verdict = compare(go, [File(content) for content in sources])

    assert assemble(check(sources)) == expected
    assert verdict == (MENDED if name in MENDED_CASES else SAME)


@pytest.mark.parametrize("writer", WRITERS)
def test_everyday_files_come_out_as_argo_cd_reads_them(go: GoDecoder, writer: str) -> None:
    """What people and their tools store is never refused, and nothing of it is lost."""
    written = dict(everyday_files(writer))

    verdicts = {name: compare(go, [file]) for name, file in written.items()}

    assert verdicts == dict.fromkeys(written, SAME)


def test_everyday_files_come_out_together(go: GoDecoder) -> None:
    """Hundreds of them make one stream, of which Argo CD reads the objects of each."""
    written = [file for writer in WRITERS for _, file in everyday_files(writer)]

    verdict = compare(go, written)

    assert len(written) >= 300
    assert verdict == SAME


@pytest.mark.parametrize("row", MENDED_ROWS, ids=lambda row: row.what)
def test_what_stands_around_documents_is_mended(go: GoDecoder, row: Mended) -> None:
    """Argo CD refuses the file or loses an object of it, and gets all of them from cmp-core."""
    alone = go.decode(row.example.encode())

    whole = go.decode(assemble(check([row.example.encode()])))

    assert bool(alone.error) == (row.alone == "refuses it")
    assert whole.error == ""
    assert names(whole.objects) == list(row.names)
    assert alone.objects != whole.objects


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_what_is_refused_would_be_read_otherwise(go: GoDecoder, row: Refused) -> None:
    """Argo CD reads the file, without what the row says is lost, and cmp-core refuses it with the row's words."""
    content = row.example if isinstance(row.example, bytes) else row.example.encode()

    alone = go.decode(content)
    with pytest.raises(CmpError) as refusal:
        check([content])

    assert alone.error == ""
    assert row.instead in "".join(alone.objects)
    assert not row.lost or row.lost not in "".join(alone.objects)
    assert re.search(row.message, str(refusal.value))


def is_printed(content: bytes, expected: bytes) -> bool:
    """Tell whether a file of a golden case is among those that were printed."""
    try:
        return any(document.content.rstrip() in expected for document in check([content]))
    except CmpError:
        return False


def names(objects: tuple[str, ...]) -> list[str]:
    """Return what objects are called."""
    return [json.loads(text)["metadata"]["name"] for text in objects]
