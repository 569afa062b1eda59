"""Own the proof that the bytes received are those that S3 keeps: size and every checksum that S3 gives."""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping

_CHECKSUM_HEADER = "x-amz-checksum-"
_MD5 = re.compile(r"[0-9a-f]{32}")


def find_corruption(content: bytes, headers: Mapping[str, str], size: int) -> str:
    """Return how `content` differs from what was announced, as a clause; empty where it does not.

    Args:
        content: The object's bytes.
        headers: The answer's headers, their names in lower case.
        size: The bytes that the listing announced.
    """
    if len(content) != size:
        return f"has {'more' if len(content) > size else 'fewer'} bytes than the {size} of the listing"
    etag = headers.get("etag", "").strip('"')
    if _is_md5(etag, headers) and hashlib.md5(content, usedforsecurity=False).hexdigest() != etag:
        return "does not have the MD5 of its ETag"
    for algorithm, compute in _ALGORITHMS.items():
        expected = headers.get(_CHECKSUM_HEADER + algorithm, "")
        if expected and "-" not in expected and compute(content) != _decode(expected):
            return f"does not have its {algorithm.upper()} checksum"
    return ""


def _is_md5(etag: str, headers: Mapping[str, str]) -> bool:
    """Tell whether the ETag is the content's MD5: not with several parts, KMS or a customer's own key.

    AWS, "Common Response Headers": objects in plain text or under SSE-S3 (AES256) have their MD5 as ETag.
    """
    plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
    own_key = "x-amz-server-side-encryption-customer-algorithm" in headers
    return plain and not own_key and _MD5.fullmatch(etag) is not None


def _decode(expected: str) -> bytes:
    try:
        return base64.b64decode(expected, validate=True)
    except ValueError:
        return b""


def _crc32c(content: bytes) -> bytes:
    from awscrt.checksums import crc32c  # noqa: PLC0415  # loaded only where an object has such a checksum

    return int(crc32c(content)).to_bytes(4)


def _crc64nvme(content: bytes) -> bytes:
    from awscrt.checksums import crc64nvme  # noqa: PLC0415  # loaded only where an object has such a checksum

    return int(crc64nvme(content)).to_bytes(8)


_ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda content: zlib.crc32(content).to_bytes(4),
    "crc32c": _crc32c,
    "crc64nvme": _crc64nvme,
    "sha1": lambda content: hashlib.sha1(content, usedforsecurity=False).digest(),
    "sha256": lambda content: hashlib.sha256(content).digest(),
}
