"""Own what `make kind-up` and `make kind-demo` do to the bucket: upload as CI would, and empty the prefix.

Bucket and prefix are those that the trigger file of examples/quickstart names.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tools.buckets import keys, make_bucket

TRIGGER_FILE = Path(__file__).resolve().parent.parent / "examples" / "quickstart" / "app" / "s3-source.yaml"
ACCESS_KEY = SECRET_KEY = "test"  # noqa: S105  # LocalStack's usual key; it takes any


class Place(NamedTuple):
    """A prefix of a bucket; the prefix ends in a slash."""

    bucket: str
    prefix: str


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments name, and tell each object on stdout."""
    parser = argparse.ArgumentParser(description="Change what lies in the bucket of the demo.")
    parser.add_argument("--endpoint", required=True, help="the S3 server's URL")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upload", help="upload a folder's files").add_argument("folder", type=Path)
    commands.add_parser("empty", help="delete every object below the prefix")
    options = parser.parse_args(arguments)
    try:
        client = connect(options.endpoint)
        if options.command == "upload":
            upload(client, options.folder)
        else:
            empty(client)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The S3 server at {options.endpoint} has refused: {error}")
    return 0


def connect(endpoint: str) -> Any:
    """Return a client with that key, past any proxy, which tries for about ten seconds."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            proxies={}, s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 6}
        ),
    )


def upload(client: Any, folder: Path) -> None:
    """Put the folder's files below the prefix, and make the bucket where there is none."""
    place = read_place()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        sys.exit(f"{folder} holds no file to upload: name a folder of manifests")
    make_bucket(client, place.bucket)
    for path in files:
        key = place.prefix + path.relative_to(folder).as_posix()
        client.put_object(Bucket=place.bucket, Key=key, Body=path.read_bytes())
        print(f"uploaded s3://{place.bucket}/{key}")


def empty(client: Any) -> None:
    """Delete every object below the prefix."""
    place = read_place()
    for key in keys(client, place.bucket, place.prefix):
        client.delete_object(Bucket=place.bucket, Key=key)
        print(f"deleted s3://{place.bucket}/{key}")


def read_place() -> Place:
    """Return where the trigger file says that the manifests lie."""
    trigger = yaml.safe_load(TRIGGER_FILE.read_text(encoding="utf-8"))
    return Place(trigger["bucket"], f"{trigger['path']}/")


if __name__ == "__main__":
    sys.exit(main())
