"""Bootstrap: the few settings that are needed at once are those of the model, or the default where they are wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmp_core.bootstrap import Bootstrap, read_bootstrap, variable_of
from cmp_core.errors import SettingsError
from cmp_core.settings import Settings, load_settings, setting_variables

KEYS = {
    "timeout": "timeout",
    "maxConcurrency": "max_concurrency",
    "stateDirectory": "state_directory",
    "logLevel": "log_level",
    "logFormat": "log_format",
}
NOWHERE = Path("/nowhere/settings.yaml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the settings file lies, if there is one."""
    return tmp_path / "settings.yaml"


def test_the_defaults_are_those_of_the_model(file: Path) -> None:
    """There are not two truths."""
    bootstrap, settings = read_bootstrap({}, file), Settings()

    assert bootstrap == Bootstrap()
    assert bootstrap._asdict() == {name: getattr(settings, name) for name in KEYS.values()}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_a_setting(key: str) -> None:
    """Under the name of its variable."""
    assert setting_variables()[variable_of(key)] == (key,)


def test_variables_override_the_file(file: Path) -> None:
    """As they do for all settings; an empty one is unset."""
    file.write_text("timeout: 30\nmaxConcurrency: 3\nlogLevel: debug\nlogFormat: json\n", encoding="utf-8")

    bootstrap = read_bootstrap({"CMP_TIMEOUT": "20", "CMP_MAX_CONCURRENCY": "", "CMP_STATE_DIRECTORY": "/s"}, file)

    assert bootstrap == Bootstrap(20, 3, Path("/s"), "debug", "json")


def test_the_named_file_counts(file: Path) -> None:
    """Where `CMP_SETTINGS` names one."""
    file.write_text("timeout: 30\n", encoding="utf-8")

    assert read_bootstrap({"CMP_SETTINGS": str(file)}, NOWHERE).timeout == 30


@given(key=st.sampled_from(sorted(KEYS)), text=st.text() | st.integers(-5, 5000).map(str) | st.floats().map(str))
@example("timeout", "nan")
@example("timeout", "0")
@example("timeout", "3600")
@example("timeout", "3600.5")
@example("maxConcurrency", "1024")
@example("maxConcurrency", "1025")
@example("maxConcurrency", "0")
@example("maxConcurrency", "1.0")
@example("maxConcurrency", "2.00")
@example("maxConcurrency", "2.50")
@example("maxConcurrency", "2.")
@example("maxConcurrency", "٣")
@example("stateDirectory", "relative")
@example("logLevel", "INFO")
def test_a_value_is_the_model_s_or_the_default(key: str, text: str) -> None:
    """Never a third one, whatever somebody has written; and never the default for what the model takes."""
    variables = {variable_of(key): text}
    early = read_bootstrap(variables, NOWHERE)._asdict()[KEYS[key]]
    default = Bootstrap()._asdict()[KEYS[key]]

    try:
        checked = getattr(load_settings(variables, NOWHERE), KEYS[key])
    except SettingsError:
        assert early == default
    else:
        assert early in {checked, default}
        assert early == checked or not is_plain(text)


def is_plain(text: str) -> bool:
    """Tell whether a number is written as people write it: pydantic takes `+5`, `1_0` and `4.0` for a whole one too."""
    return text.isascii() and (text.isalnum() or text.replace(".", "", 1).isdecimal())


@pytest.mark.parametrize("content", ["- a list\n", "timeout: [1]\n", "a: *b\n", "timeout: 5\ntimeout: 6\n"])
def test_a_wrong_file_counts_as_none_or_as_it_can_be_read(file: Path, content: str) -> None:
    """What is wrong with it is told right afterwards, by the check of all settings."""
    file.write_text(content, encoding="utf-8")

    bootstrap = read_bootstrap({}, file)

    assert bootstrap.timeout in {45, 6}
    with pytest.raises(SettingsError):
        load_settings({}, file)


@pytest.mark.parametrize("named", ["relative.yaml", "/nowhere/settings.yaml", "/proc"])
def test_a_file_that_cannot_be_read_counts_as_none(named: str) -> None:
    """The check of all settings stops at it."""
    assert read_bootstrap({"CMP_SETTINGS": named}, NOWHERE) == Bootstrap()


def test_without_a_file_no_parser_is_loaded() -> None:
    """It takes half as much memory as the interpreter itself."""
    code = (
        "import sys; from pathlib import Path; from cmp_core.bootstrap import read_bootstrap\n"
        "read_bootstrap({'CMP_TIMEOUT': '5'}, Path('/nowhere')); print(*sys.modules)"
    )

    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"yaml", "pydantic"} & {*modules}
