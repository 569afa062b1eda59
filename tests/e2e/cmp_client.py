"""Own what the repo-server says to a plugin: requests over gRPC, and the variables that an Application turns into."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PROTO = Path(__file__).with_name("cmp.proto")
SERVICE = "/plugin.ConfigManagementPluginService"
CHUNK_BYTES = 64 * 1024
SECONDS = 60.0

_MIB = 2**20
_CHANNEL_OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", 100 * _MIB),
    ("grpc.max_metadata_size", 4 * _MIB),
    ("grpc.absolute_max_metadata_size", 4 * _MIB),
)
Entries = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Application:
    """What an Application says of itself, as far as a plugin hears of it.

    Attributes:
        path: The application's folder in the repository.
        plugin_env: `spec.source.plugin.env`.
        parameters: `spec.source.plugin.parameters`; None where there are none.
        is_plugin_named: Whether there is a `spec.source.plugin` at all.
        kube_version: The destination's version.
        api_versions: What the destination serves.
    """

    name: str = "demo"
    project: str = "default"
    namespace: str = "demo-namespace"
    path: str = "apps/demo"
    repository: str = "https://git.example.com/platform/apps.git"
    revision: str = "0123456789abcdef0123456789abcdef01234567"
    target_revision: str = "main"
    plugin_env: Mapping[str, str] = field(default_factory=dict)
    parameters: Sequence[Mapping[str, Any]] | None = None
    is_plugin_named: bool = True
    kube_version: str = "1.34"
    api_versions: Sequence[str] = ("v1", "v1/ConfigMap", "apps/v1", "apps/v1/Deployment")

    def variables(self) -> Entries:
        """Return what the repo-server sends with `GenerateManifest`, in its order."""
        return [
            ("ARGOCD_APP_NAME", self.name),
            ("ARGOCD_APP_NAMESPACE", self.namespace),
            ("ARGOCD_APP_PROJECT_NAME", self.project),
            ("ARGOCD_APP_REVISION", self.revision),
            ("ARGOCD_APP_REVISION_SHORT", self.revision[:7]),
            ("ARGOCD_APP_REVISION_SHORT_8", self.revision[:8]),
            *self._source(),
            ("KUBE_VERSION", self.kube_version),
            ("KUBE_API_VERSIONS", ",".join(self.api_versions)),
            *self._plugin(),
        ]

    def parameter_variables(self) -> Entries:
        """Return the few that it sends when it asks for parameter announcements."""
        return [
            ("ARGOCD_APP_NAME", self.name),
            ("ARGOCD_APP_REVISION", self.revision),
            *self._source(),
            *self._plugin(),
        ]

    def _source(self) -> Entries:
        return [
            ("ARGOCD_APP_SOURCE_REPO_URL", self.repository),
            ("ARGOCD_APP_SOURCE_PATH", self.path),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", self.target_revision),
        ]

    def _plugin(self) -> Entries:
        if not self.is_plugin_named:
            return []
        own = [(f"ARGOCD_ENV_{name}", value) for name, value in self.plugin_env.items()]
        return [*own, ("ARGOCD_APP_PARAMETERS", _as_go_json(self.parameters)), *_one_by_one(self.parameters or ())]


class Announcement(NamedTuple):
    """A parameter announcement, as Argo CD's own decoder has read it."""

    name: str
    title: str
    tooltip: str
    required: bool
    item_type: str
    collection_type: str
    string: str
    array: list[str]
    map: dict[str, str]

    @classmethod
    def of(cls, message: Any) -> "Announcement":
        """Return what a message holds."""
        values = {name: getattr(message, name) for name in cls._fields}
        return cls(**values | {"array": list(message.array), "map": dict(message.map)})


class CmpError(Exception):
    """The server's answer is an error; the text is what the repo-server passes on."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        """Keep the status code and the whole text."""
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class CmpClient:
    """Speaks with one server as the repo-server does; any number of threads may share it."""

    channel: grpc.Channel
    messages: Mapping[str, Any]

    def check_plugin_configuration(self) -> tuple[bool, bool]:
        """Return whether the plugin discovers, and whether it wants Git's credentials."""
        call = self.channel.unary_unary(
            f"{SERVICE}/CheckPluginConfiguration",
            self.messages["Empty"].SerializeToString,
            self.messages["CheckPluginConfigurationResponse"].FromString,
        )
        with _errors():
            answer = call(self.messages["Empty"](), timeout=SECONDS)
        return answer.is_discovery_configured, answer.provide_git_creds

    def match_repository(
        self, repository: Path | bytes, application: Application | None = None, *, seconds: float = SECONDS
    ) -> tuple[bool, bool]:
        """Return whether the application's folder is the plugin's, and whether the plugin discovers at all."""
        application = application or Application()
        requests = self._requests(repository, application.path, application.variables())
        answer = self._stream("MatchRepository", "RepositoryResponse", requests, seconds=seconds)
        return answer.is_supported, answer.is_discovery_enabled

    def generate(
        self,
        repository: Path | bytes,
        application: Application | None = None,
        *,
        variables: Entries | None = None,
        rel_path: str | None = None,
        seconds: float | None = SECONDS,
        cancelled: threading.Event | None = None,
    ) -> list[str]:
        """Return the manifests, each as the JSON text that the repo-server gets.

        Args:
            repository: The checkout, or the archive that `pack` made of it.
            application: Whose variables are sent.
            variables: Others in place of them.
            rel_path: The application's folder, where it differs from the application's own.
            seconds: The deadline of the call.
            cancelled: Ends the call when it is set, as a browser does that is closed.

        Raises:
            CmpError: The server's answer is an error.
        """
        application = application or Application()
        entries = application.variables() if variables is None else variables
        path = application.path if rel_path is None else rel_path
        requests = self._requests(repository, path, entries)
        answer = self._stream("GenerateManifest", "ManifestResponse", requests, seconds=seconds, cancelled=cancelled)
        return list(answer.manifests)

    def announce(self, repository: Path | bytes, application: Application | None = None) -> list[Announcement]:
        """Return the parameter announcements."""
        application = application or Application()
        requests = self._requests(repository, application.path, application.parameter_variables())
        answer = self._stream("GetParametersAnnouncement", "ParametersAnnouncementResponse", requests, seconds=SECONDS)
        return [Announcement.of(message) for message in answer.parameter_announcements]

    def _stream(
        self,
        method: str,
        answer: str,
        requests: Iterator[Any],
        *,
        seconds: float | None,
        cancelled: threading.Event | None = None,
    ) -> Any:
        call = self.channel.stream_unary(
            f"{SERVICE}/{method}",
            self.messages["AppStreamRequest"].SerializeToString,
            self.messages[answer].FromString,
        )
        with _errors():
            running = call.future(requests, timeout=seconds)
            if cancelled:
                threading.Thread(target=lambda: cancelled.wait(SECONDS) and running.cancel(), daemon=True).start()
            return running.result()

    def _requests(self, repository: Path | bytes, path: str, variables: Entries) -> Iterator[Any]:
        archive = repository if isinstance(repository, bytes) else pack(repository)
        request, metadata, entry = (self.messages[name] for name in ("AppStreamRequest", "Metadata", "EnvEntry"))
        yield request(
            metadata=metadata(
                app_name=Path(path).name,
                app_rel_path=path,
                checksum=hashlib.sha256(archive).hexdigest(),
                size=len(archive),
                env=[entry(name=name, value=value) for name, value in variables],
            )
        )
        for at in range(0, len(archive), CHUNK_BYTES):
            yield request(file=self.messages["File"](chunk=archive[at : at + CHUNK_BYTES]))


@contextmanager
def connect(socket: Path, messages: Mapping[str, Any]) -> Iterator[CmpClient]:
    """Connect to the server behind the socket."""
    with grpc.insecure_channel(f"unix:{socket}", options=_CHANNEL_OPTIONS) as channel:
        yield CmpClient(channel, messages)


def compile_messages(folder: Path) -> dict[str, Any]:
    """Return the message classes of `cmp.proto` by their names; what the compiler writes goes to the folder."""
    compiled = folder / "cmp.binpb"
    arguments = ["protoc", f"--proto_path={PROTO.parent}", f"--descriptor_set_out={compiled}", PROTO.name]
    if protoc.main(arguments):
        raise ValueError(f"{PROTO}: the compiler refuses it: see above")
    pool = descriptor_pool.DescriptorPool()
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    pool.Add(file)
    types = (pool.FindMessageTypeByName(f"{file.package}.{message.name}") for message in file.message_type)
    return {descriptor.name: message_factory.GetMessageClass(descriptor) for descriptor in types}


def pack(repository: Path, *, change: Callable[[tarfile.TarInfo], tarfile.TarInfo | None] | None = None) -> bytes:
    """Return the archive that the repo-server makes of a checkout: folders, files and links, named from its root.

    Args:
        repository: The checkout.
        change: Changes or leaves out a member, for archives that no honest repo-server makes.
    """
    plain = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(repository.rglob("*")):
            if path.is_symlink() or path.is_dir() or path.is_file():
                archive.add(path, path.relative_to(repository).as_posix(), recursive=False, filter=change)
    return plain.getvalue()


def _as_go_json(value: object) -> str:
    """Return the JSON that Go writes: keys in order, no spaces, and what HTML might misread escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _one_by_one(parameters: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield `PARAM_<NAME>` and the like."""
    for parameter in parameters:
        name = f"PARAM_{_escaped(parameter['name'])}"
        if "string" in parameter:
            yield name, parameter["string"]
        for key, value in parameter.get("map", {}).items():
            yield f"{name}_{_escaped(key)}", value
        for index, value in enumerate(parameter.get("array", ())):
            yield f"{name}_{index}", value


def _escaped(name: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", name.upper())


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the library's two kinds of errors into ours."""
    try:
        yield
    except grpc.FutureCancelledError as error:
        raise CmpError(grpc.StatusCode.CANCELLED, "the call was cancelled") from error
    except grpc.RpcError as error:
        raise CmpError(error.code(), error.details() or "") from error
