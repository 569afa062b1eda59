"""Which files a source brings: patterns, limits, and names that are safe to store."""

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.artifact import byte_order
from cmp_core.errors import IntegrityError, LimitExceededError, SourceValidationError
from cmp_core.models import Limits, Source, SourceLimits
from cmp_core.selection import UNKNOWN_SIZE, RemoteFile, check_path, filter_paths, quote_path, revision_of, select_files


class DemoSource(Source):
    """A source of no backend."""

    @property
    def location(self) -> str:
        """Where it lies."""
        return "demo://bucket/apps"


SOURCE = DemoSource()
LIMITS = Limits()


def remote(path: str, size: int = 1, etag: str = "e") -> RemoteFile:
    """Return a listed file."""
    return RemoteFile(path, size, etag)


def paths_of(files: tuple[RemoteFile, ...]) -> list[str]:
    """Return the files' paths."""
    return [file.path for file in files]


def test_no_pattern_selects_every_file() -> None:
    """A source without patterns brings every file that is listed."""
    files = select_files([remote("a.yaml"), remote("README.md"), remote("x/y/z")], SOURCE, LIMITS)

    assert paths_of(files) == ["README.md", "a.yaml", "x/y/z"]


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (["*.yaml"], [], ["a.yaml", "dev/a.yaml", "dev/values.yaml"]),
        (["/*.yaml"], [], ["a.yaml"]),
        (["dev/"], [], ["dev/a.yaml", "dev/values.yaml"]),
        (["*.yaml", "!values.yaml"], [], ["a.yaml", "dev/a.yaml"]),
        ([], ["values.yaml", "*.md"], ["a.yaml", "dev/a.yaml"]),
        (["dev/**"], ["values.yaml"], ["dev/a.yaml"]),
        (["nothing"], [], []),
        (["!values.yaml"], [], []),
    ],
)
def test_patterns_are_read_as_git_reads_them(include: list[str], exclude: list[str], left: list[str]) -> None:
    """`include` and then `exclude` are gitignore patterns; patterns that match nothing leave nothing."""
    source = DemoSource(include=tuple(include), exclude=tuple(exclude))

    assert filter_paths(["a.yaml", "dev/a.yaml", "dev/values.yaml", "notes.md"], source) == left


def test_filtering_keeps_the_order() -> None:
    """Filtered paths come in the order in which they were given."""
    assert filter_paths(["b.yaml", "c.md", "a.yaml"], DemoSource(include=("*.yaml",))) == ["b.yaml", "a.yaml"]


@pytest.mark.parametrize("pattern", ["!", "a\\", "[z-a]"])
@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_malformed_pattern_is_named(key: str, pattern: str) -> None:
    """A pattern that cannot be compiled is an error that names the key and the pattern."""
    source = DemoSource.model_validate({key: ["*.yaml", pattern]})

    with pytest.raises(SourceValidationError) as caught:
        filter_paths(["a.yaml"], source)

    assert str(caught.value).startswith(f"`{key}`: {quote_path(pattern)} is no gitignore pattern")


@pytest.mark.parametrize("source", ["Source()", "Source(exclude=('*.md',))"])
def test_pathspec_is_loaded_only_for_patterns(source: str) -> None:
    """Start-up pays for pathspec only where a source has a pattern, and never for fsspec."""
    code = (
        "import sys; from cmp_core.transfer import filter_paths; from cmp_core.models import Source; "
        f"filter_paths(['a'], {source}); print('pathspec' in sys.modules, 'fsspec' in sys.modules)"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert answer.split() == [str("exclude" in source), "False"]


@given(st.permutations(["B", "a", "a-b", "a/b", "a/c/d", "a0", "é", "ﬀ", "😀", "\U00010000"]))
def test_the_order_is_that_of_bytes_whatever_the_listing_says(paths: list[str]) -> None:
    """Files come sorted by the bytes of their paths, in whatever order they are listed."""
    paths.remove("a")

    files = select_files(map(remote, paths), SOURCE, LIMITS)

    assert paths_of(files) == sorted(paths, key=byte_order)


def test_folder_markers_are_left_out() -> None:
    """An empty object whose key ends in a slash is a console's way to make a folder, and no file."""
    files = select_files([remote("", 0), remote("a/", 0), remote("a/b"), remote("c/d/", 0)], SOURCE, LIMITS)

    assert paths_of(files) == ["a/b"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "a part of it is empty"),
        ("a/", "a part of it is empty"),
        ("a//b", "a part of it is empty"),
        ("/etc/passwd", "it is absolute"),
        ("//etc/passwd", "it is absolute"),
        ("..", "`.` or `..`"),
        ("../a", "`.` or `..`"),
        ("a/../../b", "`.` or `..`"),
        ("./a", "`.` or `..`"),
        ("a/.", "`.` or `..`"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\x1b[2Ja", "control character"),
        ("a\x7f", "control character"),
        ("a\x9b1mb", "control character"),
        ("a\udc80", "not valid Unicode"),
        ("a\ud800/b", "not valid Unicode"),
        ("d/" + "é" * 128, "longer than 255 bytes"),
    ],
)
def test_an_unsafe_name_is_refused(path: str, reason: str) -> None:
    """A name that is no plain path below a folder is refused, with the reason, before anything is read."""
    with pytest.raises(IntegrityError) as caught:
        select_files([remote("ok.yaml"), remote(path)], SOURCE, LIMITS)

    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "path", ["a", "a b/c'd\"e", "...", "..a", "-rf", "a\\b", "~/x", "C:", "é" * 127 + "x", "*?[", "ﬀ"]
)
def test_a_strange_but_harmless_name_is_taken(path: str) -> None:
    """A name is not refused for looking unusual; a backslash is a plain character."""
    assert paths_of(select_files([remote(path)], SOURCE, LIMITS)) == [path]


@given(st.text())
def test_any_name_in_a_message_is_one_printable_line(path: str) -> None:
    """Whatever a listing names, the message that shows it is short and holds nothing that acts on a terminal."""
    quoted = quote_path(path)

    assert quoted.isprintable()
    assert len(quoted) <= 2100


@given(st.text(alphabet=st.sampled_from("./\\a\0\n\x85é\udc80"), max_size=12))
def test_a_name_that_passes_leads_nowhere_else(path: str) -> None:
    """What `check_path` lets pass has only real names between its slashes."""
    try:
        check_path(path)
    except IntegrityError:
        return

    assert all(part.isprintable() and part not in {"", ".", ".."} for part in path.split("/"))


def test_what_is_excluded_may_be_named_anything() -> None:
    """The remedy for a name that cannot be stored is to exclude it."""
    source = DemoSource(exclude=("*.bak",))

    files = select_files([remote("../a.bak"), remote("x//y.bak", 10**12), remote("a")], source, LIMITS)

    assert paths_of(files) == ["a"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_that_is_file_and_folder_is_refused(order: int) -> None:
    """A store may hold `a` and `a/b`, a disk cannot: both are named."""
    files = [remote("x"), remote("a/b/c.yaml"), remote("a/b")][::order]

    with pytest.raises(IntegrityError, match=r"`a/b` is a file, and a folder too since there is `a/b/c\.yaml`"):
        select_files(files, SOURCE, LIMITS)


def test_a_path_listed_twice_is_refused() -> None:
    """Two files of one path cannot both be meant."""
    with pytest.raises(IntegrityError, match="`a` is listed twice"):
        select_files([remote("a", etag="1"), remote("a", etag="2")], SOURCE, LIMITS)


@pytest.mark.parametrize(
    ("limits", "files"),
    [
        (Limits(objects=2), [("a", 1), ("b", 1), ("c", 1)]),
        (Limits.model_validate({"objectBytes": 7}), [("a", 7), ("c", 8)]),
        (Limits.model_validate({"totalBytes": 10}), [("a", 5), ("b", 5), ("c", 1)]),
    ],
)
def test_limits_hold_to_the_byte(limits: Limits, files: list[tuple[str, int]]) -> None:
    """What is exactly at a limit passes, and one object or byte more does not."""
    listed = [remote(path, size) for path, size in files]

    assert paths_of(select_files(listed[:-1], SOURCE, limits)) == [path for path, _ in files[:-1]]
    with pytest.raises(LimitExceededError, match="`c`"):
        select_files(listed, SOURCE, limits)


def test_limits_count_what_is_left_by_the_filter() -> None:
    """Excluded files count for no limit."""
    files = [remote("a"), *(remote(f"{number}.log", 10**9) for number in range(50))]

    assert paths_of(
        select_files(files, DemoSource(exclude=("*.log",)), Limits.model_validate({"objects": 1, "totalBytes": 1}))
    ) == ["a"]


@pytest.mark.parametrize(
    ("own", "cap", "remedy"),
    [
        ({}, {"objects": 1}, "raise `limits.objects` in the operator's settings (CMP_LIMITS_OBJECTS)"),
        ({"objects": 1}, {}, "raise `limits.objects` in the trigger file"),
        ({"objects": 9}, {"objects": 1}, "raise `limits.objects` in the operator's settings (CMP_LIMITS_OBJECTS)"),
        ({}, {"objectBytes": 1}, "raise `limits.objectBytes` in the operator's settings (CMP_LIMITS_OBJECT_BYTES)"),
        ({"totalBytes": 3}, {}, "raise `limits.totalBytes` in the trigger file"),
    ],
)
def test_the_error_of_a_limit_says_which_key_to_raise(own: dict[str, int], cap: dict[str, int], remedy: str) -> None:
    """The message names the object, its size, the limit, and the one who has to raise it."""
    source = DemoSource(limits=SourceLimits.model_validate(own))
    limits = source.limits.under(Limits.model_validate(cap))

    with pytest.raises(LimitExceededError) as caught:
        select_files([remote("a", 2), remote("b", 2)], source, limits)

    assert remedy in str(caught.value)
    assert " (2 bytes) " in str(caught.value)
    assert "demo://bucket/apps" in str(caught.value)


def endless(path: str) -> Iterator[RemoteFile]:
    """Return a listing without an end, of distinct names like `path`."""
    number = 0
    while True:
        number += 1
        yield remote(path.format(number))


def test_a_listing_without_end_stops_at_the_limit() -> None:
    """Not one entry more is read than shows that there are too many."""
    listing = endless("{}.yaml")

    with pytest.raises(LimitExceededError, match="more than 5 objects"):
        select_files(listing, SOURCE, Limits(objects=5))

    assert next(listing).path == "7.yaml"


@pytest.mark.parametrize("path", ["{}.log", "{}/"])
def test_a_listing_without_end_stops_though_nothing_in_it_is_wanted(path: str) -> None:
    """Excluded files and folder markers are searched through only so far."""
    listing = (RemoteFile(file.path, 0, "e") for file in endless(path))

    with pytest.raises(LimitExceededError, match=r"lists more than 10050 objects.*name a narrower path"):
        select_files(listing, DemoSource(exclude=("*.log",)), Limits(objects=5))


def test_a_file_of_unknown_size_is_selected() -> None:
    """Its bytes are counted as they come; until then it counts as one object."""
    files = [remote("a", UNKNOWN_SIZE), remote("b", 1)]

    assert select_files(files, SOURCE, Limits.model_validate({"objects": 2, "totalBytes": 1})) == tuple(files)
    with pytest.raises(LimitExceededError, match=r"more than 1 objects, `b` \(1 bytes\) is one too many"):
        select_files(files, SOURCE, Limits(objects=1))


def test_a_file_of_negative_size_is_refused() -> None:
    """A negative size would make room for others under the limit of all bytes."""
    with pytest.raises(IntegrityError, match="`a` in demo://bucket/apps is listed with a size below 0"):
        select_files([remote("a", -(10**9))], SOURCE, LIMITS)


def test_the_revision_is_that_of_the_sorted_lines() -> None:
    """The revision is SHA-256 over the lines `path etag`, as `sort | sha256sum` would give it."""
    files = [remote("b", etag='"2"'), remote("a", etag='"1"')]

    assert revision_of(files) == "sha256:49e42a502c6d9b0e01ea7876bd4dddfffd3e266fc4ee67fddbdae5c2d633044f"


@given(
    st.dictionaries(st.text(alphabet="ab/", min_size=1), st.text(alphabet="01", min_size=1), min_size=1), st.randoms()
)
def test_the_revision_tells_states_apart(state: dict[str, str], chance: random.Random) -> None:
    """The order of a listing does not matter to the revision, and one changed ETag does."""
    files = [remote(path, etag=etag) for path, etag in state.items()]
    shuffled = chance.sample(files, len(files))
    changed = [remote(files[0].path, etag="2"), *files[1:]]

    assert revision_of(shuffled) == revision_of(files)
    assert revision_of(changed) != revision_of(files)
