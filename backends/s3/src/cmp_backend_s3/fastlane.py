"""Own the short way to an object: one signed GET without the SDK's machinery around it, for the plain case only.

The SDK spends most of its time on parameters, endpoint rules and response parsing that are the same for
every object of a bucket. Here they are taken over from a request that the SDK itself has made. An
answer that is neither plain nor an error is None, and the SDK's own call decides what it means.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, HeadersDict
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.utils import get_environ_proxies, percent_encode

from cmp_backend_s3.session import Connection
from cmp_backend_s3.transport import Transport

_ONE_READ = 2**20  # bytes
_CHUNK = 256 * 1024  # bytes
_LONGEST_ERROR = 64 * 1024  # bytes

Answer = tuple[Mapping[str, str], bytes]
"""An answer's headers, their names in lower case, and its body."""


@dataclass(slots=True)
class BucketAddress:
    """What the SDK decided about a bucket: where it is and how requests to it are signed.

    Attributes:
        url: The bucket's URL with a slash at its end; empty until the SDK has made a request.
        region: The region to sign for, after any redirect.
        user_agent: How the SDK presents itself.
        is_signed: Whether there is anything to sign.
        is_plain: Whether a signature of version 4, or none, is all that it takes.
    """

    url: str = ""
    region: str = ""
    user_agent: str = ""
    is_signed: bool = True
    is_plain: bool = False

    def watch(self, connection: Connection) -> None:
        """Learn from every listing that the SDK makes."""
        connection.client.meta.events.register("before-sign.s3.ListObjectsV2", self._learn)

    def _learn(self, request: AWSRequest, signature_version: Any, region_name: str, **_: Any) -> None:
        signing = request.context.get("signing", {})
        self.url = request.url.partition("?")[0].rstrip("/") + "/"
        self.region = signing.get("region") or region_name
        self.user_agent = str(request.headers.get("User-Agent", ""))
        self.is_signed = signature_version is not UNSIGNED
        self.is_plain = signature_version in {"s3v4", UNSIGNED} and signing.get("signing_name", "s3") == "s3"


@dataclass(frozen=True, slots=True)
class FastLane:
    """Reads objects of one bucket over connections of its own, under the same bounds as the SDK's client."""

    connection: Connection
    address: BucketAddress
    http: Transport

    async def get(self, key: str, etag: str, size: int) -> Answer | None:
        """Return the object, or None where the SDK must find the way.

        Raises:
            ClientError: The service refused; the SDK's own parser has read its answer.
            BotoCoreError: As the SDK's own call would; aiohttp's errors and OSError likewise.
        """
        response = await self.http.send(await self._make_request(key, etag))
        try:
            return await _read_answer(response, size)
        finally:
            if not response.raw.content.at_eof():
                response.raw.close()

    async def _make_request(self, key: str, etag: str) -> AWSPreparedRequest:
        headers = {"If-Match": etag, "User-Agent": self.address.user_agent, "x-amz-checksum-mode": "ENABLED"}
        if self.connection.source.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        url = self.address.url + percent_encode(key, safe="/~")
        request = AWSRequest("GET", url, headers=headers, stream_output=True)
        if self.address.is_signed:
            frozen = await self.connection.credentials.get_frozen_credentials()
            S3SigV4Auth(frozen, "s3", self.address.region).add_auth(request)
        return request.prepare()


@asynccontextmanager
async def open_fast_lane(connection: Connection, address: BucketAddress) -> AsyncIterator[FastLane | None]:
    """Open the fast lane to a bucket, or yield None where only the SDK knows the way."""
    if not address.is_plain or connection.source.bucket.startswith("arn:"):
        yield None
        return
    settings = connection.settings
    http = Transport(
        max_pool_connections=settings.max_connections,
        proxies=get_environ_proxies(address.url),
        timeout=(settings.connect_timeout, settings.read_timeout),
        verify=connection.verify,
    )
    async with http:
        yield FastLane(connection, address, http)


async def _read_answer(response: Any, size: int) -> Answer | None:
    """Read an answer to its end, which frees its connection for the next."""
    if response.status_code < 400:
        is_plain = response.status_code == 200
        return (response.headers, await read_body(response.raw.content, response.headers, size)) if is_plain else None
    body = await read_body(response.raw.content, {}, _LONGEST_ERROR)
    answer = {"status_code": response.status_code, "headers": HeadersDict(response.headers), "body": body}
    raise ClientError(create_parser("rest-xml").parse(answer, None), "GetObject")


async def read_body(stream: Any, headers: Mapping[str, str], size: int) -> bytes:
    """Read a body of `size` announced bytes: at once when it is small, and never much more than announced."""
    if size <= _ONE_READ and headers.get("content-length") == str(size):
        return bytes(await stream.read())
    chunks: list[bytes] = []
    received = 0
    while received <= size and (chunk := await stream.read(_CHUNK)):
        chunks.append(chunk)
        received += len(chunk)
    return b"".join(chunks)
