"""Own the reading of a tar archive: header by header from a stream, with nothing of it kept."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from cmp_backend_tarball.bounds import Bounds
from cmp_core.transfer import CHUNK_BYTES

Entry = tuple[tarfile.TarInfo, Iterator[bytes]]
"""An entry as its header has it, and its content, which is to be read before the next entry."""

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(_BLOCK)
_MOST_EXTENDED = 64 * 1024  # bytes of a header that stands before another; the names in it have a few hundred
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
)  # fmt: skip
_SPARSE = "GNU.sparse."
_PAX_LENGTH = re.compile(rb"([0-9]{1,6}) ")
_PAX_SIZE = re.compile(r"[0-9]{1,18}")
_STRUCTURAL = ("path", "linkpath", "size")


def is_tar(block: bytes) -> bool:
    """Tell whether a file that begins with `block` is a tar archive, perhaps an empty one."""
    return block == _END or _parse(block) is not None


def read_tar(chunks: Iterator[bytes], bounds: Bounds) -> Iterator[Entry]:
    """Yield every entry, in the order in which they lie there, links and devices too.

    Raises:
        IntegrityError: It is no tar archive, is damaged or cut off, or something lies behind its end.
    """
    stream = _Stream(chunks)
    extended = _Extended()
    number = 0
    while (block := stream.read(_BLOCK)) != _END:
        if len(block) < _BLOCK:
            raise bounds.broken("is cut off")
        member = _parse(block)
        if member is None:
            raise bounds.broken("is damaged" if number else "holds no tar archive")
        number += 1
        if member.type in (_LONG_NAME, _LONG_LINK, *_PAX, tarfile.XGLTYPE):
            _read_extended(member, stream, extended, bounds)
            if member.type != tarfile.XGLTYPE:
                continue
            # A comment for the whole archive, such as git's, stands for an entry that nobody wants.
            member.name = ""
            content: Iterator[bytes] = iter(())
        else:
            extended.apply_to(member)
            extended = _Extended()
            bounds.entry = member.name
            _check(member, bounds)
            content = stream.pieces(member.size, bounds)
        yield member, content
        for _ in content:
            pass
        if member.type != tarfile.XGLTYPE:
            stream.skip(-member.size % _BLOCK, bounds)
    _read_end(stream, extended, bounds)


@dataclass
class _Extended:
    """What the headers before an entry's own say of it."""

    said: dict[str, str] = field(default_factory=dict)
    types: set[bytes] = field(default_factory=set)

    def apply_to(self, member: tarfile.TarInfo) -> None:
        member.name = self.said.get("path", member.name)
        if member.isdir():
            member.name = member.name.rstrip("/") or member.name[:1]
        member.linkname = self.said.get("linkpath", member.linkname)
        if "size" in self.said:
            member.size = int(self.said["size"])
        if any(key.startswith(_SPARSE) for key in self.said):
            member.type = tarfile.GNUTYPE_SPARSE


class _Stream:
    """Chunks of any size, read as a tar archive is: by the block, and by the content."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def read(self, count: int) -> bytes:
        """Return as many bytes, or all that there are."""
        parts = []
        while count and (part := self._next(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def pieces(self, count: int, bounds: Bounds) -> Iterator[bytes]:
        """Yield as many bytes, in pieces."""
        while count:
            part = self._next(min(count, CHUNK_BYTES))
            if not part:
                raise bounds.broken("is cut off")
            count -= len(part)
            yield part

    def skip(self, count: int, bounds: Bounds) -> None:
        """Pass over as many bytes."""
        for _ in self.pieces(count, bounds):
            pass

    def _next(self, count: int) -> bytes:
        while self._at == len(self._chunk):
            self._at, self._chunk = 0, next(self._chunks, b"")
            if not self._chunk:
                return b""
        part = self._chunk[self._at : self._at + count]
        self._at += len(part)
        return part


def _parse(block: bytes) -> tarfile.TarInfo | None:
    """Return what a header says, or None where it is none: its checksum is wrong, or a number is."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None


def _read_extended(header: tarfile.TarInfo, stream: _Stream, extended: _Extended, bounds: Bounds) -> None:
    """Read a header that stands before another, and keep what it says of the entry."""
    kind = tarfile.XHDTYPE if header.type in _PAX else header.type
    if not 0 <= header.size <= _MOST_EXTENDED:
        raise bounds.broken(f"has a header of {header.size} bytes, and at most {_MOST_EXTENDED} are read")
    if kind in extended.types:
        raise bounds.broken("has two extended headers for one entry")
    content = stream.read(header.size)
    if len(content) < header.size:
        raise bounds.broken("is cut off")
    stream.skip(-header.size % _BLOCK, bounds)
    if kind == tarfile.XGLTYPE:
        if any(key in _STRUCTURAL or key.startswith(_SPARSE) for key in _read_pax(content, bounds)):
            raise bounds.broken("names or measures its entries in a header for all of them")
        return
    extended.types.add(kind)
    if kind == tarfile.XHDTYPE:
        extended.said.update(_read_pax(content, bounds))
    else:
        key = "path" if kind == _LONG_NAME else "linkpath"
        extended.said.setdefault(key, content.partition(b"\0")[0].decode("utf-8", "surrogateescape"))


def _read_pax(content: bytes, bounds: Bounds) -> dict[str, str]:
    """Return the records of a pax header; each is its own length, a key and a value."""
    records = {}
    at, end = 0, len(content.rstrip(b"\0"))
    while at < end:
        length = _PAX_LENGTH.match(content, at)
        record = content[at : at + int(length[1])] if length else b""
        key, equals, value = record[len(length[0]) if length else 0 :].partition(b"=")
        at += len(record)
        if not (length and len(record) == int(length[1]) and equals and key and value.endswith(b"\n")):
            raise bounds.broken("has a pax header that cannot be read")
        records[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
    if not _PAX_SIZE.fullmatch(records.get("size", "0")):
        raise bounds.broken("has a pax header that cannot be read")
    return records


def _check(member: tarfile.TarInfo, bounds: Bounds) -> None:
    """Refuse an entry where two programs would not agree at which byte the next one begins."""
    if member.size < 0 or (member.size and member.type in _WITHOUT_CONTENT):
        raise bounds.broken("has an entry of an impossible size")
    if member.type == tarfile.GNUTYPE_SPARSE:
        raise bounds.broken("has a sparse file", "pack it without `--sparse`")


def _read_end(stream: _Stream, extended: _Extended, bounds: Bounds) -> None:
    """Hold that a second block of zeros ends the archive, and that only zeros follow, as to the end of a tape."""
    bounds.entry = ""
    if extended.types or stream.read(_BLOCK) != _END:
        raise bounds.broken("is cut off")
    while block := stream.read(CHUNK_BYTES):
        if block.strip(b"\0"):
            raise bounds.broken("has something behind its end")
