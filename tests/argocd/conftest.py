"""What the tests on a whole Argo CD share: processes that run once for all of them, and the table of what was seen."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from argocd.report import Report
from argocd.stage import Stage
from e2e.conftest import give_up

from tools import binaries
from tools.live_argocd import apiserver, installation, objects
from tools.live_argocd.application import Application, Told
from tools.live_argocd.installation import Installation
from tools.live_argocd.kubernetes import Kubernetes
from tools.live_argocd.page import LAST_RUN
from tools.live_argocd.repository import Repository

ON_PATH = {
    "etcd": "etcd-server",
    "git": "git",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
}
FIRST, LAST = "outages", "two_minutes_later"
FORGET = ("ARGOCD_PAUSE_GEN_AFTER_FAILED_ATTEMPTS", "ARGOCD_PAUSE_GEN_MINUTES")
"""What makes the repo-server forget a failure after a minute."""
TABLE = pytest.StashKey[str]()

NewStage = Callable[[str], Stage]


class Outage(NamedTuple):
    """What an Application showed while S3 was away, and since when S3 is back, with another version of an object.

    Attributes:
        stage: The Application.
        seconds: How long the error took to show.
        error: What Argo CD showed.
        told: What our plugin said in it.
        before: What was deployed before.
        meanwhile: What was deployed while S3 was away.
        back: When S3 came back.
    """

    stage: Stage
    seconds: float
    error: str
    told: Told | None
    before: Mapping[str, str]
    meanwhile: Mapping[str, str]
    back: float


class Outages(NamedTuple):
    """The outages of two Argo CDs of their own: one with the settings of deploy/, one that differs in nothing else."""

    with_settings: Outage
    without_settings: Outage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what looks at the outages first, and what has to wait for their end last: the others use the time."""

    def place(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        return 1 if LAST in names else -1 if FIRST in names else 0

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the table at the end of the run."""
    if table := terminalreporter.config.stash.get(TABLE, ""):
        terminalreporter.section("what Argo CD did, and when")
        terminalreporter.write_line(table)


@pytest.fixture(scope="session", autouse=True)
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """The table of what Argo CD did, and when, for `.cache/argocd/`; made first, so that it counts all time."""
    report = Report()
    yield report
    if report.rows:
        request.config.stash[TABLE] = report.finish(LAST_RUN)


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A Kubernetes without nodes, with Argo CD's custom resources; the tests that lack something for it are skipped."""
    for name in installation.PROGRAMS:
        binaries.find(name) or give_up(f"{name} is not built: run `make tools`, which needs Go")
    for name, package in ON_PATH.items():
        shutil.which(name) or give_up(f"{name} is not here: apt-get install --no-install-recommends {package}")
    with apiserver.run(tmp_path_factory.mktemp("kubernetes")) as kubernetes:
        objects.install_definitions(kubernetes)
        yield kubernetes


@pytest.fixture(scope="session")
def argo_cd(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An Argo CD as deploy/ sets it up, whose S3 never goes away."""
    with installation.run(tmp_path_factory.mktemp("argo-cd"), kubernetes) as argo_cd:
        yield argo_cd


@pytest.fixture
def new_stage(argo_cd: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStage]:
    """A function that prepares an Application in the shared Argo CD; afterwards it is deleted."""
    stages = []

    def make(name: str) -> Stage:
        stages.append(make_stage(name, argo_cd, tmp_path_factory))
        return stages[-1]

    yield make
    for stage in stages:
        if stage.exists():
            stage.application.delete()


@pytest.fixture(scope="session")
def outages(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outages]:
    """Two Argo CDs whose S3 was away for some seconds, and who then are left to themselves."""
    with ExitStack() as stack:
        stages = []
        for namespace, without in {"with-settings": (), "without-settings": FORGET}.items():
            folder = tmp_path_factory.mktemp(namespace)
            argo_cd = stack.enter_context(installation.run(folder, kubernetes, namespace=namespace, without=without))
            stages.append(make_stage(f"outage-{namespace}", argo_cd, tmp_path_factory))
        for stage in stages:
            stage.go_live()
        yield Outages(*[make_outage(stage) for stage in stages])


def make_outage(stage: Stage) -> Outage:
    """Take S3 away, refresh hard, and let S3 come back with another version as soon as the error shows."""
    before = stage.live()
    stage.installation.storage.server.stop()
    seconds = stage.application.refresh("hard")
    error, told, meanwhile = stage.application.error(), stage.application.told(), stage.live()
    stage.installation.storage.server.start()
    stage.publish("v2")
    return Outage(stage, seconds, error, told, before, meanwhile, time.monotonic())


def make_stage(name: str, argo_cd: Installation, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Prepare an Application of this name, with a Git repository that is empty yet."""
    application = Application(argo_cd.kubernetes, name, argo_cd.namespace)
    return Stage(argo_cd, application, Repository(tmp_path_factory.mktemp("git") / name))


@pytest.fixture(scope="session")
def two_minutes_later(outages: Outages) -> None:
    """The moment when both outages are over for two minutes, or a bit later."""
    time.sleep(max(0.0, max(outage.back for outage in outages) + 120 - time.monotonic()))
