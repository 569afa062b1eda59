"""The contract suite: a sound backend passes it, and a defect planted in each of its rules fails it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from host_support import FakeSite
from planted.defects import DEFECTS, Defect

from cmp_core.testing import DiagnosisContract

SOUND = Path(__file__).with_name("planted").joinpath("sound.py").read_text(encoding="utf-8")
RULES = {name for name in dir(DiagnosisContract) if name.startswith("test_")}

CONFTEST = """
import json, pathlib, site, sys
import pytest

SITE = {site!r}
WANTED = json.loads({wanted!r})
OUTCOMES = {{}}

sys.path.insert(0, SITE)

@pytest.fixture(autouse=True)
def _site(monkeypatch):
    monkeypatch.setattr(site, "getsitepackages", lambda: [SITE])

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.originalname in WANTED.get(item.cls.backend, [item.originalname])]

def pytest_runtest_logreport(report):
    if report.when == "call" or report.failed:
        name, test = report.nodeid.split("::")[1:]
        OUTCOMES.setdefault(name, {{}}).setdefault(test.partition("[")[0], set()).add(report.outcome)

def pytest_sessionfinish():
    found = {{name: {{test: sorted(each) for test, each in tests.items()}} for name, tests in OUTCOMES.items()}}
    pathlib.Path({outcomes!r}).write_text(json.dumps(found))
"""

Outcomes = Mapping[str, Mapping[str, list[str]]]


def run_suites(
    folder: Path, site: FakeSite, suites: Mapping[str, str], wanted: Mapping[str, Iterable[str]]
) -> tuple[Outcomes, str]:
    """Run suites in one process.

    Args:
        folder: Where their module is written.
        site: Where their backends are installed.
        suites: The class that each backend's suite derives from, by the backend's name.
        wanted: The tests that are run of a backend; all of them by default.

    Returns:
        The outcomes of each test, by the suite's class and the test's name, and what pytest says.
    """
    code = "from planted.suite import BaseSuite, ShelfSuite\n\n"
    for number, (backend, base) in enumerate(suites.items()):
        code += f"class Test{number}({base}):\n    backend = {backend!r}\n\n"
    (folder / "test_suites.py").write_text(code, encoding="utf-8")
    asked = json.dumps({name: list(tests) for name, tests in wanted.items()})
    outcomes = folder / "outcomes.json"
    conftest = CONFTEST.format(site=str(site.directory), wanted=asked, outcomes=str(outcomes))
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist"]

    result = subprocess.run(
        [*command, "-W", "error", "--import-mode=importlib", "test_suites.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    found = json.loads(outcomes.read_text(encoding="utf-8")) if outcomes.exists() else {}
    return {backend: found.get(f"Test{number}", {}) for number, backend in enumerate(suites)}, result.stdout


def plant(defect: Defect) -> str:
    """Return the sound backend with a defect in it."""
    if not defect.old:
        return f"{SOUND}{defect.new}".replace("    Artifact,\n", "    Artifact,\n    Document,\n", 1)
    assert defect.old in SOUND, defect.name
    return SOUND.replace(defect.old, defect.new)


def install(site: FakeSite, backends: Mapping[str, str]) -> None:
    """Install backends, all from one distribution: it is read again for every source inside of a source."""
    lines = ["[cmp_core]"]
    for number, (name, code) in enumerate(backends.items()):
        (site.directory / f"planted_{number}.py").write_text(code, encoding="utf-8")
        lines.append(f"{name} = planted_{number}")
    site.record("cmp-backends-planted", "1.0", "\n".join(lines))


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """The folder of the generated suites."""
    folder = tmp_path / "suites"
    folder.mkdir()
    return folder


def test_a_sound_backend_passes_every_rule(fake_site: FakeSite, suites: Path) -> None:
    """By itself, and where it only holds a source of another backend."""
    install(fake_site, {"shelf": SOUND, "holder": SOUND})
    of_the_holder = {"holder": [name for name in RULES if not is_of_diagnosis(name)]}

    outcomes, said = run_suites(suites, fake_site, {"shelf": "ShelfSuite", "holder": "BaseSuite"}, of_the_holder)

    assert {name for tests in outcomes.values() for name, found in tests.items() if found != ["passed"]} == set(), said
    assert set(outcomes["shelf"]) == RULES


def is_of_diagnosis(name: str) -> bool:
    """Tell whether a rule is one of those for `diagnose`."""
    return name in vars(DiagnosisContract)


def test_each_planted_defect_fails_the_rules_that_it_breaks(fake_site: FakeSite, suites: Path) -> None:
    """A suite that a broken backend passes would be worth nothing."""
    install(fake_site, {"shelf": SOUND} | {defect.name: plant(defect) for defect in DEFECTS})
    wanted = {defect.name: (*defect.tests, defect.sound) for defect in DEFECTS}

    outcomes, said = run_suites(suites, fake_site, {defect.name: defect.suite for defect in DEFECTS}, wanted)

    missed = {
        (defect.name, test): outcomes[defect.name].get(test, ["not run"])
        for defect in DEFECTS
        for test in defect.tests
        if "failed" not in outcomes[defect.name].get(test, [])
    }
    spoiled = [defect.name for defect in DEFECTS if outcomes[defect.name].get(defect.sound) != ["passed"]]
    assert missed == {}, said
    assert spoiled == [], said


def test_every_rule_has_a_defect_that_breaks_it() -> None:
    """Whoever adds a rule plants a defect for it."""
    assert {test for defect in DEFECTS for test in defect.tests} == RULES


def test_the_names_of_the_defects_differ() -> None:
    """One would hide the other."""
    names = [defect.name for defect in DEFECTS]

    assert len(names) == len(set(names)) > len(RULES)
