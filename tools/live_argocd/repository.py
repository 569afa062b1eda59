"""Own a Git repository in a folder, which Argo CD reads by a `file://` address."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOMEBODY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "CI",
    "GIT_AUTHOR_EMAIL": "ci@example.com",
    "GIT_COMMITTER_NAME": "CI",
    "GIT_COMMITTER_EMAIL": "ci@example.com",
}
"""Variables by which git knows somebody, and nothing of who runs it."""


class Repository:
    """A repository with a branch `main` and a work tree."""

    def __init__(self, folder: Path) -> None:
        """Make the repository in a folder that does not exist yet, or take the one that is there."""
        self.folder = folder
        if not (folder / ".git").exists():
            folder.mkdir(parents=True)
            self._run("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """Its address for Argo CD."""
        return self.folder.as_uri()

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Write the files, commit everything that has changed, and return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        self._run("add", "--all")
        self._run("commit", "--quiet", "--allow-empty", "--message", message)
        return self._run("rev-parse", "HEAD").strip()

    def _run(self, *words: str) -> str:
        result = subprocess.run(
            ["git", *words],  # noqa: S607  # where PATH says
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", os.defpath)} | SOMEBODY,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return result.stdout
