"""Own the reading of web servers: one file, or a folder by the pages that list it, and never past what is allowed."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed knows no such name

import aiohttp
from yarl import URL

from cmp_backend_fsspec.address import read_url
from cmp_backend_fsspec.failures import StatusError, explain
from cmp_backend_fsspec.guard import GuardedResolver, check_address, is_address
from cmp_backend_fsspec.pages import links_of
from cmp_backend_fsspec.settings import Allowance, covering_allowances
from cmp_backend_fsspec.source import FsspecSource
from cmp_backend_fsspec.tries import Tries
from cmp_core import (
    Artifact,
    BuildEnvironment,
    ConfigError,
    FetchError,
    IntegrityError,
    LimitExceededError,
    PolicyError,
    SourceNotFoundError,
    TransientFetchError,
)
from cmp_core.transfer import (
    CHUNK_BYTES,
    UNKNOWN_SIZE,
    RemoteFile,
    check_path,
    copy_files,
    most_listed,
    quote_path,
    select_files,
)

Result = TypeVar("Result")

MOST_REDIRECTS = 5
"""How often one request may be sent on."""

MOST_PAGE_BYTES = 4 * 2**20
"""The largest page that lists a folder, in bytes."""

MOST_FOLDERS = 1000
"""How many folders one source may list."""

_PROXY = re.compile(r"https?://(?:[^\s/?#@]*@)?[A-Za-z0-9._-]+(?::[0-9]{1,5})?/?")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PLAIN = frozenset({"", "identity"})


def fetch_web(
    source: FsspecSource, destination: Path, environment: BuildEnvironment, allowances: tuple[Allowance, ...]
) -> Artifact:
    """Bring what the URL names into `destination`.

    A web server tells neither the sizes nor the state of a folder's files, so the limits hold for the bytes as they
    come, and the revision is the digest.

    Raises:
        FetchError: As the hook says.
        PolicyError: A redirect or an address leads past what the operator allows.
    """

    async def fetch(web: "_Web") -> None:
        files = await web.select_files()
        await copy_files(files, web.read, destination, environment, source)
        if await web.select_files() != files:
            raise TransientFetchError(f"{source.location} changed while it was read: try again")

    asyncio.run(_with_web(fetch, source, environment, allowances))
    return Artifact.from_directory(destination)


def list_web(source: FsspecSource, environment: BuildEnvironment, allowances: tuple[Allowance, ...]) -> int:
    """Return how many files the source lists; the first of them is asked for, but not read.

    Raises:
        FetchError: As for a fetch.
        PolicyError: A redirect or an address leads past what the operator allows.
    """

    async def look(web: "_Web") -> int:
        files = await web.select_files()
        await anext(web.read(files[0]), b"")
        return len(files)

    return asyncio.run(_with_web(look, source, environment, allowances))


async def _with_web(
    work: Callable[["_Web"], Awaitable[Result]],
    source: FsspecSource,
    environment: BuildEnvironment,
    allowances: tuple[Allowance, ...],
) -> Result:
    """Do some work with the server before the deadline passes."""
    limit = asyncio.timeout(environment.deadline.remaining())
    try:
        async with limit, _open(source, environment, allowances) as web:
            return await work(web)
    except (TimeoutError, asyncio.CancelledError):
        if limit.expired():
            raise environment.deadline.error() from None
        raise


@asynccontextmanager
async def _open(
    source: FsspecSource, environment: BuildEnvironment, allowances: tuple[Allowance, ...]
) -> AsyncIterator["_Web"]:
    settings = environment.settings
    proxies = _proxies(environment.variables)
    named = [allowance.host_and_port for allowance in allowances if allowance.names_host]
    own_proxies = [URL(proxies.get(scheme, "")) for scheme in ("http", "https")]
    named += [(proxy.host or "", proxy.port or 0) for proxy in own_proxies]
    connector = aiohttp.TCPConnector(limit=settings.max_connections, resolver=GuardedResolver(named))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout, sock_read=settings.read_timeout)
    async with aiohttp.ClientSession(
        auto_decompress=False,  # the bytes that are counted are the bytes that are kept
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "cmp-backend-fsspec"},
        timeout=timeout,
        trust_env=False,  # it would read passwords from ~/.netrc
    ) as session:
        yield _Web(session, source, environment, allowances, proxies)


def _proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that the sidecar's variables name, and ``no``: which hosts do without.

    Raises:
        ConfigError: A variable holds something else than a URL.
    """
    names = ("http_proxy", "https_proxy", "no_proxy")
    found = {name.removesuffix("_proxy"): variables.get(name) or variables.get(name.upper()) or "" for name in names}
    for name in ("http", "https"):
        if found[name] and not _PROXY.fullmatch(found[name]):
            raise ConfigError(f"{name.upper()}_PROXY is no URL of a proxy: write `http://HOST:PORT`, or unset it")
    return {name: value for name, value in found.items() if value}


class _Web:
    """One source on a web server, and the connections to it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        source: FsspecSource,
        environment: BuildEnvironment,
        allowances: tuple[Allowance, ...],
        proxies: Mapping[str, str],
    ) -> None:
        self._session = session
        self._source = source
        self._environment = environment
        self._allowances = allowances
        self._proxies = proxies
        self._limits = source.limits.under(environment.settings.limits)
        self._tries = Tries(environment.settings.max_attempts, environment.deadline, source.location)
        self._urls: dict[str, str] = {}

    async def select_files(self) -> tuple[RemoteFile, ...]:
        """Return the files that the source asks for, never none."""
        if self._source.is_folder:
            self._urls = await self._list_folders()
        else:
            self._urls = {unquote(self._source.address.path.rpartition("/")[2]): self._source.location}
        files = select_files(self._remote_files(), self._source, self._limits)
        if not files:
            asked = " that `include` and `exclude` leave" if self._source.include or self._source.exclude else ""
            raise SourceNotFoundError(
                f"{self._source.location} lists no file{asked}: put one there, or check `url`; the server must list "
                "its folders"
            )
        return files

    async def read(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Yield a file's bytes; what has begun to come is not asked for again."""
        url = self._urls[file.path]
        answer = await self._tries.run(lambda: self._get(URL(url), follows=True), _shown(url))
        try:
            _check_encoding(answer, url)
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            meaning = explain(error, _shown(url))
            if meaning is None:
                raise
            raise meaning from error
        finally:
            answer.close()

    def _remote_files(self) -> Iterable[RemoteFile]:
        return (RemoteFile(path, UNKNOWN_SIZE, "") for path in self._urls)

    async def _list_folders(self) -> dict[str, str]:
        """Return the URL of every file below the source by its path, from the pages of all folders."""
        found: dict[str, str] = {}
        folders = {"": self._source.location}
        seen = {""}
        most = most_listed(self._limits)
        while folders:
            folder, url = folders.popitem()
            self._environment.deadline.step = f"listing {_shown(url)}"
            page = await self._tries.run(lambda url=url: self._read_page(url), _shown(url))  # type: ignore[misc]  # a lambda with a default has no type
            for path, target in links_of(page, url).items():
                whole = f"{folder}{path}"
                if not whole.endswith("/"):
                    found[whole] = target
                elif whole not in seen:
                    check_path(whole.removesuffix("/"))
                    seen.add(whole)
                    folders[whole] = target
            if len(found) > most or len(seen) > MOST_FOLDERS:
                raise LimitExceededError(
                    f"{self._source.location} lists more than {most} files or {MOST_FOLDERS} folders: name a narrower "
                    "`url`"
                )
        self._environment.deadline.step = f"fetching {self._source.location}"
        return found

    async def _read_page(self, url: str) -> str:
        answer = await self._get(URL(url), follows=False)
        try:
            _check_encoding(answer, url)
            if answer.content_type != "text/html":
                raise FetchError(
                    f"{_shown(url)} is answered with {quote_path(answer.content_type)} and not with a page that lists "
                    "files: name one file in `url`, without a slash at its end"
                )
            page = bytearray()
            async for chunk in answer.content.iter_any():
                page += chunk
                if len(page) > MOST_PAGE_BYTES:
                    raise LimitExceededError(
                        f"the page of {_shown(url)} has more than {MOST_PAGE_BYTES} bytes: name a narrower `url`"
                    )
            return page.decode(errors="replace")
        finally:
            answer.close()

    async def _get(self, url: URL, *, follows: bool) -> aiohttp.ClientResponse:
        """Return an answer that brings what was asked for; its body has not been read."""
        for _ in range(MOST_REDIRECTS + 1):
            self._check_host(url)
            answer = await self._session.get(url, allow_redirects=False, proxy=self._proxy_for(url))
            if answer.status == 200:
                return answer
            answer.close()
            target = answer.headers.get("Location", "")
            if not follows or answer.status not in _REDIRECTS or not target:
                raise StatusError(answer.status)
            url = self._check_redirect(url, target)
        raise FetchError(
            f"{self._source.location} is redirected more than {MOST_REDIRECTS} times: name the place itself"
        )

    def _check_redirect(self, url: URL, target: str) -> URL:
        """Return where a redirect leads, if the operator allows to read from there; a query is not told."""
        try:
            joined = url.join(URL(target)).with_fragment(None)
            address = read_url(str(joined.with_query(None)))
        except ValueError as error:
            raise PolicyError(
                f"{self._source.location} is redirected to a URL that is not read here: name the place itself in `url`"
            ) from error
        if not covering_allowances(address, self._allowances):
            place = f"{address.protocol}://{address.authority}"
            raise PolicyError(
                f"{self._source.location} is redirected to {place}, which the operator's settings do not allow: add "
                f"`{place}` to `backends.fsspec.allow` (CMP_BACKENDS_FSSPEC_ALLOW)"
            )
        return joined

    def _check_host(self, url: URL) -> None:
        """Check a host that is written as an address, since nobody resolves it."""
        host = url.host or ""
        if is_address(host):
            named = {item.host_and_port for item in self._allowances if item.names_host}
            check_address(host, host, names_host=(host, url.port or 0) in named)

    def _proxy_for(self, url: URL) -> str | None:
        proxy = self._proxies.get(url.scheme)
        if not proxy or proxy_bypass_environment(url.authority, dict(self._proxies)):
            return None
        return proxy


def _check_encoding(answer: aiohttp.ClientResponse, url: str) -> None:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PLAIN:
        raise IntegrityError(
            f"{_shown(url)} is sent in the encoding {quote_path(encoding)}, though it was asked for as it is: store it "
            "on the server without Content-Encoding"
        )


def _shown(url: str) -> str:
    """Return a URL that a page named, as a message may show it."""
    return quote_path(url)[1:-1]
