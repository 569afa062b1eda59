"""Own the reading of Azure's Blob Storage by adlfs: its identity and its SDK, with every bound of ours."""

from collections.abc import Mapping
from typing import Any

from adlfs import AzureBlobFileSystem
from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.core.utils import parse_connection_string
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry
from fsspec.asyn import sync, sync_wrapper

from cmp_backend_fsspec.failures import CHANGED, StatusError
from cmp_backend_fsspec.libraries import CLOSE_SECONDS, refuse_encoding
from cmp_backend_fsspec.pieces import PIECE_BYTES, PieceReader
from cmp_backend_fsspec.protocols import ACCOUNT
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import BuildEnvironment, ConfigError, Deadline
from cmp_core.transfer import most_listed


def open_azure(source: FsspecSource, options: Mapping[str, Any], environment: BuildEnvironment) -> "BoundedAzure":
    """Open the filesystem: with the identity that the sidecar's AZURE_* variables give, or anonymously.

    Raises:
        ConfigError: Nobody has named a storage account.
    """
    settings, variables, address = environment.settings, environment.variables, source.address
    account = address.account or None
    if not (account or variables.get("AZURE_STORAGE_ACCOUNT_NAME") or variables.get("AZURE_STORAGE_CONNECTION_STRING")):
        raise ConfigError(
            f"{address} names no storage account: write it as `account_name` below `options`, or give the sidecar "
            "AZURE_STORAGE_ACCOUNT_NAME"
        )
    _check_connection_string(variables.get("AZURE_STORAGE_CONNECTION_STRING", ""), account)
    client_options = {
        "connection_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "max_single_get_size": PIECE_BYTES,
        "max_chunk_get_size": PIECE_BYTES,
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=settings.max_attempts - 1),
        "user_agent": "cmp-backend-fsspec",
    }
    return BoundedAzure(
        client_options,
        most_listed(source.limits.under(settings.limits)),
        environment.deadline,
        anon=options.get("anon"),
        is_folder=source.is_folder,
        skip_instance_cache=True,
        use_listings_cache=False,
        **({ACCOUNT: account} if account else {}),
    )


def _check_connection_string(text: str, account: str | None) -> None:
    """Refuse another account than that of the sidecar's connection string, which would be read in its place."""
    if text and account and parse_connection_string(text).get("accountname") != account:
        raise ConfigError(
            f"the storage account `{account}` is not that of the sidecar's AZURE_STORAGE_CONNECTION_STRING, which "
            "would be read instead: name that one, or give the sidecar an identity without a connection string"
        )


class BoundedAzure(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs publishes no types
    """The library's filesystem, which lists a folder with all that is below in one go, and waits as long as we say.

    The library's own listing leaves out blobs with unusual names, and its client tries for minutes.
    """

    cachable = False

    def __init__(
        self, client_options: Mapping[str, Any], most: int, deadline: Deadline, *, is_folder: bool, **options: Any
    ) -> None:
        """Open it.

        Args:
            client_options: What the SDK's client is told besides.
            most: How many blobs a listing may name.
            deadline: The end of the request.
            is_folder: Whether the source can be no blob.
            **options: The library's own.
        """
        self._client_options = client_options
        self._most = most
        self._deadline = deadline
        self._is_folder = is_folder
        self._blobs: dict[str, dict[str, Any]] = {}
        super().__init__(**options)

    def do_connect(self) -> None:
        """Make the SDK's client, of the identity that the library has found."""
        if self.connection_string is not None:
            self.service_client = BlobServiceClient.from_connection_string(
                self.connection_string, **self._client_options
            )
            return
        credential = self.credential or self.account_key or self.sas_token
        self.account_url = f"https://{self.account_name}.blob.core.windows.net"
        self.service_client = BlobServiceClient(
            self.account_url, credential=None if self.anon else credential, **self._client_options
        )

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """Take a path as it is: the library would cut it at a ``?`` or ``#``."""
        return path

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        """Tell what a path is: a blob, or else the folder of whatever lies below."""
        container, _slash, key = path.partition("/")
        if key and not self._is_folder:
            blob = self.service_client.get_blob_client(container, key)
            try:
                return self._describe(container, await blob.get_blob_properties())
            except ResourceNotFoundError as error:
                if getattr(error, "error_code", "") == "ContainerNotFound":
                    raise FileNotFoundError(path) from error
        return {"name": path, "size": 0, "type": "directory"}

    async def _ls(self, path: str, detail: bool = False, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002  # as in fsspec
        """List a folder, or a blob, with everything below."""
        container, _slash, key = path.rstrip("/").partition("/")
        if (entry := await self._info(path))["type"] == "file":
            return [entry]
        self._blobs = {}
        listing = self.service_client.get_container_client(container).list_blobs(
            name_starts_with=f"{key}/" if key else None, include=["metadata"]
        )
        async for blob in listing:
            self._deadline.check()
            if not _is_folder(blob):
                self._describe(container, blob)
            if len(self._blobs) > self._most:
                break
        return list(self._blobs.values()) if detail else list(self._blobs)

    ls = sync_wrapper(_ls)
    info = sync_wrapper(_info)

    def close_connections(self) -> None:
        """Close what the library would close when it is collected, which something that was interrupted may delay."""
        sync(self.loop, self.service_client.close, timeout=CLOSE_SECONDS)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Do nothing: nothing is taken from an earlier listing."""

    def _describe(self, container: str, blob: Any) -> dict[str, Any]:
        name = f"{container}/{blob.name}"
        encoding = blob.content_settings.content_encoding or ""
        etag = str(blob.etag).strip('"')
        self._blobs[name] = {"name": name, "size": blob.size, "type": "file", "etag": etag, "encoding": encoding}
        return self._blobs[name]

    def _open(self, path: str, *_: Any, **__: Any) -> PieceReader:
        entry = self._blobs[path]
        if entry["encoding"] not in {"", "identity"}:
            raise refuse_encoding(path, entry["encoding"])
        container, _slash, key = path.partition("/")
        blob = self.service_client.get_blob_client(container, key)

        async def download(start: int, end: int) -> bytes:
            try:
                stream = await blob.download_blob(
                    offset=start, length=end - start, etag=entry["etag"], match_condition=MatchConditions.IfNotModified
                )
                return bytes(await stream.readall())
            except ResourceNotFoundError:
                raise StatusError(CHANGED) from None

        return PieceReader(entry["size"], lambda start, end: bytes(sync(self.loop, download, start, end)))


def _is_folder(blob: Any) -> bool:
    """Tell whether a blob is only the mark that Data Lake Storage keeps for a folder."""
    metadata = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    return metadata.get("hdi_isfolder") == "true" and blob.size == 0
