"""The benchmark measures what it says, and writes only between its marks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import crowd, measure, report, scenario
from benchmarks.measure import Spread, Usage
from cmp_core.settings import Settings


def test_a_manifest_is_as_large_as_the_figures_say() -> None:
    """3.5 kB of valid YAML, and no two with one name."""
    manifests = [scenario.manifest(number) for number in (0, 1, 99_999)]

    assert all(3400 < len(text) <= 3500 for text in manifests)
    assert len({yaml.safe_load(text)["metadata"]["name"] for text in manifests}) == 3


def test_a_process_is_measured_with_the_most_memory_that_it_had(tmp_path: Path) -> None:
    """Memory that was freed before the end counts too, and nothing is left in the folder."""
    code = "held = b'x' * 150_000_000; del held"

    usage = measure.run([sys.executable, "-c", code], os.environ, tmp_path)

    assert usage.peak_bytes > 150_000_000
    assert usage.seconds > 0
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    """A side that did not do its work must not win."""
    code = "raise SystemExit('the bucket is missing')"

    with pytest.raises(SystemExit, match=r"exited 1: the bucket is missing"):
        measure.run([sys.executable, "-c", code], os.environ, tmp_path)


def test_the_sides_take_turns_after_one_run_that_does_not_count() -> None:
    """What the machine does meanwhile hits both sides alike."""
    order: list[str] = []

    def side(name: str) -> Usage:
        order.append(name)
        return Usage(float(len(order)), 1)

    ours, theirs = measure.compare(2, lambda: side("ours"), lambda: side("theirs"))

    assert order == ["ours", "theirs"] * 3
    assert [usage.seconds for usage in ours] == [3.0, 5.0]
    assert [usage.seconds for usage in theirs] == [4.0, 6.0]


def test_two_processes_in_a_row_add_their_times_and_keep_the_greater_memory() -> None:
    """`init` and `generate` never run at once."""
    assert Usage(1.0, 300) + Usage(2.0, 200) == Usage(3.0, 300)


def test_a_figure_shows_its_spread() -> None:
    """A median alone would hide how far the runs lie apart."""
    assert Spread((3.0, 1.0, 2.0)).text("s") == "2.00 s (1.00 to 3.00)"
    assert Spread((3e6, 1e6, 2e6)).text("MB", 1e-6, 0) == "2 MB (1 to 3)"


@pytest.mark.parametrize(("ours", "verdict"), [(0.8, "≤ 0.8: held"), (0.9, "≤ 0.8: missed")])
def test_a_comparison_tells_whether_the_target_is_held(ours: float, verdict: str) -> None:
    """The table needs no arithmetic from its reader."""
    comparison = report.Comparison("copy", [Usage(ours, 1)], [Usage(1.0, 1)], 0.8)

    assert comparison.row()[-1] == verdict


def test_the_report_replaces_what_stands_between_the_marks(tmp_path: Path) -> None:
    """The prose around the figures stays."""
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")

    report.put_into_page(page, "new\n")

    assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """The figures are not put anywhere by guess."""
    page = tmp_path / "performance.md"
    page.write_text("prose\n")

    with pytest.raises(SystemExit, match="no place for the figures"):
        report.put_into_page(page, "new\n")

    assert page.read_text() == "prose\n"


def test_the_documentation_has_a_place_for_the_figures() -> None:
    """`make benchmark` does not measure for minutes and then find none."""
    text = (Path(__file__).resolve().parent.parent / "docs" / "explanation" / "performance.md").read_text()

    assert text.count(report.BEGIN) == text.count(report.END) == 1


def sleeper(command: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a process that holds 50 MB for a moment, and notes that it ran."""
    code = f"import time; held = bytearray(50_000_000); open({command!r}, 'x').close(); time.sleep(0.5)"
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, stderr=subprocess.PIPE)


def test_a_crowd_runs_both_commands_of_every_request_at_once(tmp_path: Path) -> None:
    """And what is measured is the memory of all together, at the moment when it is most."""
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()

    measured = crowd.measure_crowd("all", sleeper, folders)

    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["generate", "init"]] * 3
    assert 150_000_000 < measured.peak.proportional <= measured.peak.resident < 600_000_000
    assert all(1 <= latency <= measured.seconds for latency in measured.latencies.values)
    assert measured.seconds < 3 * 2 * 0.5 * 3


def test_a_crowd_tells_how_many_were_in_time() -> None:
    """A request that takes longer than the time-out would have been an error."""
    measured = crowd.Crowd("all", 3, 60.04, Spread((10.0, 45.0, 60.0)), crowd.Memory(2_000_000_000, 1_000_000_000))

    assert measured.row() == ("all", "1000 MB", "2000 MB", "60.0 s", "45.0 s (10.0 to 60.0)", "2 of 3")
    assert Settings().timeout == crowd.IN_TIME_SECONDS


def test_a_request_that_fails_ends_the_measuring_of_a_crowd(tmp_path: Path) -> None:
    """A crowd that did not do its work must not look small."""

    def fail(_command: str, folder: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", "exit('no bucket')"], cwd=folder, stderr=subprocess.PIPE)

    with pytest.raises(SystemExit, match="init exited 1: no bucket"):
        crowd.measure_crowd("all", fail, [tmp_path])


def test_a_process_that_has_ended_holds_nothing() -> None:
    """It may end between two looks."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert crowd.read_memory(process.pid) == crowd.Memory(0, 0)
