"""Endpoint, region, credentials and CA come from the sidecar, and an empty variable counts as unset."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from cmp_backend_s3.fastlane import BucketAddress
from cmp_backend_s3.identity import describe_credentials
from cmp_backend_s3.listing import list_source
from cmp_backend_s3.session import connect, find_endpoint, find_region
from cmp_backend_s3.source import S3Source

from cmp_core import BuildEnvironment, ConfigError, Settings, SourceAccessError, TransientFetchError


def seen_by_client(environment: BuildEnvironment, **fields: Any) -> dict[str, Any]:
    """Return what a connection decides, without asking any service."""
    source = S3Source.model_validate({"bucket": "test-bucket", "path": "p", **fields})

    async def look() -> dict[str, Any]:
        async with connect(source, environment) as connection:
            return {
                "endpoint": connection.client.meta.endpoint_url,
                "foreign": connection.endpoint,
                "identity": connection.identity,
                "region": connection.client.meta.region_name,
                "verify": connection.verify,
                "config": connection.client.meta.config,
                "default_config": connection.session.get_default_client_config(),
            }

    return asyncio.run(look())


@pytest.mark.parametrize("empty", [{"AWS_ENDPOINT_URL": ""}, {"AWS_ENDPOINT_URL_S3": ""}, {"AWS_ENDPOINT_URL": " "}])
def test_an_empty_endpoint_variable_leaves_the_real_aws(empty: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a template left empty means AWS itself, not a broken URL."""
    for name, value in empty.items():
        monkeypatch.setenv(name, value.strip())

    seen = seen_by_client(BuildEnvironment(variables=empty), region="eu-central-1")

    assert seen["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    assert seen["foreign"] == ""


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_SESSION_TOKEN",
    ],
)
def test_any_empty_variable_counts_as_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDK stumbles over an empty variable, the backend does not; certificates are verified all the same."""
    monkeypatch.setenv(name, "")

    seen = seen_by_client(BuildEnvironment(variables={name: ""}))

    assert seen["endpoint"] == "https://s3.amazonaws.com"
    assert seen["region"] == "us-east-1"
    assert seen["verify"] is True


@pytest.mark.parametrize(
    ("variables", "setting", "expected"),
    [
        ({}, None, ""),
        ({}, "http://setting", "http://setting"),
        ({"AWS_ENDPOINT_URL": "http://all"}, "http://setting", "http://all"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://own"}, None, "http://own"),
        ({"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": ""}, "http://setting", "http://setting"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None, ""),
    ],
)
def test_the_endpoint_is_the_nearest_that_is_set(variables: dict[str, str], setting: str | None, expected: str) -> None:
    """The variable for S3 comes before the one for all services, and both before the operator's setting."""
    environment = BuildEnvironment(variables=variables, settings=Settings(endpoint=setting))

    assert find_endpoint(environment) == expected


@pytest.mark.parametrize("value", ["minio:9000", "ftp://minio", "http://user:secret@minio", "http://", "http://a b"])
def test_an_endpoint_that_is_no_url_names_the_variable(value: str) -> None:
    """The message tells where the value came from and does not repeat it, for it may hold a password."""
    with pytest.raises(ConfigError, match=r"^AWS_ENDPOINT_URL is no URL: write") as refused:
        find_endpoint(BuildEnvironment(variables={"AWS_ENDPOINT_URL": value}))

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("own", "variables", "profile", "expected"),
    [
        (None, {}, {}, "us-east-1"),
        (None, {}, {"region": "eu-west-3"}, "eu-west-3"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-2"}, {"region": "eu-west-3"}, "eu-west-2"),
        (None, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, {}, "eu-west-1"),
        (None, {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, {"region": "eu-west-3"}, "eu-west-3"),
        ("eu-north-1", {"AWS_REGION": "eu-west-1"}, {}, "eu-north-1"),
    ],
)
def test_the_region_is_the_nearest_that_is_set(
    own: str | None, variables: dict[str, str], profile: dict[str, str], expected: str
) -> None:
    """The source comes before the variables, and those before the profile."""
    source = S3Source(bucket="test-bucket", path="p", region=own)

    assert find_region(source, variables, profile) == expected


def test_a_ca_bundle_that_is_missing_is_named(tmp_path: Path) -> None:
    """A wrong path is told before any connection fails for it."""
    environment = BuildEnvironment(variables={"AWS_CA_BUNDLE": str(tmp_path / "no.pem")})

    with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE names `.*/no\.pem`, which is no file here"):
        seen_by_client(environment)


def test_a_profile_that_is_missing_is_named() -> None:
    """AWS_PROFILE without such a profile is a mistake of the configuration."""
    with pytest.raises(ConfigError, match=r"ProfileNotFound.*nobody"):
        seen_by_client(BuildEnvironment(variables={"AWS_PROFILE": "nobody"}))


def test_a_profile_gives_credentials_region_and_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own files are heard, and the message tells that the key came from there."""
    config = tmp_path / "config"
    config.write_text(
        "[profile team]\naws_access_key_id = AKIAPROFILE9876\naws_secret_access_key = x\nregion = eu-west-3\n"
        "endpoint_url = http://minio:9000\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    seen = seen_by_client(BuildEnvironment(variables={"AWS_PROFILE": "team"}))

    assert (seen["region"], seen["foreign"]) == ("eu-west-3", "http://minio:9000")
    assert seen["identity"].description == "access key …9876 (the AWS config file)"


def test_a_profiles_endpoint_that_is_no_url_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's bare ValueError becomes a sentence that repeats what is wrong."""
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = minio\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    with pytest.raises(ConfigError, match="Invalid endpoint: minio"):
        seen_by_client(BuildEnvironment())


def test_the_operators_settings_bound_the_client() -> None:
    """Time-outs and connections of the SDK are those of the settings; its tries for S3 are our own loop's."""
    settings = Settings(connectTimeout=1.5, readTimeout=2.5, maxAttempts=3, maxConnections=7)

    seen = seen_by_client(BuildEnvironment(settings=settings))

    for config in (seen["config"], seen["default_config"]):
        assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (1.5, 2.5, 7)
    assert (seen["config"].retries["mode"], seen["config"].retries["total_max_attempts"]) == ("standard", 1)
    assert (seen["default_config"].retries["mode"], seen["default_config"].retries["total_max_attempts"]) == (
        "standard",
        3,
    )


def test_the_real_aws_is_asked_by_the_buckets_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint the bucket is a part of the host, as AWS wants it."""
    source = S3Source(bucket="test-bucket", path="p", region="eu-central-1")

    async def sign() -> str:
        async with connect(source, BuildEnvironment()) as connection:
            url = await connection.client.generate_presigned_url("list_objects_v2", Params={"Bucket": "test-bucket"})
            return str(url)

    assert asyncio.run(sign()).startswith("https://test-bucket.s3")


def test_a_web_identity_without_its_token_is_an_access_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account whose token is not mounted is told as missing credentials, not as a crash."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))

    with pytest.raises(SourceAccessError, match=r"s3://test-bucket/p.*token"):
        seen_by_client(BuildEnvironment())


def test_a_web_identity_is_named_by_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto_url: str) -> None:
    """IRSA's credentials are told by the role, which stays when the keys are rotated."""
    role = "arn:aws:iam::123456789012:role/reader"
    token = tmp_path / "token"
    token.write_text("a-token")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_url)

    identity = seen_by_client(BuildEnvironment(variables={"AWS_ROLE_ARN": role}))["identity"]

    assert identity.name == f"role {role}"
    assert identity.description.startswith(f"role {role} (the service account's web identity, access key …")


def test_an_identity_shows_the_end_of_its_key_and_nothing_secret() -> None:
    """The description is for messages that everybody reads."""
    frozen = type("Frozen", (), {"access_key": "AKIAIOSFODNN7WXYZ", "secret_key": "the-secret", "token": "the-token"})

    identity = describe_credentials(frozen, "env", "")

    assert identity.description == "access key …WXYZ (environment variables)"
    assert "the-secret" not in repr(identity)
    assert "the-token" not in repr(identity)
    assert identity.secrets == ("the-secret", "the-token")


def redirecting(faults: Any, region: str, status: int, code: str) -> Any:
    """Return a script of a service that serves a bucket of one region only, as S3 does."""

    def script(request: Any, forward: Any) -> Any:
        if f"/{region}/s3/aws4_request" in request.headers.get("authorization", ""):
            return None
        extra = f"<Region>{region}</Region>" if status == 400 else ""
        return faults.Reply.error(status, code, "wrong region", extra, **{"x-amz-bucket-region": region})

    return script


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")])
def test_the_buckets_region_is_found_by_itself(
    put: Any, fetch_source: Any, faults: Any, status: int, code: str
) -> None:
    """A bucket in another region costs one more listing; every object is signed for the right one at once."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})
    faults.script = redirecting(faults, "eu-central-1", status, code)

    artifact = fetch_source("p")

    assert artifact.files == ("a.yaml", "b.yaml")
    assert len(faults.listings) == 3
    assert len(faults.gets) == 2
    assert all("/eu-central-1/s3/" in seen.headers["authorization"] for seen in faults.gets)


def test_a_region_that_cannot_be_found_is_a_configuration_error(fetch_source: Any, faults: Any) -> None:
    """Where the service does not tell the region, the message names the field to set."""
    faults.script = lambda *_: faults.Reply.error(301, "PermanentRedirect", "elsewhere")

    with pytest.raises(ConfigError, match="the bucket is not in the region us-east-1: set `region`"):
        fetch_source("p")


@pytest.mark.parametrize(
    ("bucket", "url"),
    [
        ("test-bucket", "https://test-bucket.s3.eu-central-1.amazonaws.com/"),
        ("my.dotted.bucket", "https://s3.eu-central-1.amazonaws.com/my.dotted.bucket/"),
        (
            "arn:aws:s3:eu-central-1:123456789012:accesspoint/manifests",
            "https://manifests-123456789012.s3-accesspoint.eu-central-1.amazonaws.com/",
        ),
    ],
)
def test_the_fast_lane_learns_the_buckets_address_from_the_sdk(
    bucket: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS itself the URL, the region and the kind of signature are those that the SDK chose for the listing."""
    source = S3Source(bucket=bucket, path="p", region="eu-central-1")
    address = BucketAddress()

    async def list_behind_a_closed_proxy() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
            async with connect(source, BuildEnvironment(settings=Settings(maxAttempts=1))) as connection:
                address.watch(connection)
                with pytest.raises(TransientFetchError, match="through the proxy"):
                    await list_source(connection)

    asyncio.run(list_behind_a_closed_proxy())

    assert (address.url, address.region) == (url, "eu-central-1")
    assert address.is_signed
    assert address.is_plain
