"""The public names: one list, complete, sorted, the same for people, type checkers and the import system."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cmp_core
from cmp_core import errors


def typed_imports() -> dict[str, str]:
    """Return the names that a type checker sees, each with its module."""
    tree = ast.parse(Path(cmp_core.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    return {alias.name: str(node.module).removeprefix("cmp_core.") for node in imports for alias in node.names}


def test_list_homes_and_types_agree() -> None:
    """A name that is in one of them only would exist for some readers only."""
    homes = cmp_core._HOMES

    assert homes == typed_imports()
    assert set(homes) == set(cmp_core.__all__)


def test_the_list_is_sorted_and_without_doubles() -> None:
    """Two people who add a name do not meet."""
    names = cmp_core.__all__

    assert names == sorted(set(names))


@pytest.mark.parametrize("name", cmp_core.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    """And is found by `dir` and the star."""
    value = getattr(cmp_core, name)

    assert value is not None
    assert name in dir(cmp_core)


def test_every_error_is_public() -> None:
    """A backend may raise any of them."""
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert raised <= set(cmp_core.__all__)


def test_another_name_is_no_attribute() -> None:
    """A slip fails as in any other module."""
    with pytest.raises(AttributeError, match="module 'cmp_core' has no attribute 'Sourse'"):
        _ = cmp_core.Sourse


def test_importing_the_package_loads_nothing() -> None:
    """`version` and `discover` answer before pydantic alone would be loaded."""
    code = (
        "import sys, cmp_core; print(sorted(m for m in sys.modules if m.startswith(('cmp_core', 'pydantic', 'yaml'))))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "['cmp_core']\n"
