"""Own the reading of one object in pieces, by the ranges that its service gives out."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from cmp_backend_fsspec.failures import CHANGED, StatusError

PIECE_BYTES = 4 * 2**20
"""The most of one object that is held at once, in bytes."""


class PieceReader:
    """A file that is read from its beginning to its end.

    A service that sends more or less than was asked for has another object by now.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        """Read `size` bytes, of which `fetch` returns those from a start to an end."""
        self._size = size
        self._fetch = fetch
        self._place = 0
        self._piece = memoryview(b"")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Forget the piece."""
        self._piece = memoryview(b"")

    def read(self, most: int) -> bytes:
        """Return the next bytes, no more than `most`; none at the end."""
        if not self._piece and self._place < self._size:
            end = min(self._place + PIECE_BYTES, self._size)
            piece = self._fetch(self._place, end)
            if len(piece) != end - self._place:
                raise StatusError(CHANGED)
            self._piece, self._place = memoryview(piece), end
        chunk, self._piece = self._piece[:most], self._piece[most:]
        return bytes(chunk)
