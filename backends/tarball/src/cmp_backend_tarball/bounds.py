"""Own what an archive may cost besides what it brings: bytes that come out of decoders, memory, and time."""

from cmp_backend_tarball.source import TarballSource
from cmp_core import BuildEnvironment, IntegrityError, LimitExceededError
from cmp_core.transfer import most_listed, quote_path

DECODER_BYTES = 64 * 2**20
"""The most memory that a decoder may want for its window or dictionary: as much as ``xz -9`` wants."""

MOST_RATIO = 200
"""How many times its size an archive may unpack to, beyond `FREE_BYTES`: manifests compress to a twentieth or so."""

FREE_BYTES = 16 * 2**20
"""What any archive may unpack to, however small it is."""

_HEADER_BYTES = 1024  # of a tar archive, for each entry: its header, and the filling of its last block


class Bounds:
    """Counts what goes into the decoders of one archive and what comes out, whether it is wanted or not.

    Attributes:
        entry: The name of the entry that is being read, for messages; not to be trusted.
        listed: How many entries an archive may have.
    """

    def __init__(self, source: TarballSource, environment: BuildEnvironment) -> None:
        """Begin to count."""
        limits = source.limits.under(environment.settings.limits)
        self.entry = ""
        self.listed = most_listed(limits)
        self._source = source
        self._deadline = environment.deadline
        self._most_bytes = 10 * limits.total_bytes + _HEADER_BYTES * self.listed
        self._taken = self._given = 0

    def take(self, count: int) -> None:
        """Count the bytes that a decoder is given."""
        self._deadline.check()
        self._taken += count

    def give(self, count: int) -> None:
        """Count the bytes that come out, before anything is done with them.

        Raises:
            LimitExceededError: They are too many, or too many for what went in.
        """
        self._deadline.check()
        self._given += count
        if self._given > self._most_bytes:
            raise LimitExceededError(
                f"{self.where} unpacks to more than {self._most_bytes} bytes, wanted or not: pack only what is "
                "needed, or raise `limits.totalBytes`, a tenth of which this is"
            )
        if self._given > FREE_BYTES + MOST_RATIO * self._taken:
            raise LimitExceededError(
                f"{self.where} unpacks to more than {MOST_RATIO} times its size, as no manifests do: look into the "
                "archive, and if it is sound, pack it without compression"
            )

    def broken(self, what: str, remedy: str = "pack it again, and upload the whole of it") -> IntegrityError:
        """Return the error for an archive that is not as archives are.

        Args:
            what: How it is, as a clause.
            remedy: What to do.
        """
        return IntegrityError(f"{self.where} {what}: {remedy}")

    @property
    def where(self) -> str:
        """Which archive it is, and which entry of it is being read."""
        entry = f", at {quote_path(self.entry)}," if self.entry else ""
        return f"the archive {self._source.location}{entry}"
