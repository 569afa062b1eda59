"""Own the one table of what each error code of S3, and each exception of its SDK, means and what to do about it."""

import ssl
from dataclasses import dataclass
from socket import gaierror

import aiohttp
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from cmp_core import CmpError, ConfigError, FetchError, SourceAccessError, SourceNotFoundError, TransientFetchError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means: the class, and the sentence with fields of the call in braces."""

    error_class: type[CmpError]
    sentence: str


NO_BUCKET = Verdict(
    SourceNotFoundError, "the bucket `{bucket}` does not exist{at}: check `bucket`, the endpoint and the account"
)
DENIED = Verdict(
    SourceAccessError,
    "{call} was denied to {identity}: allow {action} on {resource} in the policies of the identity and the bucket"
    "{decrypt}{said}",
)
UNKNOWN_KEY = Verdict(
    SourceAccessError,
    "{call} was refused ({code}): the service does not know {identity}: correct the access key, or the endpoint",
)
BAD_SIGNATURE = Verdict(
    SourceAccessError,
    "{call} was refused ({code}): the secret does not belong to {identity}: correct the secret access key",
)
EXPIRED = Verdict(
    SourceAccessError,
    "{call} was refused ({code}): the credentials of {identity} are expired or invalid: renew them, or give the "
    "sidecar a role, whose credentials renew themselves",
)
SKEWED = Verdict(
    SourceAccessError, "{call} was refused ({code}): the sidecar's clock and the service's differ: set the node's clock"
)
NO_CREDENTIALS = Verdict(
    SourceAccessError,
    "no credentials were found for {call}: give the sidecar a role (IRSA, Pod Identity, instance role) or AWS_* "
    "variables, or write `anonymous: true` for a public bucket",
)
BROKEN_CREDENTIALS = Verdict(
    SourceAccessError,
    "no usable credentials for {call} ({type}): check what the sidecar's AWS_* variables and profile name{said}",
)
NO_ROLE = Verdict(
    SourceAccessError,
    "{action} was refused ({code}), so that s3://{bucket} cannot be read: check the role's ARN, its trust policy and "
    "the sidecar's service account{said}",
)
WRONG_REGION = Verdict(
    ConfigError,
    "{call} was refused ({code}): the bucket is not in the region {region}: set `region` to the bucket's own",
)
BAD_CONFIGURATION = Verdict(
    ConfigError, "{call} could not be made ({type}): correct the source or the sidecar's AWS configuration{said}"
)
THROTTLED = Verdict(
    TransientFetchError, "{call} was throttled ({code}) at every try: read fewer objects, or ask again later"
)
SERVER = Verdict(TransientFetchError, "{call} failed on the service's side ({code}) at every try: ask again later")
TIMED_OUT = Verdict(
    TransientFetchError,
    "{call} got no answer in time ({type}): check the network, or raise `connectTimeout` and `readTimeout` "
    "in the operator's settings",
)
GIVEN_UP = Verdict(
    TransientFetchError,
    "{call} was given up by the service ({code}) at every try, since it took too long: check the network, and ask "
    "again later",
)
REFUSED = Verdict(
    TransientFetchError,
    "{call} could not connect ({type}): check that the endpoint is right and reachable from the sidecar",
)
NO_NAME = Verdict(
    TransientFetchError,
    "{call} could not connect: the endpoint's host name is not known: check the endpoint, the region and the DNS",
)
NO_PROXY = Verdict(
    TransientFetchError, "{call} could not connect through the proxy: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
)
PROXY_LOGIN = Verdict(
    ConfigError,
    "{call} could not connect through the proxy, which demands a user and password (407): write them into HTTPS_PROXY "
    "or HTTP_PROXY, or name the endpoint in NO_PROXY",
)
PROXY_REFUSAL = Verdict(
    FetchError,
    "{call} could not connect through the proxy, which refused ({status}): let it allow the endpoint, or name the "
    "endpoint in NO_PROXY",
)
NO_TRUST = Verdict(
    FetchError,
    "{call} could not connect: TLS failed ({reason}): name the CA that signed the endpoint's certificate in "
    "AWS_CA_BUNDLE",
)
OLD_CERTIFICATE = Verdict(
    FetchError,
    "{call} could not connect: TLS failed ({reason}): renew the endpoint's certificate, and check the node's clock",
)
OTHER_CERTIFICATE = Verdict(
    FetchError,
    "{call} could not connect: TLS failed ({reason}): name the endpoint by a name that its certificate holds",
)
NO_TLS = Verdict(
    FetchError, "{call} could not connect: TLS failed ({reason}): check that the endpoint speaks https on this port"
)
BROKEN_OFF = Verdict(
    TransientFetchError, "{call} broke off ({type}) at every try: check the network, and ask again later"
)
GARBLED = Verdict(
    TransientFetchError,
    "{call} brought an answer against the rules of HTTP ({type}) at every try: look for a proxy or load balancer on "
    "the way, and ask again later",
)
UNREADABLE = Verdict(
    TransientFetchError,
    "{call} brought an answer that cannot be read (status {status}) at every try: ask again later, and check the "
    "endpoint and HTTPS_PROXY",
)
NO_S3 = Verdict(
    FetchError,
    "{call} was not answered as S3 does: a proxy or web page seems to stand in its place: check the endpoint and "
    "HTTPS_PROXY",
)
PAGE = Verdict(
    TransientFetchError,
    "{call} was answered by a web page ({status}) at every try, not by S3: ask again later, and check the endpoint and "
    "HTTPS_PROXY",
)
ARCHIVED = Verdict(
    FetchError, "{call} was refused ({code}): the object is archived: restore it, or `exclude` it from the source"
)
NO_DECRYPTION = Verdict(
    SourceAccessError,
    "{call} was refused ({code}): the object's KMS key cannot be used by {identity}: "
    "enable the key and allow kms:Decrypt",
)
OTHER = Verdict(FetchError, "{call} failed ({code}): see the S3 error codes for what it means{said}")
OTHER_TYPE = Verdict(FetchError, "{call} failed ({type}): check the endpoint and the network of the sidecar")

CODES: dict[str, Verdict] = {
    "AccessDenied": DENIED,
    "AccessDeniedException": DENIED,
    "AllAccessDisabled": DENIED,
    "AccountProblem": DENIED,
    "AuthFailure": UNKNOWN_KEY,
    "AuthorizationHeaderMalformed": WRONG_REGION,
    "BandwidthLimitExceeded": THROTTLED,
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "Forbidden": DENIED,
    "IllegalLocationConstraintException": WRONG_REGION,
    "IncorrectEndpoint": WRONG_REGION,
    "InternalError": SERVER,
    "InternalFailure": SERVER,
    "InvalidAccessKeyId": UNKNOWN_KEY,
    "InvalidClientTokenId": UNKNOWN_KEY,
    "InvalidObjectState": ARCHIVED,
    "InvalidToken": EXPIRED,
    "NoSuchBucket": NO_BUCKET,
    "NotImplemented": OTHER,
    "PermanentRedirect": WRONG_REGION,
    "Redirect": WRONG_REGION,
    "RequestExpired": SKEWED,
    "RequestLimitExceeded": THROTTLED,
    "RequestThrottled": THROTTLED,
    "RequestThrottledException": THROTTLED,
    "RequestTimeTooSkewed": SKEWED,
    "RequestTimeout": GIVEN_UP,
    "ServiceUnavailable": SERVER,
    "SignatureDoesNotMatch": BAD_SIGNATURE,
    "SlowDown": THROTTLED,
    "TemporaryRedirect": WRONG_REGION,
    "Throttling": THROTTLED,
    "ThrottlingException": THROTTLED,
    "TokenRefreshRequired": EXPIRED,
    "TooManyRequests": THROTTLED,
    "TooManyRequestsException": THROTTLED,
    "UnrecognizedClientException": UNKNOWN_KEY,
}
"""What each error code of S3 and STS means; any other is judged by its status."""

STATUSES = {
    301: WRONG_REGION,
    302: NO_S3,
    303: NO_S3,
    304: NO_S3,
    307: WRONG_REGION,
    308: NO_S3,
    401: DENIED,
    403: DENIED,
    404: NO_BUCKET,
    408: GIVEN_UP,
    429: THROTTLED,
}
"""What a status means where no code says more."""

CERTIFICATES = {9: OLD_CERTIFICATE, 10: OLD_CERTIFICATE, 62: OTHER_CERTIFICATE, 64: OTHER_CERTIFICATE}
"""What OpenSSL's X509_V_ERR codes mean, as far as it is not that nobody vouches."""

TYPES: tuple[tuple[tuple[type[BaseException], ...], Verdict], ...] = (
    ((sdk.NoCredentialsError,), NO_CREDENTIALS),
    (
        (
            sdk.PartialCredentialsError,
            sdk.CredentialRetrievalError,
            sdk.MetadataRetrievalError,
            sdk.TokenRetrievalError,
            sdk.SSOError,
            FileNotFoundError,
            PermissionError,
        ),
        BROKEN_CREDENTIALS,
    ),
    ((sdk.ProxyConnectionError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), NO_PROXY),
    ((ssl.SSLCertVerificationError,), NO_TRUST),
    ((sdk.SSLError, ssl.SSLError), NO_TLS),
    ((aiohttp.ClientConnectorDNSError, gaierror), NO_NAME),
    ((sdk.ConnectTimeoutError, sdk.ReadTimeoutError, TimeoutError), TIMED_OUT),
    (
        (
            sdk.ConnectionClosedError,
            sdk.ResponseStreamingError,
            sdk.IncompleteReadError,
            aiohttp.ClientPayloadError,
            aiohttp.ServerDisconnectedError,
            BrokenPipeError,
            ConnectionAbortedError,
            ConnectionResetError,
        ),
        BROKEN_OFF,
    ),
    ((aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError), GARBLED),
    ((sdk.EndpointConnectionError, ConnectionError), REFUSED),
    ((ResponseParserError,), NO_S3),
    ((sdk.HTTPClientError,), OTHER_TYPE),
    ((sdk.BotoCoreError, ValueError), BAD_CONFIGURATION),
)
"""What each of the SDK's and the transport's exceptions means; the first row that fits counts."""
