"""What is installed: told from the interpreter's own site directories, without loading anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_support import COMMAND
from host_support import FakeSite

from cmp_core.errors import BackendConflictError, BackendLoadError, BackendNotFoundError
from cmp_core.installed import InstalledBackend, describe, find_backend, installed_backends


def test_every_entry_point_of_the_group_is_a_backend(fake_site: FakeSite) -> None:
    """Sorted by name; other groups and other distributions do not count."""
    fake_site.record("two", "2.0", "[console_scripts]\nx = y:z\n\n[cmp_core]\nzip = mod_zip\nhelm = mod_helm\n")
    fake_site.record("other", "1.0", "[cmp_core_other]\nx = y\n")
    fake_site.record("one", "1.0", "[cmp_core]\nlocal = mod_local\n")

    found = fake_site.backends()

    assert found == (
        InstalledBackend("helm", "two", "2.0", "mod_helm"),
        InstalledBackend("local", "one", "1.0", "mod_local"),
        InstalledBackend("zip", "two", "2.0", "mod_zip"),
    )


def test_nothing_is_loaded_to_tell_what_is_installed(fake_site: FakeSite) -> None:
    """A backend that is not asked for costs nothing and breaks nothing."""
    installed = fake_site.install("raise RuntimeError('loaded')")

    found = fake_site.backends()

    assert found == (installed,)
    assert installed.target not in sys.modules


def test_the_site_directories_are_the_default(fake_site: FakeSite) -> None:
    """Whatever else lies on the module path is not looked at."""
    installed = fake_site.install()

    found = installed_backends()

    assert found == (installed,)


def test_the_working_directory_is_never_looked_at(
    fake_site: FakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that lies in somebody's repository registers nothing, even on the module path."""
    FakeSite(tmp_path / "repository").record("evil", "6.6", "[cmp_core]\ns3 = evil\n")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.syspath_prepend(tmp_path / "repository")

    found = installed_backends()

    assert found == ()


def test_the_same_distribution_twice_is_one(tmp_path: Path) -> None:
    """Two site directories may both hold it; the first one is what Python imports."""
    first, second = FakeSite(tmp_path / "a"), FakeSite(tmp_path / "b")
    first.record("dist", "2.0", "[cmp_core]\ns3 = new\n")
    second.record("dist", "1.0", "[cmp_core]\ns3 = old\n")

    found = installed_backends([str(first.directory), str(second.directory)])

    assert found == (InstalledBackend("s3", "dist", "2.0", "new"),)


def test_a_record_without_metadata_is_still_named(fake_site: FakeSite) -> None:
    """An interrupted uninstall leaves one; it must not break the other backends."""
    (fake_site.record("gone", "1.0", "[cmp_core]\ngone = mod\n") / "METADATA").unlink()

    found = fake_site.backends()

    assert [str(backend) for backend in found] == ["backend `gone` (an unnamed distribution of unknown version)"]


def test_a_malformed_record_names_its_distribution(fake_site: FakeSite) -> None:
    """One clear line instead of a defect."""
    fake_site.record("broken-dist", "3.1", "[cmp_core]\nno equals sign\n")

    with pytest.raises(BackendLoadError) as caught:
        fake_site.backends()

    assert str(caught.value) == (
        "broken-dist 3.1: its entry_points.txt is malformed: install it again, or uninstall it"
    )


def test_the_one_backend_of_a_name_is_found() -> None:
    """Its neighbours do not matter."""
    backends = (InstalledBackend("a", "d", "1", "m"), InstalledBackend("b", "d", "1", "n"))

    found = find_backend("b", backends)

    assert found == backends[1]


def test_a_missing_backend_lists_those_that_are_there(fake_site: FakeSite) -> None:
    """With their trigger files, and what to do."""
    fake_site.install()

    with pytest.raises(BackendNotFoundError) as caught:
        find_backend("s4", fake_site.backends())

    assert str(caught.value) == (
        "backend `s4` is not installed; installed are demo (demo-source.yaml): install the distribution that "
        "provides `s4` into the sidecar's image, or rename the trigger file"
    )


def test_two_backends_of_one_name_are_both_named(fake_site: FakeSite) -> None:
    """Without a word pluggy would take the first one."""
    fake_site.install(distribution="stranger", version="0.9")
    fake_site.install(distribution="cmp-backend-demo", version="1.2")

    with pytest.raises(BackendConflictError) as caught:
        find_backend("demo", fake_site.backends())

    assert str(caught.value) == (
        "backend `demo` is provided by cmp-backend-demo 1.2 and stranger 0.9: uninstall all but one of them"
    )


def test_no_backend_at_all_is_told_as_that() -> None:
    """An empty list would read like a slip."""
    clause = describe(())

    assert clause == "no backend is installed"


def test_a_hostile_folder_changes_nothing(tmp_path: Path) -> None:
    """The installed command, run in a repository full of traps, imports none of them and sees no backend of its."""
    trap = f"open({str(tmp_path / 'sprung')!r}, 'a').write(__name__ + chr(10))\n"
    app = tmp_path / "app"
    modules = ["yaml", "pydantic", "pluggy", "sitecustomize", "usercustomize", "argparse", "json", "evil", "s3fs"]
    (app / "cmp_core").mkdir(parents=True)
    (app / "cmp_core" / "__init__.py").write_text(trap)
    for module in modules:
        (app / f"{module}.py").write_text(trap)
    FakeSite(app).record("evil", "6.6", "[cmp_core]\nevil = evil\ns3 = evil\n")
    (app / "evil-source.yaml").write_text("bucket: b\n")
    environment = {"PATH": os.defpath, "TMPDIR": str(tmp_path)}

    results = [
        subprocess.run([COMMAND, command], cwd=app, env=environment, capture_output=True, check=False)
        for command in ("backends", "discover", "validate", "generate")
    ]

    assert not (tmp_path / "sprung").exists()
    assert [result.returncode for result in results] == [0, 0, 69, 69]
    assert b"evil" not in results[0].stdout + results[1].stdout
    assert results[3].stderr.startswith(b"error: backend `evil` is not installed; ")
