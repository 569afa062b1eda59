"""Own what the operator allows: which of the installed backends an application may use."""

from collections.abc import Iterable

from cmp_core.errors import PolicyError
from cmp_core.installed import InstalledBackend, find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.settings import Settings


def load_allowed_backend(name: str, settings: Settings, installed: Iterable[InstalledBackend] | None = None) -> Backend:
    """Load a backend that the operator allows; of one that is not allowed, nothing is even imported.

    Args:
        name: Its name.
        settings: Say what is allowed.
        installed: The installed backends, where they are known already.

    Raises:
        PolicyError: The operator does not allow it.
        BackendError: It is missing or broken.
    """
    if not is_allowed(name, settings):
        allowed = ", ".join(f"`{each}`" for each in settings.allowed_backends or ())
        raise PolicyError(
            f"backend `{name}` is not allowed here, only {allowed}: use one of these, or ask the operator to name "
            f"`{name}` in `allowedBackends` of the settings (CMP_ALLOWED_BACKENDS)"
        )
    return load_backend(find_backend(name, installed_backends() if installed is None else installed))


def is_allowed(name: str, settings: Settings) -> bool:
    """Tell whether the operator allows applications to use a backend."""
    return settings.allowed_backends is None or name in settings.allowed_backends
