"""Own the reading of one object: from the store or the service, tried again where that can help, and verified."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from botocore.exceptions import ClientError, FlexibleChecksumError

from cmp_backend_s3.failures import BROKEN, FOREIGN, OUTDATED, Call, code_of, explain
from cmp_backend_s3.fastlane import Answer, FastLane, read_body
from cmp_backend_s3.integrity import find_corruption
from cmp_backend_s3.session import Connection
from cmp_core import IntegrityError
from cmp_core.store import Store, store_key
from cmp_core.transfer import RemoteFile

_FIRST_PAUSE = 0.2  # seconds; doubles with every try
_LONGEST_PAUSE = 5.0  # seconds
_MOST_STORED = 2**20  # bytes; a larger object is rare and would push many others out


class OutdatedListingError(Exception):
    """An object is no longer what the listing said: somebody writes to the bucket right now."""


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """Reads the objects of one listing.

    Attributes:
        connection: The open client.
        lane: The short way, tried first; None where there is none.
        store: Where objects of earlier fetches lie, or None.
        prefix: What the keys have before the files' paths.
    """

    connection: Connection
    lane: FastLane | None
    store: Store | None
    prefix: str

    async def read(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Yield the object's whole content, verified.

        Raises:
            OutdatedListingError: The object has changed or vanished.
            IntegrityError: What arrived was twice something else than S3 keeps.
            FetchError: It could not be read.
        """
        if self.store is None or file.size > _MOST_STORED:
            yield await self._download(file)
            return
        key = self._store_key(file)
        content = self.store.get(key)
        if content is None or len(content) != file.size:
            content = await self._download(file)
            self.store.put(key, content)
        yield content

    def _store_key(self, file: RemoteFile) -> str:
        endpoint = self.connection.client.meta.endpoint_url
        bucket = self.connection.source.bucket
        return store_key(endpoint, bucket, self.prefix + file.path, file.etag, self.connection.identity.name)

    async def _download(self, file: RemoteFile) -> bytes:
        """Try until the object arrives whole, a bounded number of times."""
        tries = self.connection.settings.max_attempts
        corruption = ""
        for attempt in range(1, tries + 1):
            try:
                return await self._get(file, is_first=attempt == 1)
            except BROKEN as error:
                if attempt == tries:
                    raise explain(error, self._call(file)) from error
            except _CorruptionError as error:
                if corruption or attempt == tries:
                    raise self._corrupted(file, error) from error
                corruption = str(error)
            await asyncio.sleep(_pause(attempt))
        raise AssertionError("the last try returns or raises")

    async def _get(self, file: RemoteFile, *, is_first: bool) -> bytes:
        """Ask for the object, by the short way first, and hold the answer against the listing."""
        key = self.prefix + file.path
        answer = await self.lane.get(key, file.etag, file.size) if self.lane and is_first else None
        headers, content = answer or await self._ask_sdk(file)
        if headers.get("etag", file.etag).strip('"') != file.etag.strip('"'):
            raise OutdatedListingError(key)
        if corruption := find_corruption(content, headers, file.size):
            raise _CorruptionError(corruption)
        return content

    async def _ask_sdk(self, file: RemoteFile) -> Answer:
        """Ask for the object by the SDK's own call, which tries again by itself and knows every kind of refusal."""
        options = {"IfMatch": file.etag, "ChecksumMode": "ENABLED", **self.connection.request_options}
        key = self.prefix + file.path
        try:
            response = await self.connection.client.get_object(Bucket=self.connection.source.bucket, Key=key, **options)
        except FOREIGN as error:
            if isinstance(error, ClientError) and code_of(error) in OUTDATED:
                raise OutdatedListingError(key) from error
            raise explain(error, self._call(file)) from error
        headers, body = response["ResponseMetadata"]["HTTPHeaders"], response["Body"]
        try:
            return headers, await read_body(body, headers, file.size)
        except FlexibleChecksumError as error:
            raise _CorruptionError("does not have its checksum") from error
        finally:
            body.close()

    def _call(self, file: RemoteFile) -> Call:
        return self.connection.call("s3:GetObject", self.prefix + file.path)

    def _corrupted(self, file: RemoteFile, error: "_CorruptionError") -> IntegrityError:
        return IntegrityError(
            f"{self._call(file)} brought content that {error}, more than once: look for what rewrites answers on the "
            "way, and upload the object again"
        )


class _CorruptionError(Exception):
    """An answer's content is not what was announced; the text is a clause that says how."""


def _pause(attempt: int) -> float:
    """Return how long to wait before the next try, in seconds: exponential, with full jitter."""
    return random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))  # noqa: S311  # spreads load, hides nothing
