"""``/healthz``, ``/livez`` and ``/readyz``: everything is well, and with ``?verbose`` also what everything is.

Source: ``k8s.io/apiserver/pkg/server/healthz/healthz.go`` of Kubernetes v1.36.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_START = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
_HOOKS = [
    *(f"poststarthook/{name}" for name in _START),
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
]
CHECKS: dict[str, list[str]] = {
    "healthz": ["ping", "log", "etcd", *_HOOKS],
    "livez": ["ping", "log", "etcd", *_HOOKS],
    "readyz": ["ping", "log", "etcd", "etcd-readiness", "informer-sync", *_HOOKS, "shutdown"],
}


def answer(path: str, query: Mapping[str, str]) -> tuple[int, str] | None:
    """The code and the text of a health endpoint; None if `path` is none.

    >>> answer("/readyz", {})
    (200, 'ok')
    """
    kind, _, check = path.strip("/").partition("/")
    checks = CHECKS.get(kind)
    if checks is None:
        return None
    if check:
        return (200, "ok") if check in checks else (404, "404 page not found\n")
    if "verbose" not in query:
        return 200, "ok"
    return 200, _verbose(kind, checks, [query["exclude"]] if query.get("exclude") else [])


def _verbose(kind: str, checks: Sequence[str], excluded: Sequence[str]) -> str:
    lines = [f"[+]{check} excluded: ok" if check in excluded else f"[+]{check} ok" for check in checks]
    unknown = [name for name in excluded if name not in checks]
    if unknown:
        quoted = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    return "".join(f"{line}\n" for line in [*lines, f"{kind} check passed"])
