"""Every hostile archive is refused by name, within the limits, in little memory, and nothing of it is left."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cmp_core import FetchError, IntegrityError, LimitExceededError

END = bytes(1024)
MIB = 2**20
ZEROS = bytes(16 * MIB)
RECORD = b"kind: Demo\n"
MOST_RESIDENT = 200 * 10**6
BIG = {"totalBytes": 10**9, "objectBytes": 10**9}
SMALL = {"objects": 5, "objectBytes": 10_000, "totalBytes": 20_000}


@dataclass(frozen=True)
class Row:
    """A hostile archive.

    Attributes:
        name: What is wrong with it.
        make: Returns its bytes.
        error: The class of the refusal.
        text: What the refusal says, as a pattern.
        limits: The operator's limits.
        values: Further keys of the trigger file.
    """

    name: str
    make: Callable[[], bytes]
    error: type[FetchError]
    text: str
    limits: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


def padded(content: bytes) -> bytes:
    """Return the content as it fills its blocks."""
    return content + bytes(-len(content) % 512)


def entry(name: str, content: bytes = RECORD, **fields: Any) -> bytes:
    """Return an entry of a tar archive; `fields` may say other things of it than are true."""
    form = fields.pop("form", tarfile.GNU_FORMAT)
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    return member.tobuf(form, "utf-8", "surrogateescape") + padded(content)


def special(name: str, kind: bytes, linkname: str = "", **fields: Any) -> bytes:
    """Return an entry without content."""
    return entry(name, b"", type=kind, linkname=linkname, **fields)


def header(name: bytes, size: int, kind: bytes, mode: int = 0o644) -> bytes:
    """Return a header byte for byte, its checksum in order, whatever it says."""
    number = b"%011o\0" % size if 0 <= size < 8**11 else b"\x80" + (size % 2**88).to_bytes(11, "big")
    if size < 0:
        number = b"\xff" + (size % 2**88).to_bytes(11, "big")
    parts = (name.ljust(100, b"\0"), b"%07o\0" % mode, b"0000000\0" * 2, number, b"%011o\0" % 0)
    block = b"".join(parts) + b" " * 8 + kind + bytes(100) + b"ustar\x0000" + bytes(247)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def pax(**records: str) -> bytes:
    """Return an extended header with these records."""
    return header(b"pax", len(body := pax_body(**records)), b"x") + padded(body)


def pax_body(**records: str) -> bytes:
    """Return the records of an extended header."""
    lines = []
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode("utf-8", "surrogateescape")
        length = len(line) + 1
        while length != len(str(length)) + len(line):
            length += 1
        lines.append(b"%d%b" % (length, line))
    return b"".join(lines)


def tar(*entries: bytes) -> bytes:
    """Return a tar archive."""
    return b"".join(entries) + END


def zip_file(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, method)
    return buffer.getvalue()


def zip_member(name: str, mode: int) -> zipfile.ZipInfo:
    """Return a member with a Unix mode."""
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


def patched(archive: bytes, magic: bytes, offset: int, form: str, value: int) -> bytes:
    """Return a zip archive with another number in its first record of a kind."""
    at = archive.index(magic) + offset
    size = struct.calcsize(form)
    return archive[:at] + struct.pack(form, value) + archive[at + size :]


def in_central(offset: int, form: str, value: int) -> Callable[[], bytes]:
    """Return what makes a zip archive with a lie in its directory."""
    return lambda: patched(zip_file(("a.yaml", RECORD), ("b.yaml", RECORD)), b"PK\x01\x02", offset, form, value)


def overlapping_zip() -> bytes:
    """Return a zip of many entries that all unpack the same content, as the better zip bombs do."""
    content = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = content.compress(ZEROS) + content.flush()
    fields = (20, 0, 8, 0, 0, zlib.crc32(ZEROS), len(packed), len(ZEROS), 1, 0)
    local = b"PK\x03\x04" + struct.pack("<5H3L2H", *fields) + b"a" + packed
    record = b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, *fields[:9], 0, 0, 0, 0, 0, 0) + b"a"
    records = record * 200
    return local + records + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 200, 200, len(records), len(local), 0)


def zip64_lie() -> bytes:
    """Return a zip whose long end names a directory of 8 EiB."""
    archive = zip_file(("a.yaml", RECORD))
    at = archive.rindex(b"PK\x05\x06")
    long_end = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 2**60, 2**60, 2**63, at)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, at, 1)
    return archive[:at] + long_end + locator + archive[at:]


def wide_zip() -> bytes:
    """Return a zip whose directory names far more entries than it may, each with a long name."""
    record = b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, 20, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0) + b"n" * 200
    records = record * 100_000
    return b"PK\x03\x04" + bytes(26) + records + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 9, 9, len(records), 30, 0)


def xz_with_dictionary(size: int) -> bytes:
    """Return a tar.xz whose decoder wants a large dictionary."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": size}]
    return lzma.compress(tar(entry("a.yaml")), filters=filters)


def zst_with_window(log: int, name: str = "a.yaml") -> bytes:
    """Return a tar.zst whose decoder wants a large window, without saying how much there will be."""
    parameters = zstandard.ZstdCompressionParameters(window_log=log)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(tar(entry(name))) + compressor.flush()


def bomb(compress: Callable[[bytes], bytes], count: int = 20) -> bytes:
    """Return a compressed tar of one file of zeros, 16 MiB for each time."""
    return compress(header(b"big.yaml", count * len(ZEROS), b"0")) + compress(ZEROS) * count


def bomb_in_one(compressor: Any) -> bytes:
    """Return a bomb whose decoder is never new: all of it may come out at once."""
    start = compressor.compress(header(b"big.yaml", 20 * len(ZEROS), b"0"))
    return b"".join((start, *(compressor.compress(ZEROS) for _ in range(20)), compressor.flush()))


def swap(archive: bytes, at: int) -> bytes:
    """Return the archive with one bit turned."""
    return archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]


PLAIN = tar(entry("a.yaml"), entry("b.yaml", os.urandom(5000)))
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def cut(compress: Callable[[bytes], bytes], share: float) -> bytes:
    """Return the beginning of an archive."""
    archive = compress(PLAIN)
    return archive[: min(int(len(archive) * share), len(archive) - 1)]


def followed(compress: Callable[[bytes], bytes]) -> bytes:
    """Return an archive with something behind it."""
    return compress(PLAIN) + b"more"


def damaged(compress: Callable[[bytes], bytes]) -> bytes:
    """Return an archive with one bit turned in its middle."""
    archive = compress(PLAIN)
    return swap(archive, len(archive) // 2)


NAMES = [
    Row("an absolute path", lambda: tar(entry("/etc/x.yaml")), IntegrityError, r"`/etc/x\.yaml` cannot .* absolute"),
    Row(
        "an absolute path that would be stripped",
        lambda: tar(entry("/etc/x.yaml")),
        IntegrityError,
        r"`/etc/x\.yaml` cannot be stored \(it is absolute",
        values={"stripComponents": 1},
    ),
    Row("a path that leads out", lambda: tar(entry("../x.yaml")), IntegrityError, r"`\.\./x\.yaml` .*`\.\.`"),
    Row("a path that leads out and in", lambda: tar(entry("a/../b.yaml")), IntegrityError, r"`a/\.\./b\.yaml`"),
    Row(
        "a way out that would be stripped",
        lambda: tar(entry("../x.yaml")),
        IntegrityError,
        r"`\.\./x\.yaml` cannot be stored",
        values={"stripComponents": 1},
    ),
    Row(
        "a way out of the subpath",
        lambda: tar(entry("deploy/../../x.yaml")),
        IntegrityError,
        r"`deploy/\.\./\.\./x\.yaml`",
        values={"subpath": "deploy"},
    ),
    Row("a folder that leads out", lambda: tar(special("../x", tarfile.DIRTYPE)), IntegrityError, r"`\.\./x`"),
    Row("an empty part", lambda: tar(entry("a//b.yaml")), IntegrityError, "`a//b.yaml` .*a part of it is empty"),
    Row("a control character", lambda: tar(entry("a\x1b[2J.yaml")), IntegrityError, r"`a\\x1b\[2J\.yaml`"),
    Row(
        "a NUL",
        lambda: tar(pax(path="a\0.yaml"), entry("a.yaml")),
        IntegrityError,
        r"`a\\x00\.yaml` cannot be stored \(it holds a control",
    ),
    Row("no Unicode", lambda: tar(entry("a\udcff.yaml")), IntegrityError, "it is not valid Unicode"),
    Row("a part too long", lambda: tar(entry("a" * 256)), IntegrityError, "`a{200}…` .*longer than 255 bytes"),
    Row("a path too long", lambda: tar(entry(f"{'a' * 200}/" * 6 + "x")), IntegrityError, "more than 1024 bytes"),
    Row("too many folders deep", lambda: tar(entry("a/" * 64 + "x")), IntegrityError, "1024 bytes or 64 parts"),
    Row("a name of pages", lambda: tar(entry("a/" * 5000 + "x")), IntegrityError, "has too long a name"),
    Row("a name twice", lambda: tar(entry("a.yaml"), entry("a.yaml")), IntegrityError, r"`a\.yaml` in .* comes twice"),
    Row("a file in a file", lambda: tar(entry("a"), entry("a/b")), IntegrityError, "`a` in .* is a file and a folder"),
    Row("a file over a folder", lambda: tar(entry("a/b"), entry("a")), IntegrityError, "`a` in .* is a file and a fol"),
    Row(
        "a file over an empty folder",
        lambda: tar(special("a/", tarfile.DIRTYPE), entry("a")),
        IntegrityError,
        "`a` in .* is a file and a folder",
    ),
    Row("two cases", lambda: tar(entry("a.yaml"), entry("A.yaml")), IntegrityError, r"`A\.yaml` .* take `a\.yaml`"),
    Row("two cases of a folder", lambda: tar(entry("d/a"), entry("D/b")), IntegrityError, "`D` in .* take `d`"),
    Row("two spellings", lambda: tar(entry("\u00e9"), entry("e\u0301")), IntegrityError, "take `é` for the same"),
    Row(
        "a name in two headers",
        lambda: tar(pax(path="a"), pax(path="b"), entry("c")),
        IntegrityError,
        "two extended headers",
    ),
    Row(
        "a name for all entries",
        lambda: tar(header(b"g", len(pax_body(path="a")), b"g") + padded(pax_body(path="a")), entry("c")),
        IntegrityError,
        "names or measures its entries",
    ),
]

KINDS = [
    Row(
        "a link to an absolute path",
        lambda: tar(special("a", tarfile.SYMTYPE, "/etc/passwd")),
        IntegrityError,
        "`a` in .* is a link to an absolute path: pack the files themselves",
    ),
    Row(
        "a link out of the archive",
        lambda: tar(special("d/a", tarfile.SYMTYPE, "../../x")),
        IntegrityError,
        "`d/a` in .* is a link that leads out",
    ),
    Row(
        "a link within the archive",
        lambda: tar(entry("b"), special("a", tarfile.SYMTYPE, "b")),
        IntegrityError,
        "`a` in .* is a link: pack the files themselves",
    ),
    Row(
        "a file behind a link",
        lambda: tar(special("d", tarfile.SYMTYPE, "/srv"), entry("d/x")),
        IntegrityError,
        "`d` in .* is a link to an absolute path",
    ),
    Row(
        "a second name of a file",
        lambda: tar(entry("b"), special("a", tarfile.LNKTYPE, "b")),
        IntegrityError,
        "`a` in .* is a link: pack .*--hard-dereference",
    ),
    Row(
        "a second name of a foreign file",
        lambda: tar(special("a", tarfile.LNKTYPE, "../../etc/shadow")),
        IntegrityError,
        "`a` in .* is a link that leads out",
    ),
    Row(
        "a link with a NUL",
        lambda: tar(pax(linkpath="a\0b"), special("a", tarfile.SYMTYPE, "b")),
        IntegrityError,
        "`a` in .* is refused by the filter for data",
    ),
    Row("a character device", lambda: tar(special("a", tarfile.CHRTYPE)), IntegrityError, "`a` in .* is a device"),
    Row("a block device", lambda: tar(special("a", tarfile.BLKTYPE)), IntegrityError, "`a` in .* is a device"),
    Row("a FIFO", lambda: tar(special("a", tarfile.FIFOTYPE)), IntegrityError, "`a` in .* is a device, a FIFO"),
    Row("an unknown kind", lambda: tar(entry("a", type=b"Q")), IntegrityError, "`a` in .* of no known kind"),
    Row("a set-uid file", lambda: tar(entry("a", mode=0o4755)), IntegrityError, "`a` in .* has a set-id bit"),
    Row("a set-gid file", lambda: tar(entry("a", mode=0o2644)), IntegrityError, "`a` in .* has a set-id bit"),
    Row("a sparse file", lambda: tar(special("a", tarfile.GNUTYPE_SPARSE)), IntegrityError, "at `a`, has a sparse f"),
    Row(
        "a sparse file of exbibytes",
        lambda: tar(pax(GNU__sparse__major="1", GNU__sparse__realsize=str(2**62)), entry("a")),
        IntegrityError,
        "at `a`, has a sparse file",
    ),
    Row("a link in a zip", lambda: zip_file((zip_member("a", stat.S_IFLNK | 0o777), b"/etc/passwd")), IntegrityError,
        "`a` in .* is a link"),
    Row("a device in a zip", lambda: zip_file((zip_member("a", stat.S_IFBLK), b"")), IntegrityError, "`a` .* a device"),
    Row("a set-uid file in a zip", lambda: zip_file((zip_member("a", stat.S_IFREG | 0o4755), b"")), IntegrityError,
        "`a` in .* has a set-id bit"),
    Row("an absolute path in a zip", lambda: zip_file(("/etc/x", b"")), IntegrityError, "`/etc/x` .* absolute"),
    Row("a way out in a zip", lambda: zip_file(("../x", b"")), IntegrityError, r"`\.\./x`"),
    Row("a name twice in a zip", lambda: zip_file(("a1", b""), ("a2", b"")).replace(b"a2", b"a1"), IntegrityError,
        "`a1` in .* comes twice"),
    Row("a NUL in a zip", lambda: zip_file(("axb", b"")).replace(b"axb", b"a\0b"), IntegrityError, "control character"),
]  # fmt: skip

SIZES = [
    *(
        Row(f"a bomb in {name}", partial(bomb, compress), LimitExceededError,
            r"at `big\.yaml`, unpacks to more than 200 times its size", limits=BIG)
        for name, compress in COMPRESS.items()
    ),
    *(
        Row(f"a large file in {name}", partial(bomb, compress, 2), LimitExceededError,
            r"`big\.yaml` \(33554432 bytes\) .* larger than the 26214400")
        for name, compress in COMPRESS.items()
    ),
    Row("a bomb in one gz", lambda: bomb_in_one(zlib.compressobj(1, zlib.DEFLATED, 31)), LimitExceededError,
        r"at `big\.yaml`, unpacks to more than 200 times its size", limits=BIG),
    Row("a bomb in one zst", lambda: bomb_in_one(zstandard.ZstdCompressor().compressobj()), LimitExceededError,
        r"at `big\.yaml`, unpacks to more than 200 times its size", limits=BIG),
    Row("a bomb in zip", lambda: zip_file(*((f"{n}.yaml", ZEROS) for n in range(3))), LimitExceededError,
        r"at `1\.yaml`, unpacks to more than 200 times", limits=BIG),
    Row("a bomb nobody asks for", lambda: bomb(gzip.compress), LimitExceededError, "more than 200 times its size",
        values={"include": ["a.yaml"]}),
    Row("a filling nobody asks for", lambda: gzip.compress(tar(entry("a", bytes(30 * MIB)))), LimitExceededError,
        r"at `a`, unpacks to more than \d+ bytes, wanted or not",
        limits={"objects": 1, "totalBytes": 10**5}, values={"include": ["b"]}),
    Row("zeros without an end", lambda: gzip.compress(tar(entry("a"))) + gzip.compress(ZEROS) * 20, LimitExceededError,
        "unpacks to more than 200 times its size"),
    Row("a file too large", lambda: gzip.compress(tar(entry("a", bytes(10_001)))), LimitExceededError,
        r"`a` \(10001 bytes\)", limits=SMALL),
    Row("files too large together", lambda: gzip.compress(tar(*(entry(f"{n}", bytes(9000)) for n in range(3)))),
        LimitExceededError, r"`2` \(9000 bytes\) brings them to 27000", limits=SMALL),
    Row("a file too many", lambda: tar(*(entry(f"{n}", b"") for n in range(6))), LimitExceededError,
        r"more than 5 objects, `5`", limits=SMALL),
    Row("a folder too many", lambda: gzip.compress(tar(*(special(f"{n}/", tarfile.DIRTYPE) for n in range(1100)))),
        LimitExceededError, "more folders than its objects need, `1005`", limits=SMALL | {"objectBytes": 10**6}),
    Row("folders nobody asks for", lambda: gzip.compress(tar(*[special("d/", tarfile.DIRTYPE)] * 11_000)),
        LimitExceededError, "lists more than 10050 objects",
        limits=SMALL | {"objectBytes": 10**6, "totalBytes": 10**6}),
    Row("entries nobody asks for in a zip", wide_zip, LimitExceededError, "has more than 10050 entries",
        limits={"objects": 5}),
    Row("a header of gibibytes", lambda: gzip.compress(header(b"x", 2**32, b"x")) + gzip.compress(ZEROS) * 20,
        IntegrityError, "has a header of 4294967296 bytes"),
    Row("a name of gibibytes", lambda: gzip.compress(header(b"x", 2**32, b"L")) + gzip.compress(ZEROS) * 20,
        IntegrityError, "has a header of 4294967296 bytes"),
    Row("a file of exbibytes", lambda: header(b"a", 2**62, b"0") + END, LimitExceededError, "`a` .46116860184273"),
    Row("a file of exbibytes nobody asks for", lambda: header(b"a", 2**62, b"0") + END, IntegrityError,
        "at `a`, is cut off", values={"include": ["b"]}),
    Row("a negative size", lambda: header(b"a", -512, b"0") + END, IntegrityError, "at `a`, has an entry of an imposs"),
    Row("a link with content", lambda: tar(entry("a", RECORD, type=tarfile.SYMTYPE)), IntegrityError, "an impossible"),
    Row("a folder with content", lambda: tar(entry("a", RECORD, type=tarfile.DIRTYPE)), IntegrityError, "an impossib"),
    Row("a pax size with a sign", lambda: tar(pax(size="-1"), entry("a")), IntegrityError, "pax header that cannot"),
    Row("a pax record without an end", lambda: tar(header(b"x", 8, b"x") + padded(b"99 path="), entry("a")),
        IntegrityError, "pax header that cannot"),
    Row("a dictionary of gibibytes", lambda: xz_with_dictionary(1024 * MIB), IntegrityError, "more than the 64 MiB"),
    Row("a window of gibibytes", lambda: zst_with_window(30), IntegrityError, "more than the 64 MiB"),
    Row("entries over each other", overlapping_zip, IntegrityError, "one entry lies behind the other"),
    Row("a directory of exbibytes", zip64_lie, IntegrityError, "one entry lies behind the other"),
]  # fmt: skip

BROKEN = [
    *(
        Row(f"{name} cut off at {share}", partial(cut, compress, share),
            IntegrityError, "is cut off")
        for name, compress in {**COMPRESS, "tar": bytes}.items()
        for share in (0.5, 0.9, 0.999)
    ),
    *(
        Row(f"something behind {name}", partial(followed, compress), IntegrityError,
            "has something behind its end")
        for name, compress in {**COMPRESS, "tar": bytes}.items()
    ),
    *(
        Row(f"something behind the tar in {name}", partial(compress, PLAIN + PLAIN), IntegrityError,
            "has something behind its end")
        for name, compress in {**COMPRESS, "tar": bytes}.items()
    ),
    *(
        Row(f"a damaged {name}", partial(damaged, compress),
            IntegrityError, "is damaged")
        for name, compress in COMPRESS.items()
    ),
    Row("a damaged header", lambda: swap(PLAIN, 1030), IntegrityError, r"at `a\.yaml`, is damaged"),
    Row("one block of zeros at the end", lambda: PLAIN[:-512], IntegrityError, "is cut off"),
    Row("no entry behind its name", lambda: tar(pax(path="a")), IntegrityError, "is cut off"),
    Row("a zip cut off", lambda: zip_file(("a", RECORD))[:-30], IntegrityError, "is cut off"),
    Row("something behind a zip", lambda: zip_file(("a", RECORD)) + b"more", IntegrityError, "something behind its"),
    Row("something before a zip", lambda: b"PK\x03\x04" + zip_file(("a", RECORD)), IntegrityError, "one entry lies"),
    Row("a damaged zip", lambda: swap(zip_file(("a", os.urandom(999))), 200), IntegrityError, "at `a`, has a"),
    Row("a zip with a password", in_central(8, "<H", 1), IntegrityError, "describes otherwise"),
    Row("an encrypted zip", lambda: patched(in_central(8, "<H", 1)(), b"PK\x03\x04", 6, "<H", 1), IntegrityError,
        r"at `a\.yaml`, has an encrypted file: pack it without a password"),
    Row("bzip2 in a zip", lambda: zip_file(("a", RECORD), method=zipfile.ZIP_BZIP2), IntegrityError,
        "compressed by method 12: pack it with deflate"),
    Row("two names for an entry", lambda: zip_file(("a", b"")).replace(b"a", b"b", 1), IntegrityError,
        "describes otherwise .its own header names `b`"),
    Row("a size that is a lie", in_central(24, "<L", 5), IntegrityError, r"at `a\.yaml`, has a file that is not what"),
    Row("a size that is a larger lie", in_central(24, "<L", 50), IntegrityError, "that is not what"),
    Row("a length that is a lie", in_central(20, "<L", 1), IntegrityError, "one entry lies behind"),
    Row("an offset that is a lie", in_central(42, "<L", 7), IntegrityError, "one entry lies behind"),
    Row("an offset without end", in_central(42, "<L", 2**32 - 1), IntegrityError, "directory that cannot be read"),
    Row("a disk that is elsewhere", in_central(34, "<H", 3), IntegrityError, "directory that cannot be read"),
    Row("a checksum that is a lie", lambda: with_lies(14, 16, "<L", 1), IntegrityError, "that is not what"),
    Row("no archive", lambda: b"kind: Deployment\n" * 100, IntegrityError, "is of no known kind: pack it as .tar"),
    Row("nothing", lambda: b"", IntegrityError, "is of no known kind"),
    Row("a compressed manifest", lambda: gzip.compress(RECORD * 100), IntegrityError, "holds no tar archive"),
    Row("a tar compressed twice", lambda: gzip.compress(gzip.compress(PLAIN)), IntegrityError, "holds no tar archi"),
    Row("a zip in gzip", lambda: gzip.compress(zip_file(("a", os.urandom(999)))), IntegrityError, "holds no tar arch"),
]  # fmt: skip

ROWS = [*NAMES, *KINDS, *SIZES, *BROKEN]


def with_lies(local: int, central: int, form: str, value: int) -> bytes:
    """Return a zip in which both headers of an entry agree in a lie."""
    archive = zip_file(("a", RECORD))
    return patched(patched(archive, b"PK\x03\x04", local, form, value), b"PK\x01\x02", central, form, value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_hostile_archive_is_refused_by_name_and_nothing_is_left(row: Row, unpack: Any, destination: Path) -> None:
    """The refusal is of one class with one text; the folder is as empty as it was."""
    with pytest.raises(FetchError) as caught:
        unpack(row.make(), limits=row.limits, **row.values)

    assert type(caught.value) is row.error
    assert re.search(row.text, str(caught.value)), str(caught.value)
    assert len(str(caught.value)) < 1000
    assert list(destination.iterdir()) == []


@pytest.mark.parametrize(
    "archive",
    [
        tar(
            special("d", tarfile.SYMTYPE, "/etc"), entry("../x"), entry("/x"), entry("a", mode=0o4755), entry("b.yaml")
        ),
        zip_file(("../x", b""), (zip_member("l", stat.S_IFLNK), b"/etc"), ("b.yaml", RECORD)),
    ],
    ids=["tar", "zip"],
)
def test_what_nobody_asks_for_may_be_as_odd_as_it_likes(unpack: Any, archive: bytes) -> None:
    """A choice by patterns protects from what the archive holds besides."""
    artifact = unpack(archive, include=["b.yaml"])

    assert artifact.files == ("b.yaml",)


@pytest.mark.parametrize(
    "archive",
    [
        tar(header(b"g", len(pax_body(comment="1")), b"g") + padded(pax_body(comment="1")), entry("b.yaml")),
        tar(special("./", tarfile.DIRTYPE), entry("./b.yaml")),
        tar(special("d/", tarfile.DIRTYPE, mode=0o2775), entry("b.yaml")),
        tar(entry("b.yaml", type=tarfile.CONTTYPE)),
        tar(entry("b.yaml", type=tarfile.AREGTYPE)),
        tar(pax(path="b.yaml", size=str(len(RECORD))), header(b"x", 0, b"0"), padded(RECORD)),
        entry("b.yaml") + bytes(10240),
        gzip.compress(entry("b.yaml")) + gzip.compress(END),
        bz2.compress(entry("b.yaml")) + bz2.compress(END),
        lzma.compress(entry("b.yaml")) + lzma.compress(END),
        zstandard.compress(entry("b.yaml")) + zstandard.compress(END),
        zst_with_window(26, "b.yaml"),
        lzma.compress(tar(entry("b.yaml")), preset=9),
        zip_file(("d/", b""), ("b.yaml", RECORD)),
        zip_file((zip_member("b.yaml", 0o644), RECORD), method=zipfile.ZIP_STORED),
    ],
    ids=[
        "a comment of git", "dots", "a set-gid folder", "contiguous", "old", "pax", "padding", "two gzips", "two bz2s",
        "two xzs", "two frames", "a large window", "a large dictionary", "folders in a zip", "a zip that stores",
    ],
)  # fmt: skip
def test_what_real_programs_write_is_read(unpack: Any, archive: bytes) -> None:
    """Comments of git, folders with a set-id bit, padding, several members: none of them is hostile."""
    artifact = unpack(archive)

    assert (artifact.root / "b.yaml").read_bytes() == RECORD


def test_a_zip_that_was_written_to_a_pipe_is_read(unpack: Any) -> None:
    """Its sizes stand behind the files, also as numbers of 8 bytes."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, chunk: Any) -> int:
            self.written += chunk
            return len(chunk)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.yaml", RECORD)
        with archive.open("b.yaml", "w", force_zip64=True) as file:
            file.write(RECORD)

    assert unpack(bytes(pipe.written)).files == ("a.yaml", "b.yaml")


MEASURE = """
import json, sys
from pathlib import Path
from cmp_backend_tarball import fetch
from cmp_backend_tarball.source import TarballSource
from cmp_core import BuildEnvironment, CmpError, Deadline, Settings
from cmp_core.nesting import Nesting

for line in sys.stdin:
    folder, limits, values = json.loads(line)
    source = TarballSource.model_validate({"source": {"backend": "local", "path": folder}, **values})
    environment = BuildEnvironment(settings=Settings.model_validate({"limits": limits}), deadline=Deadline(60))
    destination = Path(folder + "-unpacked")
    destination.mkdir()
    try:
        fetch(source, destination, environment, Nesting(source, environment))
        told = "unpacked"
    except CmpError as error:
        told = type(error).__name__
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
    print(json.dumps([told, int(peak) * 1024]), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read where Linux tells it")
def test_every_hostile_archive_is_refused_in_little_memory(tmp_path: Path) -> None:
    """One process meets all of them, and sound ones that take as much as they may: it never had 200 MB."""
    sound = noisy_tar()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 * MIB}]
    window = zstandard.ZstdCompressionParameters(window_log=26, compression_level=1)
    rows = [
        *((row.name, row.make, row.error.__name__, row.limits, row.values) for row in ROWS),
        ("the largest dictionary", lambda: lzma.compress(sound, filters=filters), "unpacked", BIG, {}),
        ("the largest window", lambda: compress_in_window(sound, window), "unpacked", BIG, {}),
    ]
    seen = {}
    with subprocess.Popen(
        [sys.executable, "-c", MEASURE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for number, (name, make, _, limits, values) in enumerate(rows):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "archive").write_bytes(make())
            print(json.dumps([str(folder), dict(limits), dict(values)]), file=process.stdin, flush=True)
            seen[name] = json.loads(process.stdout.readline())
            (folder / "archive").unlink()

    assert {name: told for name, (told, _) in seen.items()} == {name: told for name, _, told, _, _ in rows}
    assert {name: peak for name, (_, peak) in seen.items() if peak >= MOST_RESIDENT} == {}


def noisy_tar() -> bytes:
    """Return a tar of 80 MiB that compresses well, but not as a bomb does."""
    block = b"".join(os.urandom(64) + bytes(4032) for _ in range(20 * MIB // 4096))
    return tar(*(entry(f"{number}.bin", bytes([number]) + block[1:]) for number in range(4)))


def compress_in_window(content: bytes, parameters: Any) -> bytes:
    """Return what zstd makes of a stream of unknown length."""
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(content) + compressor.flush()
