"""Own who asks: a name for the store and a description for messages, neither of them secret."""

from dataclasses import dataclass, field
from typing import Any

# How botocore calls the places that credentials come from, and what a reader calls them.
_ORIGINS = {
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "the service account's web identity",
    "config-file": "the AWS config file",
    "container-role": "the pod's or container's role",
    "custom-process": "credential_process",
    "env": "environment variables",
    "iam-role": "the instance's role",
    "login": "`aws login`",
    "shared-credentials-file": "the shared credentials file",
    "sso": "single sign-on",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the service is asked as.

    Attributes:
        name: What tells one identity from another; stays the same when a role's keys are rotated.
        description: For messages: ``access key …WXYZ (environment variables)``.
        secrets: What no message may repeat.
    """

    name: str
    description: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


ANONYMOUS = Identity("anonymous", "the anonymous user")
UNKNOWN = Identity("unknown", "the sidecar's identity")


def describe_credentials(frozen: Any, method: str, role: str) -> Identity:
    """Return the identity behind a set of credentials.

    Args:
        frozen: botocore's frozen credentials.
        method: How botocore found them.
        role: The ARN of the role they belong to, where it is known.
    """
    origin = _ORIGINS.get(method, method)
    key = f"access key …{frozen.access_key[-4:]}"
    secrets = tuple(filter(None, (frozen.secret_key, frozen.token)))
    if role:
        return Identity(f"role {role}", f"role {role} ({origin}, {key})", secrets)
    return Identity(f"key {frozen.access_key}", f"{key} ({origin})", secrets)
