"""Own the checks of `cmp-core doctor` on S3: from the endpoint that is configured to one object of the very path."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig
from botocore.exceptions import ProxyConnectionError

from cmp_backend_s3.failures import FOREIGN, Call, explain, explained, reason_of
from cmp_backend_s3.fastlane import BucketAddress
from cmp_backend_s3.fetching import in_time, select
from cmp_backend_s3.identity import UNKNOWN
from cmp_backend_s3.listing import list_source
from cmp_backend_s3.reading import ObjectReader, OutdatedListingError
from cmp_backend_s3.route import Route, find_route, measure_skew, open_connection, read_certificate, resolve
from cmp_backend_s3.session import Choice, Connection, choose_ca_bundle, choose_endpoint, choose_region, connect
from cmp_backend_s3.source import S3Source
from cmp_core import BuildEnvironment, CmpError, DeadlineExceededError, Finding, SourceAccessError
from cmp_core.transfer import RemoteFile, quote_path

NOTABLE_SKEW = 60.0
"""The seconds between two clocks from which on somebody should look."""

MOST_SKEW = 900.0
"""The seconds between two clocks from which on S3 refuses a signature (RequestTimeTooSkewed)."""

_STS_SECONDS = 3.0
_SHORTEST_LIFE = timedelta(days=30)
_ANY = S3Source.model_construct(bucket="…", path="/")
"""Stands for the source where only the sidecar is checked; no request names its bucket."""


def examine(source: S3Source | None, environment: BuildEnvironment) -> Iterator[Finding]:
    """Yield what each check finds, as soon as it is known; no error ends them but that of the deadline."""
    examination = _Examination(source, environment)
    findings = examination.findings()
    with asyncio.Runner() as runner:
        try:
            while finding := runner.run(in_time(anext(findings, None), environment)):
                yield finding
        finally:
            runner.run(examination.resources.aclose())


class _Step(NamedTuple):
    """One check: its name, what makes it, and which checks it builds on."""

    check: str
    run: "Callable[[_Examination], Awaitable[Finding]]"
    needs: tuple[str, ...] = ()


class _Examination:
    """One round of checks; each leaves here what the later ones build on."""

    route: Route
    address: str
    skew: float | None
    connection: Connection
    prefix: str
    file: RemoteFile

    def __init__(self, source: S3Source | None, environment: BuildEnvironment) -> None:
        self.source = source
        self.asked = source or _ANY
        self.environment = environment
        self.call = Call("s3:ListBucket", self.asked.bucket, self.asked.path.removeprefix("/"))
        self.addresses: list[str] = []
        self.is_asked = False
        self.resources = AsyncExitStack()

    async def findings(self) -> AsyncIterator[Finding]:
        """Make one check after the other; one that builds on a failed one is skipped."""
        causes: dict[str, str] = {}
        for check, run, needs in _STEPS:
            if cause := next((causes[need] for need in needs if need in causes), ""):
                causes[check] = cause
                yield Finding(check, "skipped", f"not checked, since `{cause}` failed")
                continue
            finding = await self._make(check, run)
            if finding.outcome == "failed":
                causes[check] = check
            yield finding

    async def _make(self, check: str, run: "Callable[[_Examination], Awaitable[Finding]]") -> Finding:
        self.environment.deadline.check()
        self.environment.deadline.step = f"checking `{check}` for {self.asked.location}"
        try:
            return await run(self)
        except DeadlineExceededError:
            raise
        except CmpError as error:
            return Finding.of_error(check, error)

    async def check_sdk(self) -> Finding:
        """Name the versions that were loaded, for whoever reads the report elsewhere."""
        libraries = ("s3fs", "aiobotocore", "botocore", "aiohttp", "awscrt")
        return Finding("sdk", "ok", ", ".join(f"{name} {version(name)}" for name in libraries))

    async def check_endpoint(self) -> Finding:
        """Find out which endpoint, region, CA and proxy are in force, and where each is named."""
        unsigned = self.asked.model_copy(update={"anonymous": True, "requester_pays": False})
        variables = self.environment.variables
        async with connect(unsigned, self.environment) as connection:
            self.call = replace(connection.call(self.call.action, self.call.key), identity=UNKNOWN)
            profile = connection.session.get_scoped_config()
            with explained(self.call):
                url = await self._find_url(connection)
                self.route = find_route(
                    url, verify=connection.verify, settings=self.environment.settings, variables=list(variables)
                )
        region = choose_region(self.asked, variables, profile)
        told = [f"{self.route.url} ({self._origin(connection)})", f"region {region.value} ({region.origin})"]
        if self.route.is_tls:
            bundle = choose_ca_bundle(variables, profile)
            told.append(f"CAs of {bundle.value} ({bundle.origin})" if bundle.value else "CAs of the SDK")
        if self.route.proxy.value:
            told.append(f"proxy {self._hop} ({self.route.proxy.origin})")
        return Finding("endpoint", "ok", ", ".join(told))

    async def _find_url(self, connection: Connection) -> str:
        """Return where requests go, which the SDK decides request by request: in AWS the bucket is part of the host."""
        if not self.source:
            return str(connection.client.meta.endpoint_url)
        address = BucketAddress()
        address.watch(connection)
        connection.client.meta.events.register_last("before-sign.s3.ListObjectsV2", _stop)
        with suppress(_StopError):
            await connection.client.list_objects_v2(Bucket=self.source.bucket)
        return address.url

    def _origin(self, connection: Connection) -> str:
        if not connection.endpoint:
            return "AWS"
        named = choose_endpoint(self.environment, "S3")
        configured = Choice(self.environment.settings.endpoint or "", "`endpoint` of the operator's settings")
        return next((choice.origin for choice in (named, configured) if choice.value), "the AWS profile")

    @property
    def _hop(self) -> str:
        host, port = self.route.first_hop
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @contextmanager
    def _hop_explained(self) -> Iterator[None]:
        """Tell a proxy that cannot be reached from an endpoint."""
        try:
            yield
        except OSError as error:
            is_proxied = bool(self.route.proxy.value)
            failure = ProxyConnectionError(proxy_url=self._hop, error=error) if is_proxied else error
            raise explain(failure, self.call) from error

    async def check_dns(self) -> Finding:
        """Resolve the host that is connected to first."""
        host, port = self.route.first_hop
        with self._hop_explained():
            self.addresses = resolve(host, port, self._in_time(self.route.settings.connect_timeout))
        if self.addresses == [host]:
            return Finding("dns", "skipped", f"{host} is an address, not a name")
        more = f" and {len(self.addresses) - 3} more" if len(self.addresses) > 3 else ""
        return Finding("dns", "ok", f"{host} is {', '.join(self.addresses[:3])}{more}")

    async def check_tcp(self) -> Finding:
        """Connect to the endpoint, or to the proxy."""
        seconds = self._in_time(self.route.settings.connect_timeout)
        with self._hop_explained():
            self.address = open_connection(self.addresses, self.route.first_hop[1], seconds)
        what = "the proxy " if self.route.proxy.value else ""
        return Finding("tcp", "ok", f"{what}{self._hop} takes connections")

    async def check_tls(self) -> Finding:
        """Shake hands, and look at how long the certificate will serve."""
        if not self.route.is_tls:
            return Finding("tls", "skipped", f"{self.route.url} is spoken to without TLS")
        host = self.route.host
        if self.route.proxy.value:
            with explained(self.call):
                self.skew, self.is_asked = await measure_skew(self.route), True
            return Finding("tls", "ok", f"the certificate of {host} is accepted, through the proxy")
        with explained(self.call):
            shown = read_certificate(self.route, self.address)
        told = f"{shown.protocol}, the certificate of {host} is by {quote_path(shown.issuer)} and ends {shown.ends:%F}"
        if shown.ends - datetime.now(UTC) < min(_SHORTEST_LIFE, (shown.ends - shown.begins) / 10):
            return Finding("tls", "warning", f"{told}, soon", "renew the endpoint's certificate")
        return Finding("tls", "ok", told)

    async def check_clock(self) -> Finding:
        """Compare the sidecar's clock with the service's, which refuses what is signed at another time."""
        if not self.is_asked:
            with explained(self.call):
                self.skew = await measure_skew(self.route)
        skew = self.skew
        if skew is None:
            return Finding("clock", "skipped", f"{self.route.url} does not tell its time")
        told = f"the sidecar's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the service's"
        remedy = "set the node's clock"
        if abs(skew) > MOST_SKEW and not self.asked.anonymous:
            return Finding("clock", "failed", f"{told}, and S3 allows 15 minutes", remedy, SourceAccessError)
        if abs(skew) > NOTABLE_SKEW:
            return Finding("clock", "warning", told, remedy)
        return Finding("clock", "ok", "the sidecar's clock and the service's agree")

    async def check_credentials(self) -> Finding:
        """Find the credentials and open the client that the rest is asked with."""
        self.connection = await self.resources.enter_async_context(connect(self.asked, self.environment))
        if self.asked.anonymous:
            return Finding("credentials", "ok", "none are needed: the source is read anonymously")
        # The SDK offers no public way to ask.
        ends = getattr(self.connection.credentials, "_expiry_time", None)
        until = f", until {ends.astimezone(UTC):%FT%TZ} and then renewed" if ends else ""
        return Finding("credentials", "ok", f"{self.connection.identity.description}{until}")

    async def check_identity(self) -> Finding:
        """Ask STS who this is. S3 itself needs no answer, so none is no failure."""
        if self.asked.anonymous:
            return Finding("identity", "skipped", "the anonymous user is nobody in particular")
        endpoint = choose_endpoint(self.environment, "STS").value
        if self.connection.endpoint and not endpoint:
            return Finding(
                "identity",
                "skipped",
                f"STS is not asked, since {self.connection.endpoint} is not AWS: AWS_ENDPOINT_URL_STS may name its own",
            )
        try:
            caller = await self._ask_sts(endpoint)
            return Finding("identity", "ok", f"STS knows {self.connection.identity.description} as {caller['Arn']}")
        except (*FOREIGN, LookupError) as error:
            return self._judge_silence(error, is_aws=not self.connection.endpoint)

    async def _ask_sts(self, endpoint: str) -> Any:
        options = AioConfig(connect_timeout=_STS_SECONDS, read_timeout=_STS_SECONDS, retries={"total_max_attempts": 1})
        client = self.connection.session.create_client(
            "sts", region_name=self.connection.region, endpoint_url=endpoint or None, config=options
        )
        async with client as sts:
            return await sts.get_caller_identity()

    def _judge_silence(self, error: BaseException, *, is_aws: bool) -> Finding:
        """Tell credentials that AWS itself refuses from a service that has no such answer or cannot be reached."""
        judged = explain(error, Call("sts:GetCallerIdentity", "", identity=self.connection.identity))
        if is_aws and isinstance(judged, SourceAccessError):
            raise judged
        who = self.connection.identity.description
        return Finding("identity", "skipped", f"STS did not say who {who} is ({reason_of(error)})")

    async def check_list(self) -> Finding:
        """List the very path, and choose from it as a fetch does."""
        if not self.source:
            return Finding("list", "skipped", "no trigger file names a bucket")
        started = time.monotonic()
        listing = await list_source(self.connection)
        took = _milliseconds(started)
        files = select(listing, self.connection)
        self.prefix, self.file = listing.prefix, files[0]
        size = sum(file.size for file in files)
        return Finding(
            "list",
            "ok",
            f"{self.source.location} holds {_objects(len(listing.files))}, listed in {took}; "
            f"to be read: {_objects(len(files))}, {size:,} bytes",
        )

    async def check_get(self) -> Finding:
        """Read the first object of those, whole and verified, and keep nothing of it."""
        if not self.source:
            return Finding("get", "skipped", "no trigger file names a bucket")
        key = quote_path(self.prefix + self.file.path)
        started = time.monotonic()
        reader = ObjectReader(self.connection, lane=None, store=None, prefix=self.prefix)
        try:
            size = sum([len(chunk) async for chunk in reader.read(self.file)])
        except OutdatedListingError:
            remedy = "publish each release below a prefix of its own, and let `path` name it"
            return Finding("get", "warning", f"{key} changed while it was read: somebody writes there now", remedy)
        return Finding("get", "ok", f"{key} arrived whole in {_milliseconds(started)}: {size:,} bytes")

    def _in_time(self, seconds: float) -> float:
        return min(seconds, self.environment.deadline.remaining())


_STEPS = (
    _Step("sdk", _Examination.check_sdk),
    _Step("endpoint", _Examination.check_endpoint),
    _Step("dns", _Examination.check_dns, ("endpoint",)),
    _Step("tcp", _Examination.check_tcp, ("dns",)),
    _Step("tls", _Examination.check_tls, ("tcp",)),
    _Step("clock", _Examination.check_clock, ("tls",)),
    _Step("credentials", _Examination.check_credentials, ("endpoint",)),
    _Step("identity", _Examination.check_identity, ("credentials",)),
    _Step("list", _Examination.check_list, ("tls", "credentials")),
    _Step("get", _Examination.check_get, ("list",)),
)
"""Every check in its order."""


class _StopError(Exception):
    """A request was made up, and shall not be sent."""


def _stop(**_: Any) -> None:
    raise _StopError


def _objects(count: int) -> str:
    return f"{count:,} object{'' if count == 1 else 's'}"


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
