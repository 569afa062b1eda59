"""Own the translation of what S3 and its SDK report into cmp-core's errors, by type and code, never by text."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import aiohttp
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from cmp_backend_s3.identity import UNKNOWN, Identity
from cmp_backend_s3.verdicts import (
    CODES,
    NO_DECRYPTION,
    NO_ROLE,
    NO_S3,
    OTHER,
    OTHER_TYPE,
    PAGE,
    SERVER,
    SKEWED,
    STATUSES,
    TYPES,
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
    RecursionError,
    ValueError,
)
"""All that a call of the SDK may raise when the service, the network or the configuration fails.

The SDK recurses without end where a service redirects, and redirects the question for the region as well; it raises
plain ValueErrors for some wrong variables and for a profile's endpoint that is no URL.
"""

BROKEN = (sdk.HTTPClientError, sdk.ConnectionError, sdk.IncompleteReadError, aiohttp.ClientError, OSError)
"""What an answer that breaks off raises: the service may well give a whole one to the next try."""

OUTDATED = frozenset({"404", "412", "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PreconditionFailed"})
"""The codes of an object that is no longer what the listing said."""

_LONGEST_QUOTE = 200
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the service, as a message names it.

    Attributes:
        action: What a policy calls it: ``s3:ListBucket``.
        bucket: The bucket, or the ARN or alias of an access point.
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
        return f"{self.action} on s3://{self.bucket}/{escape(self.key)}{at}"

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
            return _compose(verdict, call, found)
    return _compose(OTHER_TYPE, call, error)


def _explain_answer(error: sdk.ClientError, call: Call) -> CmpError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    verdict = _judge(error, code, status)
    if error.operation_name.startswith("AssumeRole"):
        call = replace(call, action=f"sts:{error.operation_name}", endpoint="")
        helps_later = issubclass(verdict.error_class, TransientFetchError) or verdict is SKEWED
        verdict = verdict if helps_later else NO_ROLE
    return _compose(verdict, call, error, code)


def _judge(error: sdk.ClientError, code: str, status: int) -> Verdict:
    """Return what an answer means: by its code, and where that is unknown by its status."""
    if code in CODES:
        return CODES[code]
    if code.startswith("KMS"):
        return NO_DECRYPTION
    if _is_page(error):
        return PAGE if status >= 500 else NO_S3
    return SERVER if status >= 500 else STATUSES.get(status, OTHER)


def _is_page(error: sdk.ClientError) -> bool:
    """Tell whether the answer was made for a browser; the SDK counts one of status 200 as 500."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("content-type", "")).startswith("text/html")


def code_of(error: sdk.ClientError) -> str:
    """Return the error code that the service answered with; the status where there was none."""
    return str(error.response.get("Error", {}).get("Code", ""))


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
        "code": _one_line(code, call) or "no code",
        "decrypt": decrypt,
        "identity": call.identity.description,
        "reason": getattr(error, "verify_message", None) or getattr(error, "reason", None) or type(error).__name__,
        "region": call.region,
        "resource": call.resource,
        "said": _said(error, call),
        "type": type(error).__name__,
    }
    return verdict.error_class(verdict.sentence.format_map(fields))


def _said(error: BaseException, call: Call) -> str:
    """Return what the service or SDK says itself, where it is fit to be repeated; AWS names the denied ARN there."""
    text = error.response.get("Error", {}).get("Message") if isinstance(error, sdk.ClientError) else str(error)
    quoted = _one_line(str(text or ""), call)
    return f" (it says: {quoted})" if quoted else ""


def _one_line(text: str, call: Call) -> str:
    if any(secret in text for secret in call.identity.secrets) or "X-Amz-" in text:
        return ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the innermost reason first: the SDK keeps the transport's exception, which keeps the system's."""
    inner = getattr(error, "kwargs", {}).get("error") if isinstance(error, sdk.BotoCoreError) else None
    inner = inner or getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(inner, BaseException):
        yield from _chain(inner)
    yield error
