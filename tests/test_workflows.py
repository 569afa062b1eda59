"""The workflows of GitHub Actions call what exists, are pinned, and have no right that they do not need."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import argo_cd_manifests, lint_workflows

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yaml"))
WRITES = {
    "codeql.yaml analyze": {"security-events"},
    "dependencies.yaml propose": {"contents", "pull-requests"},
    "release.yaml image-parts": {"packages"},
    "release.yaml image": {"attestations", "id-token", "packages"},
    "release.yaml attest": {"attestations", "id-token"},
    "release.yaml pypi": {"id-token"},
    "release.yaml github": {"contents"},
    "scorecard.yaml analyze": {"id-token", "security-events"},
}
"""Every right to write that a job has; a new one is written here, too."""


def read(path: Path) -> dict[str, Any]:
    """Return a workflow; `on` stays a word."""
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  # makes text alone
    return content


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every job with its workflow's and its own name."""
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.name} {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every step of every job and of our own actions."""
    for name, job in jobs():
        yield from ((name, step) for step in job.get("steps", ()))
    for path in ACTIONS:
        yield from ((path.parent.name, step) for step in read(path)["runs"]["steps"])


def job(workflow: str, name: str) -> dict[str, Any]:
    """Return one job."""
    found: dict[str, Any] = read(GITHUB / "workflows" / workflow)["jobs"][name]
    return found


def test_the_linters_find_nothing() -> None:
    """Shell scripts and workflows pass shellcheck and zizmor; `make workflows` adds actionlint where there is Go."""
    assert lint_workflows.lint_with_packages() == []


@pytest.mark.parametrize(
    ("place", "before", "after", "found"),
    [
        (".github/workflows/kind.yaml", "persist-credentials: false", "persist-credentials: true", "artipacked"),
        (
            ".github/workflows/kind.yaml",
            "run: make kind-up",
            "run: make kind-up X=${{ github.head_ref }}",
            "template-inj",
        ),
        (".github/workflows/kind.yaml", "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "unpinned-uses"),
        pytest.param(
            *("deploy/kind/demo.sh", 'objects "$scratch/objects"', "objects $scratch/objects", "SC2086"),
            marks=pytest.mark.skipif(not lint_workflows.shellcheck(), reason="PyPI has none for Linux on arm64"),
        ),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, place: str, before: str, after: str, found: str) -> None:
    """Each linter is asked, and what it says is told."""
    for name in (".github", ".ci", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / place
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")

    (complaint,) = lint_workflows.lint_with_packages(tmp_path)

    assert found in complaint


def test_every_action_is_pinned_by_a_commit_and_tells_its_version() -> None:
    """A tag can be moved to another commit. Dependabot raises the comment as well; an action has one version."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, *ACTIONS])
    used = re.findall(r"uses: (.+)$", text, re.MULTILINE)

    foreign = {line for line in used if not line.startswith("./")}

    assert [line for line in foreign if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    commits = {("/".join(line.split("@")[0].split("/")[:2]), line.split("@")[1]) for line in foreign}
    assert len(commits) == len({name for name, _ in commits})
    own = {ROOT / line for line in used if line.startswith("./")}
    assert [path for path in own if not (path.is_file() or (path / "action.yaml").is_file())] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_begins_without_rights(path: Path) -> None:
    """What a job may do stands with the job, and two runs of one thing do not get in each other's way."""
    workflow = read(path)

    assert workflow["permissions"] in ("{}", {})
    assert "group" in workflow["concurrency"]
    assert "pull_request_target" not in workflow["on"]
    assert "workflow_run" not in workflow["on"]


def test_every_right_to_write_is_known() -> None:
    """And what may write or sign checks out nothing and runs none of our code, but where it has to."""
    writing = {
        name: {right for right, value in job["permissions"].items() if value == "write"}
        for name, job in jobs()
        if "write" in job["permissions"].values()
    }

    assert writing == WRITES
    checking_out = {name for name, step in steps() if step.get("uses", "").startswith("actions/checkout@")}
    assert checking_out & set(WRITES) == {
        "codeql.yaml analyze",
        "dependencies.yaml propose",
        "release.yaml image-parts",
        "scorecard.yaml analyze",
    }


def test_every_job_ends_by_itself() -> None:
    """A job that hangs would otherwise run for six hours."""
    assert [name for name, job in jobs() if "uses" not in job and int(job["timeout-minutes"]) > 90] == []


def test_no_checkout_leaves_its_token_behind() -> None:
    """Whatever runs later in the job could read it."""
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] != "false"] == []


def test_every_target_that_a_workflow_makes_exists() -> None:
    """A renamed target would otherwise be noticed only there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([.\w/-]+):", makefile, re.MULTILINE))

    made = {
        target
        for _, step in steps()
        for target in re.findall(r"(?:^|\s)make ([.\w/-]+)", step.get("run", ""), re.MULTILINE)
    }

    assert {"check", "test", "test-wheels", "e2e", "image", "e2e-argocd", "kind-up", "kind-demo"} <= made
    assert made <= targets


def test_every_tool_that_a_workflow_runs_exists() -> None:
    """As modules or packages of tools/."""
    run = "\n".join(step.get("run", "") for _, step in steps())

    modules = set(re.findall(r"-m tools\.(\w+)", run))

    tools = ROOT / "tools"
    assert {"binaries", "image", "release"} <= modules
    assert [
        name for name in modules if not ((tools / f"{name}.py").is_file() or (tools / name / "__main__.py").is_file())
    ] == []


def test_the_tests_run_with_every_python_that_is_declared() -> None:
    """The matrix is the list of classifiers, on both architectures of the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+$", line)]

    matrix = job("ci.yaml", "test")["strategy"]["matrix"]

    assert matrix["python"] == declared
    assert f">={declared[0]}" == project["requires-python"]
    assert matrix["runner"] == job("ci.yaml", "e2e")["strategy"]["matrix"]["runner"]
    parts = job("release.yaml", "image-parts")["strategy"]["matrix"]["include"]
    assert [part["runner"] for part in parts] == matrix["runner"]
    assert [part["platform"] for part in parts] == ["linux/amd64", "linux/arm64"]


def test_the_demo_runs_on_both_versions_of_argo_cd() -> None:
    """The current and the previous one, which are those of the tests of the manifests."""
    assert job("kind.yaml", "demo")["strategy"]["matrix"]["argo-cd"] == list(argo_cd_manifests.VERSIONS)


def test_ci_does_what_the_repository_s_own_script_does() -> None:
    """Each `make` of .ci/run has a job."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    here = set(re.findall(r"^ *step .* make (?:-s )?([\w-]+)$", script, re.MULTILINE))
    runs = "\n".join(step.get("run", "") for name, step in steps() if name.startswith("ci.yaml"))

    assert {"check", "test-wheels", "tools", "e2e"} <= here
    assert [target for target in here if not re.search(rf"make {target}$", runs, re.MULTILINE)] == []


def test_what_is_published_waits_for_what_checks_it() -> None:
    """No signature and no upload before the version is right and all tests have passed."""
    release = read(GITHUB / "workflows" / "release.yaml")["jobs"]

    def waits_for(name: str) -> set[str]:
        needs = release[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(waits_for, direct))

    assert release["ci"]["uses"] == "./.github/workflows/ci.yaml"
    assert {"version", "ci"} <= waits_for("image-parts") & waits_for("image") & waits_for("attest")
    assert {"image", "attest", "wheels"} <= waits_for("pypi") & waits_for("github")


def test_a_release_uses_nothing_that_earlier_runs_have_left() -> None:
    """A cache is written by other workflows, so what is published is built without one."""
    setups = [
        step for name, step in steps() if name.startswith("release.yaml") and step.get("uses", "").startswith("./")
    ]

    assert setups
    assert [step for step in setups if step["with"]["cache"] != "false"] == []


def test_dependabot_cares_for_what_is_there() -> None:
    """Every folder that it is told of has a file of its kind."""
    patterns = {
        "github-actions": [".github/workflows/*.yaml", "action.yaml"],
        "docker": ["Dockerfile"],
        "gomod": ["go.mod"],
        "npm": ["package-lock.json"],
    }

    for update in read(GITHUB / "dependabot.yml")["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            place = ROOT / folder.removeprefix("/")
            assert any(list(place.glob(pattern)) for pattern in patterns[update["package-ecosystem"]]), folder


def test_without_go_the_lint_says_what_it_left_out(tmp_path: Path) -> None:
    """And in CI, where it must leave nothing out, it fails."""
    variables = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "tools.lint_workflows"]

    here = subprocess.run(command, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)
    in_ci = subprocess.run(
        command, cwd=ROOT, env=variables | {"CI": "true"}, check=False, capture_output=True, text=True
    )

    assert (here.returncode, "Without Go there is no actionlint" in here.stderr) == (0, True)
    assert (in_ci.returncode, "actionlint is built with Go" in in_ci.stderr) == (1, True)
