"""What a user reads when S3 does not have what it should, and that nothing of what runs is deleted."""

import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from argocd.conftest import NewStage
from argocd.report import Report
from argocd.stage import EVERYTHING, Stage

from tools import buckets
from tools.live_argocd import objects
from tools.live_argocd.application import Told

pytestmark = pytest.mark.argocd

LONGEST_ERROR = 1200
"""How much of an error may be shown: Argo CD's own words are 600 characters of it."""


def empty_the_prefix(stage: Stage) -> None:
    """Delete every object of the application."""
    buckets.empty(stage.s3, stage.bucket, "apps/demo/")


def delete_the_bucket(stage: Stage) -> None:
    """Delete the bucket with everything in it."""
    buckets.empty(stage.s3, stage.bucket)
    stage.s3.delete_bucket(Bucket=stage.bucket)


def break_an_object(stage: Stage) -> None:
    """Overwrite an object with what is no YAML."""
    stage.upload({"other.yaml": b"kind: ConfigMap\n  name: [\n"})


class Case(NamedTuple):
    """Something wrong in S3, how it comes about, and all that our plugin says of it."""

    happened: str
    make_wrong: Callable[[Stage], None]
    code: int
    text: str


CASES = {
    "emptied": Case(
        "the prefix emptied",
        empty_the_prefix,
        66,
        "fetching s3://emptied/apps/demo for application emptied\n"
        "error: nothing lies under s3://emptied/apps/demo at {endpoint}: no key begins with `apps/demo/` and no object "
        "has the key `apps/demo`: check `path`, and that the manifests were uploaded",
    ),
    "no-bucket": Case(
        "the bucket deleted",
        delete_the_bucket,
        66,
        "fetching s3://no-bucket/apps/demo for application no-bucket\n"
        "error: the bucket `no-bucket` does not exist at {endpoint}: check `bucket`, the endpoint and the account",
    ),
    "broken": Case(
        "an object broken",
        break_an_object,
        65,
        "error: other.yaml:2: this is not valid YAML (mapping values are not allowed in this context): correct it, or "
        "leave the file out with `exclude`",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_shows_our_text_and_deletes_nothing(new_stage: NewStage, report: Report, name: str) -> None:
    """The Application says Unknown with our text, short and whole, everything lives on, and a hard refresh heals."""
    case, stage = CASES[name], new_stage(name)
    stage.go_live()
    before = stage.live()
    case.make_wrong(stage)

    seconds = stage.application.refresh("hard")

    did = f"Unknown, with our text (exit code {case.code}); nothing is deleted"
    report.tell(f"{case.happened}; hard refresh", did, seconds)
    assert stage.application.sync_status() == "Unknown"
    assert stage.application.told() == Told(
        case.code, case.text.replace("{endpoint}", stage.installation.storage.endpoint)
    )
    assert len(stage.application.error()) < LONGEST_ERROR
    assert stage.live() == before
    assert set(before) == set(EVERYTHING)

    stage.application.refresh("normal")

    assert stage.live() == before

    stage.publish("v2")
    began = time.monotonic()
    stage.application.refresh("hard")
    stage.arrives("v2")

    report.tell("… and mended; hard refresh", "Synced, with what S3 holds now", time.monotonic() - began)
    assert stage.application.error() == ""


def test_a_repository_that_the_project_does_not_allow_is_not_read(new_stage: NewStage, report: Report) -> None:
    """An Application of a project without this repository is refused by Argo CD itself, before the plugin is asked."""
    stage = new_stage("wrong-project")
    stage.publish("v1")
    stage.commit("v1")
    kubernetes, namespace = stage.application.kubernetes, stage.application.namespace
    kubernetes.apply(objects.project("elsewhere", namespace, sources=["https://git.example.com/*"]))

    stage.create(project="elsewhere")
    seconds = stage.application.wait("an error", stage.application.error)

    report.tell("a new Application of a project without its repository", "refused", seconds)
    assert (
        f"application repo {stage.repository.url} is not permitted in project 'elsewhere'" in stage.application.error()
    )
    assert stage.live() == {}
