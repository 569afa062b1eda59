"""S3 goes away and comes back: what a user reads meanwhile, and whether anybody has to do something afterwards."""

import datetime as dt
import re
import time

import pytest
from argocd.conftest import Outages
from argocd.report import Report
from argocd.stage import EVERYTHING

pytestmark = pytest.mark.argocd

TEXT = (
    "fetching s3://{bucket}/apps/demo for application {bucket}\n"
    "error: s3:ListBucket on s3://{bucket}/apps/demo/ at {endpoint} could not connect (ConnectionRefusedError): check "
    "that the endpoint is right and reachable from the sidecar (asked again N times: s3:ListBucket "
    "ConnectionRefusedError)"
)


def test_s3_that_is_down_shows_our_text_and_deletes_nothing(outages: Outages, report: Report) -> None:
    """The Application says so with our text, short and whole, and everything lives on."""
    for outage, settings in zip(outages, ("the settings of deploy/", "Argo CD's defaults"), strict=True):
        endpoint, bucket = outage.stage.installation.storage.endpoint, outage.stage.bucket
        assert outage.told
        assert (outage.told.code, without_tries(outage.told.text)) == (
            75,
            TEXT.format(bucket=bucket, endpoint=endpoint),
        )
        assert len(outage.error) < 1200
        assert outage.meanwhile == outage.before
        assert set(outage.before) == set(EVERYTHING)
        did = "Unknown, with our text (exit code 75); nothing is deleted"
        report.tell(f"S3 down; {settings}; hard refresh", did, outage.seconds)


def without_tries(text: str) -> str:
    """Return what the plugin says without how often it tried, which depends on the machine."""
    return re.sub(r"asked again \d+ times", "asked again N times", text)


@pytest.mark.usefixtures("two_minutes_later")
def test_it_heals_by_itself_with_the_settings_of_the_sidecar_component(outages: Outages, report: Report) -> None:
    """Nobody does anything, and within two minutes what S3 holds now is deployed."""
    outage = outages.with_settings
    application = outage.stage.application

    operation = application.status()["operationState"]
    finished = dt.datetime.fromisoformat(operation["finishedAt"]).timestamp()
    seconds = finished - (time.time() - (time.monotonic() - outage.back))

    report.tell("S3 back; nobody does anything; the settings of deploy/", "Synced", seconds)
    assert (application.value(), application.sync_status()) == ("v2", "Synced")
    assert 0 < seconds < 120
    assert application.error() == ""


@pytest.mark.usefixtures("two_minutes_later")
def test_it_does_not_heal_by_itself_without_these_settings(outages: Outages, report: Report) -> None:
    """With Argo CD's defaults the error has frozen and lost its text, though S3 is well; only a person mends it."""
    outage = outages.without_settings
    application = outage.stage.application

    report.tell(
        "S3 back; nobody does anything; Argo CD's defaults",
        "still an error, whose text is lost",
        time.monotonic() - outage.back,
    )
    assert application.value() == "v1"
    assert "Manifest generation error (cached): CMP processing failed" in application.error()
    assert application.told() is None
    assert "s3:" not in application.error(), "the text is one of Argo CD's own, of a call that it has cancelled itself"

    began = time.monotonic()
    application.refresh("hard")
    outage.stage.arrives("v2")

    report.tell("then a hard refresh", "Synced", time.monotonic() - began)
