"""Figures of the built-in cluster: start, requests over HTTP, lists, watches, a rollout in instant mode, memory.

    python bench/core.py

Each figure stands beside its goal. Where a machine is slow or busy, all of them are: compare figures of one run.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "", "labels": {"app": "web"}},
    "spec": {
        "schedulerName": "nobody",
        "containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}],
    },
}


def main() -> None:
    row("import epkit", in_new_process("import epkit"), "s", "under 0.3")
    first = "import epkit; epkit.connect().kubectl('get nodes')"
    row("connect() to the first answered kubectl get", in_new_process(first), "s", "under 0.5")
    serial()
    lists()
    watches()
    rollout()
    memory()


def row(what: str, value: float, unit: str, goal: str) -> None:
    print(f"{what:<58} {value:>10,.3f} {unit:<10} goal: {goal}", flush=True)


def in_new_process(code: str) -> float:
    """Seconds that `code` takes in a fresh interpreter, the best of five, without the interpreter's own start."""
    script = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    environment = {**os.environ, "EPKIT_KUBECTL": "builtin"}
    runs = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        runs.append(float(done.stdout.split()[-1]))
    return min(runs)


class Wire:
    """A keep-alive connection to a server in a process of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.prefix = parts.path
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port)

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> bytes:
        data = None if body is None else json.dumps(body)
        self.connection.request(method, self.prefix + path, data, {"Content-Type": kind, "Accept": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return content


class Served:
    """``epkit up`` in a process of its own."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "epkit", "up", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.kubeconfig = self.process.stdout.readline().strip().removeprefix("export KUBECONFIG=")
        text = open(self.kubeconfig).read()
        self.url = next(line.split("server: ")[1] for line in text.splitlines() if "server: " in line)

    def __enter__(self) -> Wire:
        return Wire(self.url)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def rate(count: int, run: Callable[[int], object]) -> float:
    start = time.perf_counter()
    for number in range(count):
        run(number)
    return count / (time.perf_counter() - start)


def pod(name: str) -> dict[str, object]:
    return {**POD, "metadata": {"name": name, "labels": {"app": "web"}}}


def serial() -> None:
    pods = "/api/v1/namespaces/default/pods"
    with Served("--nodes", "0") as wire:
        row("create, serial", rate(1000, lambda i: wire.ask("POST", pods, pod(f"p{i:04}"))), "a second", "1,500")
        row("get, serial", rate(3000, lambda i: wire.ask("GET", f"{pods}/p{i % 1000:04}")), "a second", "3,000")
        patch = "application/merge-patch+json"

        def change(i: int) -> bytes:
            return wire.ask("PATCH", f"{pods}/p{i % 1000:04}", {"metadata": {"labels": {"n": str(i)}}}, patch)

        row("patch, serial", rate(1000, change), "a second", "1,500")


def lists() -> None:
    pods = "/api/v1/namespaces/default/pods"
    with Served("--nodes", "0") as wire:
        for number in range(1000):
            wire.ask("POST", pods, pod(f"p{number:04}"))
        wire.ask("GET", pods)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            wire.ask("GET", pods)
            times.append(time.perf_counter() - start)
        row("list of 1,000 pods, median", sorted(times)[10] * 1000, "ms", "10")


def watches(watchers: int = 50, changes: int = 400) -> None:
    served = Served("--nodes", "0")
    with served as wire:
        path = "/api/v1/namespaces/default/configmaps"
        version = json.loads(wire.ask("GET", path))["metadata"]["resourceVersion"]
        seen = [0] * watchers
        ready = threading.Barrier(watchers + 1)

        def follow(index: int) -> None:
            own = Wire(served.url)
            own.connection.request("GET", f"{own.prefix}{path}?watch=1&resourceVersion={version}")
            answer = own.connection.getresponse()
            ready.wait()
            while seen[index] < changes and answer.readline():
                seen[index] += 1

        threads = [threading.Thread(target=follow, args=(index,)) for index in range(watchers)]
        for thread in threads:
            thread.start()
        ready.wait()
        start = time.perf_counter()
        for number in range(changes):
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"c{number}"},
                "data": {"a": "b" * 1000},
            }
            wire.ask("POST", path, body)
        for thread in threads:
            thread.join()
        row(f"{watchers} watchers x {changes} events", sum(seen) / (time.perf_counter() - start), "a second", "20,000")


def rollout() -> None:
    code = """
import epkit
cluster = epkit.connect()
cluster.kubectl("create deployment web --image=nginx --replicas=0"); cluster.kubectl("expose deployment web --port=80")
import time; t = time.perf_counter()
cluster.kubectl("scale deployment web --replicas=300")
slices = cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web")
took = time.perf_counter() - t
sizes = sorted(len(one["endpoints"]) for one in slices)
assert sizes == [100, 100, 100] and all(e["conditions"]["ready"] for one in slices for e in one["endpoints"]), sizes
print(took)
"""
    environment = {**os.environ, "EPKIT_KUBECTL": "builtin"}
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        runs.append(float(done.stdout.split()[-1]))
    row("300 pods behind a Service until three slices are ready", min(runs), "s", "under 1")


def memory() -> None:
    code = """
import gc, os, IPython
def resident():
    gc.collect()
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024
before = resident()
import epkit
cluster = epkit.connect(nodes=NODES)
cluster.kubectl("get pods -A")
rest = resident() - before
for number in range(PODS // 100):
    cluster.kubectl(f"create deployment web-{number} --image=nginx --replicas=100")
count = len(cluster.client.list("pods", "default"))
assert count == PODS, count
print(rest, resident() - before)
"""
    if not os.path.exists("/proc/self/status"):
        print("memory: measured on Linux only")
        return
    environment = {**os.environ, "EPKIT_KUBECTL": "builtin"}
    script = code.replace("NODES", "12").replace("PODS", "1000")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    rest, full = map(float, done.stdout.split()[-2:])
    row("memory that the cluster adds, at rest", rest, "MiB", "under 60")
    row("memory that the cluster adds, with 1,000 pods", full, "MiB", "under 120")


if __name__ == "__main__":
    main()
