"""Own what the operator has written, in the settings file and in `CMP_*` variables, and what is needed of it at once.

A request waits for its slot before anything heavy is loaded, and pydantic is heavy. The few values that it needs until
then are read here. One that is wrong counts as not written: `cmp_core.settings` checks everything right afterwards, and
tells what is wrong.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from cmp_core.errors import SettingsError

if TYPE_CHECKING:
    from cmp_core.strictyaml import YamlTree

MAX_BYTES = 64 * 1024
PREFIX = "CMP_"
PATH_VARIABLE = "CMP_SETTINGS"

DEFAULT_TIMEOUT = 45.0
LONGEST_TIMEOUT = 3600
MOST_CONCURRENCY = 1024

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


class Bootstrap(NamedTuple):
    """The settings that are needed before all of them are loaded.

    Attributes:
        timeout: The whole time of one request, in seconds.
        max_concurrency: How many requests may work at once; None where nobody has chosen.
        state_directory: The operator's choice of the private folder, or None.
        log_level: How much goes to stderr.
        log_format: How a line on stderr is written.
    """

    timeout: float = DEFAULT_TIMEOUT
    max_concurrency: int | None = None
    state_directory: Path | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"


def read_bootstrap(variables: Mapping[str, str], default_path: Path) -> Bootstrap:
    """Return what is needed at once, and the default in place of whatever is wrong or missing.

    Args:
        variables: The environment of the process.
        default_path: As for `cmp_core.settings.load_settings`.
    """
    try:
        tree = read_settings_file(settings_path(variables, default_path), required=False)
    except SettingsError:
        tree = None
    file = tree.values if tree else {}

    def written(key: str) -> str:
        value = variables.get(variable_of(key)) or file.get(key)
        return value if isinstance(value, str) else ""

    level, style, state = written("logLevel"), written("logFormat"), written("stateDirectory")
    return Bootstrap(
        timeout=_number(written("timeout"), LONGEST_TIMEOUT) or DEFAULT_TIMEOUT,
        max_concurrency=_whole_number(written("maxConcurrency"), MOST_CONCURRENCY),
        state_directory=Path(state) if state.startswith("/") else None,
        log_level=cast("LogLevel", level) if level in get_args(LogLevel) else "info",
        log_format=cast("LogFormat", style) if style in get_args(LogFormat) else "text",
    )


def variable_of(*keys: str) -> str:
    """Return the variable that overrides a key of the settings file, or a key inside a key."""
    return PREFIX + "_".join(map(variable_name, keys))


def variable_name(key: str) -> str:
    """Return how a camelCase key is written in a variable's name: ``requesterPays`` gives ``REQUESTER_PAYS``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).upper()


def settings_path(variables: Mapping[str, str], default_path: Path) -> Path:
    """Return the path of the settings file.

    Raises:
        SettingsError: The variables name one by a path that would lead into the working directory.
    """
    named = variables.get(PATH_VARIABLE, "")
    if named and not Path(named).is_absolute():
        raise SettingsError(f"{PATH_VARIABLE}: `{named}` is no absolute path: begin it with `/`")
    return Path(named) if named else default_path


def read_settings_file(path: Path, *, required: bool) -> "YamlTree | None":
    """Return what the file holds, or None where there is no such file and none is required.

    Raises:
        SettingsError: It cannot be read, or is no YAML of the strict kind.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if required:
            raise SettingsError(f"{path}: no such file: create it, or unset {PATH_VARIABLE}") from None
        return None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}): make it a readable file") from error
    from cmp_core.strictyaml import MalformedYamlError, read_yaml  # noqa: PLC0415  # most sidecars have no such file

    try:
        return read_yaml(content, max_bytes=MAX_BYTES)
    except MalformedYamlError as error:
        raise SettingsError(f"{path}:{error.line}: {error}") from error


def _number(text: str, most: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number <= most else None


def _whole_number(text: str, most: int) -> int | None:
    found = re.fullmatch(r"([0-9]{1,6})(?:\.0+)?", text)
    return int(found[1]) if found and 1 <= int(found[1]) <= most else None
