"""Measure `epkit.proxy`: compiling rules, syncing one change, walking packets, counting rules rewritten per change.

    python bench/proxy.py            all of it, as a table
    python bench/proxy.py --json     the same for a program
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from epkit.proxy import Proxy

Obj = dict[str, Any]
MODES = ("iptables", "nftables")


def address(i: int) -> str:
    return f"10.244.{i // 250}.{i % 250 + 2}"


def cluster(services: int, endpoints: int, *, not_ready: int = 0) -> list[Obj]:
    """Services with so many endpoints each, in slices of at most 100. Of the last one, the last `not_ready` are not."""
    objects: list[Obj] = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node-1", "labels": {}},
            "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
        }
    ]
    for s in range(services):
        name = f"svc-{s:04}"
        ip = f"10.96.{s // 250}.{s % 250 + 2}"
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"namespace": "bench", "name": name},
                "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
            }
        )
        for first in range(0, endpoints, 100):
            numbers = range(first, min(first + 100, endpoints))
            ready = endpoints - (not_ready if s == services - 1 else 0)
            objects.append(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "namespace": "bench",
                        "name": f"{name}-{first}",
                        "labels": {"kubernetes.io/service-name": name},
                    },
                    "addressType": "IPv4",
                    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
                    "endpoints": [
                        {"addresses": [address(s * endpoints + i)], "conditions": {"ready": i < ready}} for i in numbers
                    ],
                }
            )
    return objects


def seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor: on an idle machine the same as on the wall, on a busy one still the same."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compile_times() -> list[dict[str, Any]]:
    rows = []
    for services, endpoints in ((1000, 10), (1, 5000)):
        before, after = cluster(services, endpoints), cluster(services, endpoints, not_ready=1)
        for mode in MODES:
            proxy = Proxy("node-1", mode)
            full = seconds(lambda p=proxy, o=before: p.sync(o))  # type: ignore[misc]
            lines = proxy.last_report.lines
            partial = seconds(lambda p=proxy, o=after: p.sync(o))  # type: ignore[misc]
            rows.append(
                {
                    "services": services,
                    "endpoints each": endpoints,
                    "mode": mode,
                    "first sync s": round(full, 3),
                    "lines": lines,
                    "one endpoint less s": round(partial, 3),
                    "lines then": proxy.last_report.lines,
                    "text of the rules s": round(seconds(proxy.rules), 3),
                }
            )
    return rows


def walks() -> list[dict[str, Any]]:
    rows = []
    for services, endpoints in ((10, 10), (1000, 10), (1, 5000)):
        objects = cluster(services, endpoints)
        for mode in MODES:
            proxy = Proxy("node-1", mode)
            proxy.sync(objects)
            ip = f"10.96.{(services - 1) // 250}.{(services - 1) % 250 + 2}"
            first = seconds(lambda p=proxy, d=ip: p.send("10.244.0.9", d, 80))  # type: ignore[misc]
            n = 2000 if endpoints < 100 else 200
            took = seconds(lambda p=proxy, d=ip, k=n: p.send("10.244.0.9", d, 80, n=k))  # type: ignore[misc]
            walk = proxy.send("10.244.0.9", ip, 80).walks[0]
            rows.append(
                {
                    "services": services,
                    "endpoints each": endpoints,
                    "mode": mode,
                    "walks per s": round(n / took),
                    "first walk s": round(first, 3),
                    "rules that the kernel would look at": walk.examined,
                }
            )
    return rows


def rewritten() -> list[dict[str, Any]]:
    """Lines handed to the kernel when one endpoint becomes not ready, against the number of endpoints."""
    rows = []
    for endpoints in (1, 10, 100, 900, 1100, 5000):
        for mode in MODES:
            proxy = Proxy("node-1", mode)
            proxy.sync(cluster(1, endpoints))
            report = proxy.sync(cluster(1, endpoints, not_ready=1))
            rows.append({"endpoints": endpoints, "mode": mode, "lines": report.lines, "bytes": len(report.transaction)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    results = {"compiling": compile_times(), "walking": walks(), "rewritten by one change": rewritten()}
    if as_json:
        print(json.dumps(results, indent=1))
        return
    for title, rows in results.items():
        print(f"\n{title}\n  " + " | ".join(rows[0]))
        for row in rows:
            print("  " + " | ".join(str(value) for value in row.values()))


if __name__ == "__main__":
    main()
