"""Own the tables of protocols: what is never read and why, which options an author may write, what reads it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WEB = frozenset({"http", "https"})
"""The protocols of web servers, which are read without fsspec."""

AZURE = frozenset({"abfs", "abfss", "az"})
"""The names of Azure's one protocol."""

ACCOUNT = "account_name"
"""The option that names a storage account of Azure, as the URL may do too."""

_DISK = "reads the sidecar's own disk: put the files where the network reaches them"
_CACHE = "writes a cache to the sidecar's disk and wraps another URL: write the inner URL alone"
_WRAPPER = "wraps another filesystem, which may be the sidecar's disk: write the inner URL alone"
_ARCHIVE = "opens an archive that may lie on the sidecar's disk: use a `tarball-source.yaml` around this source"
_S3 = "the s3 backend reads: use an `s3-source.yaml`"
_LOGIN = "takes its login from the URL and opens what a server's user may run: serve the files by https"
_JAVA = "runs the Java of the machine by its configuration there: use `webhdfs`"
_ANY_HOST_KEY = "accepts any host's key: serve the files by https"

REFUSED: Mapping[str, str] = {
    "arrow_hdfs": _JAVA,
    "async_wrapper": _WRAPPER,
    "asynclocal": _DISK,
    "asyncwrapper": _WRAPPER,
    "adl": "is retired: use `az`",
    "blockcache": _CACHE,
    "cached": _CACHE,
    "dask": "runs code on the workers of a cluster: serve the files by https",
    "data": "holds its content in itself: put the manifests into Git",
    "dir": _WRAPPER,
    "dvc": "runs DVC on a repository of the sidecar's disk: name the remote store behind it",
    "file": _DISK,
    "filecache": _CACHE,
    "generic": _WRAPPER,
    "git": "reads a repository on the sidecar's disk: let Argo CD read it",
    "hdfs": _JAVA,
    "jlab": _LOGIN,
    "jupyter": _LOGIN,
    "libarchive": _ARCHIVE,
    "local": _DISK,
    "memory": "holds only what this very process has put there: name a store",
    "pyscript": "runs in a browser only: serve the files by https",
    "reference": "opens whatever URL a file of references names, the sidecar's disk too: name the files themselves",
    "root": "is read by a library that opens local files where the server says so: serve the files by https",
    "s3": _S3,
    "s3a": _S3,
    "sftp": _ANY_HOST_KEY,
    "simplecache": _CACHE,
    "ssh": _ANY_HOST_KEY,
    "tar": _ARCHIVE,
    "zip": _ARCHIVE,
}
"""What is never read, whatever an operator allows: the protocol, and a clause on why and what to do instead."""

REFUSED_CLASSES = frozenset(
    {
        "dvc.api.DVCFileSystem",
        "fsspec.archive.AbstractArchiveFileSystem",
        "fsspec.generic.GenericFileSystem",
        "fsspec.implementations.arrow.ArrowFSWrapper",
        "fsspec.implementations.arrow.HadoopFileSystem",
        "fsspec.implementations.asyn_wrapper.AsyncFileSystemWrapper",
        "fsspec.implementations.cached.CachingFileSystem",
        "fsspec.implementations.chained.ChainedFileSystem",
        "fsspec.implementations.dask.DaskWorkerFileSystem",
        "fsspec.implementations.data.DataFileSystem",
        "fsspec.implementations.dirfs.DirFileSystem",
        "fsspec.implementations.git.GitFileSystem",
        "fsspec.implementations.http.HTTPFileSystem",
        "fsspec.implementations.jupyter.JupyterFileSystem",
        "fsspec.implementations.libarchive.LibArchiveFileSystem",
        "fsspec.implementations.local.LocalFileSystem",
        "fsspec.implementations.memory.MemoryFileSystem",
        "fsspec.implementations.reference.ReferenceFileSystem",
        "fsspec.implementations.sftp.SFTPFileSystem",
        "fsspec.implementations.tar.TarFileSystem",
        "fsspec.implementations.zip.ZipFileSystem",
        "fsspec_xrootd.xrootd.XRootDFileSystem",
        "morefs.asyn_local.AsyncLocalFileSystem",
        "s3fs.core.S3FileSystem",
    }
)
"""The classes behind these, since any installed package may give one of them another protocol's name."""


def _payer(value: str) -> bool | str:
    if value in {"true", "false"}:
        return value == "true"
    if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", value):
        raise ValueError("must be `true`, or the project that pays")
    return value


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError("must be `true` or `false`")
    return value == "true"


def _anonymous(value: str) -> str:
    if value != "anon":
        raise ValueError("must be `anon`, for a public bucket: no credentials stand in Git")
    return value


def _account(value: str) -> str:
    if not (3 <= len(value) <= 24 and value.isascii() and value.isalnum() and value == value.lower()):
        raise ValueError("must be the name of a storage account: 3 to 24 small letters and digits")
    return value


Option = Callable[[str], object]
"""Reads the text of an option; its ValueError goes on where the option's name ends."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is known about one protocol.

    Attributes:
        extra: What brings its library: an extra of this distribution.
        library: The module of that library.
        options: What an author may write, each a keyword of the library's filesystem.
    """

    extra: str = ""
    library: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)


_GCS = Protocol("gcs", "gcsfs", {"requester_pays": _payer, "token": _anonymous})
_AZURE = Protocol("azure", "adlfs", {ACCOUNT: _account, "anon": _flag})
_WEB = Protocol()

PROTOCOLS: Mapping[str, Protocol] = {
    "abfs": _AZURE,
    "abfss": _AZURE,
    "az": _AZURE,
    "gcs": _GCS,
    "github": Protocol("github", "requests"),
    "gs": _GCS,
    "http": _WEB,
    "https": _WEB,
}
"""What is known; any other protocol is read by whatever library fsspec knows for it, with the operator's options."""


def refusal_of(protocol: str) -> str:
    """Return the clause that says why a protocol is never read, or nothing."""
    return REFUSED.get(protocol, "")


def read_option(protocol: str, name: str, value: str) -> object:
    """Return what an option's text stands for: as the table says, or as it looks where nobody knows it.

    Raises:
        ValueError: The text is not what the option takes.
    """
    known = PROTOCOLS.get(protocol, Protocol()).options.get(name)
    if known:
        return known(value)
    return value == "true" if value in {"true", "false"} else value
