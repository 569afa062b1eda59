"""Own a whole fetch: list, read, and start over until both show one state that the path really had."""

import asyncio
import logging
import random
import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from cmp_backend_s3.fastlane import BucketAddress, open_fast_lane
from cmp_backend_s3.listing import Listing, list_source
from cmp_backend_s3.reading import ObjectReader, OutdatedListingError
from cmp_backend_s3.session import Connection, connect
from cmp_backend_s3.source import S3Source
from cmp_core import Artifact, BuildEnvironment, SourceNotFoundError, TransientFetchError
from cmp_core.store import Store, open_store
from cmp_core.transfer import RemoteFile, copy_files, revision_of, select_files

Result = TypeVar("Result")

PAUSES = (1.0, 3.0)
"""The longest pause before each further round, in seconds; the shortest is half of it.

A round is a listing and its objects. A small upload is over by the last one; with a larger one nobody should wait.
"""

_log = logging.getLogger("cmp_core.s3")


def fetch_objects(source: S3Source, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring the objects that `source` names into `destination`.

    Raises:
        FetchError: As the hook says; the destination is empty then.
        ConfigError: The source and the sidecar's AWS configuration do not go together.
    """
    files = asyncio.run(in_time(_fetch(source, destination, environment), environment))
    return Artifact.from_directory(destination, revision=revision_of(files))


async def in_time(work: Awaitable[Result], environment: BuildEnvironment) -> Result:
    """Do some work of a request before its deadline passes.

    Raises:
        DeadlineExceededError: The time ran out.
    """
    limit = asyncio.timeout(environment.deadline.remaining())
    try:
        async with limit:
            return await work
    except (TimeoutError, asyncio.CancelledError):
        # A task group that failed before may have left the task marked as cancelled (CPython issue 116720, until 3.13):
        # then the time-out does not come as a TimeoutError.
        if limit.expired():
            raise environment.deadline.error() from None
        raise


async def _fetch(source: S3Source, destination: Path, environment: BuildEnvironment) -> tuple[RemoteFile, ...]:
    async with connect(source, environment) as connection:
        address = BucketAddress()
        address.watch(connection)
        for outdated, longest_pause in enumerate((0.0, *PAUSES)):
            await asyncio.sleep(longest_pause * random.uniform(0.5, 1))  # noqa: S311  # spreads load, hides nothing
            files = await _fetch_once(connection, address, destination, environment)
            if files is not None:
                if outdated:
                    _log.info("%s changed while it was read; round %d was in order", source.location, outdated + 1)
                return files
            _empty(destination)
            environment.deadline.step = f"fetching {source.location}, which changes while it is read"
    raise TransientFetchError(
        f"{source.location} changes faster than it can be read ({len(PAUSES) + 1} listings in a row were outdated): "
        "publish each release below a prefix of its own, and let `path` name it"
    )


async def _fetch_once(
    connection: Connection, address: BucketAddress, destination: Path, environment: BuildEnvironment
) -> tuple[RemoteFile, ...] | None:
    """Return what was fetched, or None where it is no state that the path had as a whole at one moment."""
    listing = await list_source(connection)
    files = select(listing, connection)
    try:
        async with open_fast_lane(connection, address) as lane:
            reader = ObjectReader(connection, lane, _open_store(environment), listing.prefix)
            await copy_files(files, reader.read, destination, environment)
    except OutdatedListingError:
        return None
    # No service says that the keys of a page are all of one moment, and what the store gave was not asked for.
    if listing.is_one_object or select(await list_source(connection), connection) == files:
        return files
    return None


def select(listing: Listing, connection: Connection) -> tuple[RemoteFile, ...]:
    """Return what the source asks for of a listing.

    Raises:
        SourceNotFoundError: Nothing of it.
        FetchError: More than the limits allow, or what cannot be stored.
    """
    source = connection.source
    files = select_files(listing.files, source, source.limits.under(connection.settings.limits))
    if files:
        return files
    if any(file.size for file in listing.files):
        raise SourceNotFoundError(
            f"`include` and `exclude` leave none of the objects under {source.location}: correct the patterns"
        )
    raise SourceNotFoundError(
        f"nothing but empty folders lies under {source.location}: check `path`, and that the manifests were uploaded"
    )


def _open_store(environment: BuildEnvironment) -> Store | None:
    settings = environment.settings
    return open_store(settings.state_directory, environment.variables, settings.store_bytes)


def _empty(folder: Path) -> None:
    """Remove what a round has left, all of it ours: the hook was given an empty folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
