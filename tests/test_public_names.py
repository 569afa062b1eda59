"""The public names: one list, complete, sorted, the same for people, type checkers and the import system."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from docs_support import DOCS, ROOT, blocks_of

import cmp_core
from cmp_core import Settings, errors, hookspecs, programs, store, testing, transfer

PUBLIC_MODULES = {module.__name__: module for module in (cmp_core, programs, store, transfer)}
HOOKS = [item for item in vars(hookspecs).values() if hasattr(item, f"{hookspecs.PROJECT}_spec")]
THE_HOSTS_OWN = {"Override", "Summary"}
"""Types of those fields of a build environment that docs/reference/stability.md leaves out."""

CODE_OF_BACKENDS = sorted(
    path
    for pattern in ("backends/*/src/**/*.py", "examples/*/src/**/*.py", "cmp_core/template/**/*.py")
    for path in ROOT.glob(pattern)
)


def typed_imports() -> dict[str, str]:
    """Return the names that a type checker sees, each with its module."""
    tree = ast.parse(Path(cmp_core.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    (block,) = (node for node in blocks if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
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
        _ = cmp_core.Sourse  # type: ignore[attr-defined]  # what the test is about


def test_importing_the_package_loads_nothing() -> None:
    """`version` and `discover` answer before pydantic alone would be loaded."""
    code = (
        "import sys, cmp_core; print(sorted(m for m in sys.modules if m.startswith(('cmp_core', 'pydantic', 'yaml'))))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "['cmp_core']\n"


def public_objects() -> Iterator[tuple[str, Any]]:
    """Yield every public name and what it stands for."""
    for module in PUBLIC_MODULES.values():
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)


def functions_of(item: Any) -> Iterator[Any]:
    """Yield what carries the annotations that a user of `item` meets: itself, and what is public in a class."""
    yield item
    if inspect.isclass(item):
        for cls in item.__mro__:
            members = vars(cls).items() if cls.__module__.startswith("cmp_core") else ()
            for name, member in members:
                bare = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                is_seen = not name.startswith("_") or name in {"__call__", "__enter__"}
                if is_seen and inspect.isfunction(bare) and bare.__module__.startswith("cmp_core"):  # not pydantic's
                    yield bare


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield the classes of which an annotation is made."""
    for part in annotation if isinstance(annotation, list) else (get_origin(annotation), *get_args(annotation)):
        if part is not None:
            yield from classes_in(part)
    if inspect.isclass(annotation):
        yield annotation


def names_met_in(item: Any) -> set[str]:
    """Return the classes of cmp-core in the annotations of `item`, without those of private fields."""
    late = {"AbstractFileSystem": object, "Settings": Settings, "Finding": cmp_core.Finding}
    met: set[str] = set()
    for owner in functions_of(item):
        if inspect.isclass(owner) or inspect.isfunction(owner):
            hints = get_type_hints(owner, localns=late)
            public = [hint for name, hint in hints.items() if not name.startswith("_")]
            met |= {cls.__name__ for cls in classes_in(public) if cls.__module__.startswith("cmp_core.")}
    return met


ALL_PUBLIC = {name.rpartition(".")[2] for name, _ in public_objects()}


@pytest.mark.parametrize(
    "hook", [*HOOKS, hookspecs.FetchNested, hookspecs.RenderNested], ids=lambda hook: hook.__name__
)
def test_hooks_speak_of_public_names_only(hook: Any) -> None:
    """Whoever implements a hook can name all that it takes and returns."""
    met = names_met_in(hook)

    assert len(HOOKS) >= 4
    assert met
    assert met <= set(cmp_core.__all__)


@pytest.mark.parametrize(("name", "item"), list(public_objects()), ids=[name for name, _ in public_objects()])
def test_public_names_lead_to_public_names_only(name: str, item: Any) -> None:
    """What a public name takes, returns or holds is public too, but for the host's own fields."""
    assert names_met_in(item) - THE_HOSTS_OWN <= ALL_PUBLIC, name


def test_the_walk_over_annotations_finds_what_is_not_public() -> None:
    """Neither a field nor a method, a list or a union hides it from the two tests above."""
    assert names_met_in(cmp_core.BuildEnvironment) >= THE_HOSTS_OWN | {
        "Application",
        "Deadline",
        "Settings",
        "Progress",
    }
    assert names_met_in(hookspecs.FetchNested) == {"Artifact", "NestedSource"}


@pytest.mark.parametrize("module", [store, transfer], ids=lambda module: module.__name__)
def test_the_other_modules_lists_hold_what_is_there(module: ModuleType) -> None:
    """Each name once; the linter sorts them."""
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


def imports_of(code: str) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of everything that is imported from cmp-core."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "cmp_core":
            for alias in node.names:
                yield str(node.module), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("cmp_core."):
                    yield alias.name, ""


@pytest.mark.parametrize("path", CODE_OF_BACKENDS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_backends_import_public_names_only(path: Path) -> None:
    """The built-in backends, and those that people copy, take nothing that a stranger could not take."""
    assert secret_imports(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("block", blocks_of("python"), ids=str)
def test_the_documentation_imports_public_names_only(block: Any) -> None:
    """So does everything that the pages show."""
    assert secret_imports(block.text) == []


def test_an_import_that_is_not_public_is_found() -> None:
    """The two tests above can fail."""
    code = "from cmp_core import Source, errors\nfrom cmp_core.store import NoStateError\nimport cmp_core.cli\n"

    assert secret_imports(code) == [
        ("cmp_core", "errors"),
        ("cmp_core.store", "NoStateError"),
        ("cmp_core.cli", ""),
    ]


def secret_imports(code: str) -> list[tuple[str, str]]:
    """Return what the code imports from cmp-core and may not."""
    public = {**PUBLIC_MODULES, "cmp_core.testing": testing}
    allowed = {name: set(module.__all__) for name, module in public.items()}
    return [(module, name) for module, name in imports_of(code) if name not in allowed.get(module, set())]


@pytest.mark.parametrize("name", sorted({name for name, _ in public_objects()}))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """In the section of its module: what is promised is written down."""
    module, _, short = name.rpartition(".")
    page = (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")

    _, _, section = page.partition(f"\n## Names of `{module}`\n")
    assert f"`{short}`" in section.partition("\n## ")[0]
