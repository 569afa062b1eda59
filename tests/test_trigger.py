"""The trigger file: exactly one, read with bounds, every mistake told at once with its place and remedy."""

import os
import socket
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from cmp_core.environment import Application, BuildEnvironment, Override
from cmp_core.errors import SourceValidationError, TriggerFileError
from cmp_core.installed import InstalledBackend
from cmp_core.models import Source
from cmp_core.trigger import MAX_BYTES, find_trigger_file, read_trigger_file, resolve_source

BACKENDS = (
    InstalledBackend("local", "cmp-backend-local", "1.0", "cmp_backend_local"),
    InstalledBackend("s3", "cmp-backend-s3", "1.0", "cmp_backend_s3"),
)
INSTALLED = "installed are local (local-source.yaml), s3 (s3-source.yaml)"


class DemoSource(Source):
    """A source with a field of every kind that overrides can meet."""

    bucket: Annotated[str, Field(examples=["test-bucket"])]
    path: Annotated[str, Field(examples=["apps/demo"])]
    anonymous: bool = False
    requester_pays: bool = False

    @property
    def location(self) -> str:
        """Where the source lies."""
        return f"demo://{self.bucket}/{self.path}"


def find(directory: Path) -> Path:
    """Find the trigger file as a request does, under the name `apps/demo`."""
    return find_trigger_file(directory, "apps/demo", BACKENDS)


def resolve(
    folder: Path, content: str | bytes, *overrides: Override, parameters: tuple[Override, ...] = ()
) -> DemoSource:
    """Write `content` as a trigger file and make the source of it."""
    file = folder / "demo-source.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    environment = BuildEnvironment(
        application=Application(name="demo"), variable_overrides=overrides, parameters=parameters
    )
    source = resolve_source(read_trigger_file(file), DemoSource, environment)
    assert isinstance(source, DemoSource)
    return source


def refusal(folder: Path, content: str | bytes, *overrides: Override, parameters: tuple[Override, ...] = ()) -> str:
    """Return what the error says about `content`."""
    with pytest.raises((SourceValidationError, TriggerFileError)) as caught:
        resolve(folder, content, *overrides, parameters=parameters)
    return str(caught.value)


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def variable(name: str, value: str) -> Override:
    """Return the override that the variable `ARGOCD_ENV_CMP_<name>` makes."""
    return Override(name, value, f"ARGOCD_ENV_CMP_{name}")


def parameter(name: str, value: str | list[str] | dict[str, str]) -> Override:
    """Return the override that a parameter makes."""
    return Override(name, value, f"parameter `{name}`")


def test_the_one_trigger_file_is_found(tmp_path: Path) -> None:
    """Other files beside it do not matter."""
    for name in ("s3-source.yaml", "README.md", "values.yaml", "other-source.yaml.bak"):
        (tmp_path / name).touch()

    found = find(tmp_path)

    assert found == tmp_path / "s3-source.yaml"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            [],
            (
                f"apps/demo: holds no trigger file (`NAME-source.yaml`), only nothing; {INSTALLED}: "
                "create one there, or correct `path` in the Application"
            ),
        ),
        (
            ["values.yaml", "Chart.yaml"],
            (
                f"apps/demo: holds no trigger file (`NAME-source.yaml`), only Chart.yaml, values.yaml; {INSTALLED}: "
                "create one there, or correct `path` in the Application"
            ),
        ),
        (
            [f"{number:02}" for number in range(12)],
            (
                "apps/demo: holds no trigger file (`NAME-source.yaml`), only 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, …"
                f"; {INSTALLED}: create one there, or correct `path` in the Application"
            ),
        ),
        (
            ["s3-source.yaml", "local-source.yaml"],
            (f"apps/demo: holds 2 trigger files, local-source.yaml, s3-source.yaml; {INSTALLED}: keep one in a folder"),
        ),
        (
            ["s3-source.yml"],
            (f"apps/demo: `s3-source.yml` has the wrong ending; {INSTALLED}: rename it to `s3-source.yaml`"),
        ),
    ],
)
def test_none_several_or_misnamed_tells_what_was_seen(tmp_path: Path, names: list[str], message: str) -> None:
    """The error lists what lies there, what is installed, and what to do."""
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(TriggerFileError) as caught:
        find(tmp_path)

    assert str(caught.value) == message


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """The place has the name that the Application gives it."""
    with pytest.raises(TriggerFileError) as caught:
        find(tmp_path / "absent")

    assert str(caught.value) == "apps/demo: cannot be listed (No such file or directory): name an existing folder"


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "dangling link", "socket"])
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO would block for ever, a link may lead out of the repository."""
    monkeypatch.chdir(tmp_path)
    path = Path("s3-source.yaml")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.symlink_to("/etc/hostname" if kind == "link" else "nowhere")
    descriptors = open_descriptors()

    with pytest.raises(TriggerFileError) as caught:
        read_trigger_file(find_trigger_file(Path(), "apps/demo", BACKENDS))

    reasons = {
        "fifo": "is not a regular file",
        "folder": "is not a regular file",
        "socket": "cannot be read (No such device or address)",
    }
    assert str(caught.value) == (
        f"s3-source.yaml: {reasons.get(kind, 'is a symbolic link')}: put a readable file in its place"
    )
    assert open_descriptors() == descriptors


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A terabyte of nothing costs 64 KiB of reading."""
    path = tmp_path / "s3-source.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(TriggerFileError) as caught:
        read_trigger_file(path)

    assert str(caught.value) == "s3-source.yaml:1: is larger than 64 KiB: keep only the keys that it needs"


def test_a_file_of_64_kib_is_read(tmp_path: Path) -> None:
    """The bound is on what lies above it."""
    path = tmp_path / "s3-source.yaml"
    path.write_bytes(b"bucket: b #".ljust(MAX_BYTES, b"x"))

    trigger = read_trigger_file(path)

    assert (trigger.backend, trigger.tree.values, len(trigger.content)) == ("s3", {"bucket": "b"}, MAX_BYTES)


def test_a_file_of_another_name_is_no_trigger_file(tmp_path: Path) -> None:
    """`validate values.yaml` says what a trigger file is called."""
    path = tmp_path / "values.yaml"
    path.touch()

    with pytest.raises(TriggerFileError) as caught:
        read_trigger_file(path)

    assert str(caught.value) == f"{path}: is no trigger file: its name must end in `-source.yaml`"


def test_a_path_that_does_not_exist_is_told_as_that(tmp_path: Path) -> None:
    """A folder with a slip in its name is no malformed trigger file."""
    with pytest.raises(TriggerFileError) as caught:
        read_trigger_file(tmp_path / "absent")

    assert str(caught.value) == f"{tmp_path}/absent: does not exist: name a folder or a trigger file that does"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"bucket: b\npath: \xff\n", "demo-source.yaml:2: is not UTF-8: save it as UTF-8"),
        (b"bucket: &b b\npath: *b\n", "demo-source.yaml:2: uses the alias `*b`: write the value out"),
        (b"bucket: !x b\n", "demo-source.yaml:1: uses the tag `!x`: write the plain value"),
        (b"bucket: b\n---\npath: p\n", "demo-source.yaml:2: holds more than one document: keep one"),
        (b"a: " + b"{a: " * 40, "demo-source.yaml:1: is nested deeper than 16 levels: flatten it"),
        (b"- bucket\n", "demo-source.yaml:1: is not a mapping: write `key: value` lines"),
    ],
)
def test_a_malformed_file_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    """File, line, what is wrong, what to do."""
    told = refusal(tmp_path, content)

    assert told == message


@pytest.mark.parametrize("content", [b"", b"# nothing yet\n", b"---\n", b"\xef\xbb\xbf"])
def test_an_empty_file_lacks_its_required_keys(tmp_path: Path, content: bytes) -> None:
    """Empty is a mapping without keys, not a crash."""
    told = refusal(tmp_path, content)

    assert told == (
        "2 problems:\n"
        "  demo-source.yaml:1: `bucket` is missing: add `bucket: test-bucket`\n"
        "  demo-source.yaml:1: `path` is missing: add `path: apps/demo`"
    )


def test_the_three_key_form_is_valid(tmp_path: Path) -> None:
    """Bucket, path and version suffice, and `1.10` stays the text that it is."""
    source = resolve(tmp_path, "bucket: test-bucket\npath: apps/demo\nversion: 1.10\n")

    assert (source.bucket, source.path, source.version) == ("test-bucket", "apps/demo", "1.10")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """An editor on Windows leaves one, and CRLF."""
    source = resolve(tmp_path, b"\xef\xbb\xbfbucket: b\r\npath: p\r\n")

    assert (source.bucket, source.path) == ("b", "p")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'apps/demo'  # a comment", "apps/demo"),
        ('"apps/it\'s # here"', "apps/it's # here"),
        ("apps/with spaces in it   ", "apps/with spaces in it"),
        ("'it''s'", "it's"),
        ("apps/a#b", "apps/a#b"),
        ('"tab\\there"', "tab\there"),
    ],
)
def test_quotes_comments_and_spaces_are_read_as_yaml(tmp_path: Path, written: str, value: str) -> None:
    """A value is what YAML says it is, not what a line-wise reader would cut out."""
    source = resolve(tmp_path, f"bucket: b\npath: {written}\n")

    assert source.path == value


def test_the_envelope_form_is_valid(tmp_path: Path) -> None:
    """With apiVersion, kind and metadata, labels and annotations included."""
    content = (
        "apiVersion: cmp-core.dev/v1alpha1\nkind: DemoSource\nmetadata:\n  name: demo\n  namespace: argocd\n"
        "  labels: {team: a}\n  annotations: {note: b}\nbucket: b\npath: p\n"
    )

    source = resolve(tmp_path, content)

    assert source.bucket == "b"


@pytest.mark.parametrize(
    ("envelope", "message"),
    [
        (
            "kind: DemoSource\n",
            (
                "2 problems:\n"
                "  demo-source.yaml:1: `apiVersion` is missing: add `apiVersion: cmp-core.dev/v1alpha1`, "
                "or remove apiVersion, kind, metadata\n"
                "  demo-source.yaml:1: `metadata.name` is missing: add any name of your own"
            ),
        ),
        (
            "apiVersion: cmp-core.dev/v1alpha1\nkind: Other\nmetadata: {name: x}\n",
            "demo-source.yaml:2: `kind` must be `DemoSource`, not `Other`",
        ),
        (
            "apiVersion: v1\nkind: DemoSource\nmetadata: {name: x}\n",
            "demo-source.yaml:1: `apiVersion` must be `cmp-core.dev/v1alpha1`, not `v1`",
        ),
        (
            "apiVersion: cmp-core.dev/v1alpha1\nkind: DemoSource\nmetadata: {}\n",
            "demo-source.yaml:3: `metadata.name` is missing: add any name of your own",
        ),
        (
            "apiVersion: cmp-core.dev/v1alpha1\nkind: DemoSource\nmetadata: demo\n",
            "demo-source.yaml:3: `metadata.name` is missing: add any name of your own",
        ),
        (
            "apiVersion: cmp-core.dev/v1alpha1\nkind: DemoSource\nmetadata:\n  name: x\n  label: {}\n",
            "demo-source.yaml:5: unknown key `label`: did you mean `labels`?",
        ),
        (
            "apiVersion: cmp-core.dev/v1alpha1\nkind:\nmetadata: {name: x}\n",
            ("demo-source.yaml:2: `kind` is missing: add `kind: DemoSource`, or remove apiVersion, kind, metadata"),
        ),
    ],
)
def test_half_or_wrong_an_envelope_is_refused(tmp_path: Path, envelope: str, message: str) -> None:
    """All three of it, right, or none: half of one would hide Argo CD's silent fallback."""
    told = refusal(tmp_path, f"{envelope}bucket: b\npath: p\n")

    assert told == message


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Duplicates, unknown keys at the top and below, wrong types: each with its line and a remedy."""
    content = "buket: b\npath: p\npath: q\nanonymous: perhaps\nlimits:\n  object: 5\n  totalBytes: lots\ninclude: '*'\n"

    told = refusal(tmp_path, content)

    assert told == (
        "6 problems:\n"
        "  demo-source.yaml:1: unknown key `buket`: did you mean `bucket`?\n"
        "  demo-source.yaml:3: `path` stands there twice: keep one\n"
        "  demo-source.yaml:4: `anonymous` must be `true` or `false`, not `perhaps`\n"
        "  demo-source.yaml:6: unknown key `object`: did you mean `objects`?\n"
        "  demo-source.yaml:7: `limits.totalBytes` is no number of bytes: write it as `26214400`, `25M` or `25Mi`\n"
        "  demo-source.yaml:8: `include` must be a list: write `[…]` or lines that begin with `- `, not `*`"
    )


def test_the_parameter_comes_before_the_variable_and_the_file_last(tmp_path: Path) -> None:
    """Three origins of one key: the parameter wins; of two: the variable."""
    source = resolve(
        tmp_path,
        "bucket: file\npath: file\nversion: file\n",
        variable("BUCKET", "variable"),
        variable("PATH", "variable"),
        parameters=(parameter("bucket", "parameter"),),
    )

    assert (source.bucket, source.path, source.version) == ("parameter", "variable", "file")


@pytest.mark.parametrize(
    "override",
    [
        variable("REQUESTER_PAYS", "true"),
        variable("requesterPays", "true"),
        parameter("requesterPays", "true"),
        Override("REQUESTERPAYS", "true", "PARAM_REQUESTERPAYS"),
    ],
)
def test_every_spelling_of_a_key_is_known(tmp_path: Path, override: Override) -> None:
    """A variable's name has underscores; the name that Argo CD makes of a parameter has none."""
    source = resolve(tmp_path, "bucket: b\npath: p\n", override)

    assert source.requester_pays


@pytest.mark.parametrize(
    "override",
    [
        parameter("include", ["*.yaml", "a b"]),
        parameter("include", "['*.yaml', a b]"),
        variable("INCLUDE", '["*.yaml", "a b"]'),
        variable("INCLUDE", "- '*.yaml'\n- a b"),
    ],
)
def test_a_list_comes_as_an_array_or_as_yaml(tmp_path: Path, override: Override) -> None:
    """Variables are texts, so a list in one is written as in the file."""
    source = resolve(tmp_path, "bucket: b\npath: p\ninclude: [other]\n", override)

    assert source.include == ("*.yaml", "a b")


@pytest.mark.parametrize(
    "override",
    [
        parameter("limits", {"objects": "5", "objectBytes": "2Ki"}),
        parameter("limits", "{objects: 5, objectBytes: 2Ki}"),
        variable("LIMITS", "objects: 5\nobjectBytes: 2Ki"),
    ],
)
def test_a_mapping_comes_as_a_map_or_as_yaml(tmp_path: Path, override: Override) -> None:
    """It replaces the file's whole key."""
    source = resolve(tmp_path, "bucket: b\npath: p\nlimits: {totalBytes: 1}\n", override)

    assert source.limits.model_dump() == {"objects": 5, "object_bytes": 2048, "total_bytes": None}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            variable("ANONYMOUS", "perhaps"),
            "ARGOCD_ENV_CMP_ANONYMOUS: `anonymous` must be `true` or `false`, not `perhaps`",
        ),
        (
            variable("ANONYMOUS", ""),
            "ARGOCD_ENV_CMP_ANONYMOUS: `anonymous` must be `true` or `false`, not an empty text",
        ),
        (variable("BUKET", "b"), "ARGOCD_ENV_CMP_BUKET: unknown key `BUKET`: did you mean `BUCKET`?"),
        (parameter("buket", "b"), "parameter `buket`: unknown key `buket`: did you mean `bucket`?"),
        (parameter("bucket", ["b"]), "parameter `bucket`: `bucket` must be text, not a list"),
        (parameter("bucket", {"b": "c"}), "parameter `bucket`: `bucket` must be text, not a mapping"),
        (
            parameter("limits", {"objects": "lots"}),
            "parameter `limits`: `limits.objects` must be a whole number, not `lots`",
        ),
        (
            variable("INCLUDE", "plain"),
            (
                "ARGOCD_ENV_CMP_INCLUDE: `include` must be a list: write `[…]` or lines that begin with `- `, "
                "not `plain`"
            ),
        ),
        (
            variable("INCLUDE", "*.yaml"),
            (
                "ARGOCD_ENV_CMP_INCLUDE: `include` is not valid YAML (did not find expected alphabetic or numeric "
                "character while scanning an alias): mend the line, or put its value in quotes; "
                "a list is written `['a', 'b']`"
            ),
        ),
        (
            variable("INCLUDE", ""),
            'ARGOCD_ENV_CMP_INCLUDE: `include` has no value: write `include: ["*.yaml"]`, or remove the key',
        ),
        (
            variable("LIMITS", "{objects: 1, objects: 2}"),
            ("ARGOCD_ENV_CMP_LIMITS: `limits` holds a key twice: keep one; a mapping is written `{key: value}`"),
        ),
        (parameter("bucket", "\ud800"), "parameter `bucket`: `bucket` is not UTF-8: write it as plain text"),
        (variable("INCLUDE", "\udcff"), "ARGOCD_ENV_CMP_INCLUDE: `include` is not UTF-8: write it as plain text"),
    ],
)
def test_a_bad_override_names_its_origin(tmp_path: Path, override: Override, message: str) -> None:
    """The reader is sent to the Application, not to a file that is right."""
    told = refusal(tmp_path, "bucket: b\npath: p\n", override)

    assert told == message


@pytest.mark.parametrize("key", ["kind", "apiVersion", "metadata"])
def test_the_envelope_cannot_be_overridden(tmp_path: Path, key: str) -> None:
    """It is no part of the source."""
    told = refusal(tmp_path, "bucket: b\npath: p\n", parameters=(parameter(key, "x"),))

    assert told.startswith(f"parameter `{key}`: unknown key `{key}`: ")


def test_an_override_may_supply_what_the_file_lacks(tmp_path: Path) -> None:
    """One file can serve many Applications."""
    source = resolve(tmp_path, "bucket: b\n", variable("PATH", "apps/demo"))

    assert source.location == "demo://b/apps/demo"


def test_a_line_break_in_an_override_brings_no_further_key(tmp_path: Path) -> None:
    """A value cannot break out of its key."""
    told = refusal(tmp_path, "bucket: b\npath: p\n", variable("INCLUDE", "[a]\nbucket: other"))

    assert told.startswith("ARGOCD_ENV_CMP_INCLUDE: `include` is not valid YAML (")
