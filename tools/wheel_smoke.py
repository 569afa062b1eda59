"""Own the trial of the built wheels: outside the checkout, in an environment that holds nothing but what they need.

An editable install puts the checkout on `sys.path`, and so hides a module that a wheel forgot or a dependency that only
the development set has. Here `requirements/runtime.txt` and the wheels are all there is.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import release
from tools.processes import tell
from tools.release import uv

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = release.distributions(ROOT)
BACKENDS = {folder.name for folder in PUBLISHED if folder != ROOT} | {"local"}
DISTRIBUTIONS = (*PUBLISHED, ROOT / "examples" / "backend-local")
MOST_OWN_TESTS = 20
"""A new backend has fewer tests of its own than this: more only pass where the contract's run too."""
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-a-folder\n"


def main() -> int:
    """Build, install and try the wheels; the first thing that does not hold ends the trial with a sentence."""
    with tempfile.TemporaryDirectory(prefix="cmp core wheels ") as folder:
        place = Path(folder)
        wheels = build_wheels(place / "wheels")
        cmp_core = install(wheels, place / "environment")
        os.chdir(place)
        check_demo(cmp_core)
        check_web_demo(cmp_core)
        check_backends(cmp_core)
        check_local_backend(cmp_core, place)
        check_hostile_folder(cmp_core, place)
        check_new_backend(cmp_core, place)
    tell("The wheels work outside the checkout.")
    return 0


def build_wheels(folder: Path) -> list[Path]:
    """Build one wheel of each distribution with the pinned build system, and return them."""
    release.build_wheels(DISTRIBUTIONS, folder)
    wheels = sorted(folder.glob("*.whl"))
    expect(len(wheels) == len(DISTRIBUTIONS), f"{len(DISTRIBUTIONS)} distributions made {len(wheels)} wheels: {wheels}")
    return wheels


def install(wheels: list[Path], environment: Path) -> Path:
    """Make an environment of the locked run-time set and the wheels alone, and return its console script."""
    python = environment / "bin" / "python"
    uv("venv", "--python", sys.executable, environment)
    uv("pip", "sync", "--require-hashes", "--python", python, ROOT / "requirements" / "runtime.txt")
    uv("pip", "install", "--no-deps", "--offline", "--python", python, *wheels)
    uv("pip", "check", "--python", python)
    return environment / "bin" / "cmp-core"


def check_demo(cmp_core: Path) -> None:
    """Expect the demonstration's manifests from the installed wheels, byte for byte."""
    command: list[str | Path] = [sys.executable, ROOT / "tools" / "demo.py", "--cmp-core", cmp_core]
    result = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    objects = sorted((ROOT / "examples" / "quickstart" / "objects").iterdir())
    expected = b"".join(b"---\n" + file.read_bytes() for file in objects)
    expect(result.returncode == 0, f"the demonstration ended with exit code {result.returncode}")
    expect(result.stdout == expected, f"the demonstration printed {result.stdout!r} instead of its two manifests")


def check_web_demo(cmp_core: Path) -> None:
    """Expect what a web server gives out, without the libraries of any other protocol."""
    command: list[str | Path] = [sys.executable, ROOT / "tools" / "demo.py", "fsspec", "--cmp-core", cmp_core]
    result = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    release = ROOT / "examples" / "fsspec" / "objects" / "releases" / "demo-app-1.0.0.yaml"
    expect(result.returncode == 0, f"the demonstration of fsspec ended with exit code {result.returncode}")
    expect(result.stdout == b"---\n" + release.read_bytes(), f"the demonstration of fsspec printed {result.stdout!r}")


def check_backends(cmp_core: Path) -> None:
    """Expect all backends to be found through their entry points."""
    names = {backend["name"] for backend in json.loads(run(cmp_core, "backends", "-o", "json"))}
    expect(names == BACKENDS, f"`cmp-core backends` lists {sorted(names)} instead of {sorted(BACKENDS)}")


def check_local_backend(cmp_core: Path, place: Path) -> None:
    """Expect a stranger's backend to fetch and render, from its wheel alone."""
    objects = place / "objects"
    application = local_application(place / "application", objects)
    objects.mkdir()
    (objects / "manifest.yaml").write_text(MANIFEST)
    run(cmp_core, "init", cwd=application)
    rendered = run(cmp_core, "generate", cwd=application)
    expect(rendered == f"---\n{MANIFEST}", f"the local backend rendered {rendered!r}")


def check_hostile_folder(cmp_core: Path, place: Path) -> None:
    """Expect modules and entry points that lie in the application's folder to do nothing."""
    mark = place / "hostile-code-ran"
    hostile = local_application(place / "hostile", place / "objects")
    attack = f"open({str(mark)!r}, 'w').close()\n"
    for module in ("yaml", "pluggy", "pydantic", "sitecustomize", "intruder"):
        (hostile / f"{module}.py").write_text(attack)
    metadata = hostile / "intruder-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[cmp_core]\nintruder = intruder\nlocal = intruder\n")
    rendered = run(cmp_core, "generate", cwd=hostile)
    names = {backend["name"] for backend in json.loads(run(cmp_core, "backends", "-o", "json", cwd=hostile))}
    expect(rendered == f"---\n{MANIFEST}", f"a hostile folder changed what was rendered: {rendered!r}")
    expect(names == BACKENDS, f"a hostile folder registered a backend: {sorted(names)}")
    expect(not mark.exists(), "a module from the application's folder was imported")


def check_new_backend(cmp_core: Path, place: Path) -> None:
    """Expect a new backend to pass its tests and checks at once, with the wheels and PyPI and nothing else."""
    project = place / "new backend"
    told = run(cmp_core, "new-backend", "my-store", str(project))
    expect("uv run pytest" in told, f"`cmp-core new-backend` does not say what to run next: {told!r}")
    tested = uv_run(project, place, "pytest")
    passed = re.search(r"\b(\d+) passed", tested)
    expect(passed and int(passed[1]) > MOST_OWN_TESTS, f"the contract's tests did not run in a new backend: {tested}")
    expect("tests/test_my_store_contract.py" in tested, f"a new backend does not run the contract: {tested}")
    typed = uv_run(project, place, "mypy")
    expect("no issues found" in typed, f"mypy says of a new backend: {typed}")
    uv_run(project, place, "ruff", "check")
    uv_run(project, place, "ruff", "format", "--check")


def uv_run(project: Path, place: Path, *words: str) -> str:
    """Run what the project's developers run, in the environment that uv makes for it, and return its stdout."""
    command: list[str | Path] = [
        Path(sys.executable).parent / "uv",
        "run",
        "--quiet",
        "--python",
        sys.executable,
        *words,
    ]
    # A cache of its own, since uv takes wheels of one name and version for the same.
    variables = os.environ | {"UV_FIND_LINKS": str(place / "wheels"), "UV_CACHE_DIR": str(place / "cache")}
    variables.pop("VIRTUAL_ENV", None)
    result = subprocess.run(command, cwd=project, env=variables, check=False, capture_output=True, text=True)
    told = f"{result.stdout}{result.stderr}"
    expect(result.returncode == 0, f"`uv run {' '.join(words)}` in a new backend exited {result.returncode}: {told}")
    return result.stdout


def local_application(folder: Path, objects: Path) -> Path:
    """Make an application's folder whose trigger file names a folder on disk."""
    folder.mkdir()
    (folder / "local-source.yaml").write_text(f"path: {json.dumps(str(objects))}\n")
    return folder


def run(cmp_core: Path, *arguments: str, cwd: Path | None = None) -> str:
    """Run the installed command with next to nothing in its environment, and return its stdout."""
    variables = {"PATH": os.environ.get("PATH", ""), "HOME": str(cmp_core.parent), "TMPDIR": str(cmp_core.parent)}
    result = subprocess.run([cmp_core, *arguments], cwd=cwd, env=variables, check=False, capture_output=True, text=True)
    expect(result.returncode == 0, f"`cmp-core {' '.join(arguments)}` exited {result.returncode}: {result.stderr}")
    return result.stdout


def expect(condition: object, sentence: str) -> None:
    """End the trial with the sentence where the condition does not hold."""
    if not condition:
        sys.exit(f"The wheels do not work: {sentence}")


if __name__ == "__main__":
    sys.exit(main())
