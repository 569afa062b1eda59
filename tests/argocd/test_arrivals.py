"""What makes Argo CD deploy what is new, and what does not, seen in the API server as a user would."""

import time

import pytest
from argocd.conftest import NewStage
from argocd.report import Report
from argocd.stage import config_map

from tools.binaries import ROOT

pytestmark = pytest.mark.argocd

OBJECTS = ROOT / "examples" / "quickstart" / "objects"


def test_a_new_application_syncs(new_stage: NewStage, report: Report) -> None:
    """The Deployment and the Service of the quickstart are there soon after the Application was created."""
    stage = new_stage("new")
    stage.upload({path.name: path.read_bytes() for path in OBJECTS.iterdir()})
    commit = stage.commit("v1")

    stage.create()
    seconds = stage.application.wait("a sync", lambda: stage.application.synced_revision() == commit)

    report.tell("a new Application", "Synced; its Deployment and its Service are there", seconds)
    deployment = stage.application.deployed("Deployment", "demo-app")
    assert deployment
    assert deployment["spec"]["template"]["spec"]["containers"][0]["name"] == "web"
    assert stage.application.deployed("Service", "demo-app")
    assert stage.application.error() == ""


def test_an_application_that_names_no_plugin_is_found_by_discovery(new_stage: NewStage, report: Report) -> None:
    """Argo CD asks our plugin about a folder, and the plugin takes it for the sake of its trigger file."""
    stage = new_stage("discovered")

    seconds = stage.go_live(names_plugin=False)

    report.tell("a new Application that names no plugin", "Synced, by discovery", seconds)
    assert stage.application.status()["sourceType"] == "Plugin"


def test_a_changed_object_arrives_after_a_hard_refresh_with_self_heal(new_stage: NewStage, report: Report) -> None:
    """A normal refresh does not see what has changed in S3; a hard one does, and selfHeal deploys it."""
    stage = new_stage("self-heal")
    stage.go_live(self_heal=True)
    stage.publish("v2")

    stage.application.refresh("normal")

    assert (stage.application.value(), stage.application.sync_status()) == ("v1", "Synced")

    began = time.monotonic()
    stage.application.refresh("hard")
    stage.arrives("v2")

    report.tell("an object changed in S3; hard refresh; selfHeal", "the change is deployed", time.monotonic() - began)
    assert len(stage.application.history()) == 1, "selfHeal writes no history"


def test_a_changed_object_does_not_arrive_without_self_heal(new_stage: NewStage, report: Report) -> None:
    """Without selfHeal Argo CD sees the change after a hard refresh, says OutOfSync, and leaves it at that."""
    stage = new_stage("no-self-heal")
    stage.go_live(self_heal=False)
    stage.publish("v2")

    seconds = stage.application.refresh("hard")

    report.tell("an object changed in S3; hard refresh; no selfHeal", "OutOfSync, and nothing is deployed", seconds)
    for _ in range(2):
        assert (stage.application.value(), stage.application.sync_status()) == ("v1", "OutOfSync")
        stage.application.refresh("normal")


def test_a_version_that_is_changed_in_git_syncs(new_stage: NewStage, report: Report) -> None:
    """A commit to the trigger file makes Argo CD render and sync, with history, and prune what is gone from S3."""
    stage = new_stage("version")
    stage.go_live(self_heal=False)
    stage.publish("v2")
    stage.s3.delete_object(Bucket=stage.bucket, Key="apps/demo/other.yaml")
    commit = stage.commit("v2")

    began = time.monotonic()
    stage.application.refresh("normal")
    stage.arrives("v2")

    report.tell(
        "`version` changed in Git; normal refresh, as a webhook does; no selfHeal",
        "deployed with an entry in the history, and what is gone from S3 is pruned",
        time.monotonic() - began,
    )
    assert stage.application.history()[1:] == [commit]
    assert list(stage.live()) == ["demo"]


def test_a_parameter_that_is_changed_in_the_application_syncs(new_stage: NewStage, report: Report) -> None:
    """A new value of a plugin parameter makes Argo CD render and sync, with history and without a refresh."""
    stage = new_stage("parameter")
    stage.go_live(self_heal=False)
    stage.s3.put_object(Bucket=stage.bucket, Key="apps/v2/demo.yaml", Body=config_map("demo", version="v2"))

    stage.application.change({"spec": {"source": {"plugin": {"parameters": [{"name": "path", "string": "apps/v2"}]}}}})
    seconds = stage.arrives("v2")

    report.tell("a plugin parameter changed; no selfHeal", "deployed with an entry in the history", seconds)
    assert len(stage.application.history()) == 2


def test_a_parameter_that_is_set_back_deploys_what_was_kept(new_stage: NewStage, report: Report) -> None:
    """At a value that it had before, Argo CD does not run the plugin: what it kept comes back, and not S3's."""
    stage = new_stage("set-back")
    stage.go_live()
    stage.s3.put_object(Bucket=stage.bucket, Key="apps/v2/demo.yaml", Body=config_map("demo", version="v2"))
    stage.application.change({"spec": {"source": {"plugin": {"parameters": [{"name": "path", "string": "apps/v2"}]}}}})
    stage.arrives("v2")
    stage.publish("v3")

    stage.application.change({"spec": {"source": {"plugin": {"parameters": None}}}})
    seconds = stage.arrives("v1")

    report.tell("the parameter set back, after S3 had changed there", "what was kept from before is deployed", seconds)
    assert stage.application.value() == "v1"

    stage.application.refresh("hard")
    stage.arrives("v3")
    assert stage.application.value() == "v3"
