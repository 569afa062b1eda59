"""Own the reading of a zip archive: by its directory, each part of which must agree with what lies before it."""

import stat
import struct
import tarfile
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cmp_backend_tarball.bounds import Bounds
from cmp_backend_tarball.tar import Entry
from cmp_core import LimitExceededError
from cmp_core.transfer import CHUNK_BYTES, quote_path

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip archive begins with: its first entry, or where it has none its end."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_IS_ENCRYPTED, _HAS_DESCRIPTOR, _IS_UTF8 = 0x1, 0x8, 0x800
_DESCRIPTORS = (0, 12, 16, 20, 24)  # bytes: none, with and without a signature, with sizes of 4 and of 8 bytes
_STORED, _DEFLATED = 0, 8
_IN_ZIP64 = 0xFFFFFFFF
_READ_BYTES = 64 * 1024
_NO_ORDER = "is no zip archive in which one entry lies behind the other and the directory behind all of them"


@dataclass(frozen=True, slots=True)
class _Record:
    """What the directory says of one entry."""

    name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    mode: int
    offset: int


def read_zip(file: BinaryIO, bounds: Bounds) -> Iterator[Entry]:
    """Yield every entry, in the order in which they lie in the file.

    An entry begins where the one before it ends, and the directory where the last one ends: so nothing lies in two
    entries or in none, whatever the directory says.

    Raises:
        IntegrityError: It is damaged, or not in this order.
        LimitExceededError: It has more entries than may be looked through.
    """
    start, size = _find_directory(file, bounds)
    positions = _list_directory(file, start, size, bounds)
    at = 0
    for number, (offset, position) in enumerate(positions):
        record = _read_record(file, position, bounds)
        member = _describe(record)
        bounds.entry = member.name
        content = _find_content(file, record, bounds)
        following = positions[number + 1][0] if number + 1 < len(positions) else start
        gap = following - content - record.compressed
        if offset != at or gap not in (_DESCRIPTORS if record.flags & _HAS_DESCRIPTOR else _DESCRIPTORS[:1]):
            raise bounds.broken(_NO_ORDER)
        at = following
        yield member, _read_content(file, content, record, bounds)
    if at != start:
        raise bounds.broken(_NO_ORDER)


def _find_directory(file: BinaryIO, bounds: Bounds) -> tuple[int, int]:
    """Return where the directory begins and how many bytes it has, by the records at the end of the file."""
    end = file.seek(0, 2)
    tail_at = max(0, end - _END.size - _LONGEST_COMMENT)
    tail = _read_at(file, tail_at, end - tail_at)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise bounds.broken("is cut off")
    _, disk, first_disk, _, _, size, start, comment = _END.unpack_from(tail, found)
    if found + _END.size + comment != len(tail):
        raise bounds.broken("is cut off, or has something behind its end")
    behind = tail_at + found
    locator = _read_at(file, max(0, behind - _LOCATOR.size), _LOCATOR.size)
    if len(locator) == _LOCATOR.size and locator.startswith(b"PK\x06\x07"):
        behind, size, start = _read_end64(file, _LOCATOR.unpack(locator)[2], behind - _LOCATOR.size, bounds)
    if disk or first_disk or start + size != behind:
        raise bounds.broken(_NO_ORDER)
    return start, size


def _read_end64(file: BinaryIO, at: int, behind: int, bounds: Bounds) -> tuple[int, int, int]:
    if at != behind - _END64.size:
        raise bounds.broken(_NO_ORDER)
    magic, _, _, _, disk, first_disk, _, _, size, start = _END64.unpack(_read_at(file, at, _END64.size))
    if magic != b"PK\x06\x06" or disk or first_disk:
        raise bounds.broken(_NO_ORDER)
    return at, size, start


def _list_directory(file: BinaryIO, start: int, size: int, bounds: Bounds) -> list[tuple[int, int]]:
    """Return the offset of every entry in the file and the position of its record, sorted; no name is kept."""
    offsets, positions = array("Q"), array("Q")
    position = start
    while position < start + size:
        if len(positions) == bounds.listed:
            raise LimitExceededError(
                f"{bounds.where} has more than {bounds.listed} entries, too many to search for those that are wanted: "
                "pack only what is needed"
            )
        head = _read_at(file, position, _CENTRAL.size)
        if len(head) < _CENTRAL.size or not head.startswith(b"PK\x01\x02"):
            raise bounds.broken("has a directory that cannot be read")
        offsets.append(_read_record(file, position, bounds).offset)
        positions.append(position)
        position += _CENTRAL.size + sum(_CENTRAL.unpack(head)[10:13])
    if position != start + size:
        raise bounds.broken("has a directory that cannot be read")
    return sorted(zip(offsets, positions, strict=True))


def _read_record(file: BinaryIO, position: int, bounds: Bounds) -> _Record:
    fields = _CENTRAL.unpack(_read_at(file, position, _CENTRAL.size))
    _, _, _, flags, method, _, _, crc, compressed, size, names, extras, _, disk, _, attributes, offset = fields
    name = _read_at(file, position + _CENTRAL.size, names)
    extra = _read_at(file, position + _CENTRAL.size + names, extras)
    if disk or not name or len(name) < names:
        raise bounds.broken("has a directory that cannot be read")
    wide = _read_zip64(extra)
    numbers = [next(wide, -1) if value == _IN_ZIP64 else value for value in (size, compressed, offset)]
    if -1 in numbers:
        raise bounds.broken("has a directory that cannot be read")
    size, compressed, offset = numbers
    return _Record(name, flags, method, crc, compressed, size, attributes >> 16, offset)


def _read_zip64(extra: bytes) -> Iterator[int]:
    """Yield the numbers of 8 bytes that stand in an entry's extra field."""
    while len(extra) >= 4:  # a kind and a length
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            yield from (number for (number,) in struct.iter_unpack("<Q", extra[4 : 4 + length // 8 * 8]))
            return
        extra = extra[4 + length :]


def _describe(record: _Record) -> tarfile.TarInfo:
    """Return the entry as a tar archive would have it, for the checks that both have in common."""
    name = record.name.decode("utf-8" if record.flags & _IS_UTF8 else "cp437", "surrogateescape")
    member = tarfile.TarInfo(name.removesuffix("/"))
    member.size = record.size
    member.mode = stat.S_IMODE(record.mode)
    kind = stat.S_IFMT(record.mode)
    if name.endswith("/"):
        member.type = tarfile.DIRTYPE
    elif kind:
        kinds = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
        member.type = kinds.get(kind, tarfile.CHRTYPE)
    return member


def _find_content(file: BinaryIO, record: _Record, bounds: Bounds) -> int:
    """Return where an entry's content begins; its own header must say what the directory says."""
    head = _read_at(file, record.offset, _LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise bounds.broken(_NO_ORDER)
    _, _, flags, method, _, _, crc, _, _, names, extras = _LOCAL.unpack(head)
    name = _read_at(file, record.offset + _LOCAL.size, names)
    is_other_kind = (flags ^ record.flags) & (_IS_ENCRYPTED | _HAS_DESCRIPTOR) or method != record.method
    if name != record.name or is_other_kind or crc not in (0, record.crc):
        other = quote_path(name.decode("utf-8", "replace"))
        raise bounds.broken(f"has an entry that its directory describes otherwise (its own header names {other})")
    return int(record.offset + _LOCAL.size + names + extras)


def _read_content(file: BinaryIO, at: int, record: _Record, bounds: Bounds) -> Iterator[bytes]:
    """Yield an entry's content, and hold in the end that it was what the directory says."""
    if record.flags & _IS_ENCRYPTED:
        raise bounds.broken("has an encrypted file", "pack it without a password")
    if record.method not in (_STORED, _DEFLATED):
        raise bounds.broken(f"has a file compressed by method {record.method}", "pack it with deflate")
    crc = size = 0
    chunks = _pieces(file, at, record.compressed, bounds)
    for chunk in chunks if record.method == _STORED else _inflate(chunks, bounds):
        bounds.give(len(chunk))
        crc = zlib.crc32(chunk, crc)
        size += len(chunk)
        if size > record.size:
            break
        yield chunk
    if (size, crc) != (record.size, record.crc):
        raise bounds.broken("has a file that is not what the directory says")


def _pieces(file: BinaryIO, at: int, count: int, bounds: Bounds) -> Iterator[bytes]:
    while count:
        piece = _read_at(file, at, min(count, _READ_BYTES))
        if not piece:
            raise bounds.broken("is cut off")
        bounds.take(len(piece))
        at += len(piece)
        count -= len(piece)
        yield piece


def _inflate(pieces: Iterator[bytes], bounds: Bounds) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    for piece in pieces:
        rest = piece
        while not decoder.eof:
            try:
                output = decoder.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise bounds.broken("has a damaged file") from error
            rest = decoder.unconsumed_tail
            if not output:
                break
            yield output
        if decoder.eof and (decoder.unused_data or next(pieces, b"")):
            raise bounds.broken("has a file with something behind its end")
    if not decoder.eof:
        raise bounds.broken("has a file that is cut off")


def _read_at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
