"""Own the reading of Google Cloud Storage by gcsfs: its identity and its requests, with every bound of ours."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from fsspec.asyn import sync, sync_wrapper
from gcsfs.core import GCSFileSystem

from cmp_backend_fsspec.failures import CHANGED, StatusError
from cmp_backend_fsspec.libraries import CLOSE_SECONDS, refuse_encoding
from cmp_backend_fsspec.pieces import PieceReader
from cmp_backend_fsspec.source import FsspecSource
from cmp_backend_fsspec.tries import Tries
from cmp_core import BuildEnvironment, SourceNotFoundError
from cmp_core.transfer import most_listed

_FIELDS = "items(name,size,generation,md5Hash,contentEncoding),nextPageToken"
_PAGE = 1000


def open_gcs(source: FsspecSource, options: Mapping[str, Any], environment: BuildEnvironment) -> "BoundedGcs":
    """Open the filesystem: with the default identity of Google's libraries, or anonymously."""
    settings = environment.settings
    emulator = environment.variables.get("STORAGE_EMULATOR_HOST", "")
    # Without a token gcsfs would look into a pickle in the home folder, and at last ask as nobody.
    token = options.get("token") or ("anon" if emulator else "google_default")
    return BoundedGcs(
        Tries(settings.max_attempts, environment.deadline, source.location),
        most_listed(source.limits.under(settings.limits)),
        access="read_only",
        endpoint_url=_endpoint(emulator),
        is_folder=source.is_folder,
        project="",
        requester_pays=options.get("requester_pays", False),
        requests_timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_timeout, sock_read=settings.read_timeout
        ),
        session_kwargs={"trust_env": True},  # the sidecar's proxy
        skip_instance_cache=True,
        token=token,
        use_listings_cache=False,
    )


def _endpoint(emulator: str) -> str | None:
    if not emulator:
        return None
    return emulator if "://" in emulator else f"http://{emulator}"


class BoundedGcs(GCSFileSystem):  # type: ignore[misc]  # gcsfs publishes no types
    """The library's filesystem, which lists a folder with all that is below in one go, and asks as often as we say.

    The library would try each request six times, go by texts of errors, and list folder by folder.
    """

    cachable = False

    def __init__(self, tries: Tries, most: int, *, is_folder: bool, **options: Any) -> None:
        """Open it.

        Args:
            tries: The tries of every request.
            most: How many objects a listing may name.
            is_folder: Whether the source can be no object.
            **options: The library's own.
        """
        super().__init__(**options)
        self._tries = tries
        self._most = most
        self._is_folder = is_folder
        self._objects: dict[str, dict[str, Any]] = {}

    async def _request(self, method: str, path: str, *args: str, headers: Any = None, **params: Any) -> Any:
        async def ask() -> Any:
            await self._set_session()
            async with self.session.request(
                method=method,
                url=self._format_path(path, args),
                params=self._get_params(params),
                headers=self._get_headers(headers),
                timeout=self.requests_timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status not in {200, 206}:
                    raise StatusError(answer.status)
                return answer.status, answer.headers, answer.request_info, await answer.read()

        return await self._tries.run(ask)

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        """Tell what a path is: an object, or else the folder of whatever lies below."""
        bucket, _slash, key = path.partition("/")
        if key and not self._is_folder:
            _, _, _, page = await self._request("GET", "b/{}/o", bucket, prefix=key, maxResults=1, fields=_FIELDS)
            items = json.loads(page).get("items", [])
            if items and items[0]["name"] == key:
                return self._describe(bucket, items[0])
        return {"name": path, "size": 0, "type": "directory"}

    async def _ls(self, path: str, detail: bool = False, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002  # as in fsspec
        """List a folder, or an object, with everything below."""
        bucket, _slash, key = path.rstrip("/").partition("/")
        if (entry := await self._info(path))["type"] == "file":
            return [entry]
        self._objects = {}
        prefix, token = f"{key}/" if key else None, None
        while True:
            self._tries.deadline.check()
            _, _, _, page = await self._request(
                "GET", "b/{}/o", bucket, prefix=prefix, maxResults=_PAGE, pageToken=token, fields=_FIELDS
            )
            answer = json.loads(page)
            for item in answer.get("items", []):
                self._describe(bucket, item)
            token = answer.get("nextPageToken")
            if not token or len(self._objects) > self._most:
                return list(self._objects.values()) if detail else list(self._objects)

    ls = sync_wrapper(_ls)
    info = sync_wrapper(_info)

    def close_connections(self) -> None:
        """Close what the library would close when it is collected, which something that was interrupted may delay."""
        if self._session is not None:
            sync(self.loop, self._session.close, timeout=CLOSE_SECONDS)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Do nothing: nothing is taken from an earlier listing."""

    def _describe(self, bucket: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an object's entry; its MD5 stands for its content, and where it has none its generation does."""
        name = f"{bucket}/{item['name']}"
        entry = {"name": name, "size": int(item["size"]), "type": "file"}
        entry |= {"generation": item.get("generation"), "encoding": item.get("contentEncoding") or ""}
        entry["etag"] = item.get("md5Hash") or item.get("generation")
        self._objects[name] = entry
        return entry

    def _open(self, path: str, *_: Any, **__: Any) -> PieceReader:
        entry = self._objects[path]
        if entry["encoding"] not in {"", "identity"}:
            raise refuse_encoding(path, entry["encoding"])
        url = self.url(path, generation=entry["generation"])

        def fetch(start: int, end: int) -> bytes:
            headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
            try:
                _, _, _, piece = sync(self.loop, self._request, "GET", url, headers=headers)
            except SourceNotFoundError:
                raise StatusError(CHANGED) from None  # this generation is gone
            return bytes(piece)

        return PieceReader(entry["size"], fetch)
