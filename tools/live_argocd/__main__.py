"""Own the commands on a whole Argo CD without containers: up, demo, down, and the page of the last test run."""

import argparse
import sys
from pathlib import Path

from tools import binaries, debian
from tools.live_argocd import apiserver, background, demo, installation, page
from tools.live_argocd.background import Running
from tools.processes import tell

_NOT_UP = "No Argo CD runs here: make argocd-up"


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tools.live_argocd", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("prepare", prepare, "install Debian packages and build programs that are missing"),
        ("up", up, "start everything in the background"),
        ("serve", serve, "be what `up` leaves in the background"),
        ("demo", show, "show what Argo CD does with changes and faults"),
        ("down", down, "end everything"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--folder", type=Path, default=background.FOLDER, metavar="DIR")
        command.set_defaults(run=run)
    commands.add_parser("page", help="write the last run of the tests into its page").set_defaults(run=write_page)
    options = parser.parse_args(arguments)
    options.run(options)


def prepare(_options: argparse.Namespace) -> None:
    """Bring what is missing: Debian's packages, and what Go builds."""
    debian.require(*apiserver.PACKAGES, *installation.PACKAGES)
    for name in installation.PROGRAMS:
        binaries.require(name)


def up(options: argparse.Namespace) -> None:
    """Start everything, or find it running, and say how to look at it."""
    folder = options.folder.absolute()
    running = background.find(folder)
    if running:
        tell("Argo CD runs already.")
    else:
        prepare(options)
        tell("Starting etcd, kube-apiserver, redis, an S3 server and Argo CD on free ports …")
        running = background.start(folder)
    _tell_how_to_look(running)


def serve(options: argparse.Namespace) -> None:
    """Be the process in the background."""
    background.serve(options.folder)


def show(options: argparse.Namespace) -> None:
    """Show the demonstration on what `up` has started."""
    running = background.find(options.folder.absolute())
    if not running:
        sys.exit(_NOT_UP)
    demo.show(running)


def down(options: argparse.Namespace) -> None:
    """End everything that `up` has started."""
    running = background.find(options.folder.absolute())
    if not running:
        sys.exit(_NOT_UP)
    background.stop(running)
    tell(f"Nothing of it runs any more. Logs and data lie in {running.folder} until the next start.")


def write_page(_options: argparse.Namespace) -> None:
    """Write the page."""
    page.main()


def _tell_how_to_look(running: Running) -> None:
    folder = running.folder
    tell(f"""
Argo CD runs, in the process {running.pid} and those that it owns.
  applications   KUBECONFIG={running.kubernetes.kubeconfig} kubectl get applications
  S3             {running.endpoint}, where the buckets are folders of {folder}/argocd/buckets
  Git            {folder}/repository, which Argo CD reads as {running.repository.url}
  logs           {folder}/argocd/*.log, {folder}/kubernetes/*.log
  S3 down, up    kill -USR1 {running.pid}, kill -USR2 {running.pid}
Next: make argocd-demo, and in the end make argocd-down.""")


if __name__ == "__main__":
    main()
