"""Replay a conformance scenario in this process, on a cluster whose time is virtual."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from epkit.cluster import Cluster

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
NODES = "node-1=zone-a,node-2=zone-b,node-3=zone-c"
#: The flags of a scenario's group, as its README has them.
GROUPS: dict[str, dict[str, Any]] = {
    "default": {"nodes": "0"},
    "large": {"nodes": "0"},
    "max3": {"nodes": "0", "flags": {"endpointslice-controller": {"max_endpoints_per_slice": 3}}},
    "kubelet": {"nodes": NODES},
}


def _replayer() -> ModuleType:
    """``replay.py``: how it makes nodes, pods and their status is how they were made on the real control plane."""
    spec = importlib.util.spec_from_file_location("conformance_replay", FOLDER / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay = _replayer()


class Server:
    """Stands where the replayer has its connection to a server."""

    kubeconfig = ""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def call(
        self, method: str, path: str, body: Any = None, type: str = "application/json", accept: str | None = None
    ) -> Any:
        parts = urlsplit(path)
        data = body.encode() if isinstance(body, str) else body
        answer = self.cluster.transport.send(
            method, parts.path, dict(parse_qsl(parts.query)), data, content_type=type,
            accept=accept or "application/json",
        )  # fmt: skip
        return answer.code, answer.body, answer.warnings

    def watch(self, *_: object) -> list[Any]:
        return []


def scenarios() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "scenarios").glob("*.yaml"))


Look = Callable[[Cluster, Any, int, dict[str, Any]], None]


@contextmanager
def played(name: str, look: Look = lambda *_: None) -> Iterator[Cluster]:
    """The cluster as it is when a scenario has been replayed; `look` is told of each step, with its number."""
    text = (FOLDER / "scenarios" / f"{name}.yaml").read_text()
    scenario = yaml.safe_load(text)
    with Cluster({"start": 0.0, **GROUPS[scenario.get("group", "default")]}) as cluster:
        server = Server(cluster)
        norm = replay.Normaliser(text, scenario)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": replay.NAMESPACE}}
        cluster.client.create("namespaces", namespace)
        cluster.settle()
        for number, step in enumerate(replay.repeated(scenario["steps"])):
            if "kubectl" in step:
                command = shlex.join(shlex.split(norm.fill(step["kubectl"])))
                cluster.kubectl(command, stdin=step.get("stdin", ""), env=step.get("env"))
            elif "settle" in step or "sleep" in step:
                cluster.settle()
                cluster.sleep(float(step.get("settle", step.get("sleep"))))
            elif not {"snapshot", "packing", "watch"} & step.keys():
                replay.run_step(server, step, norm, "")
            look(cluster, norm, number, step)
        cluster.settle()
        yield cluster
