"""Own the connection: which endpoint, region, credentials and CA, and one client of the SDK made of them."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import s3fs
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import NoCredentialsError
from botocore.utils import parse_timestamp

from cmp_backend_s3.failures import Call, explain, explained
from cmp_backend_s3.identity import ANONYMOUS, Identity, describe_credentials
from cmp_backend_s3.retrying import Retries
from cmp_backend_s3.source import S3Source
from cmp_backend_s3.transport import Transport, ask_region_once
from cmp_core import BuildEnvironment, ConfigError, Settings
from cmp_core.transfer import quote_path

DEFAULT_REGION = "us-east-1"

_ENDPOINT = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Choice(NamedTuple):
    """A value that was chosen, empty where the SDK chooses, and where it comes from, for messages."""

    value: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One open client and all that was decided on the way to it.

    Attributes:
        client: The SDK's S3 client.
        credentials: The SDK's credentials, which renew themselves; None for anonymous access.
        identity: Who asks.
        region: The region that the client asks first.
        endpoint: The service's URL where it is not AWS's own, or an empty text.
        verify: The CA bundle's path, or True for the SDK's own.
        source: What is asked for.
        settings: The operator's settings.
        session: The SDK's session, for clients of other services.
        retries: The tries of every call.
    """

    client: Any
    credentials: Any
    identity: Identity
    region: str
    endpoint: str
    verify: str | bool
    source: S3Source
    settings: Settings
    session: AioSession
    retries: Retries

    @property
    def request_options(self) -> dict[str, str]:
        """The parameters that every call of the client takes."""
        return {"RequestPayer": "requester"} if self.source.requester_pays else {}

    def call(self, action: str, key: str) -> Call:
        """Describe a call of this connection, for messages."""
        return Call(action, self.source.bucket, key, self.region, self.endpoint, self.identity)


@asynccontextmanager
async def connect(source: S3Source, environment: BuildEnvironment) -> AsyncIterator[Connection]:
    """Open one client and close it again.

    Raises:
        ConfigError: A variable or the profile is wrong.
        SourceAccessError: There are no usable credentials.
        TransientFetchError: The service that gives credentials does not answer.
    """
    call = Call("s3:ListBucket", source.bucket, source.path.removeprefix("/"))
    endpoint = find_endpoint(environment)
    with explained(call):
        session = _open_session(environment)
        region = find_region(source, environment.variables, session.get_scoped_config())
        filesystem = _make_filesystem(source, environment.settings, session, endpoint, region)
        client = await filesystem.set_session()
    ask_region_once(client)
    retries = Retries(environment.settings.max_attempts, environment.deadline)
    try:
        with explained(call):
            credentials = None if source.anonymous else await session.get_credentials()
            identity = await _identify(credentials, source, session, environment.variables, call)
        with retries.told():
            yield Connection(
                client=client,
                credentials=credentials,
                identity=identity,
                region=region,
                endpoint=endpoint or _foreign_endpoint(client.meta.endpoint_url),
                verify=session.get_config_variable("ca_bundle"),
                source=source,
                settings=environment.settings,
                session=session,
                retries=retries,
            )
    finally:
        await client.close()


def find_endpoint(environment: BuildEnvironment) -> str:
    """Return the service's URL: a variable's, else the operator's setting; empty for what the SDK finds itself.

    Raises:
        ConfigError: A variable holds something else than a URL.
    """
    return choose_endpoint(environment, "S3").value or environment.settings.endpoint or ""


def choose_endpoint(environment: BuildEnvironment, service: str) -> Choice:
    """Return the URL that a variable names for a service: its own variable comes before the one for all.

    Raises:
        ConfigError: The variable holds something else than a URL.
    """
    variables = environment.variables
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        for name in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
            value = variables.get(name, "").strip()
            if value and not _ENDPOINT.fullmatch(value):
                raise ConfigError(
                    f"{name} is no URL: write `https://HOST[:PORT]` without user and password, or unset it"
                )
            if value:
                return Choice(value, name)
    return Choice("")


def find_region(source: S3Source, variables: Mapping[str, str], profile: Mapping[str, Any]) -> str:
    """Return the region to ask first; a bucket that lies elsewhere tells so."""
    return choose_region(source, variables, profile).value


def choose_region(source: S3Source, variables: Mapping[str, str], profile: Mapping[str, Any]) -> Choice:
    """Return the region to ask first: the first that is named anywhere, or the SDK's own."""
    named = (
        Choice(source.region or "", "the trigger file"),
        *(Choice(variables.get(name, ""), name) for name in _REGION_VARIABLES),
        Choice(profile.get("region") or "", "the AWS profile"),
    )
    return next((choice for choice in named if choice.value), Choice(DEFAULT_REGION, "the default"))


def find_ca_bundle(variables: Mapping[str, str], profile: Mapping[str, Any]) -> str | bool:
    """Return the CA bundle's path, or True for the SDK's own; certificates are always verified.

    Raises:
        ConfigError: The bundle cannot be read.
    """
    return choose_ca_bundle(variables, profile).value or True


def choose_ca_bundle(variables: Mapping[str, str], profile: Mapping[str, Any]) -> Choice:
    """Return the CA bundle's path, empty for the SDK's own.

    Raises:
        ConfigError: The bundle cannot be read.
    """
    named = [Choice(variables.get(name, ""), name) for name in _CA_VARIABLES]
    named.insert(1, Choice(profile.get("ca_bundle") or "", "`ca_bundle` of the AWS profile"))
    chosen = next((choice for choice in named if choice.value), Choice(""))
    path, name = chosen
    if path and not Path(path).is_file():
        raise ConfigError(f"{name} names {quote_path(path)}, which is no file here: correct the path, or unset it")
    return chosen


def _open_session(environment: BuildEnvironment) -> AioSession:
    """Open the SDK's session with its whole credential chain; a variable that is empty counts as unset."""
    variables = environment.variables
    profile = variables.get("AWS_PROFILE") or variables.get("AWS_DEFAULT_PROFILE") or None
    session = AioSession(session_vars={"profile": (None, None, profile, None)})
    session.set_config_variable("ca_bundle", find_ca_bundle(variables, session.get_scoped_config()))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    settings = environment.settings
    session.set_default_client_config(AioConfig(**_client_options(settings, attempts=settings.max_attempts)))
    return session


def _parse_time(value: Any) -> datetime:
    """Read a time; each listed object has one, and the SDK's own reading takes as long as the rest of its entry."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)  # type: ignore[no-any-return]  # the SDK has no types


def _make_filesystem(
    source: S3Source, settings: Settings, session: AioSession, endpoint: str, region: str
) -> s3fs.S3FileSystem:
    """Make the filesystem with every argument that matters, since fsspec's own files and variables fill the others."""
    return s3fs.S3FileSystem(
        anon=source.anonymous,
        asynchronous=True,
        cache_regions=False,
        client_kwargs={"region_name": region},
        config_kwargs=_client_options(settings, attempts=1),  # `retrying` owns the others
        endpoint_url=endpoint or None,
        key=None,
        password=None,
        requester_pays=source.requester_pays,
        s3_additional_kwargs={},
        secret=None,
        session=session,
        skip_instance_cache=True,
        token=None,
        use_listings_cache=False,
        use_ssl=True,
        username=None,
        version_aware=False,
    )


def _client_options(settings: Settings, *, attempts: int) -> dict[str, Any]:
    return {
        "connect_timeout": settings.connect_timeout,
        "http_session_cls": Transport,
        "max_pool_connections": settings.max_connections,
        "read_timeout": settings.read_timeout,
        "retries": {"mode": "standard", "total_max_attempts": attempts},
        "user_agent_extra": "cmp-backend-s3",
    }


async def _identify(
    credentials: Any, source: S3Source, session: AioSession, variables: Mapping[str, str], call: Call
) -> Identity:
    if source.anonymous:
        return ANONYMOUS
    if credentials is None:
        raise explain(NoCredentialsError(), call)
    frozen = await credentials.get_frozen_credentials()
    role = ""
    if credentials.method == "assume-role-with-web-identity":
        role = variables.get("AWS_ROLE_ARN", "")
    if credentials.method.startswith("assume-role"):
        role = role or session.get_scoped_config().get("role_arn", "")
    return describe_credentials(frozen, credentials.method, role)


def _foreign_endpoint(url: str) -> str:
    """Return the endpoint that a profile names, without a user and password; AWS's own are nothing to mention."""
    if re.fullmatch(r"https://[^/]*\.amazonaws\.[a-z.]+/?", url):
        return ""
    return re.sub(r"//[^/]*@", "//", url)
