"""Every block of README and docs is of a kind that something proves; here stand the proofs that take no time.

`tests/e2e/test_docs_blocks.py` holds those that run commands and ask Kubernetes' schemas.
"""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import boto3
import pytest
from block_kinds import KINDS, all_blocks, blocks_of_kind, fences_of, kinds_of
from docs_support import PAGES, ROOT, Block
from moto import mock_aws
from test_docs import texts_of_the_code

from tools import lint_workflows

SEEN_ALONE = ("SC2154", "SC2164")
"""What a block need not do: assign what an earlier one has assigned; end when a `cd` fails, at a prompt."""

PROGRAMS = Path(sys.executable).parent
FOREIGN = ("Failed to load target state", "`/opt/cmp-core/bin/cmp-core init` failed exit status 66: ")
"""How Argo CD's own words begin, which stand around ours."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_fence_belongs_to_a_block(page: Path) -> None:
    """A block that is indented, or has an attribute, would escape every test."""
    blocks = [block for block in all_blocks() if block.page == page.relative_to(ROOT).as_posix()]

    assert fences_of(page) == 2 * len(blocks)


def test_every_block_is_of_one_kind() -> None:
    """A block of no kind is proved by nothing."""
    assert len(all_blocks()) > 150
    assert {str(block): kinds_of(block) for block in all_blocks() if len(kinds_of(block)) != 1} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_proved_and_told(kind: str) -> None:
    """What a kind names as its proof exists, there are blocks of the kind, and contributors are told."""
    (row,) = re.findall(
        rf"^\| {kind} \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert blocks_of_kind(kind)
    for proof in KINDS[kind].proofs:
        path, _, test = proof.partition("::")
        target = path.removeprefix("make ")
        where, what = (ROOT / path, f"def {test}(") if test else (ROOT / "Makefile", f".PHONY: {target}\n")
        assert what in where.read_text(encoding="utf-8")
        assert f"`{test or proof}`" in row


def test_a_block_of_unknown_kind_is_seen() -> None:
    """The test above can fail."""
    assert kinds_of(Block("README.md", 1, "yaml", "some: thing\n")) == []
    assert kinds_of(Block("README.md", 1, "fortran", "END\n")) == []


def shellcheck(scripts: list[Path]) -> str:
    """Return what shellcheck says."""
    command: list[str | Path] = [
        PROGRAMS / "shellcheck",
        "--shell=bash",
        "--format=gcc",
        f"--exclude={','.join(SEEN_ALONE)}",
        *scripts,
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


@pytest.mark.skipif(not lint_workflows.shellcheck(), reason="PyPI has no shellcheck for Linux on arm64")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """Whoever copies commands gets no mistake of quoting with them."""
    scripts = []
    for block in all_blocks():
        if block.language == "sh":
            scripts.append(tmp_path / f"{block.page.replace('/', '_')}_{block.line}.sh")
            scripts[-1].write_text(block.text, encoding="utf-8")
    broken = tmp_path / "broken.sh"
    broken.write_text("cd $1 && rm -r $2\n", encoding="utf-8")

    assert len(scripts) > 40
    assert shellcheck(scripts) == ""
    assert "SC2086" in shellcheck([broken])


READERS = "registry.example.com"
"""The registry of whoever reads the page."""


def hadolint(text: str) -> str:
    """Return what hadolint says."""
    command: list[str | Path] = [
        PROGRAMS / "hadolint",
        "--config",
        ROOT / ".hadolint.yaml",
        "--no-color",
        "--trusted-registry",
        READERS,
        "-",
    ]
    return subprocess.run(command, input=text, check=False, capture_output=True, text=True).stdout


@pytest.mark.parametrize("block", blocks_of_kind("a Dockerfile"), ids=str)
def test_hadolint_finds_nothing(block: Block) -> None:
    """Whoever copies a stage gets one that a linter takes; a part of a stage is looked at in one."""
    stage = block.text if block.text.startswith("FROM ") else f"FROM {READERS}/base:1.0.0\n{block.text}"

    assert hadolint(stage) == ""
    assert "DL3006" in hadolint(re.sub(r"(?m)^(FROM \S+?):\S+", r"\1", stage))


@mock_aws
@pytest.mark.parametrize("block", blocks_of_kind("a policy of AWS"), ids=str)
def test_aws_takes_a_policy(block: Block) -> None:
    """By the rules of IAM, as moto has them: a policy of rights, or one that says who may take a role."""
    iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")

    def create(policy: str) -> None:
        if "Principal" in policy:
            iam.create_role(RoleName="role", AssumeRolePolicyDocument=policy)
        else:
            iam.create_policy(PolicyName="policy", PolicyDocument=policy)

    create(block.text)

    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        create(block.text.replace('"Effect": "Allow"', '"Effect": "Permit"'))
    for statement in json.loads(block.text)["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert all(re.fullmatch(r"(s3:(List|Get|Put)\w+|kms:Decrypt|sts:\w+)", action) for action in actions)


@cache
def patterns_of_the_code() -> list[re.Pattern[str]]:
    """Return a pattern for each text in the code that says enough to be recognised."""
    texts = ([piece.strip() for piece in re.split(r"…|%s|%d", text)] for text in texts_of_the_code())
    told = ([piece for piece in pieces if piece] for pieces in texts if max(map(len, pieces)) >= 10)
    return [re.compile(".*".join(map(re.escape, pieces))) for pieces in told]


def told_by_the_code(line: str) -> bool:
    """Tell whether a line says what a text of the code says, whatever is filled in."""
    ours = re.sub(r" \[request [0-9a-f]{8}\]$", "", line).removeprefix(FOREIGN[1])
    return any(pattern.search(ours) for pattern in patterns_of_the_code())


@pytest.mark.parametrize("block", blocks_of_kind("what is printed"), ids=str)
def test_what_is_printed_is_in_the_code(block: Block) -> None:
    """A transcript shows what cmp-core says today; what Argo CD says around it is Argo CD's."""
    lines = [line for line in block.text.splitlines() if line and not line.startswith(FOREIGN[0])]

    assert lines
    assert [line for line in lines if not told_by_the_code(line)] == []
    assert not told_by_the_code("Error: something that cmp-core has never said")
