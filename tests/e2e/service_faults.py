"""Own the rows of the table in which the service refuses, redirects or fails."""

from e2e.fault_stage import FIRST, GETTING, LISTING, PAUSED, PAUSED_ONCE, Arrange, Row, Stage, again, on_get, on_listing
from e2e.wire_faults import NOT_S3

from cmp_core import ConfigError, FetchError, SourceAccessError, SourceNotFoundError, TransientFetchError
from tools.fault_server import Answer, Fault, error, is_any, is_get_of, is_listing, page

WHO = "access key …LE00 (environment variables)"
CHANGES = (
    "s3://test-bucket/apps/demo changes faster than it can be read (3 listings in a row were outdated): publish each "
    "release below a prefix of its own, and let `path` name it"
)
REGION = "the bucket is not in the region us-east-1: set `region` to the bucket's own"
SLOW_DOWN = Fault(error(503, "SlowDown", "Please reduce your request rate."))
is_first = is_get_of(FIRST)


def redirect_to_login(stage: Stage) -> None:
    """Send everything to a login page of another host."""
    elsewhere = stage.open_server()
    elsewhere.on(is_any, Fault(page(200)))
    stage.faults.on(is_any, Fault(Answer(302, b"", (("Location", f"{elsewhere.url}/login"),))))


def redirect_elsewhere(stage: Stage) -> None:
    """Send everything to another endpoint, as S3 does with a bucket that is new in another region."""
    elsewhere = stage.open_server()
    answer = error(307, "TemporaryRedirect", headers=(("Location", f"{elsewhere.url}/test-bucket?list-type=2"),))
    stage.faults.on(is_any, Fault(answer))


def redirect_to(region: str) -> Arrange:
    """Say that the bucket is in another region."""
    headers = (("x-amz-bucket-region", region),) if region else ()
    return lambda stage: stage.faults.on(is_any, Fault(error(301, "PermanentRedirect", headers=headers)))


def ask_other_region(stage: Stage) -> None:
    """Let the sidecar begin in a region where the bucket is not; the S3 server tells its own."""
    stage.variables["AWS_REGION"] = "eu-west-1"


def mistype_secret(stage: Stage) -> None:
    """Give the sidecar a secret key that the S3 server does not know."""
    stage.variables["AWS_SECRET_ACCESS_KEY"] = "another-made-up-secret-key-of-the-tests"


SERVICE = (
    Row(
        "500",
        "500 InternalError for an object, always",
        on_get(Fault(error(500, "InternalError"))),
        TransientFetchError,
        f"{GETTING} failed on the service's side (InternalError) at every try: ask again later"
        + again("GetObject", "InternalError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "500-once",
        "... once",
        on_get(Fault(error(500, "InternalError")), times=1),
        text="asked again once: s3:GetObject InternalError",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "502-without-a-body",
        "502 with nothing in it",
        on_listing(Fault(Answer(502))),
        TransientFetchError,
        f"{LISTING} failed on the service's side (502) at every try: ask again later" + again("ListBucket", "502"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "503-slow-down-once",
        "503 SlowDown, once",
        on_get(SLOW_DOWN, times=1),
        text="asked again once: s3:GetObject SlowDown",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "503-slow-down-3",
        "503 SlowDown, 3 in a row, with the default of 4 tries",
        on_get(SLOW_DOWN, times=3),
        text="asked again 3 times: s3:GetObject SlowDown",
        asked=4,
        counts=is_first,
        settings={"CMP_MAX_ATTEMPTS": "4"},
        seconds=PAUSED + 4,
    ),
    Row(
        "503-slow-down-20",
        "503 SlowDown, 20 in a row",
        on_get(SLOW_DOWN, times=20),
        TransientFetchError,
        f"{GETTING} was throttled (SlowDown) at every try: read fewer objects, or ask again later"
        + again("GetObject", "SlowDown"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "503-slow-down-20-for-the-listing",
        "... for the listing",
        on_listing(SLOW_DOWN, times=20),
        TransientFetchError,
        f"{LISTING} was throttled (SlowDown) at every try: read fewer objects, or ask again later"
        + again("ListBucket", "SlowDown"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "503-with-patience",
        "503 SlowDown with a `Retry-After` of an hour: no more than the longest pause, 5 s, is waited",
        on_get(Fault(error(503, "SlowDown", headers=(("Retry-After", "3600"),))), times=1),
        text="asked again once: s3:GetObject SlowDown",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE + 5,
    ),
    Row(
        "503-from-a-load-balancer",
        "503 with a web page, from a load balancer",
        on_listing(Fault(page(503, "Service unavailable"))),
        TransientFetchError,
        f"{LISTING} was answered by a web page (503) at every try, not by S3: ask again later, and check the endpoint "
        "and HTTPS_PROXY" + again("ListBucket", "503"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "429",
        "429 TooManyRequests",
        on_get(Fault(error(429, "TooManyRequests"))),
        TransientFetchError,
        f"{GETTING} was throttled (TooManyRequests) at every try: read fewer objects, or ask again later"
        + again("GetObject", "TooManyRequests"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "408",
        "408 without a code",
        on_get(Fault(Answer(408))),
        TransientFetchError,
        f"{GETTING} was given up by the service (408) at every try, since it took too long: check the network, and ask "
        "again later" + again("GetObject", "408"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "403-on-the-listing",
        "403 AccessDenied for the listing",
        on_listing(Fault(error(403, "AccessDenied", "Access Denied"))),
        SourceAccessError,
        f"{LISTING} was denied to {WHO}: allow s3:ListBucket on arn:aws:s3:::test-bucket in the policies of the "
        "identity and the bucket (it says: Access Denied)",
        counts=is_listing,
    ),
    Row(
        "403-on-one-object",
        "403 AccessDenied for one of the objects",
        on_get(Fault(error(403, "AccessDenied", "Access Denied"))),
        SourceAccessError,
        f"{GETTING} was denied to {WHO}: allow s3:GetObject on arn:aws:s3:::test-bucket/apps/demo/a.yaml in the "
        "policies of the identity and the bucket, and kms:Decrypt where a KMS key encrypts it (it says: Access Denied)",
        counts=is_first,
    ),
    Row(
        "404-bucket",
        "404 NoSuchBucket",
        on_listing(Fault(error(404, "NoSuchBucket"))),
        SourceNotFoundError,
        "the bucket `test-bucket` does not exist at ENDPOINT: check `bucket`, the endpoint and the account",
        counts=is_listing,
    ),
    Row(
        "404-object",
        "an object that is listed is not there, each time",
        on_get(Fault(error(404, "NoSuchKey"))),
        TransientFetchError,
        CHANGES,
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "301-real",
        "the bucket is in another region than the sidecar's, and the service says in which",
        ask_other_region,
        asked=3,
        counts=is_listing,
    ),
    Row(
        "301-with-a-region",
        "301 to another region, and 301 from there, too",
        redirect_to("eu-west-1"),
        ConfigError,
        f"{LISTING} was refused (PermanentRedirect): {REGION}",
        asked=2,
    ),
    Row(
        "301-without-a-region",
        "301 without a word where to, also for the question where the bucket is",
        redirect_to(""),
        ConfigError,
        f"{LISTING} was refused (PermanentRedirect): {REGION}",
        asked=2,
    ),
    Row(
        "307",
        "307 to another endpoint: it is not followed, since the signature holds for one host only",
        redirect_elsewhere,
        ConfigError,
        f"{LISTING} was refused (TemporaryRedirect): {REGION}",
        asked=2,
    ),
    Row(
        "302-to-a-login",
        "302 to a login page: it is not followed",
        redirect_to_login,
        FetchError,
        f"{LISTING} {NOT_S3}",
        asked=2,
    ),
    Row(
        "token-expires",
        "the session token expires between the listing and the objects",
        on_get(Fault(error(400, "ExpiredToken", "The provided token has expired."))),
        SourceAccessError,
        f"{GETTING} was refused (ExpiredToken): the credentials of {WHO} are expired or invalid: renew them, or give "
        "the sidecar a role, whose credentials renew themselves",
        counts=is_first,
    ),
    Row(
        "wrong-clock",
        "403 RequestTimeTooSkewed: the node's clock is wrong",
        on_listing(Fault(error(403, "RequestTimeTooSkewed", "The difference is too large."))),
        SourceAccessError,
        f"{LISTING} was refused (RequestTimeTooSkewed): the sidecar's clock and the service's differ: set the node's "
        "clock",
        counts=is_listing,
    ),
    Row(
        "wrong-secret",
        "the secret key is another one than the service knows",
        mistype_secret,
        SourceAccessError,
        f"{LISTING} was refused (SignatureDoesNotMatch): the secret does not belong to {WHO}: correct the secret "
        "access key",
        counts=is_listing,
    ),
    Row(
        "secret-in-an-error",
        "an error of the service repeats the secret key",
        on_listing(Fault(error(403, "AccessDenied", "made-up-secret-access-key-of-the-tests"))),
        SourceAccessError,
        f"{LISTING} was denied to {WHO}: allow s3:ListBucket on arn:aws:s3:::test-bucket in the policies of the "
        "identity and the bucket",
        counts=is_listing,
    ),
    Row(
        "huge-error",
        "an error of the service is a megabyte long",
        on_get(Fault(error(403, "AccessDenied", "no " * 350_000))),
        SourceAccessError,
        f"{GETTING} was denied to {WHO}: allow s3:GetObject on arn:aws:s3:::test-bucket/apps/demo/a.yaml in the "
        "policies of the identity and the bucket, and kms:Decrypt where a KMS key encrypts it (it says: Forbidden)",
        counts=is_first,
    ),
    Row(
        "archived",
        "403 InvalidObjectState: an object is in Glacier",
        on_get(Fault(error(403, "InvalidObjectState"))),
        FetchError,
        f"{GETTING} was refused (InvalidObjectState): the object is archived: restore it, or `exclude` it from the "
        "source",
        counts=is_first,
    ),
    Row(
        "key-disabled",
        "400 KMS.DisabledException: an object's KMS key is disabled",
        on_get(Fault(error(400, "KMS.DisabledException"))),
        SourceAccessError,
        f"{GETTING} was refused (KMS.DisabledException): the object's KMS key cannot be used by {WHO}: enable the key "
        "and allow kms:Decrypt",
        counts=is_first,
    ),
)
