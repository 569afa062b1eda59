"""What outlives a request: the private state folder, and the store of objects in it."""

import contextlib
import fcntl
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interruption import interrupted_everywhere

from cmp_core import store as store_module
from cmp_core.store import STALE_SECONDS, Store, open_store, state_directory, store_key

KIB = 1024
KEY = store_key("endpoint", "bucket", "key", "etag")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a private folder for a store."""
    private = tmp_path / "state"
    private.mkdir(mode=0o700)
    return private


@pytest.fixture
def store(folder: Path) -> Store:
    """Return a store of one MiB."""
    return Store(folder, 1024 * KIB)


def files_of(folder: Path) -> list[Path]:
    """Return every file of the store in `folder`."""
    return [path for path in (folder / "objects").rglob("*") if path.is_file()]


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files of the store in `folder`."""
    return sum(path.stat().st_size for path in files_of(folder))


@settings(deadline=None)  # a busy disk is no failure
@given(st.dictionaries(st.tuples(st.text(), st.text()), st.binary(max_size=2 * KIB), max_size=5))
def test_what_is_put_is_what_comes_back(contents: dict[tuple[str, str], bytes]) -> None:
    """Every content comes back byte for byte under its own key, in another process's store as well."""
    with tempfile.TemporaryDirectory() as name:
        for parts, content in contents.items():
            Store(Path(name), 1024 * KIB).put(store_key(*parts), content)

        found = {parts: Store(Path(name), 1024 * KIB).get(store_key(*parts)) for parts in contents}

    assert found == contents


def test_what_was_never_put_is_absent(store: Store) -> None:
    """An unknown key is no error, and a store that was never used has no folder yet."""
    assert store.get(KEY) is None


def test_a_later_put_replaces_the_content(folder: Path, store: Store) -> None:
    """One key has one file."""
    store.put(KEY, b"old")
    store.put(KEY, b"new")

    assert store.get(KEY) == b"new"
    assert len(files_of(folder)) == 1


def test_an_entry_is_the_digest_and_the_content_and_for_nobody_else(folder: Path, store: Store) -> None:
    """A file lies at `objects/ab/cdef…`, and every folder above it is closed to others."""
    store.put(KEY, b"content")

    path = folder / "objects" / KEY[:2] / KEY[2:]
    assert path.read_bytes()[32:] == b"content"
    assert [parent.stat().st_mode & 0o777 for parent in list(path.parents)[:2]] == [0o700, 0o700]


@settings(deadline=None)  # a busy disk is no failure
@given(st.binary(min_size=1, max_size=64), st.data())
def test_a_damaged_entry_is_absent_and_goes(content: bytes, data: st.DataObject) -> None:
    """A file that was cut off, altered in one bit, or added to counts as absent and is removed."""
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name), 1024 * KIB)
        store.put(KEY, content)
        (path,) = files_of(Path(name))
        whole = path.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        flipped = whole[:place] + bytes([whole[place] ^ 1 << data.draw(st.integers(0, 7))]) + whole[place + 1 :]
        path.write_bytes(data.draw(st.sampled_from([whole[:place], flipped, whole + b"x"])))

        found = store.get(KEY)

        assert found is None
        assert not path.exists()


def test_an_eighth_of_the_store_is_the_largest_object(folder: Path, store: Store) -> None:
    """One object may not crowd out the others."""
    store.put(store_key("largest"), bytes(128 * KIB))
    store.put(store_key("larger"), bytes(128 * KIB + 1))

    assert store.get(store_key("largest")) == bytes(128 * KIB)
    assert len(files_of(folder)) == 1


@pytest.mark.parametrize("key", ["", "ab", "../" * 22, KEY.upper(), KEY + "\n", f"{KEY[:2]}/{KEY[3:]}"])
def test_only_a_made_key_is_a_key(store: Store, key: str) -> None:
    """A key that could lead out of the store's folder is a defect of the caller."""
    with pytest.raises(ValueError, match="is no key of the store"):
        store.get(key)
    with pytest.raises(ValueError, match="is no key of the store"):
        store.put(key, b"x")


@given(st.lists(st.text("ab:1"), max_size=4), st.lists(st.text("ab:1"), max_size=4))
def test_no_two_lists_of_parts_share_a_key(first: list[str], second: list[str]) -> None:
    """Where one part ends and the next begins is part of the key."""
    assert (store_key(*first) == store_key(*second)) == (first == second)


def test_a_key_may_be_of_any_text() -> None:
    """An object's name is not to be trusted, and need not even be valid Unicode."""
    assert len({store_key("\ud800"), store_key("\udc80"), store_key("é"), store_key("e\u0301")}) == 4


def test_a_disk_that_is_full_is_no_error(folder: Path, store: Store) -> None:
    """What the disk takes only in part is not stored, and nothing of it stays."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        store.put(KEY, bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert store.get(KEY) is None
    assert files_of(folder) == []


@pytest.mark.parametrize("place", ["state", "state/objects", f"state/objects/{KEY[:2]}"])
def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path, place: str) -> None:
    """Where a folder should be and is a file, nothing is stored and nothing raised."""
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("in the way")
    store = Store(tmp_path / "state", 1024 * KIB)

    store.put(KEY, b"x")
    store.evict()

    assert store.get(KEY) is None


def test_a_state_folder_that_was_removed_is_not_made_again_for_everybody(folder: Path, store: Store) -> None:
    """Only `state_directory` makes the private folder; the store below it would make it with the wrong mode."""
    folder.rmdir()

    store.put(KEY, b"x")

    assert not folder.exists()


def put_with_ages(store: Store, folder: Path, names: str) -> None:
    """Put an entry of 100 KiB for each letter, the first of them used longest ago."""
    for age, name in enumerate(reversed(names), 1):
        store.put(store_key(name), name.encode() * 100 * KIB)
        key = store_key(name)
        os.utime(folder / "objects" / key[:2] / key[2:], (1000 - age, 1000 - age))


def test_what_was_used_least_recently_goes_first(folder: Path) -> None:
    """A full store is brought down to four fifths; what was read of late stays, however old it is."""
    put_with_ages(Store(folder, 4096 * KIB), folder, "abcdefghijk")
    store = Store(folder, 1024 * KIB)
    assert store.get(store_key("a")) is not None

    store.evict()

    assert "".join(name for name in "abcdefghijk" if store.get(store_key(name))) == "afghijk"
    assert bytes_of(folder) <= 1024 * KIB * 4 // 5


def test_a_store_within_its_size_loses_nothing(folder: Path, store: Store) -> None:
    """Eviction is no expiry: old entries stay while there is room."""
    put_with_ages(store, folder, "abcdefghi")

    store.evict()

    assert len(files_of(folder)) == 9


def test_small_files_count_with_the_room_they_take(folder: Path) -> None:
    """An entry of one byte takes a block of the disk: a million of them would be four gigabytes."""
    store = Store(folder, 64 * KIB)
    for number in range(40):
        store.put(store_key(str(number)), b"x")

    store.evict()

    assert 0 < len(files_of(folder)) <= 16


def test_puts_alone_keep_the_store_near_its_size(folder: Path) -> None:
    """Nobody has to call for an eviction: a process that only puts stays within an eighth over the size."""
    store = Store(folder, 1024 * KIB)
    most = 0
    for number in range(200):
        store.put(store_key(str(number)), bytes(30 * KIB))
        most = max(most, bytes_of(folder))

    assert 700 * KIB < most <= 1024 * KIB * 9 // 8


def test_many_short_processes_keep_the_store_near_its_size(folder: Path) -> None:
    """A process that puts one object evicts only now and then, and yet the store does not grow without end."""
    evicted = 0
    for number in range(120):
        store = Store(folder, 1024 * KIB)
        before = len(files_of(folder)) if number else 0
        store.put(store_key(str(number)), bytes(30 * KIB))
        evicted += len(files_of(folder)) <= before

    assert 1 < evicted < 60
    assert bytes_of(folder) <= 1024 * KIB * 3 // 2


def test_what_a_killed_process_left_goes_after_a_while(folder: Path, store: Store) -> None:
    """An unfinished file is removed when it is old, and left to its writer while it is young."""
    store.put(KEY, b"x")
    (entry,) = files_of(folder)
    old, young = entry.with_name("old.tmp"), entry.with_name("young.tmp")
    for path in (old, young):
        path.write_bytes(b"unfinished")
    then = old.stat().st_mtime - STALE_SECONDS - 1
    os.utime(old, (then, then))

    store.evict()

    assert sorted(files_of(folder)) == sorted([entry, young])


def test_one_process_at_a_time_evicts(folder: Path) -> None:
    """Where another process evicts already, a second one goes on with its own work."""
    put_with_ages(Store(folder, 4096 * KIB), folder, "abcdefghijk")

    with (folder / "eviction.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Store(folder, 1024 * KIB).evict()
        while_locked = len(files_of(folder))
    Store(folder, 1024 * KIB).evict()

    assert while_locked == 11
    assert len(files_of(folder)) == 7


WORKER = """
import random, sys
from pathlib import Path
from cmp_core.store import Store, store_key

def content(number):
    return random.Random(number).randbytes(1 + number * 997 % 60_000)

store, chance, hits = Store(Path(sys.argv[1]), int(sys.argv[2])), random.Random(), 0
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    number = chance.randrange(60)
    found = store.get(store_key(str(number)))
    assert found in (None, content(number)), f"wrong content for {number}"
    hits += found is not None
    store.put(store_key(str(number)), content(number))
print(hits)
"""


def start_worker(folder: Path, max_bytes: int, rounds: int) -> subprocess.Popen[str]:
    """Start a process that gets and puts, and fails if it gets anything wrong."""
    arguments = [sys.executable, "-c", WORKER, str(folder), str(max_bytes), str(rounds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content_of(number: int) -> bytes:
    """Return what a worker puts under `number`."""
    return random.Random(number).randbytes(1 + number * 997 % 60_000)


def test_many_processes_share_one_store(folder: Path) -> None:
    """Eight processes that get, put and evict at once read only what was put, and no other error occurs."""
    workers = [start_worker(folder, 1024 * KIB, 150) for _ in range(8)]
    answers = [worker.communicate(timeout=60) for worker in workers]

    assert [error for _, error in answers] == [""] * 8
    assert sum(int(output.split()[1]) for output, _ in answers) > 0
    assert bytes_of(folder) <= 1024 * KIB * 3 // 2


def kill_at_random(worker: subprocess.Popen[str]) -> None:
    """End a worker by SIGKILL at some moment of its work."""
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(timeout=random.uniform(0.001, 0.05))
        worker.kill()


def test_a_killed_process_leaves_only_right_entries(folder: Path) -> None:
    """SIGKILL in the middle of a write leaves no entry that is cut off: none has to be removed for being wrong."""
    for _ in range(12):
        kill_at_random(start_worker(folder, 64 * 1024 * KIB, 1_000_000))
    entries = [path for path in files_of(folder) if path.suffix != ".tmp"]
    store = Store(folder, 64 * 1024 * KIB)

    found = {number: store.get(store_key(str(number))) for number in range(60)}

    right = [number for number, content in found.items() if content == content_of(number)]
    assert len(right) == len(entries) > 0


def test_the_state_folder_is_made_private_in_the_folder_for_temporary_files(tmp_path: Path) -> None:
    """Without a choice of the operator it lies in TMPDIR, belongs to one user and is closed to all others."""
    folder = state_directory(None, {"TMPDIR": str(tmp_path)})

    assert folder == tmp_path / f"cmp-core-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert state_directory(None, {"TMPDIR": str(tmp_path)}) == folder


def test_the_operator_chooses_the_state_folder(tmp_path: Path) -> None:
    """A configured folder is used, and made, as it is."""
    assert state_directory(tmp_path / "chosen", {"TMPDIR": "/nowhere"}) == tmp_path / "chosen"
    assert (tmp_path / "chosen").is_dir()


@pytest.mark.parametrize("variables", [{}, {"TMPDIR": ""}, {"TMPDIR": "tmp"}, {"TMPDIR": "./tmp"}])
def test_a_relative_folder_for_temporary_files_is_not_believed(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our working folder is the application's: nothing of ours lies there; os.environ is not asked."""
    monkeypatch.setenv("TMPDIR", "/elsewhere")

    assert store_module._default_folder(variables) == Path(f"/tmp/cmp-core-{os.geteuid()}")  # noqa: S108  # the default


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o720, 0o1777, 0o704])
def test_a_state_folder_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of the group or of others is one too many."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)

    assert state_directory(tmp_path / "state", {}) is None


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """What looks private behind a link may be changed by whoever owns the link."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("private")
    (tmp_path / "file").touch(mode=0o600)

    assert [state_directory(tmp_path / name, {}) for name in ("link", "file")] == [None, None]


def test_a_state_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's private folder is not ours; the user is a double, since only root could be two."""
    (tmp_path / "state").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "state").stat().st_uid + 1)

    assert state_directory(tmp_path / "state", {}) is None


@pytest.mark.parametrize("path", ["missing/state", "file/state", "nul\0"])
def test_a_state_folder_that_cannot_be_made_is_none(tmp_path: Path, path: str) -> None:
    """Where the state folder cannot be made the work goes on without one."""
    (tmp_path / "file").touch()

    assert state_directory(tmp_path / path, {}) is None


def test_a_relative_state_folder_is_refused_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path would lie in the application's folder."""
    monkeypatch.chdir(tmp_path)

    assert state_directory(Path("state"), {}) is None
    assert list(tmp_path.iterdir()) == []


def test_the_store_opens_in_the_state_folder(tmp_path: Path) -> None:
    """A store that is opened anew has what was put before."""
    for content in (None, b"x"):
        opened = open_store(tmp_path / "state", {}, 1024 * KIB)
        assert opened is not None
        assert opened.get(KEY) == content
        opened.put(KEY, b"x")


def test_there_is_no_store_without_room_or_a_private_folder(tmp_path: Path) -> None:
    """A size of 0 turns the store off and makes no folder; a folder that is not private gives none."""
    turned_off = open_store(tmp_path / "state", {}, 0)
    assert not (tmp_path / "state").exists()
    (tmp_path / "state").mkdir(mode=0o755)

    assert turned_off is None
    assert open_store(tmp_path / "state", {}, 1024 * KIB) is None


def test_a_signal_at_any_point_leaves_nothing_unfinished(folder: Path, store: Store) -> None:
    """SIGTERM while an object is being kept leaves the whole of it, or nothing."""
    whole = hashlib.sha256(b"content").digest() + b"content"

    for point in interrupted_everywhere(lambda: store.put(store_key("a"), b"content")):
        contents = [path.read_bytes() for path in files_of(folder)]
        assert contents in ([], [whole]), f"at point {point}"
        shutil.rmtree(folder / "objects", ignore_errors=True)

    assert contents == [whole]
