"""Own the account of what is in the image: every file is of a package, of Python, or of a short list, and as it was.

What `image/root_filesystem.py` writes is not believed: sums and records are those of Debian's and Python's packages.
"""

import _imp
import base64
import csv
import hashlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

from image.root_filesystem import FILES

ROOT = Path(__file__).resolve().parent.parent.parent
STATUS = Path("var/lib/dpkg/status.d")
ENVIRONMENT = Path("opt/cmp-core")
PROGRAMS = {"usr/local/bin/helm": "helm.sh/helm/v3", "usr/local/bin/kustomize": "sigs.k8s.io/kustomize/kustomize/v5"}
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
COPIES = {
    "home/argocd/cmp-server/config/plugin.yaml": "plugin.yaml",
    "usr/local/lib/cmp-core/entry.py": "image/entry.py",
}
UNCHECKED = 1
"""The flag of bytecode that is taken as it is, whatever its source says."""

Owners = dict[Path, str]


class Module(NamedTuple):
    """A Go module: its path and version."""

    path: str
    version: str


def site_packages(root: Path) -> Path:
    """Return where the image's Python packages lie."""
    (folder,) = (root / ENVIRONMENT / "lib").glob("python3.*/site-packages")
    return folder


def debian_packages(root: Path) -> list[dict[str, str]]:
    """Return what the Debian packages in the image say of themselves, by the fields of their stanzas."""
    stanzas = sorted(path for path in (root / STATUS).iterdir() if not path.name.endswith(".md5sums"))
    return [dict(HeaderParser().parsestr(path.read_text(encoding="utf-8")).items()) for path in stanzas]


def go_modules(program: Path) -> tuple[str, list[Module]]:
    """Return with which Go a program was built, and its modules, its own first."""
    command = ["go", "version", "-m", str(program)]
    first, *lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    words = [line.split("\t")[1:] for line in lines]
    modules = [Module(word[1], word[2]) for word in words if word[0] in {"mod", "dep", "=>"}]
    return first.rpartition(": ")[2].removeprefix("go"), modules


def unaccounted(root: Path, base: Path) -> list[str]:
    """Return a line for every file in the image that belongs to nothing, or is not as its owner made it.

    Args:
        root: The image's root file system.
        base: That of the image whose Python it has.
    """
    findings: list[str] = []
    owners: Owners = {}
    known = (of_debian(root, base), of_python_packages(root), of_python(root, base), of_the_build(root, base))
    for path, owner, is_right in itertools.chain.from_iterable(known):
        owners[path] = owner
        if not is_right:
            findings.append(f"{path}: is not as {owner} made it")
    files, links = walk(root)
    findings += [
        f"{path}: belongs to nothing" for path in files if path not in owners and not is_bytecode(root, path, owners)
    ]
    findings += [
        f"{path}: is in no image, but {owner} says so" for path, owner in owners.items() if not (root / path).exists()
    ]
    findings += [
        f"{path}: leads to {target}, which is not there"
        for path, target in links
        if not (root / resolve(root, path)).exists()
    ]
    return sorted(findings)


def walk(root: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the files and the links below the root."""
    files: list[Path] = []
    links: list[tuple[Path, str]] = []
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in (*folders, *names)):
            if path.is_symlink():
                links.append((path.relative_to(root), str(path.readlink())))
            elif not path.is_dir():
                files.append(path.relative_to(root))
    return files, links


def of_debian(root: Path, base: Path) -> Iterator[tuple[Path, str, bool]]:
    """Give the files of Debian's packages, by the sums that came with each, and the packages' licences and records."""
    for stanza in debian_packages(root):
        package = stanza["Package"]
        records = [STATUS / package, STATUS / f"{package}.md5sums"]
        sums = [line.split(maxsplit=1) for line in (root / records[1]).read_text().splitlines()]
        sums += [[md5, path[1:]] for path, md5 in map(str.split, stanza.get("Conffiles", "").strip().splitlines())]
        for md5, name in sums:
            if (root / name).is_file():
                yield Path(name), package, digest(root / name, "md5").hex() == md5
        licence = Path("usr/share/doc", package, "copyright")
        if str(licence) not in (name for _, name in sums):
            yield licence, package, same(root / licence, base / licence)
        for record in records:
            yield record, package, True


def of_python_packages(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Give the files of Python's packages, by their records."""
    packages = site_packages(root)
    for record in packages.glob("*.dist-info/RECORD"):
        distribution = record.parent.name.removesuffix(".dist-info")
        for name, expected, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
            path = Path(os.path.normpath(packages / name))
            is_right = path == record or (path.is_file() and sha256(path) == expected)
            yield path.relative_to(root), distribution, is_right
    yield (
        ENVIRONMENT / "pyvenv.cfg",
        "venv",
        "include-system-site-packages = false" in (root / ENVIRONMENT / "pyvenv.cfg").read_text(),
    )


def of_python(root: Path, base: Path) -> Iterator[tuple[Path, str, bool]]:
    """Give Python's own files, which are those of the base."""
    places = [*(root / "usr/local/bin").glob("python3*"), *(root / "usr/local/lib").glob("libpython3*")]
    places += [path for path in (root / "usr/local/lib").glob("python3.*/**/*") if path.suffix != ".pyc"]
    for path in (place.relative_to(root) for place in places if place.is_file()):
        yield path, "Python", same(root / path, base / path)


def of_the_build(root: Path, base: Path) -> Iterator[tuple[Path, str, bool]]:
    """Give what is of no package: programs, files of this project, and a few that every Linux has."""
    for program, module in PROGRAMS.items():
        yield Path(program), module, go_modules(root / program)[1][0].path == module
    for name, source in COPIES.items():
        yield Path(name), "this project", same(root / name, ROOT / source)
    for name, content in FILES.items():
        yield Path(name), "image/root_filesystem.py", (root / name).read_text() == content
    for path in (base / "etc").glob("ld.so.conf*/**/*"):
        yield path.relative_to(base), "ldconfig", same(root / path.relative_to(base), path)
    yield Path("etc/ld.so.conf"), "ldconfig", same(root / "etc/ld.so.conf", base / "etc/ld.so.conf")
    yield Path("etc/ld.so.cache"), "ldconfig", True
    own = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    yield CERTIFICATES, "ca-certificates", (root / CERTIFICATES).read_text() == "".join(map(Path.read_text, own))


def is_bytecode(root: Path, path: Path, owners: Owners) -> bool:
    """Tell whether a file is bytecode, to be taken as it is, of a source that is accounted for."""
    if path.suffix != ".pyc" or path.parent.name != "__pycache__":
        return False
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    content = (root / path).read_bytes()
    if source not in owners:
        return False
    magic = int.from_bytes(content[:4], "little")  # of the image's Python, which need not be this one
    fits = _imp.source_hash(magic, (root / source).read_bytes()) == content[8:16]
    return fits and int.from_bytes(content[4:8], "little") == UNCHECKED


def resolve(root: Path, path: Path) -> Path:
    """Return where a path below the root leads, with the root in the place of `/`."""
    done, parts = Path(), list(path.parts)
    while parts:
        part = parts.pop(0)
        here = root / done / part
        if part == "..":
            done = done.parent
        elif here.is_symlink():
            target = here.readlink()
            done, parts = (
                (Path(), [*target.parts[1:], *parts]) if target.is_absolute() else (done, [*target.parts, *parts])
            )
        else:
            done /= part
    return done


def same(path: Path, other: Path) -> bool:
    """Tell whether both files have one content; also where one of them is a link."""
    return path.is_file() and other.is_file() and path.read_bytes() == other.read_bytes()


def sha256(path: Path) -> str:
    """Return a file's sum as a record of a Python package has it."""
    return "sha256=" + base64.urlsafe_b64encode(digest(path, "sha256")).rstrip(b"=").decode()


def digest(path: Path, algorithm: str) -> bytes:
    """Return a file's sum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).digest()
