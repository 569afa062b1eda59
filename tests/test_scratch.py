"""The scratch folder: what `init` left is used for the very same request only, and nothing else is ever believed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interruption import interrupted_everywhere

from cmp_core import scratch
from cmp_core.artifact import Artifact
from cmp_core.errors import OutputError
from cmp_core.scratch import KEY_BYTES, Scratch, _read_key

FINGERPRINT = "f" * 64


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The sidecar's private folder."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's folder."""
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


def leave(app: Path, state: Path | None, *, content: str = "ours", started: float | None = None) -> bool:
    """Do what `init` does."""
    scratch = Scratch(app, state)
    with scratch.workspace() as files:
        (files / "sub").mkdir()
        (files / "sub" / "a.yaml").write_text(content, encoding="utf-8")
        artifact = Artifact.from_directory(files, revision="r1")
        return scratch.leave(files, artifact, fingerprint=FINGERPRINT, started=started or time.monotonic())


def take(app: Path, state: Path | None, *, fingerprint: str = FINGERPRINT, max_age: float = 45) -> str | None:
    """Do what `generate` does; return what was taken over."""
    with Scratch(app, state).taken(fingerprint=fingerprint, max_age=max_age) as handover:
        return (handover.artifact.root / "sub" / "a.yaml").read_text(encoding="utf-8") if handover else None


def fail_half_way(files: Path, seen: list[tuple[int, list[Path]]]) -> None:
    """Do what a fetch does that fails; note what the workspace was like."""
    seen.append((files.stat().st_mode & 0o777, list(files.iterdir())))
    (files / "half").write_text("x", encoding="utf-8")
    raise RuntimeError


def leave_over_a_folder(scratch: Scratch, files: Path) -> None:
    """Do what `init` does where the record cannot be written."""
    (files.parent / "record.json").mkdir()
    scratch.leave(files, Artifact.from_directory(files), fingerprint=FINGERPRINT, started=time.monotonic())


def left(app: Path) -> Path:
    """Return the one folder that `init` left."""
    (folder,) = app.iterdir()
    return folder


def test_what_init_left_is_taken_once(app: Path, state: Path) -> None:
    """The same request gets it, and it is gone afterwards."""
    was_left = leave(app, state)

    first, second = take(app, state), take(app, state)

    assert (was_left, first, second) == (True, "ours", None)
    assert list(app.iterdir()) == []


def test_the_handover_tells_revision_and_age(app: Path, state: Path) -> None:
    """The deadline of `generate` counts from the beginning of `init`."""
    leave(app, state, started=time.monotonic() - 10)

    with Scratch(app, state).taken(fingerprint=FINGERPRINT, max_age=45) as handover:
        assert handover is not None
        revision, age = handover.artifact.revision, handover.age

    assert revision == "r1"
    assert 10 <= age < 45


def test_a_process_that_starts_at_once_goes_on_from_init(app: Path, state: Path) -> None:
    """It belongs to the same request, however long `init` has taken; whoever comes later begins one of their own."""
    began = time.monotonic() - 100
    leave(app, state, started=began)

    at_once = Scratch(app, state).continued_from(time.monotonic())
    later = Scratch(app, state).continued_from(time.monotonic() + 60)

    assert (at_once, later) == (began, None)


def test_nobody_goes_on_from_what_another_or_another_boot_left(
    app: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is missing, or came with the repository, or whose clock was another, has no time for us."""
    nothing = Scratch(app, state).continued_from(time.monotonic())
    leave(app, state)
    keyless = Scratch(app, None).continued_from(time.monotonic())
    monkeypatch.setattr(scratch, "_BOOT_ID", tmp_path / "missing")
    of_another_boot = Scratch(app, state).continued_from(time.monotonic())
    file = left(app) / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"code": "0" * 64}))
    monkeypatch.undo()
    forged = Scratch(app, state).continued_from(time.monotonic())

    assert (nothing, keyless, of_another_boot, forged) == (None, None, None, None)


def test_an_artifact_below_the_workspace_is_found_again(app: Path, state: Path) -> None:
    """A backend may have put everything into one folder more."""
    scratch = Scratch(app, state)
    with scratch.workspace() as files:
        (files / "inner" / "sub").mkdir(parents=True)
        (files / "inner" / "sub" / "a.yaml").write_text("inner", encoding="utf-8")
        scratch.leave(
            files, Artifact.from_directory(files / "inner"), fingerprint=FINGERPRINT, started=time.monotonic()
        )

    taken = take(app, state)

    assert taken == "inner"


def test_git_does_not_see_it(app: Path, state: Path) -> None:
    """Whoever runs `init` in a checkout commits nothing by accident."""
    leave(app, state)

    ignored = (left(app) / ".gitignore").read_text(encoding="utf-8")

    assert ignored == "*\n"


def test_a_later_init_replaces_an_earlier_one(app: Path, state: Path) -> None:
    """Only the newest counts, and one folder is left."""
    leave(app, state, content="old")
    leave(app, state, content="new")

    remaining = len(list(app.iterdir()))
    taken = take(app, state)

    assert (remaining, taken) == (1, "new")


def test_another_request_never_gets_it(app: Path, state: Path) -> None:
    """Another trigger file, parameter set or environment has another fingerprint."""
    leave(app, state)

    taken = take(app, state, fingerprint="0" * 64)

    assert taken is None
    assert list(app.iterdir()) == []


@pytest.mark.parametrize("age", [46, -60])
def test_what_is_too_old_or_from_the_future_is_never_used(app: Path, state: Path, age: float) -> None:
    """A folder that stayed behind is not this request's."""
    leave(app, state, started=time.monotonic() - age)

    taken = take(app, state, max_age=45)

    assert taken is None


def test_what_another_boot_left_is_never_used(
    app: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock began at another moment, so that its age says nothing."""
    leave(app, state)
    (tmp_path / "boot_id").write_text("another", encoding="ascii")
    monkeypatch.setattr(scratch, "_BOOT_ID", tmp_path / "boot_id")

    taken = take(app, state)

    assert taken is None


def test_a_clock_that_is_set_meanwhile_plays_no_part(app: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back or forward, what was left is as old as it is."""
    leave(app, state)
    monkeypatch.setattr(time, "time", lambda: 0.0)

    taken = take(app, state)

    assert taken == "ours"


@pytest.mark.parametrize("changed", ["seconds", "boot"])
def test_a_record_without_a_field_of_ours_is_never_taken(app: Path, state: Path, changed: str) -> None:
    """A sidecar of an older version may have left it, with the same key."""
    left_by_us = Scratch(app, state)
    leave(app, state)
    file = left(app) / "record.json"
    payload = json.loads(json.loads(file.read_text(encoding="utf-8"))["payload"])
    del payload[changed]
    text = json.dumps(payload)
    file.write_text(json.dumps({"payload": text, "code": left_by_us._authenticate(text)}), encoding="utf-8")

    taken = take(app, state)

    assert taken is None


def test_another_sidecar_never_gets_it(app: Path, state: Path, tmp_path: Path) -> None:
    """It has another key, so it does not even see the folder, and leaves it alone."""
    other = tmp_path / "other-state"
    other.mkdir(mode=0o700)
    leave(app, other)
    before = sorted(app.rglob("*"))

    taken = take(app, state)

    assert taken is None
    assert sorted(app.rglob("*")) == before


def test_a_folder_copied_from_another_directory_is_never_taken(app: Path, state: Path, tmp_path: Path) -> None:
    """A genuine one of another application has another name; under the right name it was not made there."""
    other = tmp_path / "other-app"
    other.mkdir()
    leave(other, state, content="theirs")
    shutil.copytree(left(other), app / left(other).name)

    taken = take(app, state)

    assert taken is None


@pytest.mark.parametrize("change", ["byte", "more", "fewer", "renamed", "link"])
def test_altered_files_are_never_taken(app: Path, state: Path, change: str) -> None:
    """Not even under the right name and with the right record: the digest covers every name and byte."""
    leave(app, state)
    file = left(app) / "files" / "sub" / "a.yaml"
    if change == "byte":
        file.write_text("ourz", encoding="utf-8")
    elif change == "more":
        file.with_name("b.yaml").touch()
    elif change == "fewer":
        file.unlink()
    elif change == "renamed":
        file.rename(file.with_name("b.yaml"))
    else:
        file.with_name("link").symlink_to("/etc/hostname")

    taken = take(app, state)

    assert taken is None
    assert list(app.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    ["", "not JSON", "[]", "5", "{}", '{"payload": 5, "code": "5"}', '{"payload": "{}", "code": 5}', "[" * 100_000],
)
def test_a_record_of_another_shape_is_never_taken(app: Path, state: Path, content: str) -> None:
    """And never a defect: whatever lies there, the request goes on with a fetch of its own."""
    leave(app, state)
    (left(app) / "record.json").write_text(content, encoding="utf-8")

    taken = take(app, state)

    assert taken is None
    assert list(app.iterdir()) == []


@pytest.mark.parametrize("changed", ["fingerprint", "started", "root", "revision", "digest", "code"])
def test_an_altered_record_is_never_taken(app: Path, state: Path, changed: str) -> None:
    """Every field is vouched for by the key."""
    leave(app, state, content="ours")
    file = left(app) / "record.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    payload = json.loads(record["payload"])
    if changed == "code":
        record["code"] = "0" * 64
    else:
        payload[changed] = payload[changed] + 1 if changed == "started" else f"{payload[changed]}."
        record["payload"] = json.dumps(payload)
    file.write_text(json.dumps(record), encoding="utf-8")

    taken = take(app, state, fingerprint=payload["fingerprint"])

    assert taken is None


def test_a_record_that_is_gone_is_no_record(app: Path, state: Path) -> None:
    """Files alone prove nothing."""
    leave(app, state)
    (left(app) / "record.json").unlink()

    taken = take(app, state)

    assert taken is None


@pytest.mark.parametrize("kind", ["file", "link", "fifo", "empty folder"])
def test_another_thing_under_the_name_is_never_taken(app: Path, state: Path, tmp_path: Path, kind: str) -> None:
    """A link that leads to a genuine folder is still a link."""
    leave(app, state)
    folder = left(app)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    if kind == "file":
        folder.write_text("x", encoding="utf-8")
    elif kind == "link":
        folder.symlink_to(elsewhere)
    elif kind == "fifo":
        os.mkfifo(folder)
    else:
        folder.mkdir()

    taken = take(app, state)

    assert taken is None
    assert (elsewhere / "files" / "sub" / "a.yaml").exists()


def test_a_folder_that_only_looks_like_ours_is_left_alone(app: Path, state: Path) -> None:
    """What came with the repository under such a name is neither read nor removed."""
    foreign = app / ".cmp-core-0123456789abcdef"
    (foreign / "files").mkdir(parents=True)
    (foreign / "record.json").write_text('{"payload": "{}", "code": ""}', encoding="utf-8")
    dead = app / ".cmp-core-0123456789abcdef.1-abcd"
    dead.mkdir()

    leave(app, state)
    taken = take(app, state)

    assert taken == "ours"
    assert sorted(app.iterdir()) == [foreign, dead]


def test_without_a_key_nothing_is_left(app: Path) -> None:
    """Nobody could tell later whose it is."""
    was_left = leave(app, None)

    taken = take(app, None)

    assert (was_left, taken) == (False, None)
    assert list(app.iterdir()) == []


def test_a_workspace_is_empty_private_and_removed(app: Path, state: Path) -> None:
    """Also when the fetch failed half-way."""
    seen: list[tuple[int, list[Path]]] = []

    with pytest.raises(RuntimeError), Scratch(app, state).workspace() as files:
        fail_half_way(files, seen)

    assert seen == [(0o700, [])]
    assert list(app.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(app: Path, state: Path) -> None:
    """Nothing piles up after SIGKILL; what a living process has stays."""
    code = (
        "import os, signal, sys; from pathlib import Path; from cmp_core.scratch import Scratch\n"
        "with Scratch(Path(sys.argv[1]), Path(sys.argv[2])).workspace():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(app), str(state)], check=False)
    abandoned = left(app)

    with Scratch(app, state).workspace() as mine, Scratch(app, state).workspace() as other:
        remaining = set(app.iterdir())

    assert killed.returncode == -9
    assert remaining == {mine.parent, other.parent}
    assert abandoned not in remaining


def test_a_workspace_that_cannot_be_made_is_told(app: Path, state: Path) -> None:
    """The operator reads which folder and why."""
    scratch = Scratch(app, state)
    app.rmdir()
    app.write_text("a file now", encoding="utf-8")

    with pytest.raises(OutputError) as caught, scratch.workspace():
        pass

    assert str(caught.value) == (
        f"{app}: cannot make a scratch folder there (Not a directory): "
        "make the folder writable and leave room on its disk"
    )


def test_a_disk_that_does_not_take_the_record_is_told(app: Path, state: Path) -> None:
    """A full disk at the last step is no defect of ours, and nothing is left."""
    scratch = Scratch(app, state)

    with pytest.raises(OutputError) as caught, scratch.workspace() as files:
        leave_over_a_folder(scratch, files)

    assert str(caught.value) == (f"{app}: cannot keep there what was fetched (Is a directory): leave room on its disk")
    assert list(app.iterdir()) == []


def test_the_key_is_private_and_made_once(state: Path) -> None:
    """Nobody else may read it, and no half-made one stays."""
    first, second = _read_key(state), _read_key(state)

    assert first == second
    assert len(first or b"") == KEY_BYTES
    assert [path.name for path in state.iterdir()] == ["scratch.key"]
    assert (state / "scratch.key").stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_no_key(state: Path) -> None:
    """A short one could be guessed."""
    (state / "scratch.key").write_bytes(b"short")

    key = _read_key(state)

    assert key is None


def test_an_unusable_state_folder_is_no_key(tmp_path: Path) -> None:
    """The request goes on without a handover."""
    key = _read_key(tmp_path / "absent")

    assert key is None


def test_a_full_disk_is_no_key_and_gets_no_rubbish(state: Path) -> None:
    """Every request tries to make the key: what the disk did not take whole does not stay."""
    code = (
        "import resource, sys; from pathlib import Path; from cmp_core.scratch import _read_key\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16)); sys.exit(_read_key(Path(sys.argv[1])) is not None)\n"
    )

    result = subprocess.run([sys.executable, "-c", code, str(state)], check=False)

    assert result.returncode == 0
    assert list(state.iterdir()) == []


def test_a_signal_at_any_point_leaves_the_key_or_nothing(state: Path) -> None:
    """SIGTERM while the key is being made leaves none, or the whole of it, which then may have a second name."""
    for point in interrupted_everywhere(lambda: _read_key(state)):
        files = list(state.iterdir())
        assert {path.stat().st_size for path in files} <= {KEY_BYTES}, f"at point {point}"
        assert not files or state / "scratch.key" in files, f"at point {point}"
        for path in files:
            path.unlink()


def test_processes_that_race_for_the_key_agree(state: Path) -> None:
    """Whoever comes first makes it; all others read that one."""
    code = (
        "import sys; from pathlib import Path; from cmp_core.scratch import _read_key\n"
        "sys.stdin.read(); sys.stdout.write(_read_key(Path(sys.argv[1])).hex())\n"
    )
    gate, opener = os.pipe()
    arguments = [sys.executable, "-c", code, str(state)]
    processes = [subprocess.Popen(arguments, stdin=gate, stdout=subprocess.PIPE, text=True) for _ in range(4)]

    os.close(opener)  # the end of all their inputs: they start together
    keys = [process.communicate()[0] for process in processes]
    os.close(gate)

    assert set(keys) == {(state / "scratch.key").read_bytes().hex()}
    assert [path.name for path in state.iterdir()] == ["scratch.key"]
