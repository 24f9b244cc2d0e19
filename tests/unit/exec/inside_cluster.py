"""A built-in cluster seen from inside, and short words for what these specifications do to it."""

from __future__ import annotations

from typing import Any

from epkit.executed import Executed
from epkit.fake.plane import Plane
from epkit.objects import Obj, name_of
from epkit.targets.fake import make

START = 1767225600.0


class Inside:
    """A cluster, seen from its pod ``client``. The clock is instant."""

    def __init__(self, nodes: str = "3") -> None:
        self.plane: Plane = make(nodes=nodes, start=START)
        self.api = self.plane.client("somebody")

    @property
    def now(self) -> float:
        return self.plane.clock.now

    def pod(self, name: str, image: str = "busybox", *command: str, **given: Any) -> Obj:
        """A pod with one container; `container` and `labels` are merged in, everything else is its spec's."""
        container = {"name": "c", "image": image, **given.pop("container", {})}
        if command:
            container["command"] = list(command)
        meta = {"name": name, "namespace": given.pop("namespace", "default"), "labels": given.pop("labels", {})}
        spec = {"containers": [container], **given}
        made = self.api.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        self.plane.settle()
        return made

    def client(self, name: str = "client", **given: Any) -> Obj:
        return self.pod(name, "busybox", "sleep", "infinity", **given)

    def web(self, replicas: int = 3, name: str = "web", image: str = "nginx:1.29", **container: Any) -> list[str]:
        """A Deployment; the names of its pods."""
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": image, **container}]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        meta = {"name": name, "namespace": "default"}
        self.api.create("deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
        self.plane.settle()
        return self.pods_of(name)

    def pods_of(self, name: str) -> list[str]:
        return [name_of(pod) for pod in self.api.list("pods", "default", labels=f"app={name}")]

    def service(self, name: str = "web", port: int = 80, target: int | str = 80, **spec: Any) -> Obj:
        meta = {"name": name, "namespace": spec.pop("namespace", "default")}
        ports = [{"name": "http", "port": port, "targetPort": target}]
        content = {"selector": {"app": name}, "ports": ports, **spec}
        content = {key: value for key, value in content.items() if value is not None}
        made = self.api.create("services", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": content})
        self.plane.settle()
        return made

    def run(self, *argv: str, pod: str = "client", stdin: str = "", namespace: str = "default") -> Executed:
        """Run a command in a pod; a single text is a script for the shell."""
        words = argv if len(argv) > 1 else ("sh", "-c", argv[0])
        return self.plane.exec(namespace, pod, "", words, stdin)

    def says(self, *argv: str, **given: str) -> str:
        """What a command prints, which must succeed."""
        done = self.run(*argv, **given)
        assert done.ok, repr(done)
        return done.stdout

    def address(self, pod: str) -> str:
        return str(self.api.get("pods", pod, "default")["status"]["podIP"])

    def request(self, method: str, path: str, query: str = "", body: bytes = b"") -> tuple[int, bytes]:
        response = self.plane.request(method, path, query, {}, body)
        return response.code, response.body
