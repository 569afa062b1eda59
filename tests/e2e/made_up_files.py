"""Own the made-up files: manifests put together, with anything between them that may stand there, whole and damaged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from e2e.made_up_manifests import Tape, Writer
from e2e.yaml_fragments import BEGINS, DAMAGE, INSIDE, SEPARATORS, TRAPS, WORDS
from hypothesis import strategies as st

_OBJECT = '{"kind": "A", "apiVersion": "v1"}'


class File(NamedTuple):
    """One file, and the documents that it was put together from; none where it was damaged afterwards."""

    content: bytes
    documents: tuple[bytes, ...] = ()


Write = Callable[[Tape, str], File]


def files(write: Write, size: int = 300) -> st.SearchStrategy[tuple[File, ...]]:
    """Make one to three files by a function that takes its choices from a tape of up to so many bytes.

    The function is also told with what the names of the file's objects shall begin.
    """
    return st.binary(min_size=size // 4, max_size=size).map(lambda choices: _write_files(write, Tape(choices)))


def _write_files(write: Write, tape: Tape) -> tuple[File, ...]:
    return tuple(write(tape, prefix) for prefix in tape.pick([("a",), ("a",), ("a",), ("a", "b"), ("a", "b", "c")]))


def manifest(tape: Tape, name: str) -> str:
    """Write one document, a manifest or a list of them; one of four holds what readers stumble over."""
    writer = Writer(tape, has_traps=tape.chance(4))
    return tape.pick(
        [writer.write_block, writer.write_block, writer.write_block, writer.write_json, writer.write_list]
    )(name)


def plain_file(tape: Tape, prefix: str) -> File:
    """Put documents together into a file, with anything between them that may stand there."""
    documents = [manifest(tape, f"{prefix}{number}") for number in range(1 + tape.below(3))]
    text = tape.pick(BEGINS)
    for number, document in enumerate(documents):
        documents[number] = document + "\n"
        text += ("" if number == 0 else tape.pick(SEPARATORS)) + documents[number]
    text += tape.pick(["", "", "---\n", "---", "...\n", "---\n# end", "---\n\n\n", "\ufeff"])
    if text.endswith(documents[-1]) and tape.chance(3):
        text, documents[-1] = text[:-1], documents[-1][:-1]
    return _file(text, documents, tape.pick(["\n", "\n", "\r\n"]))


def json_stream(tape: Tape, prefix: str) -> File:
    """Put JSON objects one after the other, as NDJSON and `cat` have them, perhaps with YAML after them."""
    writer = Writer(tape, has_traps=tape.chance(8))
    documents = [writer.write_json(f"{prefix}{number}") for number in range(1 + tape.below(4))]
    text = tape.pick(["\n", "", " ", "\n\n", "\n---\n", " # c\n"]).join(documents)
    if tape.chance(3):
        documents.append(writer.write_block(f"{prefix}-last"))
        text += "\n" + tape.pick(["---\n", "---\n", ""]) + documents[-1]
    end = tape.pick(["\n", ""])
    documents[-1] += end
    return _file(text + end, documents, tape.pick(["\n", "\n", "\n", "\r\n"]))


def long_file(tape: Tape, prefix: str) -> File:
    """Put documents together so that a line, or all before the second one, ends near a boundary of a buffer of Go."""
    size = tape.pick([4096, 65536, 8192, 1024]) + tape.below(11) - 5
    documents: list[str] = []
    for number in range(1 + tape.below(2)):
        begin, padding, end = tape.pick(
            [("# ", "x", "\n"), ("", "\n", ""), ("# é", "é", "\n"), ("pad: '", "x", "'\n"), ("", " ", "\n")]
        )
        text = manifest(tape, f"{prefix}{number}").strip("\n\t ")
        missing = size - len((begin + end).encode()) - (len(text.encode()) if tape.chance(2) else 0)
        lead = begin + padding * max(0, missing // len(padding.encode())) + end
        documents.append(text + "\n" + lead if tape.chance(2) else lead + text + "\n")
    if tape.chance(2):
        documents[-1] = documents[-1].removesuffix("\n")
    text = "---\n".join(documents)
    return _file(text, documents, tape.pick(["\n", "\n", "\r\n"]))


def damaged_file(tape: Tape, prefix: str) -> File:
    """Take a file and put in, take out and overwrite what a slip of a hand or a tool may."""
    text = tape.pick([plain_file, plain_file, json_stream])(tape, prefix).content.decode()
    for _ in range(tape.pick([1, 1, 2])):
        at = (tape.below(256) * 256 + tape.below(256)) % (len(text) + 1)
        length = tape.pick([0, 0, 1, 2, 8])
        text = text[:at] + tape.pick(DAMAGE) + text[at + length :]
    return File(text.encode())


def soup(tape: Tape, _prefix: str) -> File:
    """Put fragments together in any order."""
    kinds = [
        DAMAGE,
        INSIDE,
        WORDS,
        TRAPS,
        SEPARATORS,
        BEGINS,
        ["kind: A\n", "apiVersion: v1\n", "a: b\n", "a:\n", _OBJECT],
    ]
    return File("".join(tape.pick(tape.pick(kinds)) for _ in range(tape.below(12))).encode())


def _file(text: str, documents: Sequence[str], newline: str) -> File:
    return File(_encode(text, newline), tuple(_encode(document, newline) for document in documents))


def _encode(text: str, newline: str) -> bytes:
    return (text if newline == "\n" else text.replace("\r\n", "\n").replace("\n", newline)).encode()
