"""Own the programs that tests need and PyPI does not have: pinned, built once with Go, and linked into `.tools/`.

`make tools` builds what is missing. The programs lie in the user's cache folder, where the next checkout finds them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.processes import cache_folder, tell

ROOT = Path(__file__).resolve().parent.parent
LINKS = ROOT / ".tools"
ARGO_CD_VERSION = "3.2.11"
KIND_VERSION = "0.30.0"
KUBERNETES_VERSION = "1.34.2"


class Tool(NamedTuple):
    """One program.

    Attributes:
        package: What Go builds: with its version, or from the module in `folder`.
        folder: The folder below `tools/` whose go.mod pins everything, or empty.
        flags: What the build is told besides.
        sources: Files of the module that the program is made of, besides go.mod and what lies beside it.
    """

    package: str
    folder: str = ""
    flags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


TOOLS: Mapping[str, Tool] = {
    "actionlint": Tool("github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"),
    "argocd": Tool(
        "github.com/argoproj/argo-cd/v3/cmd",
        "argocd",
        ("-ldflags", f"-s -w -X github.com/argoproj/argo-cd/v3/common.version={ARGO_CD_VERSION}"),
    ),
    "argohelm": Tool(
        "cmp-core.example/tools/argocd/helmtemplate", "argocd", ("-ldflags", "-s -w"), ("helmtemplate/main.go",)
    ),
    "checkrules": Tool("cmp-core.example/tools/checkrules", "checkrules", ("-ldflags", "-s -w")),
    "fake-gcs-server": Tool("github.com/fsouza/fake-gcs-server@v1.56.1"),
    "godecode": Tool("cmp-core.example/tools/godecode", "godecode"),
    "gojq": Tool("github.com/itchyny/gojq/cmd/gojq@v0.12.17", flags=("-ldflags", "-s -w")),
    "helm": Tool("helm.sh/helm/v3/cmd/helm@v3.21.4"),
    "kind": Tool(f"sigs.k8s.io/kind@v{KIND_VERSION}"),
    # In a module of its own, so that a new version of Argo CD does not build Kubernetes anew.
    "kube-apiserver": Tool(
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "apiserver",
        ("-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}"),
    ),
    "kubeconform": Tool("github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"),
    "kubectl": Tool("cmp-core.example/tools/kubectl", "kubectl", ("-ldflags", "-s -w")),
    "kustomize": Tool("sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"),
    "toxiproxy": Tool("github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"),
    "versitygw": Tool("github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
}


def main() -> None:
    """Build the programs that the arguments name, or all of them."""
    names = sys.argv[1:] or list(TOOLS)
    if unknown := [name for name in names if name not in TOOLS]:
        sys.exit(f"{unknown[0]} is none of the tools: {', '.join(TOOLS)}")
    for name in names:
        if not build(name):
            sys.exit(f"{name} is built with Go, which is not here: install Go 1.25 or later, and run make tools again")


def find(name: str) -> Path | None:
    """Return the program where the pinned one has been built, else None."""
    program = _program(name)
    return program if program.is_file() else None


def build(name: str) -> Path | None:
    """Return the program, built if need be, and link it into `.tools/`; None where there is no Go to build it.

    It appears in the cache whole, by rename, so that two checkouts can build at once.
    """
    program = _program(name)
    if not program.is_file():
        go = shutil.which("go")
        if not go:
            return None
        tell(f"Building {TOOLS[name].package}")
        started = time.monotonic()
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            _run_go(go, TOOLS[name], Path(folder)).replace(program)
        tell(f"Built {name} in {time.monotonic() - started:.0f} s")
    LINKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=LINKS) as folder:  # a link cannot be replaced but by a rename
        link = Path(folder, name)
        link.symlink_to(program)
        link.replace(LINKS / name)
    return program


def require(name: str) -> Path:
    """Return the program, built if need be; end the process with the remedy where there is no Go to build it."""
    return build(name) or sys.exit(f"{name} is built with Go, which is not here: install Go 1.25 or later")


def _program(name: str) -> Path:
    """Return where the program lies; the folder's name says what it is made of."""
    return cache_folder() / "tools" / f"{name}-{_fingerprint(TOOLS[name])}" / name


def _fingerprint(tool: Tool) -> str:
    whole = hashlib.sha256("\0".join([tool.package, *tool.flags]).encode())
    for path in sorted(_module(tool).glob("*.*")) if tool.folder else []:
        whole.update(path.read_bytes())
    for name in tool.sources:
        whole.update((_module(tool) / name).read_bytes())
    return whole.hexdigest()[:12]


def _module(tool: Tool) -> Path:
    return ROOT / "tools" / tool.folder


def _run_go(go: str, tool: Tool, folder: Path) -> Path:
    """Build into the folder and return the program."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(folder), "GOFLAGS": "-trimpath"}
    if tool.folder:
        _check_call([go, "build", "-o", folder / "program", *tool.flags, tool.package], _module(tool), environment)
    else:
        _check_call([go, "install", *tool.flags, tool.package], folder, environment)
    return next(folder.iterdir())


def _check_call(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
    if code := subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        sys.exit(f"{' '.join(map(str, command))} exited {code}: see above")


if __name__ == "__main__":
    main()
