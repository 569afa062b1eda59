"""Own the rows of the table in which the objects themselves are unusual: their names, their number, their size."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cmp_core import CmpError, LimitExceededError, SourceNotFoundError
from cmp_core.check import NEVER_EMPTY
from cmp_core.errors import EmptyRenderError

LOCATION = "s3://test-bucket/apps/demo"
PREFIX = "apps/demo/"
GOOD = "good.yaml"
REMEDY = "rename it at the source, or exclude it"

_LONG = "/".join(["n" * 250] * 4)
LONGEST = f"{_LONG[: 1024 - len(PREFIX) - len('.yaml')]}.yaml"
TOO_LONG = f"{'n' * 251}.yaml"


@dataclass(frozen=True)
class Names:
    """One row of the table, and one test: objects of these names lie beside one of an ordinary name.

    Attributes:
        name: The test's id.
        what: What is unusual, for the table.
        names: The keys without the prefix.
        fault: Why they are refused; None where the manifests come out.
        shown: How the name is shown; the name itself where None.
    """

    name: str
    what: str
    names: tuple[str, ...]
    fault: str | None = None
    shown: str | None = None

    @property
    def text(self) -> str:
        """The whole text of the error, or nothing."""
        remedy = REMEDY.replace("it", "one", 1) if len(self.names) > 1 else REMEDY
        return f"`{self.shown or self.names[0]}` {self.fault}: {remedy}" if self.fault else ""


def _control(name: str, character: str, shown: str) -> Names:
    return Names(
        name,
        f"a key with {shown}",
        (f"a{character}b.yaml",),
        "cannot be stored (it holds a control character)",
        f"a{shown}b.yaml",
    )


_DOTS = "cannot be stored (a part of it is `.` or `..`)"
_EMPTY = "cannot be stored (a part of it is empty)"
_LENGTH = "cannot be stored (a part of it is longer than 255 bytes)"
_BOTH = "is a file, and a folder too since there is `a.yaml/b.yaml`"

NAMES = (
    Names("space", "spaces in a key", ("a b.yaml", " a.yaml", "c .yaml")),
    Names("plus", "`+` in a key, beside a space in its place", ("a+b.yaml", "a b.yaml")),
    Names("percent", "`%2F`, `%20`, `%` in keys", ("a%2Fb.yaml", "a%20b.yaml", "100%.yaml", "%.yaml", "a%b.yaml")),
    Names("signs", "every printable ASCII sign in one key", (f"{bytes(range(33, 127)).decode()}.yaml",)),
    Names("quotes", "quotes, `&amp;` and angle brackets in a key", ("a'\"&amp;<b>]]>.yaml",)),
    Names("letter-forms", "one name in both normal forms of Unicode", ("\u00e9.yaml", "e\u0301.yaml")),
    Names("letter-case", "names that differ in case only", ("A.yaml", "a.yaml", "\u00c4.yaml", "\u00e4.yaml")),
    Names("emoji", "emoji, also composed ones", ("\U0001f600.yaml", "\U0001f469\u200d\U0001f4bb.yaml")),
    Names("scripts", "letters of many scripts", ("\u0434\u0430.yaml", "\u4e2d\u6587/\u65e5\u672c.yaml", "\u05d0.yaml")),
    Names("beyond-16-bits", "letters past U+FFFF, sorted by bytes", ("\U00010400.yaml", "\uff5e.yaml", "\ue000.yaml")),
    Names("unseen", "a zero-width space, a mark that reverses text", ("a\u200bb.yaml", "a\u202eb.yaml", "\ufffd.yaml")),
    Names("no-character", "U+FFFE and U+FFFF, which XML cannot hold", ("a\ufffeb.yaml", "a\uffffb.yaml")),
    Names("backslash", "a backslash", ("a\\b.yaml", "..\\c.yaml", "\\.yaml")),
    Names("hidden", "names that begin with a dot or a hyphen", (".a.yaml", "...yaml", "-rf.yaml", ".git/c.yaml")),
    Names("longest", "a key of 1,024 bytes", (LONGEST,)),
    Names("folder-marker", "empty objects whose names end in `/`", ("", "folder/", "other/sub/")),
    Names("too-long-part", "a part of more than 255 bytes", (TOO_LONG,), _LENGTH, f"{'n' * 200}…"),
    Names("double-slash", "`//`", ("a//b.yaml",), _EMPTY),
    Names("leading-slash", "a second slash behind the prefix", ("/a.yaml",), "cannot be stored (it is absolute)"),
    Names("dot", "`./`", ("./a.yaml",), _DOTS),
    Names("inner-dot", "`/./`", ("a/./b.yaml",), _DOTS),
    Names("dots", "`..`", ("..",), _DOTS),
    Names("parent", "`../`", ("../a.yaml",), _DOTS),
    Names("many-parents", "`../` many times", ("a/../../../../../etc/passwd.yaml",), _DOTS),
    Names("file-and-folder", "a key that is a file and a folder", ("a.yaml", "a.yaml/b.yaml"), _BOTH),
    _control("nul", "\0", "\\x00"),
    _control("newline", "\n", "\\n"),
    _control("carriage-return", "\r", "\\r"),
    _control("tab", "\t", "\\t"),
    _control("escape", "\x1b[31m", "\\x1b[31m"),
    _control("delete", "\x7f", "\\x7f"),
    _control("next-line", "\x85", "\\x85"),
)  # fmt: skip


@dataclass(frozen=True)
class Amount:
    """One row of the table, and one test: so many objects, or objects of such sizes.

    Attributes:
        name: The test's id.
        what: What is unusual, for the table.
        sizes: The sizes of the objects in bytes, by their names.
        error: The class of the error; None where the manifests come out.
        text: The whole text of the error.
        settings: The settings that the row needs.
        seconds: Within how many seconds the answer is there.
    """

    name: str
    what: str
    sizes: Mapping[str, int]
    error: type[CmpError] | None = None
    text: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 5.0


SMALLEST = 80
OBJECT_BYTES = 25 * 2**20
TOTAL_BYTES = 100 * 2**20


def _many(number: int) -> dict[str, int]:
    return {f"{index // 1000:02d}/{index:05d}.yaml": SMALLEST for index in range(number)}


def _allowed(limit: str, variable: str) -> str:
    return (
        f"raise `limits.{limit}` in the operator's settings (CMP_LIMITS_{variable}), or ask for less with `include` "
        "and `exclude`"
    )


AMOUNTS = (
    Amount(
        "none",
        "no object",
        {},
        SourceNotFoundError,
        f"nothing lies under {LOCATION} at ENDPOINT: no key begins with `apps/demo/` and no object has the key "
        "`apps/demo`: check `path`, and that the manifests were uploaded",
    ),
    Amount("1-object", "1 object", _many(1)),
    *(Amount(f"{number}-objects", f"{number:,} objects", _many(number), seconds=15) for number in (999, 1000, 1001)),
    Amount("10000-objects", "10,000 objects, as many as are allowed", _many(10_000), seconds=90),
    Amount(
        "10001-objects",
        "10,001 objects, one more than is allowed",
        _many(10_001),
        LimitExceededError,
        f"{LOCATION} has more than 10000 objects, `10/10000.yaml` (80 bytes) is one too many: "
        + _allowed("objects", "OBJECTS"),
    ),
    Amount("empty-object", "an object of 0 bytes beside another", {"a.yaml": SMALLEST, "b.yaml": 0}),
    Amount(
        "only-empty-objects",
        "objects of 0 bytes alone",
        {"a.yaml": 0, "b.yaml": 0},
        EmptyRenderError,
        f"{LOCATION}: 2 files without an object in them: a.yaml, b.yaml: " + NEVER_EMPTY,
    ),
    Amount("largest-object", "an object of 25 MiB, the limit exactly", {"a.yaml": OBJECT_BYTES}),
    Amount(
        "too-large-object",
        "an object of 25 MiB and one byte",
        {"a.yaml": OBJECT_BYTES + 1},
        LimitExceededError,
        f"`a.yaml` (26214401 bytes) in {LOCATION} is larger than the 26214400 bytes that one object may have: "
        + _allowed("objectBytes", "OBJECT_BYTES"),
    ),
    Amount("largest-total", "100 MiB, the limit exactly", {f"{index}.yaml": OBJECT_BYTES for index in range(4)}),
    Amount(
        "too-large-total",
        "100 MiB and one byte",
        {f"{index}.yaml": OBJECT_BYTES for index in range(3)} | {"3.yaml": OBJECT_BYTES - 80, "4.yaml": 81},
        LimitExceededError,
        f"{LOCATION} has more than 104857600 bytes, `4.yaml` (81 bytes) brings them to 104857601: "
        + _allowed("totalBytes", "TOTAL_BYTES"),
    ),
)


def manifest(name: str, size: int) -> bytes:
    """Return a manifest of so many bytes, each name's another; 0 bytes are none."""
    identity = hashlib.sha256(name.encode()).hexdigest()[:16]
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n{identity}\n".encode()
    line = b"#" * 99 + b"\n"
    filler = line * (size // len(line) + 1)
    return (text + filler[: size - len(text) - 1] + b"\n")[:size]


def stream(objects: Mapping[str, bytes]) -> bytes:
    """Return what comes out of the objects."""
    names = sorted((name for name in objects if name.endswith(".yaml") and objects[name]), key=str.encode)
    return b"".join(b"---\n" + objects[name] for name in names)
