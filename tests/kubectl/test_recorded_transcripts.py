"""The built-in kubectl against what a real kubectl 1.32 printed on a real Kubernetes v1.36.2 control plane.

The recordings are those of ``tests/conformance``: a scenario is replayed in process, with the built-in kubectl in the
place of the real one, on a built-in cluster whose clock is instant.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from epkit.fake.kubelet import NodeSpec
from epkit.fake.plane import Plane
from epkit.fake.transports import InProcess
from epkit.kubectl import run

CONFORMANCE = Path(__file__).resolve().parents[1] / "conformance"
#: steps whose commands are, on purpose, not in the built-in subset
OUTSIDE = ("-o go-template=",)
#: scenarios whose differences are the cluster's, not kubectl's; ``tests/conformance`` says which of them agree
NOT_ABOUT_KUBECTL: tuple[str, ...] = ()


def _replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_replay", CONFORMANCE / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay: Any = _replay()


def _scenarios() -> dict[str, dict[str, Any]]:
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONFORMANCE / "scenarios").glob("*.yaml"))}
    return {
        name: scenario
        for name, scenario in found.items()
        if any("kubectl" in step for step in scenario["steps"]) and name not in NOT_ABOUT_KUBECTL
    }


SCENARIOS = _scenarios()


class Server(replay.Server):  # type: ignore[misc]
    """The replayer's way to the API server: straight into the plane."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.kubeconfig = ""

    def call(
        self, method: str, path: str, body: Any = None, type: str = "application/json", accept: str | None = None
    ) -> tuple[int, Any, list[str]]:
        path, _, query = path.partition("?")
        data = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"accept": accept or "application/json", "content-type": type, "user-agent": "kubectl"}
        response = self.plane.request(method, path, query, headers, data)
        warnings = [f'299 - "{text}"' for text in response.warnings]
        try:
            return response.code, json.loads(response.body), warnings
        except ValueError:
            return response.code, response.body.decode(), warnings

    def watch(self, path: str, params: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        query = {"watch": "1", **{key: str(value) for key, value in params.items()}}
        return list(InProcess(self.plane).watch(f"{path}?{urlencode(query)}".partition("?")[0], query))


def _plane(group: str) -> Plane:
    if group == "max3":
        return Plane(flags={"endpointslice-controller": {"max_endpoints_per_slice": 3}})
    if group != "kubelet":
        return Plane()
    zones = ("zone-a", "zone-b", "zone-c")
    return Plane([NodeSpec(name=f"node-{i}", zone=zone, number=i) for i, zone in enumerate(zones, 1)])


@pytest.mark.parametrize("name", SCENARIOS)
def test_prints_what_was_recorded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SCENARIOS[name]
    plane = _plane(scenario.get("group", "default"))
    server = Server(plane)
    cluster = SimpleNamespace(transport=InProcess(plane, "kubectl"), now=0.0, paused=False)

    def run_built_in(command: list[str], *, input: str, env: dict[str, str], **_: Any) -> Any:
        cluster.now = plane.clock.now
        changed = {key: value for key, value in env.items() if key == "KUBE_EDITOR"}
        return run(command[1:], cluster, stdin=input, env=changed)

    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    monkeypatch.setattr(replay, "subprocess", SimpleNamespace(run=run_built_in))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": replay.NAMESPACE}}
    assert server.call("POST", "/api/v1/namespaces", namespace)[0] == 201
    text = (CONFORMANCE / "scenarios" / f"{name}.yaml").read_text()
    norm = replay.Normaliser(text, scenario)
    expected = json.loads((CONFORMANCE / "golden" / f"{name}.json").read_text())
    for step, wanted in zip(replay.repeated(scenario["steps"]), expected, strict=True):
        found = replay.run_step(server, step, norm, "kubectl", 0.0)
        if "kubectl" in step and not any(words in step["kubectl"] for words in OUTSIDE):
            assert found == wanted, f"kubectl {step['kubectl']}"
