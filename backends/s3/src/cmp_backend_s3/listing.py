"""Own what lies under a path: the objects of a folder, or the one object, as one strict and bounded listing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmp_backend_s3.failures import Call, escape, not_s3
from cmp_backend_s3.session import Connection
from cmp_backend_s3.source import WHOLE_BUCKET
from cmp_core import LimitExceededError, SourceNotFoundError, TransientFetchError
from cmp_core.transfer import RemoteFile, most_listed

PAGE_KEYS = 1000
"""The most keys that S3 puts on one page."""

_ACTION = "s3:ListBucket"


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies under the path of a source.

    Attributes:
        prefix: What the keys have before the files' paths.
        files: The objects, in the order of the service.
        is_one_object: Whether the path is the key of this object, and no folder.
    """

    prefix: str
    files: tuple[RemoteFile, ...]
    is_one_object: bool = False


async def list_source(connection: Connection) -> Listing:
    """List the folder that the source's path names, or else the object.

    Raises:
        SourceNotFoundError: There is neither; a neighbour of a similar name is told.
        LimitExceededError: There are far more objects than the limits allow.
        FetchError: The listing failed, or is none.
    """
    path = connection.source.path
    folder = "" if path == WHOLE_BUCKET else path.removesuffix("/") + "/"
    listing = await _list_folder(connection, folder)
    if listing.files:
        return listing
    nearest = await _find_nearest(connection, folder.removesuffix("/")) if folder else None
    if nearest and nearest.path == path:
        prefix, _, name = path.rpartition("/")
        prefix += "/" if prefix else ""
        return Listing(prefix, (RemoteFile(name, nearest.size, nearest.etag),), is_one_object=True)
    raise _nothing_there(connection, path, folder, nearest)


async def _list_folder(connection: Connection, prefix: str) -> Listing:
    call = connection.call(_ACTION, prefix)
    files: list[RemoteFile] = []
    tokens = {""}
    token = ""
    while True:
        page = await _get_page(connection, call, prefix, token, PAGE_KEYS)
        files += _files_of(page, prefix, call)
        if not page["IsTruncated"]:
            return Listing(prefix, tuple(files))
        _check_bound(files, connection)
        token = page.get("NextContinuationToken", "")
        if token in tokens:
            raise TransientFetchError(
                f"{call} does not come to an end: the service repeats a page, or does not say where the next one is: "
                "ask again later"
            )
        tokens.add(token)


async def _find_nearest(connection: Connection, prefix: str) -> RemoteFile | None:
    """Return the first object whose key begins with `prefix`; it is the key itself wherever that exists."""
    call = connection.call(_ACTION, prefix)
    page = await _get_page(connection, call, prefix, "", 1)
    found = _files_of(page, prefix, call)
    return RemoteFile(prefix + found[0].path, found[0].size, found[0].etag) if found else None


async def _get_page(connection: Connection, call: Call, prefix: str, token: str, keys: int) -> Mapping[str, Any]:
    options = connection.request_options | ({"ContinuationToken": token} if token else {})

    async def ask(_: int) -> Mapping[str, Any]:
        try:
            return await connection.client.list_objects_v2(  # type: ignore[no-any-return]  # the SDK has no types
                Bucket=connection.source.bucket, Prefix=prefix, MaxKeys=keys, **options
            )
        except UnicodeError:
            raise
        except ValueError as error:  # a number that is none
            raise not_s3(call) from error

    page = await connection.retries.run(call, ask)
    # A page that says both that it is the last and where the next one is would pass for the end of a smaller prefix.
    if "IsTruncated" not in page or (page.get("NextContinuationToken") and not page["IsTruncated"]):
        raise not_s3(call)
    return page


def _files_of(page: Mapping[str, Any], prefix: str, call: Call) -> list[RemoteFile]:
    entries = page.get("Contents", ())
    if not all(entry.get("Key", "").startswith(prefix) and entry.get("ETag") and "Size" in entry for entry in entries):
        raise not_s3(call)
    return [RemoteFile(entry["Key"][len(prefix) :], entry["Size"], entry["ETag"]) for entry in entries]


def _check_bound(files: list[RemoteFile], connection: Connection) -> None:
    """Stop at a listing so long that the limits or the filter cannot leave an acceptable part of it."""
    source = connection.source
    limits = source.limits.under(connection.settings.limits)
    is_filtered = source.include or source.exclude
    most = most_listed(limits) if is_filtered else limits.objects
    if sum(not file.path.endswith("/") for file in files) > most:
        raise LimitExceededError(
            f"{source.location} holds more than {most} objects, and {limits.objects} are allowed: name a narrower "
            "`path`, or raise `limits.objects` in the trigger file or the operator's settings (CMP_LIMITS_OBJECTS)"
        )


def _nothing_there(connection: Connection, path: str, folder: str, nearest: RemoteFile | None) -> SourceNotFoundError:
    bucket = connection.source.bucket
    at = f" at {connection.endpoint}" if connection.endpoint else ""
    if not folder:
        return SourceNotFoundError(f"the bucket `{bucket}`{at} is empty: upload the manifests, or name another bucket")
    missing = f"no key begins with `{folder}`" + ("" if path.endswith("/") else f" and no object has the key `{path}`")
    remedy = "check `path`, and that the manifests were uploaded"
    if nearest:
        end = nearest.path.find("/", len(folder) - 1)
        neighbour = nearest.path[: end + 1] if end >= 0 else nearest.path
        remedy = f"did you mean `path: {escape(neighbour)}`?"
    return SourceNotFoundError(f"nothing lies under {connection.source.location}{at}: {missing}: {remedy}")
