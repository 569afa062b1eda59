"""A new backend: which names it may have, that it appears whole or not at all, and that what appears works."""

import re
import resource
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from distribution_support import install, make_environment, run_python
from docs_support import ROOT
from e2e_support import COMMAND
from packaging.requirements import Requirement

from cmp_core.cli import main
from cmp_core.errors import CmpError, OutputError, UsageError
from cmp_core.installed import InstalledBackend
from cmp_core.newbackend import LONGEST_NAME, NewBackend, name_backend, write_backend

TEMPLATE = ROOT / "cmp_core" / "template"
LEFTOVERS = {"__pycache__", ".ruff_cache"}
LONGEST = "a1-" + "b" * (LONGEST_NAME - 3)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, but for what tools leave there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not LEFTOVERS & set(path.parts)
    }


def run(*words: str | Path) -> tuple[int, str]:
    """Run the command in this process; return its exit code and what it wrote."""
    written: list[bytes] = []
    code = main(["new-backend", *map(str, words)], written.append)
    return code, b"".join(written).decode()


@pytest.mark.parametrize("name", ["a", "oci", "artifact-store", "x509", "a-1", "class", "b" * LONGEST_NAME])
def test_a_name_is_words_of_small_letters_and_digits(name: str) -> None:
    """It is the prefix of a file's name, and a part of a module's, which may be a keyword."""
    backend = name_backend(name, ())

    assert backend.trigger_file == f"{name}-source.yaml"
    assert backend.fill("cmp_backend_shelf").isidentifier()
    assert backend.fill("ShelfSource").isidentifier()


@pytest.mark.parametrize(
    "name",
    ["", "S3", "3d", "a_b", "-a", "a-", "a--b", "a.b", "a b", "a/b", "ä", "b" * (LONGEST_NAME + 1), "a\n", "../a"],
)
def test_another_name_is_refused(name: str) -> None:
    """The error says what a name is, and shows one."""
    with pytest.raises(UsageError, match=r"names no backend: write at most 30 small letters.* as in `artifact-store`$"):
        name_backend(name, ())


@pytest.mark.parametrize(
    "installed", [("oci", "somebodys-oci"), ("other", "cmp-backend-oci"), ("o", "CMP_Backend.oci")]
)
def test_a_name_that_is_taken_is_refused(installed: tuple[str, str]) -> None:
    """Two distributions of one name or two backends of one name would get in each other's way."""
    taken = InstalledBackend(installed[0], installed[1], "2.1", "module")

    with pytest.raises(UsageError, match=rf"\({installed[1]} 2\.1\) is installed already: choose another name"):
        name_backend("oci", (taken,))


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("cmp-backend-shelf", "cmp-backend-my-store"),
        ("cmp_backend_shelf", "cmp_backend_my_store"),
        ("tests/test_shelf_source.py", "tests/test_my_store_source.py"),
        ("class TestShelf: ShelfSource", "class TestMyStore: MyStoreSource"),
        ('shelf = "cmp_backend_shelf"', 'my-store = "cmp_backend_my_store"'),
        ("SHARED_SHELF, shelf-source.yaml", "SHARED_MY_STORE, my-store-source.yaml"),
    ],
)
def test_the_name_is_spelt_as_its_place_asks(text: str, filled: str) -> None:
    """Hyphens are for people and files, underscores for modules, capitals for classes and constants."""
    assert NewBackend("my-store").fill(text) == filled


def test_the_templates_own_name_gives_the_template(tmp_path: Path) -> None:
    """What is written is what lies in the package, every file of it, and nothing is lost on the way."""
    count = write_backend(NewBackend("shelf"), tmp_path / "new")

    written = files_of(tmp_path / "new")
    assert written == files_of(TEMPLATE)
    assert len(written) == count
    assert {".gitignore", ".github/workflows/test.yaml", "src/cmp_backend_shelf/py.typed", "README.md"} <= set(written)


def test_nothing_of_the_templates_name_is_left(tmp_path: Path) -> None:
    """Neither in a text nor in a path."""
    write_backend(NewBackend("oci"), tmp_path / "new")

    assert [
        path for path, content in files_of(tmp_path / "new").items() if "shelf" in f"{path}{content!r}".lower()
    ] == []


def test_what_tools_leave_in_the_template_is_not_written(tmp_path: Path) -> None:
    """Installers compile the template's modules along with all others."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", TEMPLATE], check=True)

    write_backend(NewBackend("shelf"), tmp_path / "new")

    assert (TEMPLATE / "tests" / "__pycache__").is_dir()
    assert list((tmp_path / "new").rglob("__pycache__")) == []


def test_the_command_tells_what_to_run_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pastes its lines is in the folder and runs its tests, also where its name holds a space."""
    monkeypatch.chdir(tmp_path)

    code, told = run("oci", "my backends")

    assert code == 0
    assert re.fullmatch(
        r"my backends: wrote cmp-backend-oci for oci-source\.yaml, \d+ files\. Now run:\n"
        r"  cd 'my backends'\n  uv run pytest\n",
        told,
    )


def test_an_empty_folder_is_taken_also_through_a_link(tmp_path: Path) -> None:
    """Whoever has made the folder already, or has it elsewhere, gets it filled."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")

    code, _ = run("oci", tmp_path / "link")

    assert code == 0
    assert (tmp_path / "empty" / "pyproject.toml").is_file()
    assert (tmp_path / "link").is_symlink()


def test_what_is_there_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal says why the folder cannot be used, and leaves all as it was."""
    (tmp_path / "full" / "sub").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    for target, reason in {
        "full": "full is not empty: name a folder",
        "file": "file is no folder: name one",
        "no/such": f"no/such cannot be made, since {tmp_path}/no is no folder: make that one first",
        "file/new": f"file/new cannot be made, since {tmp_path}/file is no folder",
        ".": r"\. is the working directory: name a new folder in it",
    }.items():
        with pytest.raises(UsageError, match=f"^{reason}"):
            write_backend(NewBackend("oci"), Path(target))

    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_of_two_writers_one_wins_whole(tmp_path: Path) -> None:
    """A folder appears by one rename, which does not go onto a folder that holds something."""

    def write(name: str) -> str:
        try:
            write_backend(NewBackend(name), tmp_path / "new")
        except (OutputError, UsageError) as error:
            return type(error).__name__
        return name

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(write, [f"name{number}" for number in range(8)]))

    (winner,) = [result for result in results if result.startswith("name")]
    write_backend(NewBackend(winner), tmp_path / "again")
    assert files_of(tmp_path / "new") == files_of(tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "new"]


def test_a_disk_without_room_leaves_nothing(tmp_path: Path) -> None:
    """Half a distribution would look like one."""

    def leave_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = subprocess.run(
        [COMMAND, "new-backend", "oci", "new"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=leave_little_room,  # no thread of this process holds a lock that is needed
    )

    assert (result.returncode, result.stdout) == (OutputError.exit_code, "")
    assert result.stderr == (
        "error: new cannot be written (File too large): name a folder that you may write, on a disk with room\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_writing_loads_no_pydantic(tmp_path: Path) -> None:
    """The command answers at once."""
    code = (
        "import sys; from cmp_core.cli import main; main(['new-backend', 'oci', 'new'], lambda _: None);"
        "print(sorted({'pydantic', 'pluggy', 'yaml'} & set(sys.modules)))"
    )

    result = run_python(Path(sys.executable), "-I", "-c", code, cwd=tmp_path)

    assert (result.stdout, result.stderr) == ("[]\n", "")
    assert (tmp_path / "new").is_dir()


def test_its_pin_takes_this_version_and_no_next_minor() -> None:
    """A release of cmp-core that raises its version raises the template's pin too."""
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (pin,) = [each for each in map(Requirement, project["dependencies"]) if each.name == "cmp-core"]

    major, minor = map(int, version("cmp-core").split(".")[:2])
    assert pin.specifier.contains(version("cmp-core"))
    assert not pin.specifier.contains(f"{major}.{minor + 1}.0")


def test_its_ci_runs_every_python_that_the_host_supports() -> None:
    """The matrix is the host's own list."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    workflow = yaml.safe_load((TEMPLATE / ".github" / "workflows" / "test.yaml").read_text(encoding="utf-8"))

    supported = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == supported


def test_its_readme_names_the_exit_codes_of_the_errors() -> None:
    """The table is for operators, who look up what they read in a log."""
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| .* \| `(\w+)` \| (\d+) \|$", readme, re.MULTILINE)
    known = {each.__name__: each.exit_code for each in all_errors(CmpError)}
    assert len(rows) >= 6
    assert [row for row in rows if known[row[0]] != int(row[1])] == []


def all_errors(base: type[CmpError]) -> set[type[CmpError]]:
    """Return an error's class and all below it."""
    return {base}.union(*map(all_errors, base.__subclasses__()))


@pytest.mark.parametrize("name", ["a", "my-store", LONGEST])
def test_its_code_is_formatted_and_linted_whatever_its_name(tmp_path: Path, name: str) -> None:
    """A longer name makes longer lines."""
    write_backend(NewBackend(name), tmp_path / "new")

    for words in (("check",), ("format", "--check")):
        result = run_python(Path(sys.executable), "-m", "ruff", *words, cwd=tmp_path / "new")
        assert result.returncode == 0, result.stdout


def test_what_is_written_installs_is_found_and_passes_its_own_tests(tmp_path: Path) -> None:
    """The contract of every backend, its own tests and the strict type checker, in an environment of its own."""
    project = tmp_path / "new backend"
    write_backend(NewBackend(LONGEST), project)
    python = make_environment(tmp_path / "environment")
    install(project, python)

    tested = run_python(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    typed = run_python(python, "-m", "mypy", "--cache-dir", tmp_path / "mypy", cwd=project)
    listed = run_python(python, "-c", "from cmp_core.cli import console; console()", "backends", cwd=tmp_path)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    passed = re.search(r"^(\d+) passed", tested.stdout, re.MULTILINE)
    assert passed
    assert int(passed[1]) > 20
    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert re.search(r"Success: no issues found in 4 source files", typed.stdout)
    assert f"{LONGEST}-source.yaml" in listed.stdout


def test_its_tests_notice_a_fetch_that_loses_a_file(tmp_path: Path) -> None:
    """The contract's tests are there to fail."""
    project = tmp_path / "new"
    write_backend(NewBackend("oci"), project)
    module = project / "src" / "cmp_backend_oci" / "__init__.py"
    code = module.read_text(encoding="utf-8")
    broken = code.replace("return copy_folder(", "artifact = copy_folder(").replace(
        "source, environment)\n\n\n@hookimpl\ndef diagnose",
        "source, environment)\n"
        "    (destination / artifact.files[0]).unlink()\n"
        "    return Artifact.from_directory(destination)\n\n\n@hookimpl\ndef diagnose",
    )
    module.write_text(broken, encoding="utf-8")
    python = make_environment(tmp_path / "environment")
    install(project, python)

    tested = run_python(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)

    assert broken != code
    assert tested.returncode == 1
    assert "FAILED tests/test_oci_contract.py::TestOci::test_what_was_published_arrives_byte_for_byte" in tested.stdout
    assert "'deployment.yaml': b'apiVersion" in tested.stdout
