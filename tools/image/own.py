"""Own the trial of the documented way to an image of one's own: what the how-to says is what is built."""

import shutil
import tempfile
from pathlib import Path

from tools.image.build import NAME, ROOT, build_folder
from tools.image.containers import buildah
from tools.tutorial import BLOCK
from tools.wheel_smoke import build_wheels

PAGE = ROOT / "docs" / "how-to" / "install-into-your-image.md"
OWN_NAME = "localhost/cmp-core-in-your-own"
PUBLISHED = "registry.example.com/cmp-core:0.1.0"
"""The name of this project's image on the page."""


def build_own() -> None:
    """Build the page's image, all of its parts one after the other, from wheels and plugin.yaml alone."""
    buildah("tag", NAME, PUBLISHED)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "Dockerfile").write_text(dockerfile(), encoding="utf-8")
        shutil.copy(ROOT / "plugin.yaml", context)
        build_wheels(context / "dist")
        build_folder(OWN_NAME, context)


def dockerfile() -> str:
    """Return what the page says, as one file."""
    blocks = BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    return "\n".join(block["text"] for block in blocks if block["language"] == "dockerfile")
