"""The audit of the soak finds whatever is left or has grown, and the page tells what was measured."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from e2e.cmp_server import CmpServer, make_mark, wait_until
from e2e.soak import page, plot, summary
from e2e.soak.audit import STORE_BYTES, find_leaks
from e2e.soak.judging import Outcome
from e2e.soak.sampling import Sample, Sampler

from cmp_core.slots import default_concurrency
from cmp_core.store import STALE_SECONDS

MIB = 2**20
CLEAN = Sample(
    seconds=900.0,
    weather="calm",
    processes=0,
    zombies=0,
    server_rss=60 * MIB,
    server_descriptors=12,
    server_threads=10,
    plugin_pss=0,
    work_files=0,
    work_bytes=0,
    store_objects=1000,
    store_bytes=STORE_BYTES,
    unfinished=2,
    oldest_unfinished=500.0,
    tickets=0,
    slots=default_concurrency(),
    other_state=0,
    temporary=0,
)
DURING = [replace(CLEAN, seconds=float(second), processes=9, tickets=4, work_files=900) for second in range(3, 900, 3)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CmpServer]:
    """A server with what it must not leave: a zombie, a process in a session of its own, and a file of every kind."""
    state = tmp_path / "tmp" / f"cmp-core-{os.geteuid()}"
    for name in ("objects/ab/cd.0123.tmp", "objects/ab/ef", "slots/0", "slots/queue/1", "scratch.key", "lost"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(b"content")
    os.utime(state / "objects/ab/cd.0123.tmp", (0, 0))
    (tmp_path / "tmp" / "strayed").touch()
    (tmp_path / "work" / "_cmp_server" / "1234").mkdir(parents=True)
    (tmp_path / "work" / "_cmp_server" / "1234" / "s3-source.yaml").touch()
    mark = make_mark(tmp_path)
    script = "true & setsid sleep 60 & exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", script], env=dict([mark.split("=")]), start_new_session=True) as process:
        server = CmpServer(process.pid, process.pid, mark, tmp_path, tmp_path / "work", tmp_path / "tmp", tmp_path)
        yield server
        for pid in [*server.started_processes(), process.pid]:
            os.kill(pid, 9)


def test_a_clean_soak_has_no_leaks() -> None:
    """What is there while requests run, and what the store keeps on purpose, is none."""
    assert find_leaks(CLEAN, DURING, CLEAN) == []


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ({"processes": 1}, "1 processes below the server are left"),
        ({"zombies": 3}, "3 zombies are left"),
        ({"work_files": 7}, "7 files in the work folder are left"),
        ({"tickets": 1}, "1 tickets in the queue are left"),
        ({"other_state": 1}, "1 unknown files in the state folder are left"),
        ({"temporary": 2}, "2 files in TMPDIR are left"),
        ({"slots": default_concurrency() + 1}, f"there are {default_concurrency() + 1} slots"),
        ({"oldest_unfinished": STALE_SECONDS + 300.0}, "an unfinished file of the store is 900 s old"),
        ({"server_descriptors": 30}, "the server has 30 open files, and had 12 at first"),
        ({"store_bytes": STORE_BYTES * 2}, "the store had"),
    ],
)
def test_whatever_is_left_is_told(left: dict[str, Any], sentence: str) -> None:
    """One of anything is enough: a small leak is a large one after a year."""
    (leak,) = find_leaks(CLEAN, DURING, replace(CLEAN, **left))

    assert sentence in leak


def test_memory_that_grows_is_told_and_a_warm_up_is_not() -> None:
    """The first tenth does not count; from then on the last third is held against the first."""
    growing = [replace(one, server_rss=60 * MIB + number * MIB // 4) for number, one in enumerate(DURING)]
    warming = [replace(one, server_rss=min(60 + 3 * number, 120) * MIB) for number, one in enumerate(DURING)]

    assert len(find_leaks(CLEAN, growing, CLEAN)) == 1
    assert find_leaks(CLEAN, warming, CLEAN) == []


def test_a_store_that_outgrew_its_size_meanwhile_is_told() -> None:
    """It is no excuse that a later eviction has brought it back."""
    peak = [*DURING[:9], replace(DURING[9], store_bytes=STORE_BYTES * 2), *DURING[10:]]

    assert len(find_leaks(CLEAN, peak, CLEAN)) == 1


def test_a_soak_that_measured_nothing_is_not_well() -> None:
    """No samples are no proof."""
    assert find_leaks(CLEAN, [], CLEAN) == ["nothing was measured"]


def test_the_sampler_sees_every_kind_of_leak(server: CmpServer) -> None:
    """Real processes and files are found wherever they hide, and each is told once."""
    sampler = Sampler(server, lambda: "calm")
    wait_until(lambda: sampler.take().processes == 2 and sampler.take().zombies == 1)

    sample = sampler.take()

    assert (sample.processes, sample.zombies) == (2, 1)
    assert (sample.work_files, sample.temporary, sample.other_state) == (1, 1, 1)
    assert (sample.store_objects, sample.unfinished, sample.slots, sample.tickets) == (1, 1, 1, 1)
    assert sample.server_rss > 0
    assert len(find_leaks(CLEAN, DURING, sample)) == 7


@pytest.mark.parametrize("words", ["defect in cmp-core", "Traceback (most recent call last)", "are not bounded"])
def test_what_must_never_stand_in_the_log_is_told(words: str) -> None:
    """A defect that no client saw is a defect."""
    assert len(summary.find_complaints(f"a line\nanother with {words}: something\n")) == 1
    assert summary.find_complaints("a line\n") == []


def test_the_report_fills_its_place_and_leaves_the_rest(tmp_path: Path) -> None:
    """What people wrote around the figures stays, and a page without a place is not touched."""
    path = tmp_path / "soak.md"
    path.write_text("# Soak\n\n<!-- soak -->\nold\n<!-- /soak -->\n\nThe end.\n")

    page.fill(path, "new \\1\n")

    assert path.read_text() == "# Soak\n\n<!-- soak -->\nnew \\1\n<!-- /soak -->\n\nThe end.\n"
    path.write_text("# Soak\n")
    with pytest.raises(SystemExit, match="has no place for the figures"):
        page.fill(path, "new")


def test_the_page_of_the_documentation_has_a_place_for_the_figures_and_shows_the_plot() -> None:
    """The run of a quarter of an hour must not end in vain."""
    text = page.PAGE.read_text(encoding="utf-8")

    assert len(re.findall(r"<!-- /?soak -->", text)) == 2
    assert "](soak.svg)" in text


def test_page_and_plot_know_every_outcome_and_draw_what_is_measured() -> None:
    """A verdict that nobody draws would look as if it never came."""
    drawn = re.findall(r'_line\(axes, samples, "(\w+)"', Path(plot.__file__).read_text(encoding="utf-8"))

    assert list(page._OUTCOMES) == list(plot._OUTCOMES) == list(get_args(Outcome))
    assert len(drawn) == 7
    assert set(drawn) <= set(Sample.__slots__)
