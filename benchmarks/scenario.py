"""Own what is measured: the objects in the bucket, and the commands of either side, each run in a fresh folder."""

import subprocess
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import measure
from benchmarks.crowd import Crowd, measure_crowd
from benchmarks.measure import Usage
from benchmarks.servers import Server
from tools import versitygw
from tools.processes import inherited_environment

BUCKET = "benchmark"
OBJECT_BYTES = 3500

_EVERY_RUN_FETCHES = {"CMP_STORE_BYTES": "0", "CMP_TIMEOUT": "600"}

_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: benchmark-{number:05}
  labels:
    app.kubernetes.io/name: benchmark-{number:05}
    app.kubernetes.io/part-of: benchmark
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: benchmark-{number:05}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: benchmark-{number:05}
        app.kubernetes.io/part-of: benchmark
    spec:
      securityContext:
        runAsNonRoot: true
      containers:
        - name: web
          image: registry.example.com/benchmark/web:1.0.{number}
          ports:
            - name: http
              containerPort: 8080
          env:
"""
_VARIABLE = """\
            - name: SETTING_{variable:03}
              value: "what setting {variable} of application {number:05} is"
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where both sides run.

    Attributes:
        cmp_core: The installed console script.
        aws: The installed AWS CLI.
        server: Where the objects are.
        folder: A folder for everything that is written meanwhile.
    """

    cmp_core: Path
    aws: Path
    server: Server
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of both sides, without any setting of cmp-core's own."""
        return inherited_environment() | {
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "AWS_ACCESS_KEY_ID": versitygw.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": versitygw.SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "ARGOCD_APP_NAME": "benchmark",
            "ARGOCD_APP_PARAMETERS": "null",
        }

    def fill(self, objects: int) -> None:
        """Put so many manifests below a prefix of that name."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            for number in range(objects):
                (folder / f"{number:05}.yaml").write_text(manifest(number))
            self._aws(folder, "s3", "cp", "--recursive", "--only-show-errors", str(folder), f"s3://{BUCKET}/{objects}/")

    def create_bucket(self) -> None:
        """Make the bucket that all prefixes are in."""
        self._aws(self.folder, "s3", "mb", f"s3://{BUCKET}")

    def copy(self, objects: int) -> Usage:
        """Measure the AWS CLI's copy of a prefix into an empty folder."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            return self._aws(
                Path(name), "s3", "cp", "--recursive", "--only-show-errors", f"s3://{BUCKET}/{objects}/", "manifests"
            )

    def render(self, objects: int) -> tuple[Usage, Usage]:
        """Measure `init` and `generate` of a prefix, in an application's folder that holds its trigger file alone."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            application = self.application(Path(name), objects)
            return self.cmp("init", application, **_EVERY_RUN_FETCHES), self.cmp(
                "generate", application, **_EVERY_RUN_FETCHES
            )

    def render_in_all(self, objects: int) -> Usage:
        """Measure `init` and `generate` as one."""
        first, second = self.render(objects)
        return first + second

    def cmp(self, command: str, folder: Path, **settings: str) -> Usage:
        """Measure one command of cmp-core, under these settings."""
        return measure.run([self.cmp_core, command], self.variables | settings, folder)

    def crowd(self, what: str, requests: int, objects: int, **settings: str) -> Crowd:
        """Measure so many requests at once, in a sidecar with these settings, each for a prefix of so many objects."""
        variables = self.variables | _EVERY_RUN_FETCHES | settings

        def start(command: str, folder: Path) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                [self.cmp_core, command],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folders = [Path(name) / str(number) for number in range(requests)]
            for folder in folders:
                folder.mkdir()
                self.application(folder, objects)
            return measure_crowd(what, start, folders)

    def versions(self) -> list[str]:
        """Return what both sides say that they are."""
        commands: tuple[list[str | Path], ...] = ([self.cmp_core, "version"], [self.aws, "--version"])
        return [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() for command in commands
        ]

    def aws_version(self) -> Usage:
        """Measure the AWS CLI's quickest answer."""
        return self._aws(self.folder, "--version")

    def application(self, folder: Path, objects: int) -> Path:
        """Write the trigger file of a prefix into the folder."""
        (folder / "s3-source.yaml").write_text(f"bucket: {BUCKET}\npath: '{objects}'\nversion: v1.0.0\n")
        return folder

    def _aws(self, folder: Path, *arguments: str) -> Usage:
        return measure.run([self.aws, *arguments], self.variables, folder)


def manifest(number: int) -> str:
    """Return a Deployment of about 3.5 kB: as dense in keys as what people keep in buckets, not one long text."""
    text = _DEPLOYMENT.format(number=number)
    for variable in count():
        entry = _VARIABLE.format(number=number, variable=variable)
        if len(text) + len(entry) > OBJECT_BYTES:
            return text
        text += entry
    raise AssertionError("count() has no end")
