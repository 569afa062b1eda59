"""Own the HTTP client of every request: the SDK's, with what it gets wrong about redirects and answers mended.

aiohttp would follow a redirect by itself, and bring a login page for a listing, or the refusal of a request that has
lost its signature on the way. S3's redirects are the SDK's to understand: it signs anew for the region that they name.
"""

from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import ClientError

SENT_STATUS = "x-cmp-core-sent-status"
"""A header that no service sends and every answer gets: its status, which the SDK changes where it cannot read it."""


class Transport(AIOHTTPSession):  # type: ignore[misc]  # the SDK has no types
    """The SDK's HTTP client, without redirects."""

    async def send(self, request: Any) -> Any:
        """Send one request, and keep the status of the answer where the SDK leaves it alone."""
        response = await super().send(request)
        response.headers[SENT_STATUS] = str(response.status_code)
        return response

    async def _get_session(self, proxy_url: str | None) -> "_Session":
        return _Session(await super()._get_session(proxy_url))


class _Session:
    """The part of aiohttp's session that the SDK uses."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> Any:
        """Send one request, and give its answer whatever it is."""
        return await self._session.request(method, allow_redirects=False, **options)


def ask_region_once(client: Any) -> None:
    """Let a client that is redirected ask once where the bucket is.

    Where that question is redirected as well, the SDK would ask it again, a hundred times and more.
    """
    client.meta.events.register_first("needs-retry.s3.HeadBucket", _take_redirect)


def _take_redirect(response: tuple[Any, dict[str, Any]] | None, **_: Any) -> None:
    if response and 300 <= response[0].status_code < 400:
        raise ClientError(response[1], "HeadBucket")
