"""Own what tools and tests do to a bucket of the S3 servers that they run: connect, upload as CI would, list, empty."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from tools.versitygw import ACCESS_KEY, REGION, SECRET_KEY

BUCKET = "test-bucket"


def connect(endpoint: str, **settings: Any) -> Any:
    """Return a client of the server at the address, with what else boto3's is given."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        **settings,
    )


def sidecar_variables(endpoint: str) -> dict[str, str]:
    """Return the variables with which a sidecar reads from the server at the address."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def make_bucket(client: Any, bucket: str = BUCKET) -> None:
    """Make a bucket where there is none of this name."""
    if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)


def upload(client: Any, objects: Mapping[str, bytes], bucket: str = BUCKET) -> None:
    """Put objects into a bucket, which is made if need be."""
    make_bucket(client, bucket)
    for key, content in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)


def keys(client: Any, bucket: str = BUCKET, prefix: str = "") -> Iterator[str]:
    """Yield the keys below a prefix, page by page."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", ()))


def empty(client: Any, bucket: str = BUCKET, prefix: str = "") -> None:
    """Delete every object below a prefix."""
    for key in keys(client, bucket, prefix):
        client.delete_object(Bucket=bucket, Key=key)
