"""Own the shape of ``fsspec-source.yaml``: one URL, and the options of its protocol."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from cmp_backend_fsspec.address import Address, read_url
from cmp_backend_fsspec.protocols import ACCOUNT, PROTOCOLS, read_option
from cmp_core import Source
from cmp_core.transfer import quote_path

_OPTIONS_SCHEMA = {"type": "object", "additionalProperties": {"type": ["string", "boolean", "number"]}}


def _check_url(url: str) -> str:
    read_url(url)
    return url


class FsspecSource(Source):
    """A folder or a file that a URL names, of any protocol that the operator allows."""

    url: Annotated[
        str,
        AfterValidator(_check_url),
        Field(
            description="What is read: `PROTOCOL://HOST/PATH` or `PROTOCOL://BUCKET/PATH`. A folder, of which all "
            "that lies below is read, or one file. A web server's folder ends in `/`. No user, no password, no query.",
            examples=["https://charts.example.com/demo/1.0.0/", "gs://team-manifests/apps/demo-app"],
        ),
    ]
    options: Annotated[
        dict[str, str],
        WithJsonSchema(_OPTIONS_SCHEMA),
        Field(
            description="Options of the protocol's library, as far as this page lists them. Never a secret.",
            examples=[{"requester_pays": True}],
        ),
    ] = {}  # noqa: RUF012  # pydantic copies it for each instance

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        url = info.data.get("url")
        protocol = read_url(url).protocol if url else ""
        known = PROTOCOLS.get(protocol)
        for name, value in options.items():
            if not url or (known and name not in known.options):
                continue
            try:
                read_option(protocol, name, value)
            except ValueError as error:
                raise ValueError(f"is wrong: {quote_path(name)} of {protocol} {error}") from error
        unknown = [name for name in options if known and name not in known.options]
        if known and unknown:
            listed = ", ".join(sorted(known.options)) or "none"
            raise ValueError(
                f"holds {quote_path(unknown[0])}, which {protocol} does not take here: remove it; known are {listed}"
            )
        if url and ACCOUNT in options:
            read_url(url).in_account(options[ACCOUNT])
        return options

    @property
    def address(self) -> Address:
        """The URL in its parts, with the storage account that an option names."""
        address = read_url(self.url)
        return address.in_account(self.options[ACCOUNT]) if ACCOUNT in self.options else address

    @property
    def is_folder(self) -> bool:
        """Whether the URL can name no single file: it ends in a slash, or has no path."""
        return self.address.path.endswith("/") or not self.address.path

    @property
    def location(self) -> str:
        """Where the source lies: its URL, which holds no secret."""
        return str(self.address)
