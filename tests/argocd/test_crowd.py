"""Many Applications at once, and a sidecar that dies while it works."""

import os
import signal
import time

import pytest
from argocd.conftest import NewStage
from argocd.report import Report
from argocd.stage import config_map

from tools.live_argocd.application import Application
from tools.live_argocd.objects import Options
from tools.live_argocd.objects import application as manifest
from tools.processes import process_ids, session_of, wait_until

pytestmark = pytest.mark.argocd

CROWD = 20


def test_twenty_applications_arrive_at_once(new_stage: NewStage, report: Report) -> None:
    """Twenty new Applications of one repository are all Synced, each with its own object."""
    stage = new_stage("crowd")
    names = [f"crowd-{number}" for number in range(CROWD)]
    stage.upload({f"{name}/demo.yaml": config_map("demo", version=name) for name in names})
    stage.repository.commit(
        {f"{name}/s3-source.yaml": f"bucket: {stage.bucket}\npath: apps/demo/{name}\nversion: v1\n" for name in names},
        "Twenty applications",
    )
    kubernetes, namespace = stage.application.kubernetes, stage.application.namespace
    crowd = [Application(kubernetes, name, namespace) for name in names]

    began = time.monotonic()
    for name in names:
        kubernetes.apply(manifest(name, namespace, stage.repository.url, Options(path=name)))
    crowd[0].wait("all Synced", lambda: states(crowd) == ["Synced"] * CROWD, seconds=180)

    report.tell(f"{CROWD} new Applications at once", "all Synced", time.monotonic() - began)
    assert [application.value() for application in crowd] == names
    assert [application.error() for application in crowd] == [""] * CROWD
    for application in crowd:
        application.delete()


def states(crowd: list[Application]) -> list[str]:
    """Return what Argo CD says of each, in one request; empty before it has looked."""
    found = crowd[0].kubernetes.list("Application", crowd[0].namespace)
    return [found[each.name].get("status", {}).get("sync", {}).get("status", "") for each in crowd]


def test_a_sidecar_that_is_killed_in_the_middle_deletes_nothing(new_stage: NewStage, report: Report) -> None:
    """The error names the plugin, everything lives on, and a sidecar that is back serves the next refresh."""
    stage = new_stage("killed")
    stage.go_live()
    before, s3, sidecar = stage.live(), stage.installation.storage.server, stage.installation.sidecar
    stage.publish("v2")

    os.kill(s3.pid, signal.SIGSTOP)  # a request that waits for S3 is one in the middle
    try:
        began = time.monotonic()
        stage.application.ask_to_refresh("hard")
        assert wait_until(lambda: commands_in(sidecar.pid), 60)
        sidecar.kill()
        stage.application.wait_for_refresh()
    finally:
        os.kill(s3.pid, signal.SIGCONT)

    report.tell("the sidecar killed while it fetches", "Unknown; nothing is deleted", time.monotonic() - began)
    assert stage.application.sync_status() == "Unknown"
    assert 'CMP processing failed for application "killed"' in stage.application.error()
    assert stage.live() == before

    sidecar.start()
    began = time.monotonic()
    stage.application.refresh("hard")
    stage.arrives("v2")

    report.tell("the sidecar back; hard refresh", "Synced", time.monotonic() - began)


def commands_in(session: int) -> list[int]:
    """Return the processes of a session besides the first."""
    return [pid for pid in process_ids() if pid != session and session_of(pid) == session]
