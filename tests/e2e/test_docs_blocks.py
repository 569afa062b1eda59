"""The commands of README and docs are run, page by page, and its workflows are judged by actionlint.

Commands for a cluster go to a server that is not there: the real `kubectl` and `argocd` read their arguments and files,
and have to get as far as the connection.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from block_kinds import blocks_of_kind
from docs_support import ROOT, Block
from e2e.conftest import Find, give_up
from e2e.test_deploy import VERSIONS, Renderer
from e2e_support import COMMAND, S3Server

from tools.live_argocd.repository import SOMEBODY
from tools.tutorial import FAILS, Reader

pytestmark = pytest.mark.e2e

AWS = ROOT / ".cache" / "benchmark" / "bin" / "aws"
COMMANDS = blocks_of_kind("commands")
PAGES = sorted({block.page for block in COMMANDS})
OBJECTS = ROOT / "examples" / "quickstart" / "objects"
TRIGGER = "bucket: test-bucket\npath: apps/demo-app\nversion: v1.0.0\n"
OLDER = "bucket: test-bucket\npath: releases/demo-app/v0.9.0"
PUSHED = {
    "docs/how-to/publish-from-ci.md": {
        "apps/demo-app/s3-source.yaml": "bucket: test-bucket\npath: apps/demo-app/v1.4.2\nversion: v1.4.2\n"
    },
    "docs/how-to/roll-back.md": {"apps/demo-app/s3-source.yaml": f"{OLDER}\nversion: v0.9.0\n"},
}
"""What the Git server has after a page, by file."""

CONNECTS = """#!/bin/sh
# {name}, which has to get as far as the connection.
case " $* " in *" kustomize "*|*" config "*|*" --dry-run=client"*) exec {program} "$@" ;; esac
told=$({program} "$@" 2>&1) && exit
case "$told" in *refused*)
  case " $* " in *" logs "*) cat {log} ;; esac
  exit 0 ;;
esac
echo "$told" >&2
exit 1
"""
NO_CLUSTER = """apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""
CLOUD = """#!/bin/sh
# The AWS command line; EKS is none of the services that moto knows, so that it has to get as far as the connection.
[ "$1" = eks ] || exec {program} "$@"
told=$(AWS_MAX_ATTEMPTS=1 {program} --endpoint-url http://127.0.0.1:1 "$@" 2>&1) && exit
case "$told" in *"Could not connect"*) exit 0 ;; esac
echo "$told" >&2
exit 1
"""
MAKE = """#!/bin/sh
# make, which says what it would do in the checkout, and does not do it.
exec {make} --dry-run --directory={root} "$@"
"""
DOCKER = """#!/bin/sh
# Docker is not here; what it builds has to be there.
[ "$1" = push ] || [ -f "$(eval echo "\\${$#}")/Dockerfile" ]
"""
RUN_PYTHON = """#!/bin/sh
exec {python} {program} "$@"
"""
VERIFIER = """\
# cosign and the GitHub CLI, which ask services that are not here: they read their options; what they verify is there.
import hashlib
import sys
from pathlib import Path
options = {options!r}
said = [Path(sys.argv[0]).name, *sys.argv[1:]]
command = next(name for name in options if said[: len(name.split())] == name.split())
what, *rest = said[len(command.split()) :]
given = dict(zip(rest[::2], rest[1::2], strict=True))
assert given.keys() <= options[command], given
assert "--repo" in given or "--certificate-identity" in given and "--certificate-oidc-issuer" in given, given
for value in given.values():
    assert "/workflows/" not in value or "/.github/workflows/release.yaml" in value, value
if command == "gh release download":
    wheel = Path("cmp_core-0.1.0-py3-none-any.whl")
    wheel.write_bytes(b"wheel")
    Path("SHA256SUMS").write_text(f"{{hashlib.sha256(b'wheel').hexdigest()}}  {{wheel}}\\n")
    Path("SHA256SUMS.sigstore.json").touch()
else:
    assert what.startswith(("ghcr.io/", "oci://ghcr.io/")) or Path(what).is_file(), what
    assert "--bundle" not in given or Path(given["--bundle"]).is_file(), given
"""
IDENTITY = {"--certificate-identity", "--certificate-oidc-issuer"}
VERIFIERS = {
    "cosign verify": IDENTITY,
    "cosign verify-blob": IDENTITY | {"--bundle"},
    "gh attestation verify": {"--predicate-type", "--repo", "--signer-workflow", "--source-ref"},
    "gh release download": {"--repo"},
}
"""The commands of cosign and of the GitHub CLI that the documentation shows, with their options."""
PIP = """\
# pip, which installs nothing; what it is told to install is what this repository, or a program of its tests, is called.
import sys
from pathlib import Path
from packaging.requirements import Requirement
extras = {extras!r}
assert sys.argv[1] == "install", sys.argv
for word in sys.argv[2:]:
    if word == ".":
        assert Path("pyproject.toml").is_file()
        continue
    requirement = Requirement(word)
    assert requirement.extras <= extras[requirement.name], word
"""


def quote(path: str | Path) -> str:
    """Return a path as a shell takes it, whatever is in it."""
    return shlex.quote(str(path))


def extras_of_distributions() -> dict[str, set[str]]:
    """Return the extras of each distribution of this repository; and pytest has none."""
    found: dict[str, set[str]] = {"pytest": set()}
    for path in (ROOT / "pyproject.toml", *ROOT.glob("backends/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found[project["name"]] = set(project.get("optional-dependencies", {}))
    return found


@pytest.fixture
def programs(tool: Find, tmp_path: Path) -> Path:
    """A folder with the programs that a reader has: real, but for what would change the machine or a cluster."""
    if not AWS.exists():
        give_up("the AWS command line is not here: run `make .cache/benchmark/installed`")
    folder = tmp_path / "programs"
    folder.mkdir()
    make = shutil.which("make") or give_up("make is not here")
    log = quote(tmp_path / "container.log")
    scripts = {
        "argocd": CONNECTS.format(name="argocd", program=quote(tool("argocd")), log=log),
        "aws": CLOUD.format(program=quote(AWS)),
        "docker": DOCKER,
        "kubectl": CONNECTS.format(name="kubectl", program=quote(tool("kubectl")), log=log),
        "make": MAKE.format(make=quote(make), root=quote(ROOT)),
    }
    in_python = {
        "cosign": VERIFIER.format(options=VERIFIERS),
        "gh": VERIFIER.format(options=VERIFIERS),
        "pip": PIP.format(extras=extras_of_distributions()),
    }
    (tmp_path / "python").mkdir()
    for name, text in in_python.items():
        (tmp_path / "python" / name).write_text(text, encoding="utf-8")
        scripts[name] = RUN_PYTHON.format(python=quote(sys.executable), program=quote(tmp_path / "python" / name))
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    real: dict[str, str | Path] = {
        "cmp-core": COMMAND,
        "helm": tool("helm"),
        "jq": tool("gojq"),
        "kustomize": tool("kustomize"),
    }
    real["pytest"] = Path(sys.executable).parent / "pytest"
    for name, program in real.items():
        (folder / name).symlink_to(program)
    return folder


@pytest.fixture
def stage(tmp_path: Path, tool: Find) -> Path:
    """A checkout as a reader has it, with two applications, an upload that waits, and keys."""
    folder = tmp_path / "check out"
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Renderer(tool("kustomize"), tmp_path / "deploy").copy(VERSIONS[0]), folder / "deploy")
    shutil.copytree(OBJECTS, folder / "manifests")
    for name in (".", "apps/demo", "apps/demo-app", "try"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "s3-source.yaml").write_text(TRIGGER, encoding="utf-8")
    shutil.copy(ROOT / "deploy" / "overlays" / "localstack" / "credentials", folder)
    shutil.copy(ROOT / "Dockerfile", folder)
    for name in ("application.yaml",):
        shutil.copy(ROOT / "examples" / "quickstart" / name, folder)
    older, newer = f"{OLDER}\nversion: v0.9.0\n", TRIGGER
    (folder / "apps/demo-app/s3-source.yaml").write_text(older, encoding="utf-8")
    commands = [
        "git init --quiet --initial-branch=main",
        "git add apps manifests s3-source.yaml",
        "git commit --quiet --message=Older",
        "git init --quiet --bare --initial-branch=main ../git.git",
        "git remote add origin ../git.git",
        "git push --quiet --set-upstream origin main",
    ]
    run_all(commands, folder)
    (folder / "apps/demo-app/s3-source.yaml").write_text(newer, encoding="utf-8")
    run_all(["git commit --quiet --all --message=Newer", "git tag v1.0.0", "git push --quiet"], folder)
    return folder


def run_all(commands: list[str], folder: Path) -> None:
    """Run commands that cannot fail."""
    for command in commands:
        subprocess.run(command.split(), cwd=folder, env=git_identity(), check=True)


def git_identity() -> dict[str, str]:
    """Return variables by which git knows somebody, and nothing of who runs the tests."""
    return SOMEBODY | {"PATH": os.defpath}


@pytest.fixture
def reader(stage: Path, programs: Path, s3: S3Server, s3_endpoint: str, tmp_path: Path) -> Reader:
    """Somebody who follows a page, with a bucket, an AWS account that is empty, and no cluster."""
    reset = urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")  # noqa: S310  # our own server's URL
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset).close()
    s3.put({f"apps/demo-app/{path.name}": path.read_bytes() for path in OBJECTS.iterdir()})
    s3.put({f"releases/demo-app/v0.9.0/{path.name}": path.read_bytes() for path in OBJECTS.iterdir()})
    write_log(tmp_path / "container.log", stage, s3)
    kubeconfig, home = tmp_path / "kubeconfig", tmp_path / "home"
    kubeconfig.write_text(NO_CLUSTER, encoding="utf-8")
    home.mkdir()
    place = tmp_path / "place"
    place.mkdir()
    own = {
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "KUBECONFIG": str(kubeconfig),
        "ARGOCD_SERVER": "127.0.0.1:1",
        "ARGOCD_AUTH_TOKEN": "none",
        "ARGOCD_OPTS": "--plaintext",
        "AWS_DEFAULT_REGION": s3.variables["AWS_REGION"],
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ENDPOINT_URL_S3": s3.endpoint,
    }
    return Reader(place, stage, git_identity() | s3.variables | own)


def write_log(path: Path, stage: Path, s3: S3Server) -> None:
    """Write what the container's log holds after a request that went well and one that did not."""
    variables = {"PATH": os.defpath, "CMP_LOG_FORMAT": "json", "ARGOCD_APP_NAME": "demo", **s3.variables}
    command: list[str | Path] = [COMMAND, "generate", "--directory", stage / "apps/demo"]
    with path.open("wb") as log:
        for limit in ("10", "1"):
            own = variables | {"CMP_LIMITS_OBJECTS": limit}
            subprocess.run(command, env=own, check=False, stdout=subprocess.DEVNULL, stderr=log)
        log.write(b"a line of somebody else\n")


def steps_of(page: str) -> list[Block]:
    """Return what a reader does on a page, in order: commands to run, and files to write before them."""
    files = [
        block
        for kind in ("a trigger file", "settings", "a workflow", "manifests", "a kustomization", "a policy of AWS")
        for block in blocks_of_kind(kind)
        if block.page == page and is_file(block)
    ]
    return sorted([*files, *(block for block in COMMANDS if block.page == page)], key=lambda block: block.line)


def is_file(block: Block) -> bool:
    """Tell whether a block's first line names the file of the checkout that it is."""
    return re.fullmatch(r"[\w.][\w./-]*/[\w.-]+", block.title) is not None


@pytest.mark.parametrize("page", PAGES)
def test_commands_do_what_they_say(page: str, reader: Reader, tmp_path: Path) -> None:
    """The commands of a page succeed one after the other, and those that are to fail do."""
    if page.startswith("examples/backend-"):
        reader.folder /= Path(page).parent
    for block in steps_of(page):
        if block.language == "sh" and not is_file(block):
            result = reader.run(block.text.replace("/tmp/try", "try"))  # noqa: S108  # in the container
            told = f"{block}: {result.stdout}{result.stderr}"
            assert (result.returncode != 0) == (FAILS in block.text), told
            assert result.stdout or not block.text.startswith("jq "), told
        else:
            (reader.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (reader.folder / block.title).write_text(block.text, encoding="utf-8")
    for name, content in PUSHED.get(page, {}).items():
        command: list[str | Path] = ["git", "--git-dir", tmp_path / "git.git", "show", f"main:{name}"]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == content


def test_a_command_that_is_wrong_is_seen(reader: Reader) -> None:
    """The test above can fail, for each of the programs."""
    wrong = [
        "kubectl -n argocd log deployment/argocd-repo-server",
        "kubectl apply --server-side -k deploy/overlays/there-is-none",
        "kubectl -n argocd create secret generic keys --from-file=there-is-none",
        "argocd app get demo-app --hard-refrehs",
        "make there-is-none",
        "pip install cmp-backend-none",
        "docker build -t image there-is-none",
        "cmp-core generate --directory there-is-none",
        "aws s3 cp there-is-none s3://test-bucket/",
        "aws eks create-pod-identity-association --cluster-name my-cluster --namespace argocd",
        "jq .[ container.log",
        "cosign verify ghcr.io/owner/cmp-core:0.1.0 --certificate-identity a",
        "cosign verify-blob there-is-none --certificate-identity a --certificate-oidc-issuer b",
        "gh attestation verify oci://ghcr.io/owner/cmp-core:0.1.0 --repo owner/cmp-core --signer owner/cmp-core",
    ]

    assert [command for command in wrong if reader.run(command).returncode == 0] == []


def actionlint(program: Path, text: str, folder: Path) -> str:
    """Return what actionlint says, with shellcheck for the commands in it."""
    (folder / "workflow.yaml").write_text(text, encoding="utf-8")
    checker = Path(sys.executable).parent / "shellcheck"
    command: list[str | Path] = [program, "-no-color", "-oneline", "-shellcheck", checker, folder / "workflow.yaml"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


@pytest.mark.parametrize("block", blocks_of_kind("a workflow"), ids=str)
def test_actionlint_finds_nothing(tool: Find, block: Block, tmp_path: Path) -> None:
    """Whoever copies a workflow gets one that GitHub takes, and whose commands quote what they should."""
    broken: Callable[[str], str] = lambda text: text.replace("runs-on:", "runs_on:", 1)  # noqa: E731  # said once

    assert actionlint(tool("actionlint"), block.text, tmp_path) == ""
    assert actionlint(tool("actionlint"), broken(block.text), tmp_path) != ""


def read_rules(program: Path, text: str) -> str:
    """Return what Prometheus has to say against rules."""
    return subprocess.run([program], input=text, check=False, capture_output=True, text=True).stderr


@pytest.mark.parametrize("block", blocks_of_kind("rules of Prometheus"), ids=str)
def test_prometheus_takes_the_rules(tool: Find, block: Block) -> None:
    """Whoever copies rules gets expressions, durations and templates that Prometheus can read."""
    assert read_rules(tool("checkrules"), block.text) == ""
    assert "could not parse expression" in read_rules(tool("checkrules"), block.text.replace("} == 1", "} = 1"))
    assert "not found" in read_rules(tool("checkrules"), block.text.replace("for:", "fro:"))
