"""Own a whole fetch: list, read, and start over until both show one state that the path really had."""

import asyncio
import shutil
from pathlib import Path

from cmp_backend_s3.fastlane import BucketAddress, open_fast_lane
from cmp_backend_s3.listing import Listing, list_source
from cmp_backend_s3.reading import ObjectReader, OutdatedListingError
from cmp_backend_s3.session import Connection, connect
from cmp_backend_s3.source import S3Source
from cmp_core import Artifact, BuildEnvironment, SourceNotFoundError, TransientFetchError
from cmp_core.store import Store, open_store
from cmp_core.transfer import RemoteFile, copy_files, revision_of, select_files

ROUNDS = 3
"""How often a listing is tried before somebody writes too much to read a whole state."""


def fetch_objects(source: S3Source, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring the objects that `source` names into `destination`.

    Raises:
        FetchError: As the hook says; the destination is empty then.
        ConfigError: The source and the sidecar's AWS configuration do not go together.
    """
    files = asyncio.run(_fetch_in_time(source, destination, environment))
    return Artifact.from_directory(destination, revision=revision_of(files))


async def _fetch_in_time(source: S3Source, destination: Path, environment: BuildEnvironment) -> tuple[RemoteFile, ...]:
    limit = asyncio.timeout(environment.deadline.remaining())
    try:
        async with limit:
            return await _fetch(source, destination, environment)
    except TimeoutError:
        if limit.expired():
            raise environment.deadline.error() from None
        raise


async def _fetch(source: S3Source, destination: Path, environment: BuildEnvironment) -> tuple[RemoteFile, ...]:
    async with connect(source, environment) as connection:
        address = BucketAddress()
        address.watch(connection)
        for _ in range(ROUNDS):
            listing = await list_source(connection)
            files = _select(listing, connection)
            try:
                async with open_fast_lane(connection, address) as lane:
                    reader = ObjectReader(connection, lane, _open_store(environment), listing.prefix)
                    await copy_files(files, reader.read, destination, environment)
            except OutdatedListingError:
                _empty(destination)
                continue
            if listing.pages == 1 or _select(await list_source(connection), connection) == files:
                return files
            _empty(destination)
    raise TransientFetchError(
        f"{source.location} changes faster than it can be read ({ROUNDS} listings in a row were outdated): publish "
        "each release below a prefix of its own, and let `path` name it"
    )


def _select(listing: Listing, connection: Connection) -> tuple[RemoteFile, ...]:
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
