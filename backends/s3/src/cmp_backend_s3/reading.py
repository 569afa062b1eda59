"""Own the reading of one object: from the store or the service, tried again where that can help, and verified."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from botocore.exceptions import ClientError, FlexibleChecksumError

from cmp_backend_s3.failures import OUTDATED, Call, code_of
from cmp_backend_s3.fastlane import Answer, FastLane, read_body
from cmp_backend_s3.integrity import find_corruption
from cmp_backend_s3.session import Connection
from cmp_core import IntegrityError, TransientFetchError
from cmp_core.store import Store, store_key
from cmp_core.transfer import RemoteFile

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
        """Try until the object arrives whole, a bounded number of times; content that is wrong is tried once more."""
        call = self.connection.call("s3:GetObject", self.prefix + file.path)
        seen: list[_WrongContentError] = []

        async def ask(attempt: int) -> bytes:
            try:
                return await self._get(file, is_first=attempt == 1)
            except _WrongContentError as error:
                if seen:
                    raise _corrupted(call, error) from error
                seen.append(error)
                raise

        try:
            return await self.connection.retries.run(call, ask)
        except _WrongContentError as error:
            raise _corrupted(call, error) from error

    async def _get(self, file: RemoteFile, *, is_first: bool) -> bytes:
        """Ask for the object, by the short way first, and hold the answer against the listing."""
        key = self.prefix + file.path
        try:
            answer = await self.lane.get(key, file.etag, file.size) if self.lane and is_first else None
            headers, content = answer or await self._ask_sdk(file)
        except ClientError as error:
            if code_of(error) in OUTDATED:
                raise OutdatedListingError(key) from error
            raise
        if "etag" not in headers:
            raise _WrongContentError("came without an ETag")
        if headers["etag"].strip('"') != file.etag.strip('"'):
            raise OutdatedListingError(key)
        if corruption := find_corruption(content, headers, file.size):
            raise _WrongContentError(corruption)
        return content

    async def _ask_sdk(self, file: RemoteFile) -> Answer:
        """Ask for the object by the SDK's own call, which tries again by itself and knows every kind of refusal."""
        options = {"IfMatch": file.etag, "ChecksumMode": "ENABLED", **self.connection.request_options}
        key = self.prefix + file.path
        response = await self.connection.client.get_object(Bucket=self.connection.source.bucket, Key=key, **options)
        headers, body = response["ResponseMetadata"]["HTTPHeaders"], response["Body"]
        try:
            return headers, await read_body(body, headers, file.size)
        except FlexibleChecksumError as error:
            raise _WrongContentError("does not have its checksum") from error
        finally:
            body.close()


class _WrongContentError(TransientFetchError):
    """An answer's content is not what was announced; the text is a clause that says how."""


def _corrupted(call: Call, error: _WrongContentError) -> IntegrityError:
    return IntegrityError(
        f"{call} brought content that {error}, more than once: look for what rewrites answers on the way, and upload "
        "the object again"
    )
