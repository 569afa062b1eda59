"""Own the plugin manager: load the one backend that is asked for and call its hooks.

What a backend does wrong is told in one line that names its distribution and version.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import pluggy

from cmp_core import hookspecs
from cmp_core.artifact import Artifact
from cmp_core.documents import Document
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendLoadError, CmpError
from cmp_core.finding import Finding
from cmp_core.hookspecs import PROJECT, FetchNested, RenderNested, hookimpl
from cmp_core.installed import InstalledBackend
from cmp_core.kustomize import holds_kustomization, render_kustomization
from cmp_core.models import Source, StrictModel
from cmp_core.render import render_plain
from cmp_core.selection import check_totals
from cmp_core.validation import closest, echo

Result = TypeVar("Result")
Class = TypeVar("Class")

_REQUIRED_HOOKS = ("source_model", "fetch")


class _DefaultRender:
    """The host's own `render`, which any backend's own comes before."""

    @hookimpl(trylast=True)
    def render(self, artifact: Artifact, source: Source, environment: BuildEnvironment) -> Iterable[Document]:
        if source.render == "kustomize" or (source.render == "auto" and holds_kustomization(artifact)):
            environment.summary.renderer = "kustomize"
            return render_kustomization(artifact, source, environment)
        return render_plain(artifact, source)


@dataclass(frozen=True, slots=True)
class Backend:
    """A loaded backend.

    Attributes:
        installed: Where it comes from.
        model: The model of its trigger file.
        renders: Whether it renders by itself, so that `render` of a source means nothing to it.
        hooks: The names of the hooks that it implements, in the order of their specs.
        settings_model: The model of the operator's settings for it, or None where it has none.
    """

    installed: InstalledBackend
    model: type[Source]
    renders: bool
    hooks: tuple[str, ...]
    settings_model: type[StrictModel] | None
    _hooks: Any

    def check_settings(self, environment: BuildEnvironment) -> None:
        """Check what the operator has set for this backend alone.

        Raises:
            SettingsError: It is wrong.
        """
        if self.settings_model is None:
            environment.settings.check_unused(self.installed.name)
        else:
            environment.settings.of(self.installed.name, self.settings_model)

    def fetch(
        self, source: Source, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
    ) -> Artifact:
        """Call the backend's `fetch` and check that it returned what it filled.

        Raises:
            SettingsError: The operator's settings for the backend are wrong.
            FetchError: The source could not be fetched.
            CmpError: The backend has a defect.
        """
        self.check_settings(environment)
        artifact: object = self._call(
            "fetch",
            environment,
            lambda: self._hooks.fetch(
                source=source, destination=destination, environment=environment, fetch_nested=fetch_nested
            ),
        )
        if not _is_below(artifact, destination):
            raise CmpError(f"{self.installed}: `fetch` must return an Artifact below its destination: report it there")
        check_totals(len(artifact.files), artifact.size, source, source.limits.under(environment.settings.limits))
        return artifact

    def render(
        self, artifact: Artifact, source: Source, environment: BuildEnvironment, render_nested: RenderNested
    ) -> list[Document]:
        """Call the backend's `render`, or the host's.

        Raises:
            RenderError: The content cannot be turned into manifests.
            CmpError: The backend has a defect.
        """
        documents = self._call(
            "render",
            environment,
            lambda: list(
                self._hooks.render(
                    artifact=artifact, source=source, environment=environment, render_nested=render_nested
                )
            ),
        )
        if not all(isinstance(document, Document) for document in documents):
            raise CmpError(f"{self.installed}: `render` must return Documents: report it there")
        return documents

    def diagnose(self, source: Source | None, environment: BuildEnvironment) -> Iterator[Finding]:
        """Yield what the backend's `diagnose` finds, as it finds it; nothing where it has none.

        Raises:
            CmpError: The backend ended its diagnosis with an error, or has a defect.
        """
        found = self._call(
            "diagnose",
            environment,
            lambda: iter(self._hooks.diagnose(source=source, environment=environment) or ()),
        )
        while (finding := self._call("diagnose", environment, lambda: next(found, None))) is not None:
            if not isinstance(finding, Finding):
                raise CmpError(f"{self.installed}: `diagnose` must yield Findings: report it there")
            yield finding

    def _call(self, hook: str, environment: BuildEnvironment, call: Callable[[], Result]) -> Result:
        """Let the backend's own errors pass, and put its name before anything else that it raises."""
        try:
            return call()
        except CmpError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            told = _told(error)
            environment.deadline.check()  # it was interrupted, and told that in its own way
            raise CmpError(
                f"{self.installed}: defect in `{hook}`: {told}: "
                "report it there, with the traceback that CMP_LOG_LEVEL=debug prints"
            ) from error


def load_backend(installed: InstalledBackend) -> Backend:
    """Import the backend's module and check its hooks against their specs.

    Raises:
        BackendLoadError: It cannot be imported, lacks a hook, misspells one, or takes arguments that no hook has.
    """
    module = _import(installed)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=installed.name)
    except pluggy.PluginValidationError as error:
        definition, reason = (line.rpartition("definition: ")[2] for line in str(error).splitlines()[-2:])
        raise BackendLoadError(
            f"{installed}: `{definition}` does not fit its spec: {reason}: see the hook reference"
        ) from error
    hooks = _check_hooks(installed, manager)
    renders = _renders(manager)
    if not renders:
        manager.register(_DefaultRender())
    model = _load_model(installed, manager)
    return Backend(installed, model, renders, hooks, _load_settings_model(installed, manager), manager.hook)


def _import(installed: InstalledBackend) -> object:
    module_name, _, attribute = installed.target.partition(":")
    try:
        module = import_module(module_name)
        return getattr(module, attribute) if attribute else module
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything when it is imported
        raise BackendLoadError(
            f"{installed} cannot be imported from `{installed.target}`: {_told(error)}: "
            f"install {installed.distribution} again, or ask its authors"
        ) from error


def _check_hooks(installed: InstalledBackend, manager: pluggy.PluginManager) -> tuple[str, ...]:
    """Return the names of the hooks that the backend implements."""
    plugin = manager.get_plugin(installed.name)
    callers = manager.get_hookcallers(plugin) or []
    known = [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), f"{PROJECT}_spec")]
    for caller in callers:
        if not caller.has_spec():
            near = closest(caller.name, known)
            hint = f"did you mean `{near}`?" if near else f"the hooks are {', '.join(known)}"
            raise BackendLoadError(f"{installed}: there is no hook `{caller.name}`: {hint}")
    implemented = {caller.name for caller in callers}
    for name in _REQUIRED_HOOKS:
        if name not in implemented:
            raise BackendLoadError(f"{installed} does not implement `{name}`: mark the function with `@hookimpl`")
    return tuple(name for name in known if name in implemented)


def _renders(manager: pluggy.PluginManager) -> bool:
    return any(not (impl.wrapper or impl.hookwrapper) for impl in manager.hook.render.get_hookimpls())


def _load_model(installed: InstalledBackend, manager: pluggy.PluginManager) -> type[Source]:
    model = _ask_for_class(installed, manager.hook.source_model, Source)
    if model.location is Source.location:
        raise BackendLoadError(f"{installed}: `{model.__name__}` lacks `location`: define the property")
    return model


def _load_settings_model(installed: InstalledBackend, manager: pluggy.PluginManager) -> type[StrictModel] | None:
    if not manager.hook.settings_model.get_hookimpls():
        return None
    model = _ask_for_class(installed, manager.hook.settings_model, StrictModel)
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    if required:
        raise BackendLoadError(f"{installed}: `{model.__name__}.{required[0]}` lacks a default: give it one")
    return model


def _ask_for_class(installed: InstalledBackend, hook: pluggy.HookCaller, base: type[Class]) -> type[Class]:
    """Return the class that a backend answers a hook with."""
    try:
        found = hook()
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise BackendLoadError(
            f"{installed}: `{hook.name}` failed: {_told(error)}: ask the authors of {installed.distribution}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise BackendLoadError(
            f"{installed}: `{hook.name}` must return a subclass of {base.__name__}, not {echo(found)}"
        )
    return found


def _is_below(artifact: object, destination: Path) -> TypeGuard[Artifact]:
    if not (isinstance(artifact, Artifact) and isinstance(artifact.root, Path)):
        return False
    return artifact.root.resolve().is_relative_to(destination.resolve())


def _told(error: BaseException) -> str:
    """Return a stranger's exception on one line; let pass what ends the process on purpose."""
    if isinstance(error, SystemExit) and type(error) is not SystemExit:
        raise error
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
