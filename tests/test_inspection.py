"""The static part of the contract: what is sound is told as sound, and each defect as itself."""

from pathlib import Path

import pytest
from host_support import BACKEND, FakeSite

from cmp_core import inspection
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendLoadError, BackendNotFoundError
from cmp_core.inspection import announcement_problems, import_alone, import_problems, inspect_backend, schema_problems
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend

DESCRIBED = BACKEND.replace(
    "bucket: str\n", "bucket: cmp_core.models.Annotated[str, cmp_core.models.Field(description='A bucket.')]\n"
).replace("import cmp_core\n", "import cmp_core, cmp_core.models\n")


def outcomes(code: str, fake_site: FakeSite) -> dict[str, str]:
    """Return the outcome of each check of a backend."""
    fake_site.install(code)
    return {finding.check: finding.outcome for finding in inspect_backend("demo", BuildEnvironment())}


def test_a_sound_backend_passes_every_check(fake_site: FakeSite) -> None:
    """The time that its import takes is told."""
    fake_site.install(DESCRIBED)

    findings = list(inspect_backend("demo", BuildEnvironment()))

    assert [(each.check, each.outcome) for each in findings] == [
        ("import", "ok"),
        ("hooks", "ok"),
        ("schema", "ok"),
        ("parameters", "ok"),
    ]
    assert "is imported in " in findings[0].message
    assert "implements `source_model`, `fetch`" in findings[1].message


def test_a_backend_that_is_not_installed_is_an_error(fake_site: FakeSite) -> None:
    """It is no finding: there is nothing to check."""
    with pytest.raises(BackendNotFoundError, match="`demo` is not installed"):
        list(inspect_backend("demo", BuildEnvironment()))


@pytest.mark.parametrize(
    ("line", "deed"),
    [
        ("import socket; socket.socket().close()", "opens a socket"),
        ("import socket\ntry: socket.getaddrinfo('127.0.0.1', 1)\nexcept OSError: pass", "asks for an address"),
        ("import subprocess, sys; subprocess.run([sys.executable, '--version'])", "starts a program"),
        ("import os; os.system('true')", "starts a program"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "starts a thread"),
        ("import pathlib; pathlib.Path(__file__).with_name('cache').mkdir()", "changes the disk"),
        ("import pathlib; pathlib.Path(__file__).with_name('cache').write_text('x')", "writes /"),
        ("import pathlib; pathlib.Path('settings.yaml').read_text()", "reads `settings.yaml` in the working directory"),
        ("import os, sys; sys.path.insert(0, os.getcwd())", "adds the working directory to the module path"),
        ("import sys; sys.path.insert(0, '')", "adds the working directory to the module path"),
        ("import fsspec", "loads fsspec"),
        ("import os; os.environ['HOME']", "cannot be imported (KeyError: 'HOME')"),
        ("raise SystemExit(3)", "cannot be imported (SystemExit: 3)"),
    ],
)
def test_an_import_that_does_more_is_told(fake_site: FakeSite, tmp_path: Path, line: str, deed: str) -> None:
    """Offline commands load every backend, in a folder that is somebody's repository."""
    installed = fake_site.install(f"{DESCRIBED}\n{line}\n")
    here = tmp_path / "here"
    here.mkdir()
    (here / "settings.yaml").write_text("a: b\n", encoding="utf-8")

    problems = import_problems(import_alone(installed, BuildEnvironment(), here))

    assert [problem for problem in problems if problem.startswith(deed)]


def test_what_asking_for_the_model_does_is_told_too(fake_site: FakeSite) -> None:
    """It is called as often as the module is imported."""
    installed = fake_site.install(
        DESCRIBED.replace("    return DemoSource", "    import socket; socket.socket().close()\n    return DemoSource")
    )

    assert import_problems(import_alone(installed, BuildEnvironment())) == ["opens a socket"]


def test_what_an_import_prints_is_no_part_of_the_answer(fake_site: FakeSite) -> None:
    """Nor does it disturb."""
    installed = fake_site.install(f"print('hello')\n{DESCRIBED}")

    assert import_problems(import_alone(installed, BuildEnvironment())) == []


def test_an_import_that_ends_the_process_is_told(fake_site: FakeSite) -> None:
    """There is no answer then."""
    installed = fake_site.install("import os\nos._exit(9)\n")

    with pytest.raises(BackendLoadError, match=r"ended the process that imported it \(exit code 9\)"):
        import_alone(installed, BuildEnvironment())


@pytest.mark.parametrize(
    ("old", "new", "failing"),
    [
        ("import pathlib", "import pathlib, fsspec", "import"),
        ("def fetch(source,", "def fetch(sauce,", "hooks"),
        ("(description='A bucket.')", "()", "schema"),
        ("    bucket:", "    a_b: str = ''\n    aB: str = ''\n    bucket:", "parameters"),
    ],
)
def test_each_check_fails_by_itself(fake_site: FakeSite, old: str, new: str, failing: str) -> None:
    """What is sound before it and after it is told as sound, as far as it can be told."""
    assert DESCRIBED.count(old) >= 1

    found = outcomes(DESCRIBED.replace(old, new, 1), fake_site)

    assert found["import"] == ("failed" if failing == "import" else "ok")
    assert found[failing] == "failed"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("(description='A bucket.')", "(description=' ')", "`bucket` has no description"),
        ("DemoSource", "demo_source", "`demo_source` is no `kind`"),
        ("    bucket:", "    model_config = {'extra': 'ignore'}\n    bucket:", "takes keys that it does not know"),
        ("(description='A bucket.')", "(alias='bucket-name', description='A.')", "`bucket-name` is no key"),
        ("(description='A bucket.')", "(alias='kind', description='A.')", "`kind` is no key"),
        ("Annotated[str", "Annotated[type", "`DemoSource` has no JSON Schema"),
    ],
)
def test_each_defect_of_a_schema_is_told(fake_site: FakeSite, old: str, new: str, problem: str) -> None:
    """It is what users read, and what their editors check."""
    fake_site.install(DESCRIBED.replace(old, new))

    problems = schema_problems(load_backend(find_backend("demo", installed_backends())))

    assert [told for told in problems if problem in told]


@pytest.mark.parametrize(
    ("announced", "problem"),
    [
        ({"tooltip": None}, "without a usable `tooltip`"),
        ({"required": "yes"}, "without a usable `required`"),
        ({"collectionType": "list"}, "a collection that Argo CD does not know (`list`)"),
        ({"array": ["a"]}, "a value of another kind than `string`"),
        ({"tooltip": "\ud800"}, "half a character"),
    ],
)
def test_each_defect_of_an_announcement_is_told(
    monkeypatch: pytest.MonkeyPatch, fake_site: FakeSite, announced: dict[str, object], problem: str
) -> None:
    """Argo CD's decoder refuses the whole list for one of them."""
    fake_site.install(DESCRIBED)
    model = load_backend(find_backend("demo", installed_backends())).model
    sound = {"name": "a", "title": "a", "tooltip": "", "required": True, "itemType": "", "collectionType": "string"}
    monkeypatch.setattr(inspection, "announce_parameters", lambda *_: [{**sound, **announced}])

    (told,) = announcement_problems(model)

    assert problem in told


def test_two_keys_of_one_variable_are_told(fake_site: FakeSite) -> None:
    """`requesterPays` arrives in PARAM_REQUESTERPAYS."""
    fake_site.install(DESCRIBED.replace("    bucket:", "    page_size: int = 1\n    pagesize: int = 1\n    bucket:"))
    model = load_backend(find_backend("demo", installed_backends())).model

    assert announcement_problems(model) == [
        "`pageSize` shares its variable with another key: rename one of them",
        "`pagesize` shares its variable with another key: rename one of them",
    ]
