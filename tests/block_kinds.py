"""Own the kinds of fenced blocks in README and docs: how a block is known, and which tests prove it.

A block that is of no kind, or of two, fails `test_every_block_is_of_one_kind`: whoever writes it says here how it is
proved.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from docs_support import PAGES, ROOT, Block, blocks_of

from cmp_core.settings import Settings
from tools.tutorial import PAGES as FOLLOWED_PAGES

FOLLOWED = {page.relative_to(ROOT).as_posix() for page in FOLLOWED_PAGES}
EXCERPTS = {"env", "plugin", "spec", "syncPolicy"}
"""The keys of a Deployment or an Application that a block may show without what stands around them."""

GENERATED = re.compile(r"<!-- generated [\w-]+ -->.*?<!-- /generated -->", re.DOTALL)


class Kind(NamedTuple):
    """A kind of block.

    Attributes:
        matches: Tells whether a block is of this kind.
        proofs: The tests that prove it, as pytest names them, or the target that does.
    """

    matches: Callable[[Block], bool]
    proofs: tuple[str, ...]


def documents_of(block: Block) -> list[dict[Any, Any]]:
    """Return the mappings of a YAML block."""
    return [document for document in yaml.safe_load_all(block.text) if isinstance(document, dict)]


def is_trigger_file(block: Block) -> bool:
    """Tell whether a YAML block shows a trigger file."""
    return (
        "-source.yaml" in block.title
        or re.search(r"^(bucket:|buket:|kind: \w+Source$)", block.text, re.MULTILINE) is not None
    )


def is_wrong_trigger_file(block: Block) -> bool:
    """Tell whether a YAML block shows the trigger file that is wrong on purpose."""
    return is_trigger_file(block) and block.text.count("buket:") == 1


def is_settings_file(block: Block) -> bool:
    """Tell whether a YAML block holds settings of the operator and nothing else."""
    keys = {field.alias or name for name, field in Settings.model_fields.items()}
    return all(document.keys() <= keys for document in documents_of(block))


def is_excerpt(block: Block) -> bool:
    """Tell whether a YAML block shows a part of a manifest."""
    return all(document.keys() <= EXCERPTS for document in documents_of(block))


def completed(block: Block) -> str:
    """Return the manifest that a part belongs to: the repo-server's Deployment, or an Application."""
    (part,) = documents_of(block)
    containers = [{"name": "cmp-core", "image": "example"}]
    if "syncPolicy" in part or "plugin" in part:
        source = {"repoURL": "https://git.example.com/apps.git", "path": "demo-app", **_pick(part, "plugin")}
        spec = {"project": "default", "destination": {}, "source": source, **_pick(part, "syncPolicy")}
        whole = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "demo"},
            "spec": spec,
        }
    else:
        if "env" in part:
            part = {"spec": {"template": {"spec": {"containers": [{**containers[0], **part}]}}}}
        labels = {"app": "repo-server"}
        spec = {"selector": {"matchLabels": labels}, **part["spec"]}
        spec["template"] = {"metadata": {"labels": labels}, "spec": {"containers": containers}} | spec.get(
            "template", {}
        )
        whole = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "repo-server"}, "spec": spec}
    return yaml.safe_dump(whole)


def _pick(part: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: part[key]} if key in part else {}


def is_workflow(block: Block) -> bool:
    """Tell whether a YAML block is a workflow of GitHub Actions."""
    return all("jobs" in document for document in documents_of(block))


def is_rules(block: Block) -> bool:
    """Tell whether a YAML block is a file of Prometheus' rules."""
    return all(document.keys() == {"groups"} for document in documents_of(block))


def is_kustomization(block: Block) -> bool:
    """Tell whether a YAML block is a kustomization."""
    return any(document.get("kind") == "Kustomization" for document in documents_of(block))


def is_manifest(block: Block) -> bool:
    """Tell whether a YAML block holds whole manifests."""
    return (
        not is_trigger_file(block)
        and not is_kustomization(block)
        and all({"apiVersion", "kind"} <= document.keys() for document in documents_of(block))
    )


def is_generated(block: Block) -> bool:
    """Tell whether a block is made of the code by `make docs-generate`."""
    text = _text_of(block.page)
    return any(
        text.count("\n", 0, part.start()) < block.line <= text.count("\n", 0, part.end())
        for part in GENERATED.finditer(text)
    )


def is_policy(block: Block) -> bool:
    """Tell whether a JSON block is a policy of AWS."""
    return "Statement" in json.loads(block.text)


@cache
def _text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _of(language: str, matches: Callable[[Block], bool] = lambda _block: True) -> Callable[[Block], bool]:
    """Return a test for blocks in this language outside of the pages that are followed as a whole."""
    return lambda block: block.language == language and block.page not in FOLLOWED and matches(block)


BLOCKS, E2E_BLOCKS = "tests/test_docs_blocks.py::", "tests/e2e/test_docs_blocks.py::"

KINDS: Mapping[str, Kind] = {
    "a step of a tutorial that is followed": Kind(lambda block: block.page in FOLLOWED, ("make test-wheels",)),
    "commands": Kind(
        _of("sh"), (f"{BLOCKS}test_shellcheck_finds_nothing", f"{E2E_BLOCKS}test_commands_do_what_they_say")
    ),
    "a trigger file": Kind(_of("yaml", is_trigger_file), ("tests/test_docs.py::test_trigger_files_are_valid",)),
    "settings": Kind(_of("yaml", is_settings_file), ("tests/test_docs.py::test_settings_files_are_valid",)),
    "a kustomization": Kind(
        _of("yaml", is_kustomization), ("tests/e2e/test_deploy.py::test_the_documentation_shows_what_kustomize_takes",)
    ),
    "manifests": Kind(
        _of("yaml", is_manifest),
        ("tests/e2e/test_deploy.py::test_kubernetes_takes_the_manifests_of_the_documentation",),
    ),
    "a part of a manifest": Kind(
        _of("yaml", is_excerpt),
        ("tests/e2e/test_deploy.py::test_kubernetes_takes_a_manifest_with_a_part_of_the_documentation",),
    ),
    "a workflow": Kind(_of("yaml", is_workflow), (f"{E2E_BLOCKS}test_actionlint_finds_nothing",)),
    "rules of Prometheus": Kind(_of("yaml", is_rules), (f"{E2E_BLOCKS}test_prometheus_takes_the_rules",)),
    "a policy of AWS": Kind(_of("json", is_policy), (f"{BLOCKS}test_aws_takes_a_policy",)),
    "JSON": Kind(_of("json", lambda block: not is_policy(block)), ("tests/test_docs.py::test_json_parses",)),
    "an entry point": Kind(_of("toml"), ("tests/test_docs.py::test_toml_parses",)),
    "Python": Kind(_of("python"), ("tests/test_docs.py::test_python_compiles",)),
    "a Dockerfile": Kind(_of("dockerfile"), (f"{BLOCKS}test_hadolint_finds_nothing",)),
    "the text of an error": Kind(
        _of("text", lambda block: not is_generated(block)),
        ("tests/test_docs.py::test_texts_of_errors_are_those_of_the_code",),
    ),
    "text made of the code": Kind(
        _of("text", is_generated), ("tests/test_generate_docs.py::test_generated_pages_are_fresh",)
    ),
    "what is printed": Kind(_of("console"), (f"{BLOCKS}test_what_is_printed_is_in_the_code",)),
}


def kinds_of(block: Block) -> list[str]:
    """Return the kinds that a block is of."""
    return [name for name, kind in KINDS.items() if kind.matches(block)]


def blocks_of_kind(name: str) -> list[Block]:
    """Return the blocks of a kind."""
    return [block for block in all_blocks() if KINDS[name].matches(block)]


@cache
def all_blocks() -> tuple[Block, ...]:
    """Return every fenced block of every page."""
    languages = {
        word for page in PAGES for word in re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return tuple(blocks_of(*languages))


def fences_of(page: Path) -> int:
    """Return how many lines of a page begin or end a block, also in a form that is no block here."""
    return len(re.findall(r"^\s*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE))
