"""Own the shape of ``s3-source.yaml``: which bucket and path are accepted, and what is wrong with the others."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from cmp_core import Source

WHOLE_BUCKET = "/"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_ACCESS_POINT = re.compile(r"arn:aws[a-z-]*:s3:[a-z0-9-]+:\d{12}:accesspoint[/:][a-z0-9][a-z0-9-]{1,48}[a-z0-9]")
_MULTI_REGION = re.compile(r"arn:aws[a-z-]*:s3::\d{12}:accesspoint[/:].*")
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_URL = re.compile(r"s3[an]?://([^/]*)/?(.*)", re.IGNORECASE | re.DOTALL)
_MOST_KEY_BYTES = 1024  # of a key, by S3's own rule


def _check_bucket(bucket: str) -> str:
    """Hold a bucket to the naming rules of S3 (User Guide, "General purpose bucket naming rules")."""
    if url := _URL.fullmatch(bucket):
        raise ValueError(f"is a URL: write {_split_url(url)}")
    if "/" in bucket and not bucket.startswith("arn:"):
        raise ValueError("holds a slash: write the bucket's name alone, and what comes after it under `path:`")
    if _MULTI_REGION.fullmatch(bucket):
        raise ValueError("is a multi-region access point, which cannot be read: name one of its buckets")
    if bucket.startswith("arn:"):
        if not _ACCESS_POINT.fullmatch(bucket):
            raise ValueError(
                "is no ARN of an access point: write `arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME`, or a bucket's name"
            )
        return bucket
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or _IP_ADDRESS.fullmatch(bucket):
        raise ValueError(
            "is no bucket name: write 3 to 63 lower-case letters, digits, dots and hyphens that begin and end with "
            "a letter or digit, or the ARN or alias of an access point"
        )
    return bucket


def _check_path(path: str) -> str:
    """Hold a path to one meaning: the folder or object that it names, and no other."""
    if path == WHOLE_BUCKET:
        return path
    if url := _URL.fullmatch(path):
        raise ValueError(f"is a URL: write {_split_url(url)}")
    if not path:
        raise ValueError("is empty: name a folder or an object, or write `path: /` for the whole bucket")
    if path.startswith("/"):
        raise ValueError(f"begins with a slash, which keys do not: write `path: {path.lstrip('/') or '/'}`")
    if not path.isprintable() and any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise ValueError("holds a control character: remove it")
    segments = path.removesuffix("/").split("/")
    if "" in segments:
        raise ValueError("holds `//`: write one slash between two folders")
    if {".", ".."} & set(segments):
        raise ValueError("holds `.` or `..`, which S3 does not resolve: write the folders out")
    if len(path.encode("utf-8", "surrogatepass")) > _MOST_KEY_BYTES:
        raise ValueError(f"is longer than {_MOST_KEY_BYTES} bytes, which no key is: shorten it")
    return path


def _check_region(region: str) -> str:
    if len(region) > 63 or not _REGION.fullmatch(region):
        raise ValueError("is no region: write its short name, for example `eu-central-1`")
    return region


def _split_url(url: re.Match[str]) -> str:
    return f"`bucket: {url[1] or '…'}` and `path: {url[2] or '/'}`"


class S3Source(Source):
    """Objects below a prefix of an S3 bucket, or one object."""

    bucket: Annotated[
        str,
        AfterValidator(_check_bucket),
        Field(
            description="The bucket's name, or the ARN or alias of an access point.",
            examples=["test-bucket", "arn:aws:s3:eu-central-1:123456789012:accesspoint/manifests"],
        ),
    ]
    path: Annotated[
        str,
        AfterValidator(_check_path),
        Field(
            description="A folder, of which everything below is read, or one object; `/` is the whole bucket. "
            "`apps/demo` never means `apps/demo-app`.",
            examples=["apps/demo-app", "apps/demo-app/deployment.yaml", "/"],
        ),
    ]
    region: Annotated[
        str | None,
        AfterValidator(lambda region: region and _check_region(region)),
        Field(
            description="The bucket's region. Needed only where it cannot be found by itself.",
            examples=["eu-central-1"],
        ),
    ] = None
    anonymous: Annotated[
        bool,
        Field(description="Read a public bucket without credentials; nothing is signed.", examples=[False]),
    ] = False
    requester_pays: Annotated[
        bool,
        Field(description="Agree to pay for the requests, as a requester-pays bucket demands.", examples=[False]),
    ] = False

    @field_validator("requester_pays")
    @classmethod
    def _check_payer(cls, requester_pays: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic passes it so
        if requester_pays and info.data.get("anonymous"):
            raise ValueError("needs somebody to bill: remove it, or remove `anonymous`")
        return requester_pays

    @property
    def location(self) -> str:
        """Where the source lies: ``s3://bucket/path``."""
        return f"s3://{self.bucket}/{self.path.removeprefix('/')}"
