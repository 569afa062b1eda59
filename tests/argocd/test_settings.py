"""The Argo CD of these tests is set up as deploy/ does it."""

import pytest
from argocd.conftest import FORGET

from tools.live_argocd import deployed

pytestmark = [pytest.mark.argocd, pytest.mark.usefixtures("kubernetes")]


def test_what_deploy_sets_in_the_config_map_reaches_the_processes() -> None:
    """Argo CD's own manifest says which variable a key of `argocd-cmd-params-cm` fills."""
    controller = deployed.settings("argocd-application-controller")
    repo_server = deployed.settings("argocd-repo-server")

    assert controller == {"ARGOCD_APPLICATION_CONTROLLER_REPO_SERVER_TIMEOUT_SECONDS": "120"}
    assert repo_server["ARGOCD_REPO_SERVER_PLUGIN_TAR_EXCLUSIONS"] == ".git"


def test_deploy_sets_what_one_of_the_two_outages_is_without() -> None:
    """Otherwise the two would not differ, and one of them would show nothing."""
    assert set(FORGET) <= set(deployed.settings("argocd-repo-server"))
