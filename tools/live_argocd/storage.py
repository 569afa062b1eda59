"""Own the S3 server beside an Argo CD: versitygw, which can go away and come back with what it held."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from tools import versitygw
from tools.live_argocd.server import Server
from tools.processes import free_port
from tools.versitygw import ACCESS_KEY, REGION, SECRET_KEY, accepts

BUCKET = "test-bucket"


class Storage:
    """An S3 server.

    Attributes:
        endpoint: Its address, which stays the same when it comes back.
        server: Its process.
        client: A client of it.
    """

    def __init__(self, folder: Path) -> None:
        """Describe a server whose buckets lie below the folder; it is started as any other."""
        port = free_port()
        (folder / "buckets").mkdir()
        words, environment = versitygw.command(folder / "buckets", port)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.server = Server("s3", words, environment, folder, lambda: accepts(port))
        self.client: Any = connect(self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        """What a sidecar is given to read from it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def run(folder: Path) -> Iterator[Storage]:
    """Run the server until the block is left, and enter the block when it answers."""
    storage = Storage(folder)
    try:
        storage.server.start()
        yield storage
    finally:
        storage.server.stop()
        storage.client.close()


def connect(endpoint: str) -> Any:
    """Return a client of the server at the address."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


def upload(client: Any, objects: Mapping[str, bytes], bucket: str = BUCKET) -> None:
    """Put objects into a bucket, which is made if need be, as a job of CI would."""
    if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    for key, content in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)


def empty(client: Any, prefix: str, bucket: str = BUCKET) -> None:
    """Delete every object below a prefix."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=item["Key"])
