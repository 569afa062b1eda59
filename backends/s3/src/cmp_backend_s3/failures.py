"""Own the translation of what S3 and its SDK report into cmp-core's errors, by type and code, never by text."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import aiohttp
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from cmp_backend_s3.identity import UNKNOWN, Identity
from cmp_backend_s3.transport import SENT_STATUS
from cmp_backend_s3.verdicts import (
    CERTIFICATES,
    CODES,
    NO_DECRYPTION,
    NO_ROLE,
    NO_S3,
    OTHER,
    OTHER_TYPE,
    PAGE,
    PROXY_LOGIN,
    PROXY_REFUSAL,
    SERVER,
    SKEWED,
    STATUSES,
    TYPES,
    UNREADABLE,
    Verdict,
)
from cmp_core import CmpError, TransientFetchError
from cmp_core.transfer import quote_path

FOREIGN = (
    sdk.BotoCoreError,
    sdk.ClientError,
    ResponseParserError,
    aiohttp.ClientError,
    OSError,
    ValueError,
)
"""All that a call of the SDK may raise when the service, the network or the configuration fails.

The SDK raises plain ValueErrors for some wrong variables and for a profile's endpoint that is no URL.
"""

OUTDATED = frozenset({"404", "412", "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PreconditionFailed"})
"""The codes of an object that is no longer what the listing said."""

PROXY_STATUS = 407
"""What a proxy answers to whoever does not say who he is."""

CAPTIVE_STATUS = 511
"""What a network answers to whoever has not logged in to it (RFC 6585)."""

_LONGEST_QUOTE = 200
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the service, as a message names it.

    Attributes:
        action: What a policy calls it: ``s3:ListBucket``.
        bucket: The bucket, or the ARN or alias of an access point; empty for a call of another service.
        key: The prefix or key.
        region: The region that is asked.
        endpoint: The service's URL where it is not AWS's own.
        identity: Who asks.
    """

    action: str
    bucket: str
    key: str = ""
    region: str = ""
    endpoint: str = ""
    identity: Identity = UNKNOWN

    def __str__(self) -> str:
        """Return the call as a clause."""
        at = f" at {self.endpoint}" if self.endpoint else ""
        on = f" on s3://{self.bucket}/{escape(self.key)}" if self.bucket else ""
        return f"{self.action}{on}{at}"

    @property
    def resource(self) -> str:
        """The ARN that a policy must name."""
        partition = next((name for prefix, name in _PARTITIONS.items() if self.region.startswith(prefix)), "aws")
        arn = self.bucket if self.bucket.startswith("arn:") else f"arn:{partition}:s3:::{self.bucket}"
        if self.action != "s3:GetObject":
            return arn
        key = escape(self.key)
        return f"{arn}/object/{key}" if self.bucket.startswith("arn:") else f"{arn}/{key}"


def escape(key: str) -> str:
    """Return an untrusted key as a message may show it: short, and nothing in it acts on a terminal."""
    return quote_path(key)[1:-1]


@contextmanager
def explained(call: Call) -> Iterator[None]:
    """Turn whatever the SDK raises during `call` into one of cmp-core's errors."""
    try:
        yield
    except FOREIGN as error:
        raise explain(error, call) from error


def explain(error: BaseException, call: Call) -> CmpError:
    """Return the error that tells what `error` means for `call`."""
    if isinstance(error, sdk.ClientError):
        return _explain_answer(error, call)
    chain = tuple(_chain(error))
    for types, verdict in TYPES:
        if found := next((link for link in chain if isinstance(link, types)), None):
            return _compose(_refine(verdict, found), call, found)
    return _compose(OTHER_TYPE, call, error)


def _refine(verdict: Verdict, error: BaseException) -> Verdict:
    """Return what an exception means more closely, where it holds a number that says so."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATES.get(error.verify_code, verdict)
    if isinstance(error, aiohttp.ClientHttpProxyError) and 400 <= error.status < 500:
        return PROXY_LOGIN if error.status == PROXY_STATUS else PROXY_REFUSAL
    return verdict


def _explain_answer(error: sdk.ClientError, call: Call) -> CmpError:
    code = code_of(error)
    verdict = _judge(error, code)
    if is_role_refused(error):
        call = replace(call, action=f"sts:{error.operation_name}", endpoint="")
        helps_later = issubclass(verdict.error_class, TransientFetchError) or verdict is SKEWED
        verdict = verdict if helps_later else NO_ROLE
    return _compose(verdict, call, error, code)


def _judge(error: sdk.ClientError, code: str) -> Verdict:
    """Return what an answer means: by its code, and where that is unknown by its status."""
    if code in CODES:
        return CODES[code]
    if code.startswith("KMS"):
        return NO_DECRYPTION
    status = status_of(error)
    if status == PROXY_STATUS:
        return PROXY_LOGIN
    if _header(error, "content-type").startswith("text/html"):
        return PAGE if status >= 500 and status != CAPTIVE_STATUS else NO_S3
    if 200 <= status < 300 or (status >= 500 and code == str(status) and _header(error, "content-length") != "0"):
        return UNREADABLE
    return SERVER if status >= 500 else STATUSES.get(status, OTHER)


def status_of(error: sdk.ClientError) -> int:
    """Return the status that the service has sent; the SDK makes 500 of the 200 of an answer that it cannot read."""
    sent = _header(error, SENT_STATUS)
    return int(sent or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _header(error: sdk.ClientError, name: str) -> str:
    return str(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name, ""))


def code_of(error: sdk.ClientError) -> str:
    """Return the error code that the service answered with; the status where there was none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def reason_of(error: BaseException) -> str:
    """Return in one word why a call failed: the service's code, or the innermost exception's name."""
    if isinstance(error, sdk.ClientError):
        is_made_up = code_of(error) == "500"  # as status_of() says
        return str(status_of(error)) if is_made_up else _one_line(code_of(error), UNKNOWN) or "no code"
    return type(next(_chain(error))).__name__.removeprefix("_")


def is_role_refused(error: BaseException) -> bool:
    """Tell whether it is not S3 that failed but the service that gives a role, which the SDK has asked often enough."""
    return isinstance(error, sdk.ClientError) and error.operation_name.startswith("AssumeRole")


def not_s3(call: Call) -> CmpError:
    """Return the error for an answer that is well-formed, but not S3's."""
    return _compose(NO_S3, call, ValueError())


def _compose(verdict: Verdict, call: Call, error: BaseException, code: str = "") -> CmpError:
    decrypt = ", and kms:Decrypt where a KMS key encrypts it" if call.action == "s3:GetObject" else ""
    fields = {
        "action": call.action,
        "at": f" at {call.endpoint}" if call.endpoint else "",
        "bucket": call.bucket,
        "call": call,
        "code": _one_line(code, call.identity) or "no code",
        "decrypt": decrypt,
        "identity": call.identity.description,
        "reason": _reason(error),
        "region": call.region,
        "resource": call.resource,
        "said": _said(error, call),
        "status": status_of(error) if isinstance(error, sdk.ClientError) else getattr(error, "status", "no status"),
        "type": type(error).__name__,
    }
    remedy = verdict.sentence.rpartition(": ")[2]
    return verdict.error_class(verdict.sentence.format_map(fields), remedy=remedy.format_map(fields))


def _reason(error: BaseException) -> str:
    """Return why TLS failed, as OpenSSL puts it."""
    text = getattr(error, "verify_message", None) or getattr(error, "reason", None) or type(error).__name__
    return str(text).rstrip(".")


def _said(error: BaseException, call: Call) -> str:
    """Return what the service or SDK says itself, where it is fit to be repeated; AWS names the denied ARN there."""
    text = error.response.get("Error", {}).get("Message") if isinstance(error, sdk.ClientError) else str(error)
    quoted = _one_line(str(text or ""), call.identity)
    return f" (it says: {quoted})" if quoted else ""


def _one_line(text: str, identity: Identity) -> str:
    if any(secret in text for secret in identity.secrets) or "X-Amz-" in text:
        return ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the innermost reason first: the SDK keeps the transport's exception, which keeps the system's."""
    inner = getattr(error, "kwargs", {}).get("error") if isinstance(error, sdk.BotoCoreError) else None
    inner = inner or getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if inner is None and isinstance(error, aiohttp.ClientOSError):
        inner = error.__cause__
    if isinstance(inner, BaseException):
        yield from _chain(inner)
    yield error
