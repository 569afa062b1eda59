"""The copy from a remote store to the disk: bounded, whole or not at all."""

import asyncio
import io
import itertools
import os
import random
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core.artifact import Artifact
from cmp_core.deadline import Deadline
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    DeadlineExceededError,
    FetchError,
    IntegrityError,
    LimitExceededError,
    OutputError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)
from cmp_core.models import Source
from cmp_core.settings import Settings
from cmp_core.transfer import UNKNOWN_SIZE, Read, RemoteFile, copy_files, copy_folder, revision_of

Bodies = dict[str, bytes]


class DemoSource(Source):
    """A source of no backend."""

    @property
    def location(self) -> str:
        """Where it lies."""
        return "demo://bucket/apps"


class CountingProgress:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.size = 0
        self.steps: list[int] = []

    def set_size(self, size: int) -> None:
        """Keep the size."""
        self.size = size

    def relative_update(self, inc: int = 1) -> None:
        """Keep the step."""
        self.steps.append(inc)


def remote_files(bodies: Bodies) -> list[RemoteFile]:
    """Return the listing of a store that holds `bodies`."""
    return [RemoteFile(path, len(body), "e") for path, body in bodies.items()]


def reader(bodies: Bodies, chunk: int = 1 << 16) -> Read:
    """Return a reader of a store that holds `bodies`."""

    async def read(file: RemoteFile) -> AsyncIterator[bytes]:
        body = bodies[file.path]
        for start in range(0, len(body), chunk):
            await asyncio.sleep(0)
            yield body[start : start + chunk]

    return read


def copy(files: list[RemoteFile], read: Read, destination: Path, environment: BuildEnvironment | None = None) -> None:
    """Copy the files with an event loop of their own."""
    asyncio.run(copy_files(files, read, destination, environment or BuildEnvironment()))


def environment_with(deadline: Deadline | None = None, **settings: object) -> BuildEnvironment:
    """Return an environment with some settings of the operator."""
    return BuildEnvironment(settings=Settings.model_validate(settings), deadline=deadline or Deadline(45))


def tree(root: Path) -> Bodies:
    """Return every file below `root`."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def make_files(root: Path, bodies: Bodies) -> None:
    """Write `bodies` below `root`."""
    for path, body in bodies.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return an empty folder."""
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Return a folder of manifests on the disk."""
    folder = tmp_path / "origin"
    make_files(folder, {"a.yaml": b"a: 1\n", "dev/b.yaml": b"b: 2\n", "dev/README.md": b"# dev\n"})
    return folder


def copy_local(
    root: Path | str,
    destination: Path,
    source: Source | None = None,
    *,
    filesystem: Any = None,
    environment: BuildEnvironment | None = None,
) -> Artifact:
    """Copy a folder of the local disk."""
    filesystem = filesystem or LocalFileSystem()
    return copy_folder(filesystem, str(root), destination, source or DemoSource(), environment or BuildEnvironment())


PATHS = st.text(alphabet=st.sampled_from("ab/. \\é😀"), min_size=1, max_size=6) | st.text(min_size=1, max_size=20)


@settings(deadline=None)  # a busy disk is no failure
@given(st.dictionaries(PATHS, st.binary(max_size=40), max_size=8), st.integers(1, 50), st.integers(1, 4))
def test_files_are_copied_whole_or_not_at_all(bodies: Bodies, chunk: int, connections: int) -> None:
    """Whatever the files are called, all of them read back below the destination, or an error leaves nothing."""
    environment = environment_with(maxConnections=connections)
    with tempfile.TemporaryDirectory() as sandbox:
        destination = Path(sandbox, "destination")
        destination.mkdir()

        try:
            copy(remote_files(bodies), reader(bodies, chunk), destination, environment)
        except IntegrityError:
            assert [path.name for path in Path(sandbox).rglob("*")] == ["destination"]
        else:
            assert tree(Path(sandbox)) == {f"destination/{path}": body for path, body in bodies.items()}


def test_as_many_files_are_open_as_allowed_and_no_more(destination: Path) -> None:
    """The transfers fill the connections that the operator allows, and never more."""
    open_now: set[str] = set()
    most: list[int] = []

    async def read(file: RemoteFile) -> AsyncIterator[bytes]:
        open_now.add(file.path)
        for _ in range(5):
            await asyncio.sleep(0)
        most.append(len(open_now))
        yield b"x"
        open_now.remove(file.path)

    copy(
        [RemoteFile(str(number), 1, "e") for number in range(20)], read, destination, environment_with(maxConnections=3)
    )

    assert max(most) == 3
    assert len(tree(destination)) == 20


def test_progress_is_told_file_by_file(destination: Path) -> None:
    """Progress hears how many files there are, and of each that has arrived."""
    progress = CountingProgress()
    bodies = {"a": b"1", "b": b"", "c/d": b"22"}

    copy(remote_files(bodies), reader(bodies), destination, BuildEnvironment(progress=progress))

    assert (progress.size, progress.steps) == (3, [1, 1, 1])


def test_nothing_to_copy_is_no_error(destination: Path) -> None:
    """An empty selection copies nothing; whether that is an error is the backend's to say."""
    copy([], reader({}), destination)

    assert tree(destination) == {}


def test_a_large_body_is_never_held(destination: Path) -> None:
    """Ten megabytes in small chunks go to the disk as they come."""
    chunk, chunks = 64 * 1024, 160

    async def read(file: RemoteFile) -> AsyncIterator[bytes]:
        for number in range(chunks):
            await asyncio.sleep(0)
            yield bytes([number]) * chunk

    tracemalloc.start()
    try:
        copy([RemoteFile("a", chunk * chunks, "e")], read, destination)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (destination / "a").stat().st_size == chunk * chunks
    assert peak < 1_000_000


@pytest.mark.parametrize(("announced", "sent"), [(5, "4"), (5, "0"), (1, "0")])
def test_a_file_with_too_few_bytes_is_an_error(destination: Path, announced: int, sent: str) -> None:
    """A body that ends early is not what was listed."""
    with pytest.raises(IntegrityError, match=f"`a` was listed with {announced} bytes and sent {sent}:"):
        copy([RemoteFile("a", announced, "e")], reader({"a": b"x" * int(sent)}), destination)


def test_a_file_with_too_many_bytes_stops_at_once(destination: Path) -> None:
    """Of a body longer than was listed no byte beyond is kept, no chunk more is asked for, and it is closed."""
    seen: list[int | str] = []

    def look() -> None:
        seen.append((destination / "a").stat().st_size)

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                look()
                yield b"xx"
        finally:
            seen.append("closed")

    async def scenario() -> None:
        stream = endless()  # held here, so that nobody but the copy closes it
        with pytest.raises(IntegrityError, match="`a` was listed with 5 bytes and sent more"):
            await copy_files([RemoteFile("a", 5, "e")], lambda _file: stream, destination, BuildEnvironment())
        seen.append("raised")

    asyncio.run(scenario())

    assert seen == [0, 2, 4, "closed", "raised"]
    assert tree(destination) == {}


@pytest.mark.parametrize("failure", [SourceAccessError("denied"), ValueError("a defect"), TimeoutError("too slow")])
def test_the_first_failure_ends_the_others_and_comes_by_itself(destination: Path, failure: Exception) -> None:
    """The caller gets the very error that a reader raised, after every other reader has been ended."""
    ended: list[str] = []

    async def read(file: RemoteFile) -> AsyncIterator[bytes]:
        if file.path == "bad":
            await asyncio.sleep(0)
            raise failure
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(file.path)

    files = [RemoteFile(path, 2, "e") for path in ("a", "b/c", "bad", "never")]
    with pytest.raises(type(failure)) as caught:
        copy(files, read, destination, environment_with(maxConnections=3))

    assert caught.value is failure
    assert sorted(ended) == ["a", "b/c"]
    assert list(destination.iterdir()) == []


def test_the_first_failure_is_taken_out_of_the_readers_own_groups(destination: Path) -> None:
    """A reader that itself works with task groups needs no unwrapping of its own."""
    failure = TransientFetchError("throttled")

    async def read(file: RemoteFile) -> AsyncIterator[bytes]:
        yield b""
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [failure, ValueError()])])

    with pytest.raises(TransientFetchError) as caught:
        copy([RemoteFile("a", 1, "e")], read, destination)

    assert caught.value is failure


def test_a_failed_copy_can_be_tried_again(destination: Path) -> None:
    """A failure leaves the destination as it was, so that the same files can be copied into it once more."""
    bodies = {f"{number}/file": b"x" for number in range(50)}
    files = remote_files(bodies)

    with pytest.raises(KeyError):
        copy([*files, RemoteFile("missing", 1, "e")], reader(bodies), destination)
    copy(files, reader(bodies), destination)

    assert tree(destination) == bodies


async def hang(file: RemoteFile) -> AsyncIterator[bytes]:
    """Read nothing, for ever."""
    await asyncio.Event().wait()
    yield b""


async def spin(file: RemoteFile) -> AsyncIterator[bytes]:
    """Yield nothing, for ever, without once letting the event loop run."""
    while True:
        yield b""


@pytest.mark.parametrize("read", [hang, spin])
def test_the_deadline_ends_a_reader_that_does_not(destination: Path, read: Read) -> None:
    """A reader that hangs or spins is ended when the time is up, and the error names the step."""
    environment = environment_with(Deadline(0.05))
    environment.deadline.step = "fetching demo://bucket/apps"

    with pytest.raises(DeadlineExceededError, match="while fetching demo://bucket/apps"):
        copy([RemoteFile("a", 1, "e")], read, destination, environment)

    assert list(destination.iterdir()) == []


def test_nothing_starts_after_the_deadline(destination: Path) -> None:
    """No file is asked for once the time is up."""
    asked: list[str] = []

    def read(file: RemoteFile) -> AsyncIterator[bytes]:
        asked.append(file.path)
        return spin(file)

    with pytest.raises(DeadlineExceededError):
        copy([RemoteFile("a", 1, "e")], read, destination, environment_with(Deadline(0)))

    assert asked == []


def test_the_disk_is_told_apart_from_the_source(tmp_path: Path) -> None:
    """A destination that does not take files is the operator's to mend."""
    with pytest.raises(OutputError):
        copy([RemoteFile("a", 1, "e")], reader({"a": b"x"}), tmp_path / "missing")


@settings(deadline=None, max_examples=25)  # a busy disk is no failure
@given(st.randoms())
def test_the_artifact_is_the_same_however_files_arrive(chance: random.Random) -> None:
    """The digest does not depend on the order in which files are listed or arrive."""
    bodies = {"a": b"1", "a-b": b"2", "c/d": b"3", "c/e/f": b"4", "é": b"5"}
    digests = set()
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            shuffled = dict(chance.sample(list(bodies.items()), len(bodies)))
            copy(remote_files(shuffled), reader(shuffled, chance.randint(1, 9)), Path(folder))
            digests.add(Artifact.from_directory(Path(folder)).digest)

    assert len(digests) == 1


def test_a_local_folder_is_copied_with_its_subfolders(origin: Path, destination: Path) -> None:
    """Every file arrives under its path; where the disk knows no ETag the revision is the digest."""
    artifact = copy_local(origin, destination)

    assert artifact.files == ("a.yaml", "dev/README.md", "dev/b.yaml")
    assert tree(destination) == tree(origin)
    assert artifact.revision == artifact.digest


def test_a_folder_is_filtered_and_limited_as_its_source_says(origin: Path, destination: Path) -> None:
    """`include`, `exclude` and the source's own limits hold for a folder as for any source."""
    source = DemoSource.model_validate({"include": ["*.yaml"], "limits": {"objects": 1}})

    with pytest.raises(LimitExceededError, match=r"raise `limits\.objects` in the trigger file"):
        copy_local(origin, destination, source)
    artifact = copy_local(origin, destination, DemoSource(exclude=("/dev/",)))

    assert artifact.files == ("a.yaml",)


def test_the_operators_limits_cap_a_folder(origin: Path, destination: Path) -> None:
    """A folder may not bring more than the operator allows."""
    environment = environment_with(limits={"totalBytes": 10})

    with pytest.raises(LimitExceededError, match=r"CMP_LIMITS_TOTAL_BYTES"):
        copy_local(origin, destination, environment=environment)


@pytest.mark.parametrize("name", ["a b'c", 'q"#%', "back\\slash", "~", "a::b", "*?[x]", "file:x", "é😀", "-rf", "a.gz"])
def test_a_folder_may_hold_strange_names(origin: Path, destination: Path, name: str) -> None:
    """A name that fsspec, a shell or a URL would read otherwise is copied as it is."""
    make_files(origin / name, {name: b"x"})

    copy_local(origin, destination)

    assert tree(destination) == tree(origin)


def test_a_single_file_is_a_folder_with_one_file(origin: Path, destination: Path) -> None:
    """A root that is a file brings this file alone."""
    artifact = copy_local(origin / "dev" / "b.yaml", destination)

    assert tree(destination) == {"b.yaml": b"b: 2\n"}
    assert artifact.files == ("b.yaml",)


def test_any_filesystem_of_fsspec_will_do(destination: Path) -> None:
    """Files in memory, larger than a chunk, are copied like those on a disk."""
    memory = MemoryFileSystem()
    body = random.randbytes(700_000)
    memory.pipe({"/apps/demo/a/b.bin": body, "/apps/demo/c": b"c", "/apps/demo-app/d": b"no"})

    copy_local("memory://apps/demo/", destination, filesystem=memory)

    assert tree(destination) == {"a/b.bin": body, "c": b"c"}


@pytest.mark.parametrize("root", ["missing", "a.yaml/below-a-file"])
def test_a_missing_folder_is_not_found(origin: Path, destination: Path, root: str) -> None:
    """A root that does not exist is told apart from every other failure."""
    with pytest.raises(SourceNotFoundError, match="demo://bucket/apps does not exist"):
        copy_local(origin / root, destination)


@pytest.mark.parametrize(
    ("source", "message"),
    [(DemoSource(), "holds no file:"), (DemoSource(include=("*.json",)), "holds no file that `include` and `exclude`")],
)
def test_a_folder_without_files_is_not_found(tmp_path: Path, destination: Path, source: Source, message: str) -> None:
    """An empty result is never a success, and the message tells whether the patterns left it empty."""
    make_files(tmp_path / "origin", {"a.yaml": b""} if source.include else {})
    (tmp_path / "origin" / "empty").mkdir(parents=True)

    with pytest.raises(SourceNotFoundError, match=message):
        copy_local(tmp_path / "origin", destination, source)


def test_a_link_to_a_file_below_the_root_is_followed(origin: Path, destination: Path) -> None:
    """Kubernetes mounts a ConfigMap as links inside the mount: these are files."""
    (origin / "link.yaml").symlink_to("dev/b.yaml")

    copy_local(origin, destination)

    assert (destination / "link.yaml").read_bytes() == b"b: 2\n"
    assert not (destination / "link.yaml").is_symlink()


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "dev", "..", ".", "../origin2/x", "missing", "odd"])
def test_any_other_link_is_refused(origin: Path, destination: Path, target: str) -> None:
    """A link out of the root, to a folder, to nothing or to itself is refused by its name."""
    (origin.parent / "secret").write_text("secret")
    make_files(origin.parent / "origin2", {"x": b"of a neighbour whose name begins in the same way"})
    (origin / "odd").symlink_to(target)

    with pytest.raises(IntegrityError, match="`odd` in demo://bucket/apps is a link to somewhere else"):
        copy_local(origin, destination)

    assert list(destination.iterdir()) == []


def test_a_pipe_is_refused_rather_than_waited_for(origin: Path, destination: Path) -> None:
    """A FIFO would block its reader for ever: it is no file."""
    os.mkfifo(origin / "odd")

    with pytest.raises(IntegrityError, match="or no file at all"):
        copy_local(origin, destination)


def test_an_excluded_link_is_no_error(origin: Path, destination: Path) -> None:
    """The remedy for a link that leads out is to exclude it."""
    (origin / "odd").symlink_to("/etc/passwd")

    copy_local(origin, destination, DemoSource(exclude=("odd",)))

    assert not (destination / "odd").exists()


def test_a_folder_without_a_name_is_refused(destination: Path) -> None:
    """A store may hold `a//b`, which a walk by folders would lose without a word."""
    memory = MemoryFileSystem()
    memory.pipe({"/twice/a": b"1", "/twice//b": b"2"})

    with pytest.raises(IntegrityError, match="is a folder without a name"):
        copy_local("/twice", destination, filesystem=memory)


class MovingFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """The local disk, where something happens between the listing and the first read."""

    cachable = False

    def __init__(self, event: Callable[[], object]) -> None:
        """Keep what will happen."""
        super().__init__()
        self._event = event

    def open(self, path: str, *arguments: Any, **options: Any) -> Any:
        """Let it happen, then open the file."""
        self._event()
        return super().open(path, *arguments, **options)


@pytest.mark.parametrize("change", ["added", "rewritten", "removed"])
def test_a_folder_that_changes_meanwhile_is_an_error(origin: Path, destination: Path, change: str) -> None:
    """What goes out is a state that the folder really had: a change between listing and reading is noticed."""
    events: dict[str, Callable[[], object]] = {
        "added": lambda: make_files(origin, {"new.yaml": b"x"}),
        "rewritten": lambda: (origin / "dev" / "b.yaml").replace(origin / "a.yaml"),
        "removed": lambda: (origin / "a.yaml").unlink(missing_ok=True),
    }
    filesystem = MovingFileSystem(lambda: events[change]() if (origin / "dev" / "b.yaml").exists() else None)

    with pytest.raises(TransientFetchError, match="changed while it was read"):
        copy_local(origin, destination, filesystem=filesystem)


class DenyingFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """The local disk, where one folder fails; root, who runs tests in containers, is denied nothing by modes."""

    cachable = False

    def __init__(self, failure: OSError) -> None:
        """Keep what will be raised."""
        super().__init__()
        self._failure = failure

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002  # as in fsspec
        """List a folder, unless it is called `dev`."""
        if path.endswith("/dev"):
            raise self._failure
        return super().ls(path, detail, **options)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (PermissionError(13, "Permission denied", "/x/dev"), SourceAccessError),
        (OSError(5, "Input/output error", "/x/dev"), FetchError),
        (TimeoutError(), FetchError),
    ],
)
def test_a_subfolder_that_cannot_be_listed_is_an_error(
    origin: Path, destination: Path, failure: OSError, expected: type[FetchError]
) -> None:
    """A folder that fails half-way is an error of its own class, never a smaller artifact."""
    with pytest.raises(FetchError, match="demo://bucket/apps") as caught:
        copy_local(origin, destination, filesystem=DenyingFileSystem(failure))

    assert type(caught.value) is expected
    assert caught.value.__cause__ is failure


class TaggingFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """The local disk with an ETag for each file, as object stores have it."""

    cachable = False

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002  # as in fsspec
        """List a folder with ETags."""
        return [{**entry, "ETag": f"tag of {entry['size']}"} for entry in super().ls(path, detail, **options)]


def test_the_revision_of_tagged_files_is_that_of_their_tags(origin: Path, destination: Path) -> None:
    """Where the service gives ETags the revision can be told from the listing alone."""
    artifact = copy_local(origin, destination, filesystem=TaggingFileSystem())

    listed = [RemoteFile(path, len(body), f"tag of {len(body)}") for path, body in tree(origin).items()]
    assert artifact.revision == revision_of(listed)


class SizelessFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """The local disk without sizes, as some web servers list their files."""

    cachable = False

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002  # as in fsspec
        """List a folder without sizes."""
        return [{**entry, "size": None} for entry in super().ls(path, detail, **options)]


def test_files_of_unknown_size_are_copied(origin: Path, destination: Path) -> None:
    """A listing need not tell how large a file is."""
    artifact = copy_local(origin, destination, filesystem=SizelessFileSystem())

    assert {path: (destination / path).read_bytes() for path in artifact.files} == tree(origin)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"objectBytes": 3}, r"`.+` \(\d+ bytes\) in .+ is larger than the 3 bytes"),
        ({"totalBytes": 3}, r"has more than 3 bytes, .+ brings them to"),
    ],
)
def test_the_limits_hold_for_files_of_unknown_size(
    origin: Path, destination: Path, limits: dict[str, int], told: str
) -> None:
    """Their bytes are counted as they come, and the surplus is not kept."""
    source = DemoSource.model_validate({"limits": limits})

    with pytest.raises(LimitExceededError, match=told):
        copy_local(origin, destination, source=source, filesystem=SizelessFileSystem())

    assert tree(destination) == {}


def test_a_file_of_unknown_size_needs_a_source_whose_limits_hold(destination: Path) -> None:
    """Without limits nobody could say where an endless file ends."""
    with pytest.raises(IntegrityError, match="`a` is listed without its size: exclude it"):
        copy([RemoteFile("a", UNKNOWN_SIZE, "e")], reader({"a": b"x"}), destination)

    assert tree(destination) == {}


class RootlessFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """A filesystem whose root is the empty path, as those of repositories are, with Git's hash of each file."""

    cachable = False

    def ls(self, path: str, **_: Any) -> list[Any]:
        """List one file at the root, and one in a folder."""
        nested = {"name": "a/b.yaml", "type": "file", "size": 1, "sha": "2"}
        plain = {"name": "c.yaml", "type": "file", "size": 1, "sha": "1"}
        folder = {"name": "a", "type": "directory", "size": 0}
        return {"": [folder, plain], "a": [nested], "c.yaml": [plain]}[path]

    def _open(self, path: str, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO({"a/b.yaml": b"b", "c.yaml": b"c"}[path])


@pytest.mark.parametrize(
    ("root", "files"),
    [("", {"a/b.yaml": b"b", "c.yaml": b"c"}), ("a", {"b.yaml": b"b"}), ("c.yaml", {"c.yaml": b"c"})],
)
def test_the_root_may_be_the_empty_path(destination: Path, root: str, files: dict[str, bytes]) -> None:
    """Nothing stands before its files then; the hashes of Git are tags."""
    artifact = copy_local(root, destination, filesystem=RootlessFileSystem())

    assert {path: (destination / path).read_bytes() for path in artifact.files} == files
    assert artifact.revision != artifact.digest


class BottomlessFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec publishes no types
    """A disk on which every folder holds one more folder."""

    cachable = False

    numbers = itertools.count()

    def ls(self, *_arguments: Any, **_options: Any) -> Any:
        """List a folder that holds a folder."""
        return [{"name": f"/folder-{next(self.numbers)}", "type": "directory", "size": 0}]


def test_the_deadline_holds_while_a_folder_is_listed(origin: Path, destination: Path) -> None:
    """A tree of folders without end is not listed beyond the deadline."""
    environment = environment_with(Deadline(0.05))

    with pytest.raises(DeadlineExceededError):
        copy_local(origin, destination, filesystem=BottomlessFileSystem(), environment=environment)


def test_a_stale_listing_is_not_believed(destination: Path, origin: Path) -> None:
    """A filesystem keeps listings for as long as the process lives: ours are always fresh."""
    filesystem = fsspec.filesystem("dir", path=str(origin), fs=LocalFileSystem())
    invalidated: list[object] = []
    filesystem.invalidate_cache = lambda path=None: invalidated.append(path)

    copy_local("", destination, filesystem=filesystem)

    assert len(invalidated) == 2
    assert tree(destination) == tree(origin)
