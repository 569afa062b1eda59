"""The programs of the tests are linked into `.tools/` by as many processes at once as there are test workers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools import binaries


def test_many_may_link_one_program_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody meets a link that another has just made, or finds none that another has just removed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(binaries, "LINKS", tmp_path / "links")
    program = binaries._program("versitygw")
    program.parent.mkdir(parents=True)
    program.write_bytes(b"")

    with ThreadPoolExecutor(8) as threads:
        built = list(threads.map(binaries.build, ["versitygw"] * 400))

    assert set(built) == {program}
    assert [path.name for path in (tmp_path / "links").iterdir()] == ["versitygw"]
    assert (tmp_path / "links" / "versitygw").readlink() == program
