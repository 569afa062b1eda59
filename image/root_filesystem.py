"""Own the image's root file system: of the stage that runs this, Python, the libraries that it loads, and little else.

`python root_filesystem.py ROOT ENVIRONMENT` writes it into the folder ROOT. ENVIRONMENT is where cmp-core is installed:
what its compiled modules load comes along. Debian packages come whole, but for their manuals, and each leaves a record
where scanners look for it. No shell, no package manager and no C library's tools are among them.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGES = ("base-files", "ca-certificates", "libgcc-s1", "tini")
"""What no compiled module names: the system's name, certificates, what ends a thread, and process 1."""

UNUSED = re.compile(
    r"/usr/share/(doc|man|info|locale|lintian|bug|doc-base|common-licenses|base-files|gcc|gdb)/"
    r"|/etc/(debian_version|issue|motd|host|profile|update-motd|default/|init\.d|kernel|cron|ca-certificates/update)"
    r"|/usr/lib/[^/]+/(gconv|audit)/|/usr/s?bin/(?!tini$)|/s?bin/|/var/"
)
"""Files of those packages that nothing in the image opens, programs and shell scripts among them."""

UNUSED_PYTHON = frozenset(
    {
        *("__pycache__", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages"),
        *("test", "tests", "tkinter", "turtledemo", "venv"),
    }
)
"""Folders of the standard library without use where there is no screen and no pip."""

UNUSED_MODULES = re.compile(
    r"(_curses|_curses_panel|_dbm|_gdbm|_tkinter|_test\w+|_xxtestfuzz|readline|xx\w+|_ctypes_test)\."
)

MOUNTED = ("dev", "proc", "sys", "tmp", "home/argocd/cmp-server/plugins", "run/argocd", "var/lib/cmp-core")
"""Folders that a container's runtime, or deploy/, mounts something on."""

FILES = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nargocd:x:999:999::/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nargocd:x:999:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

LIBRARY = Path(sysconfig.get_path("stdlib"))
PREFIX = Path(sys.base_prefix)


def main() -> None:
    """Write the root file system into the folder that the first argument names."""
    root, environment = map(Path, sys.argv[1:])
    copy_python(root)
    for activation in environment.glob("bin/[Aa]ctivate*"):
        activation.unlink()
    for package in sorted({*PACKAGES, *packages_of(libraries([root, environment]))}):
        copy_package(package, root)
    write_certificates(root)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink() and (root / "usr" / name).is_dir():
            link(root / name, f"usr/{name}")
    for name in MOUNTED:
        (root / name).mkdir(parents=True, exist_ok=True)
    link(root / "var" / "run", "/run")
    (root / "tmp").chmod(0o1777)
    for name, content in FILES.items():
        write(root / name, content)
    write_library_cache(root)


def copy_python(root: Path) -> None:
    """Copy the interpreter and the standard library, with bytecode that needs no look at its source."""
    for path in (*PREFIX.glob("bin/python3*"), PREFIX / "bin" / "python", *PREFIX.glob("lib/libpython3*")):
        if not path.name.endswith(("-config", ".a")):
            copy(path, root)
    target = root / LIBRARY.relative_to("/")
    shutil.copytree(LIBRARY, target, symlinks=True, ignore=unused_of_python)
    compiled = compileall.compile_dir(
        target,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        sys.exit("the standard library does not compile: see above")


def unused_of_python(_folder: str, names: list[str]) -> set[str]:
    """Return which of the names in a folder of the standard library stay behind."""
    return {
        name
        for name in names
        if name in UNUSED_PYTHON or name.startswith("config-3") or UNUSED_MODULES.match(name) or name.endswith(".exe")
    }


def libraries(folders: Iterable[Path]) -> set[Path]:
    """Return the shared libraries outside of the folders that whatever is compiled in them loads."""
    found: set[Path] = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            answer = subprocess.run(["/usr/bin/ldd", path], capture_output=True, text=True, check=False)
            if "not found" in answer.stdout:
                sys.exit(f"{path} loads what is not here: {answer.stdout}")
            found |= {Path(name) for name in re.findall(r"(/\S+) \(0x", answer.stdout)}
    return {path for path in found if not path.is_relative_to(PREFIX) and not any(map(path.is_relative_to, folders))}


def packages_of(paths: Iterable[Path]) -> Iterator[str]:
    """Give the Debian packages that the files belong to."""
    for path in paths:
        spellings = [str(path), str(path.resolve()), f"/usr{path}"]
        answer = subprocess.run(
            ["/usr/bin/dpkg-query", "--search", *spellings], capture_output=True, text=True, check=False
        )
        owners = re.findall(r"^(?!diversion )([^:,\s]+)[^,]*: /", answer.stdout, re.MULTILINE)
        if not owners:
            sys.exit(f"{path} is of no Debian package: {answer.stderr}")
        yield owners[0]


def copy_package(package: str, root: Path) -> None:
    """Copy a package's files, and record it as images without dpkg do: a stanza and the sums of its files."""
    listed = ask("--listfiles", package).splitlines()
    copied = [path for path in map(Path, listed) if is_file(path) and not UNUSED.match(str(path))]
    for path in copied:
        copy(path, root)
    licence = Path("/usr/share/doc", package, "copyright")
    write(root / licence.relative_to("/"), licence.read_text(encoding="utf-8"))
    records = root / "var" / "lib" / "dpkg" / "status.d"
    write(records / package, ask("--status", package))
    kept = {str(path.relative_to("/")) for path in (*copied, licence)}
    sums = ask("--control-show", package, "md5sums").splitlines()
    write(records / f"{package}.md5sums", "".join(f"{line}\n" for line in sums if line.split(maxsplit=1)[1] in kept))


def is_file(path: Path) -> bool:
    """Return whether a package's path is a file or a link of its own, and not one of the links at the root."""
    return (path.is_file() or path.is_symlink()) and len(path.parts) > 2


def ask(*words: str) -> str:
    """Return what dpkg-query prints."""
    return subprocess.run(["/usr/bin/dpkg-query", *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def write_certificates(root: Path) -> None:
    """Write the certificates of Debian's package alone, whatever this stage has been given besides, and their links."""
    own = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    write(bundle, "".join(path.read_text(encoding="ascii") for path in own))
    names = {path.name.removesuffix(".crt"): path for path in own}
    for place in sorted(Path("/etc/ssl/certs").iterdir()):
        target = place.resolve()
        if place.is_symlink() and target.stem in names and (root / target.relative_to("/")).is_file():
            link(root / place.relative_to("/"), str(place.readlink()))
    link(root / "usr/lib/ssl/certs", "/etc/ssl/certs")


def write_library_cache(root: Path) -> None:
    """Write where the loader finds shared libraries, of which Python's own may be one."""
    for path in (Path("/etc/ld.so.conf"), *Path("/etc/ld.so.conf.d").glob("*.conf")):
        copy(path, root)
    subprocess.run(["/sbin/ldconfig", "-X", "-r", root], check=True)
    shutil.rmtree(root / "var/cache", ignore_errors=True)


def copy(path: Path, root: Path) -> None:
    """Copy a file, or a link as it is, to the same place below the root."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():
        shutil.copy2(path, target, follow_symlinks=False)


def link(path: Path, target: str) -> None:
    """Make a link, where no package has brought it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(target)


def write(path: Path, content: str) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
