"""Own what a release is made of: one version everywhere, the wheels, their bill of materials, their sums, the notes.

`check TAG` compares the tag with every place that names the version, `files FOLDER` makes what is published, and
`notes` prints the changelog's section. `.github/workflows/release.yaml` calls them; each runs on any machine.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tools.processes import tell

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CYCLONEDX = ROOT / ".cache" / "release" / "bin" / "cyclonedx-py"
BILL = "cmp-core.cdx.json"
SUMS = "SHA256SUMS"


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__.partition("\n")[0])
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("check", help="compare a tag with every place that names the version").add_argument("tag")
    steps.add_parser("files", help="make what is published").add_argument("folder", type=Path)
    steps.add_parser("notes", help="print the section of CHANGELOG.md for this version")
    options = parser.parse_args(arguments)
    if options.step == "check":
        check(ROOT, options.tag)
    elif options.step == "files":
        make_files(options.folder)
    else:
        print(notes(ROOT), end="")
    return 0


def check(root: Path, tag: str) -> None:
    """End with a sentence for every place that does not fit the tag, and for what is not yet in the changelog."""
    wrong = [f"{place} says {version}" for place, version in named_versions(root) if f"v{version}" != tag]
    if left := sorted(path.name for path in (root / "changes").iterdir() if path.name != "README.md"):
        wrong.append(f"changes/ still holds {len(left)} fragments, of which {left[0]} is the first")
    if not section(root, tag.removeprefix("v")):
        wrong.append(f"CHANGELOG.md has no section for {tag.removeprefix('v')}")
    if wrong:
        sys.exit("\n".join([f"The tag {tag} does not fit; see Releases in CONTRIBUTING.md:", *wrong]))
    tell(f"{tag} is the version everywhere.")


def named_versions(root: Path) -> Iterator[tuple[str, str]]:
    """Give each place that names the version of this checkout, and what it says."""
    for path in distributions(root):
        project = read_project(path)
        place = f"{path.relative_to(root).as_posix()}/pyproject.toml".removeprefix("./")
        yield place, project["version"]
        for extra, requirements in project.get("optional-dependencies", {}).items():
            for version in re.findall(r"cmp-backend-[\w-]+==([\w.]+)", " ".join(requirements)):
                yield f"the extra {extra} in {place}", version
    (version,) = re.findall(r"^ARG VERSION=(\S+)$", (root / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    yield "Dockerfile", version


def distributions(root: Path) -> list[Path]:
    """Return the folders of what goes to PyPI: cmp-core and the backends of the image."""
    return [root, *sorted(path.parent for path in root.glob("backends/*/pyproject.toml"))]


def read_project(folder: Path) -> dict[str, Any]:
    """Return what a folder's pyproject.toml says of its distribution."""
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def make_files(folder: Path) -> None:
    """Fill an empty folder with the wheels, the bill of what they are installed with, and the sums of all of these."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty: name a folder for what is published and nothing else")
    build_wheels(distributions(ROOT), folder)
    (folder / ".gitignore").unlink(missing_ok=True)
    write_bill(folder, folder / BILL)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("\n".join([*sums, ""]), encoding="utf-8")


def build_wheels(projects: Iterable[Path], folder: Path) -> None:
    """Build a wheel of each of the folders' distributions into a folder, with the pinned build system."""
    for path in projects:
        uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, path)


def write_bill(wheels: Path, target: Path) -> None:
    """Write the CycloneDX bill of an environment that holds the wheels and the locked run-time set, and no more."""
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(scratch, "environment", "bin", "python")
        uv("venv", "--python", sys.executable, python.parent.parent)
        uv("pip", "sync", "--require-hashes", "--python", python, ROOT / "requirements" / "runtime.txt")
        # By their names, since the bill would tell the paths of files.
        names = [f"{project['name']}=={project['version']}" for project in map(read_project, distributions(ROOT))]
        uv("pip", "install", "--no-deps", "--no-index", "--find-links", wheels, "--python", python, *names)
        command: list[str | Path] = [CYCLONEDX, "environment", "--pyproject", ROOT / "pyproject.toml"]
        # Without a serial number and a time two builds of one commit have one bill.
        command += ["--output-reproducible", "--output-format", "JSON", "--output-file", target, python]
        call(command)


def notes(root: Path) -> str:
    """Return the changelog's section for this checkout's version."""
    version = read_project(root)["version"]
    return section(root, version) or sys.exit(
        f"CHANGELOG.md has no section for {version}: see Releases in CONTRIBUTING.md"
    )


def section(root: Path, version: str) -> str:
    """Return one version's section without its heading, empty if there is none."""
    parts = re.split(r"^## ", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [part.partition("\n")[2].strip() for part in parts[1:] if part.split(maxsplit=1)[0] == version]
    return f"{found[0]}\n" if found and found[0] else ""


def uv(*arguments: str | Path) -> None:
    """Run uv, and end where it fails."""
    call([BIN / "uv", arguments[0], "--quiet", *arguments[1:]])


def call(command: list[str | Path]) -> None:
    """Run a command, and end with what it was where it fails."""
    if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(f"{' '.join(map(str, command))} exited {code}: see above")


if __name__ == "__main__":
    sys.exit(main())
