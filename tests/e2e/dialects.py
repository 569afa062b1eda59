"""Own the tables of where Argo CD's reader and cmp-core differ: each row is a test, and a line of the documentation.

Argo CD's reader refuses nothing that cmp-core prints. What it accepts and cmp-core refuses is a row of `REFUSED`; the
comparison of made-up files knows no other exception. The page is docs/explanation/go-and-yaml.md.
"""

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

A = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
B = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
C = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
JSON_A = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}'
JSON_B = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}'
JSON_C = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}'


class Mended(NamedTuple):
    """What Argo CD would refuse, or lose something of, and cmp-core brings through whole.

    Attributes:
        what: What stands in the file.
        alone: What Argo CD makes of the file alone: "refuses it", or "loses …".
        example: Such a file.
        names: What its objects are called.
    """

    what: str
    alone: str
    example: str
    names: str = "ab"


class Refused(NamedTuple):
    """What Argo CD accepts and cmp-core refuses.

    Attributes:
        what: What stands in the file.
        because: What would happen.
        example: Such a file; bytes where it is no UTF-8.
        message: What the error says, as a pattern.
        lost: What Argo CD's objects would hold, had nothing been lost; empty where nothing is.
        instead: What they hold instead; empty where that is nothing.
        is_replaced: Whether it is so only below a key that stands there again.
        is_unread: Whether it is so only where Argo CD never comes to read it.
    """

    what: str
    because: str
    example: str | bytes
    message: str
    lost: str = ""
    instead: str = ""
    is_replaced: bool = False
    is_unread: bool = False


MENDED_ROWS = (
    Mended("a byte order mark before a `---` in the midst of a file", "refuses it", A + "\ufeff---\n" + B),
    Mended("a byte order mark at the end of a file", "refuses it", A + "---\n" + B + "\ufeff"),
    Mended("a `%YAML 1.x` line at the begin", "refuses it", "%YAML 1.2\n---\n" + A + "---\n" + B),
    Mended("a document that ends with `...`", "loses what follows", A + "...\n" + B),
    Mended("JSON or a flow mapping on the line of the `---`", "refuses it", A + "--- " + JSON_B + "\n"),
    Mended("a comment right behind `---` at the begin", "refuses it", "---#x\n" + A + "---\n" + B),
    Mended("a JSON object after a JSON object, below a comment", "loses the second", "# x\n" + JSON_A + "\n" + JSON_B),
    Mended("a JSON object after a JSON object, below a `---`", "loses the second", "---\n" + JSON_A + JSON_B + "\n"),
    Mended("comments between JSON objects", "loses the third", f"{JSON_A} # x\n{JSON_B} # x\n{JSON_C}\n", "abc"),
    Mended("YAML after two JSON objects", "refuses it", f"{JSON_A}\n{JSON_B}\n---\n{C}", "abc"),
    Mended("`---` right behind two JSON objects", "refuses it", f"{JSON_A}\n{JSON_B}---\n{C}", "abc"),
    Mended("a last line of 4,096 bytes without a line end", "loses the line", A + "---\n" + B + "x: " + "y" * 4093),
)
"""Whatever stands around a document is put right; the document's own bytes stay."""

REFUSED: Mapping[str, tuple[Refused, ...]] = {
    "lost": (
        Refused(
            "no object at all",
            "Argo CD would keep the empty result, and prune what runs",
            "# nothing\n---\nnull\n",
            "came out of the render",
        ),
        Refused(
            "a key that stands twice at the top level",
            "two objects glued together become one",
            A.replace("{name: a}", "{name: lost}") + B,
            "the key `.*` stands on line",
            lost="lost",
        ),
        Refused(
            'two keys of different types that JSON writes alike, such as `1` and `"1"`, or `1` and `1.0`',
            "chance decides at every read which of the two is kept",
            A + "data: {1: a, '1': b}\n",
            "two keys become `.*`",
        ),
        Refused(
            "two objects of one group, kind, namespace and name",
            "Argo CD applies the last of them only",
            A + "---\n" + A,
            "stands at .* already",
        ),
        Refused(
            "an object with empty `items` that is no list",
            "Argo CD takes it for an empty list and drops it",
            A + "items: []\n",
            "takes an object with empty `items` for an empty list",
            lost="ConfigMap",
        ),
        Refused(
            "anything behind the object that is no new document",
            "it is dropped",
            "{apiVersion: v1, kind: A}\n{lost: 1}\n",
            "something follows the object",
            lost="lost",
        ),
        Refused(
            "what stands behind `...` or behind an object, without a `---`, and is broken or no object",
            "it is dropped unread, though other readers begin a document behind `...`",
            A + "...\nlost: [\n",
            "not valid YAML",
            lost="lost",
            is_unread=True,
        ),
        Refused(
            "text on the line of a `...`", "it is dropped", A + "... lost\n", r"text follows `\.\.\.`", lost="lost"
        ),
        Refused(
            "a `%YAML` line in the midst of a document, without a `---`",
            "what follows is dropped",
            A + "%YAML 1.2\nlost: 1\n",
            "a `%YAML` line stands inside",
            lost="lost",
        ),
        Refused(
            "a `%YAML` line without a `---`, below another document",
            "what follows is dropped",
            "\ufeff---\n%YAML 1.2\nlost: 1\n",
            "no `---` line follows",
            lost="lost",
        ),
        Refused(
            "another directive behind `...`",
            "it is dropped, and tags mean something else",
            A + "...\n%TAG ! tag:x.org,2000:lost\n---\n" + B,
            "a line begins with `%`",
            lost="lost",
        ),
        Refused(
            "NUL or what is no UTF-8, far behind `...`",
            "it is dropped, with all that follows",
            A + "...\nlost: 1\n#" + "x" * 600 + "\n\0\n",
            "there is a NUL|the file is not UTF-8",
            lost="lost",
        ),
        Refused(
            "a byte order mark at the begin of a line",
            "it becomes part of the key: two files glued together become one object",
            A + "\ufeffdata: {}\n",
            "a byte order mark",
            lost='"data"',
        ),
        Refused(
            "a byte order mark (U+FEFF) with which a block of 512 bytes begins, or nearly so",
            "the parser skips the first character of each line up to the next block",
            f"# {'x' * 455}\n" + '{"apiVersion": "v1", "kind": "A", "data": {"a": "\ufeff",\n"b":\n12}}\n',
            "loses characters after a byte order mark",
            lost=":12",
            instead=":2",
        ),
        Refused(
            "a carriage return without a line feed",
            "it becomes a line feed",
            A + "data: {a: 'x\ry'}\n",
            "a carriage return",
            lost=r'"x\ry"',
        ),
        Refused(
            "U+0085, as a character or an escape",
            "it becomes a blank, or a line end",
            A + 'data: {a: "x\\Ny"}\n',
            r"U\+0085",
            instead='"x y"',
        ),
        Refused(
            "`!!binary` that is no text",
            "bytes that are no UTF-8 are replaced",
            A + "data: {a: !!binary /w==}\n",
            "does not fit its tag `!!binary`",
            instead="\ufffd",
        ),
        Refused(
            "a tag with a comma or a bracket right behind it",
            "they become part of the tag",
            A + "data: [!!str, a]\n",
            "for a part of the tag|while (?:scanning|parsing) a tag|has no anchor before it",
            instead='["a"]',
        ),
        Refused(
            "a fault in a value that a later, equal key replaces",
            "Argo CD drops the value, and with it the fault",
            A + "data: {a: .inf, a: 1}\n",
            "JSON and Kubernetes know no number|reads no character|a key is no text|characters in JSON",
            lost="inf",
            is_replaced=True,
        ),
        Refused(
            "UTF-16, big-endian with a byte order mark",
            "every document but the first is dropped",
            ("\ufeff" + A + "---\n" + B).encode("utf-16-be"),
            "the file is UTF-16",
            lost='"b"',
        ),
    ),
    "undefined": (
        Refused(
            "`---`, `...` or `%` behind U+0085, U+2028 or U+2029",
            "YAML 1.1 begins a line there, YAML 1.2 does not",
            "---\n\u2028...\n---\n" + A,
            "something follows the object",
        ),
        Refused(
            "`---` with text on its line, behind a byte order mark",
            "without the mark, which another reader leaves out, it is a broken separator",
            "\ufeff---x: 1\n" + A,
            "begins with `---` and goes on|text follows `---`",
        ),
        Refused(
            "a plain scalar inside of brackets that ends in a colon",
            "YAML reads a key, Argo CD reads text",
            A + "data: [a:, b]\n",
            "found unexpected ':'",
            instead='"a:"',
        ),
    ),
    "impossible": (
        Refused("no `apiVersion`", "Kubernetes takes no such object", "kind: A\n", "there is no `apiVersion`"),
        Refused(
            "an item of a list without `apiVersion` or `kind`, or with such that cannot be",
            "neither Argo CD's controller nor Kubernetes takes such an item",
            "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1}]\n",
            "there is no `(?:apiVersion|kind)`|has more than one `/`|the value of `kind`",
        ),
        Refused(
            "an `apiVersion` that is a number or a boolean",
            "in Kubernetes it is text; a `kind` like that is refused by both",
            "apiVersion: 1.1\nkind: A\n",
            "does not read the value of `apiVersion` as text",
        ),
    ),
    "bound": (
        Refused(
            "more than 256 levels",
            "the bound is cmp-core's own; Argo CD's is 10,000",
            A + "data: " + "[" * 300 + "]" * 300 + "\n",
            "nests deeper than 256",
        ),
        Refused(
            "more than 100 texts with the escape `\\'`",
            "the bound is cmp-core's own: YAML knows no such escape",
            A + "".join(f'k{number}: "it\\\'s"\n' for number in range(101)),
            "more than 100 texts hold the escape",
        ),
    ),
}
"""Whatever Argo CD accepts and cmp-core does not, by why it does not: there is nothing else.

lost: Argo CD would lose or change something that stands there.
undefined: readers disagree on what it means, so that it cannot be printed safely.
impossible: Kubernetes takes no such object.
bound: a limit of cmp-core's own, far beyond what people write.
"""

ROWS = tuple(chain.from_iterable(REFUSED.values()))
