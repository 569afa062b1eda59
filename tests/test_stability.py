"""What the documentation promises to authors of backends is what the code and the template keep."""

import re
import tomllib

from docs_support import DOCS, ROOT

from cmp_core import transfer

PAGE = (DOCS / "reference" / "stability.md").read_text(encoding="utf-8")


def test_the_pin_that_is_shown_is_that_of_a_new_backend() -> None:
    """There is one way to pin."""
    template = (ROOT / "cmp_core" / "template" / "pyproject.toml").read_text(encoding="utf-8")

    (shown,) = re.findall(r'"(cmp-core>=[^"]+)"', PAGE)
    assert shown in tomllib.loads(template)["project"]["dependencies"]


def test_the_pythons_are_those_of_the_package() -> None:
    """The list is the classifiers'."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]

    (shown,) = re.findall(r"^cmp-core supports (.+), and runs its tests", PAGE, re.MULTILINE)
    assert re.findall(r"\d\.\d+", shown) == supported


def test_a_new_backend_learns_of_a_deprecation() -> None:
    """Its tests turn the warning into an error, as the page says."""
    template = (ROOT / "cmp_core" / "template" / "pyproject.toml").read_text(encoding="utf-8")

    assert tomllib.loads(template)["tool"]["pytest"]["ini_options"]["filterwarnings"] == ["error"]


def test_the_modules_that_are_public_are_named() -> None:
    """Each of them lists its names, which the reference of the hooks holds."""
    assert all(f"`{name}`" in PAGE for name in ("cmp_core", "cmp_core.store", "cmp_core.testing", transfer.__name__))
