"""Own the way from a compressed file to the bytes in it: piece by piece, to the very end, in bounded memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from cmp_backend_tarball.bounds import DECODER_BYTES, Bounds
from cmp_core.transfer import CHUNK_BYTES

_READ_BYTES = 64 * 1024
_ZSTD_BYTES = 256  # what zstd is given at once: a block of 4 bytes may stand for 128 KiB, and all of it comes out
_LZMA_BYTES = DECODER_BYTES + 2**20  # the dictionary of `xz -9`, and what the decoder needs beside it
_LONGEST_MAGIC = 6
_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)  # the last three are those of bz2

Step = Callable[[Any, bytes], tuple[bytes, bytes]]
"""Gives a decoder some bytes; returns what comes out, never much, and what was not taken."""


def decode(file: BinaryIO, magic: bytes, bounds: Bounds) -> Iterator[bytes]:
    """Yield what a compressed file holds; behind each member of it the next begins, or the file ends.

    Args:
        file: The file, at its beginning.
        magic: Which of `FORMATS` it has.
        bounds: Counts what comes out.

    Raises:
        IntegrityError: It is damaged, cut off, or holds something else behind its end.
        LimitExceededError: Too much comes out.
    """
    new_decoder, step = FORMATS[magic]
    data = _read(file, bounds)
    while data:
        if not data.startswith(magic):
            raise bounds.broken("has something behind its end")
        decoder = new_decoder()
        while not decoder.eof:
            output, data = _try(step, decoder, data, bounds)
            if output:
                bounds.give(len(output))
                yield output
            elif not data and not decoder.eof:
                data = _read(file, bounds)
                if not data:
                    raise bounds.broken("is cut off")
        if len(data) < _LONGEST_MAGIC:
            data += _read(file, bounds)


def _read(file: BinaryIO, bounds: Bounds) -> bytes:
    data = file.read(_READ_BYTES)
    bounds.take(len(data))
    return data


def _try(step: Step, decoder: Any, data: bytes, bounds: Bounds) -> tuple[bytes, bytes]:
    """Take a step; lzma tells too small a bound for its memory from damage only by a text."""
    try:
        return step(decoder, data)
    except _ERRORS as error:
        raise bounds.broken(
            f"is damaged, or wants more than the {DECODER_BYTES // 2**20} MiB of memory that a decoder may have",
            "pack it again, with a smaller window",
        ) from error


def _step_zlib(decoder: Any, data: bytes) -> tuple[bytes, bytes]:
    output = decoder.decompress(data, CHUNK_BYTES)
    return output, decoder.unused_data if decoder.eof else decoder.unconsumed_tail


def _step_buffered(decoder: Any, data: bytes) -> tuple[bytes, bytes]:
    """Give everything to a decoder of bz2 or lzma, which keeps what it cannot use at once."""
    output = decoder.decompress(data, CHUNK_BYTES)
    return output, decoder.unused_data if decoder.eof else b""


def _step_zstd(decoder: Any, data: bytes) -> tuple[bytes, bytes]:
    """Give a little to the decoder of zstd, which knows no bound for what comes out."""
    from zstandard import ZstdError  # noqa: PLC0415  # only archives of this kind need it

    try:
        output = decoder.decompress(data[:_ZSTD_BYTES])
    except ZstdError as error:
        raise ValueError(str(error)) from error
    return output, (decoder.unused_data if decoder.eof else b"") + data[_ZSTD_BYTES:]


def _new_zstd() -> Any:
    from zstandard import ZstdDecompressor  # noqa: PLC0415  # as above

    return ZstdDecompressor(max_window_size=DECODER_BYTES).decompressobj()


FORMATS: Mapping[bytes, tuple[Callable[[], Any], Step]] = {
    b"\x1f\x8b": (lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), _step_zlib),
    b"BZh": (bz2.BZ2Decompressor, _step_buffered),
    b"\xfd7zXZ\x00": (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_BYTES), _step_buffered),
    b"\x28\xb5\x2f\xfd": (_new_zstd, _step_zstd),
}
"""What each kind of compressed file begins with, and how it is read."""
