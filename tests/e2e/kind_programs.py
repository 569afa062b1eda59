"""Stand-ins for docker, kind and kubectl, for want of a container runtime: they keep the books of a cluster.

Each records its command line, which the test shows to the genuine program, and answers as that would. What Argo CD
would get from the sidecar comes from the genuine cmp-core, out of the S3 server that the test runs. `STAND_IN` names a
JSON file with what they need to know, `STAND_IN_FAULT` what goes wrong.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

CLOSED = "http://127.0.0.1:9"
"""Nobody listens there: LocalStack without a pod."""


class Refusal(Exception):  # noqa: N818  # what a program answers, no error of these tests
    """The program ends with 1 and this text."""


def main(program: str, arguments: Sequence[str]) -> int:
    """Be one of the programs."""
    cluster = Cluster(json.loads(Path(os.environ["STAND_IN"]).read_text(encoding="utf-8")))
    cluster.record(program, arguments)
    try:
        sys.stdout.write(getattr(cluster, program)(list(arguments)))
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    finally:
        cluster.save()
    return 0


class Cluster:
    """The books, kept between two programs in the folder of the test."""

    def __init__(self, facts: dict[str, Any]) -> None:
        """Open them."""
        self.facts = facts
        self.folder = Path(facts["folder"])
        self._file = self.folder / "cluster.json"
        self.state: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {"clusters": []}
        self.fault = os.environ.get("STAND_IN_FAULT", "")

    def save(self) -> None:
        """Write them."""
        self._file.write_text(json.dumps(self.state), encoding="utf-8")

    def record(self, program: str, arguments: Sequence[str]) -> None:
        """Keep the command line."""
        with (self.folder / "calls").open("a", encoding="utf-8") as calls:
            print(json.dumps([program, *arguments]), file=calls)

    def docker(self, arguments: list[str]) -> str:
        """Answer as Docker."""
        match arguments:
            case ["version"]:
                if self.fault == "no-daemon":
                    raise Refusal("Cannot connect to the Docker daemon")
                return "Server: here\n"
            case ["build", "--provenance=false", "--tag", tag, "."] if Path("Dockerfile").is_file():
                self.state["image"] = tag
                return ""
        sys.exit(f"docker was not expected to be asked for {arguments}")

    def kind(self, arguments: list[str]) -> str:
        """Answer as kind."""
        match arguments:
            case ["version", "--quiet"]:
                return f"{self.facts['kind']}\n"
            case ["get", "clusters"]:
                return "".join(f"{name}\n" for name in self.state["clusters"])
            case ["create", "cluster", "--name", name, "--image", image, "--config", config, "--wait", _]:
                if self.fault == "port-taken":
                    raise Refusal("port is already allocated")
                self.state["clusters"].append(name)
                self.state |= {"node": image, "config": Path(config).read_text(encoding="utf-8")}
                return ""
            case ["load", "docker-image", tag, "--name", name] if name in self.state["clusters"]:
                self.state["loaded"] = tag
                return ""
            case ["delete", "cluster", "--name", name]:
                self.state["clusters"] = [other for other in self.state["clusters"] if other != name]
                return ""
        sys.exit(f"kind was not expected to be asked for {arguments}")

    def kubectl(self, arguments: list[str]) -> str:
        """Answer as kubectl, and as Argo CD behind it."""
        match arguments:
            case ["--context", context, *rest] if context.removeprefix("kind-") in self.state["clusters"]:
                return self._kubectl(rest)
        sys.exit(f"kubectl was not told the cluster, or there is none: {arguments}")

    def _kubectl(self, arguments: list[str]) -> str:  # noqa: C901  # one branch for each command line of the scripts
        match arguments:
            case ["apply", "--server-side", "--force-conflicts", "-k", folder]:
                shutil.copytree(Path(folder).parent, self.folder / "applied", dirs_exist_ok=True)
                self.state["localstack"] = 1
            case ["apply", "--server-side", "-f", file]:
                return self._apply(Path(file))
            case ["-n", "git", "create", "configmap", name, from_file, "--dry-run=client", "-o", "yaml"]:
                files = Path(from_file.removeprefix("--from-file=")).iterdir()
                data = {path.name: path.read_text(encoding="utf-8") for path in files}
                metadata = {"name": name, "namespace": "git"}
                return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
            case ["-n", _, "rollout", "restart" | "status", *_] | ["wait", *_]:
                pass
            case ["-n", "localstack", "scale", "deployment/localstack", replicas]:
                self._scale(int(replicas.removeprefix("--replicas=")))
            case ["-n", "localstack", "get", "pods", "-o", "name"]:
                return "pod/localstack\n" if self.state["localstack"] else ""
            case [
                "-n",
                "argocd",
                "annotate",
                "application",
                "demo-app",
                "argocd.argoproj.io/refresh=hard",
                "--overwrite",
            ]:
                self._render()
            case ["-n", "argocd", "patch", "application", "demo-app", "--type", "merge", "--patch", patch]:
                self._sync(json.loads(patch)["operation"])
            case ["-n", "argocd", "get", "application", "demo-app", "-o", output]:
                return self._application(output)
            case ["-n", "demo-app", "get", *what]:
                return self._live(what)
            case _:
                sys.exit(f"kubectl was not expected to be asked for {arguments}")
        return ""

    def _apply(self, path: Path) -> str:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.state.setdefault("objects", []).append(document)
        if document["kind"] == "Application":
            self._render()
        return f"{document['kind']} serverside-applied\n"

    def _scale(self, replicas: int) -> None:
        """Stop or start LocalStack, which keeps nothing."""
        self.state["localstack"] = replicas
        if not replicas:
            command = [sys.executable, "-m", "tools.kind_bucket", "--endpoint", self.facts["endpoint"], "empty"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _render(self) -> None:
        """Do what a hard refresh does: run the plugin, and let selfHeal deploy what is new."""
        endpoint = self.facts["endpoint"] if self.state["localstack"] else CLOSED
        variables = self.facts["sidecar"] | {"AWS_ENDPOINT_URL_S3": endpoint}
        command = [self.facts["cmp-core"], "generate"]
        done = subprocess.run(
            command, cwd=self.facts["app"], env=variables, check=False, capture_output=True, text=True
        )
        self.state["error"] = done.stderr if done.returncode else ""
        if done.returncode == 0 and self.fault != "never-changes":
            self.state["live"] = list(yaml.safe_load_all(done.stdout))
        if done.returncode and self.fault == "prunes":
            self.state["live"] = self.state["live"][:1]

    def _sync(self, operation: dict[str, Any]) -> None:
        """Sync by hand; an error of the comparison is the sync's own."""
        assert operation["sync"] == {"prune": True}
        failed = self.state["error"] and self.fault != "syncs-anyway"
        number = self.state.get("sync", {"startedAt": 0})["startedAt"] + 1
        self.state["sync"] = {
            "phase": "Error" if failed else "Succeeded",
            "message": self.state["error"],
            "startedAt": number,
        }

    def _application(self, output: str) -> str:
        """Answer what a JSONPath of the scripts asks."""
        sync = self.state.get("sync", {"phase": "Succeeded", "message": "", "startedAt": 0})
        status = "jsonpath={.status.sync.status} {.status.health.status}"
        if output == status and self.state["error"] and self.fault != "never-heals":
            self._render()  # while somebody waits for it, Argo CD tries again
        answers: dict[str, str] = {
            status: "Unknown Healthy" if self.state["error"] else "Synced Healthy",
            "jsonpath={.status.sync.status}": "Unknown" if self.state["error"] else "Synced",
            'jsonpath={.status.conditions[?(@.type=="ComparisonError")].message}': self.state["error"],
            "jsonpath={.metadata.annotations.argocd\\.argoproj\\.io/refresh}": "",
            "jsonpath={.status.operationState.startedAt}": str(sync["startedAt"]),
            "jsonpath={.status.operationState.phase}": sync["phase"],
            "jsonpath={.status.operationState.message}": sync["message"],
            "yaml": "kind: Application\n",
        }
        return answers[output]

    def _live(self, what: list[str]) -> str:
        """Answer what runs in the cluster."""
        match what:
            case ["deployment", "demo-app", "-o", "jsonpath={.spec.replicas}"]:
                (deployment,) = (live for live in self.state["live"] if live["kind"] == "Deployment")
                return str(deployment["spec"]["replicas"])
            case ["deployment,service", *_]:
                names = sorted((live["kind"], live["metadata"]["name"]) for live in self.state["live"])
                return "".join(f"{kind}/{name} uid-of-{kind}\n" for kind, name in names)
        sys.exit(f"kubectl was not expected to be asked for {what} in demo-app")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
