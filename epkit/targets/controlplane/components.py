"""The command lines of the four programs, and the kubeconfigs that they get.

Flags are those of kubeadm's static pods (``cmd/kubeadm/app/phases/controlplane/manifests.go`` of Kubernetes v1.36),
less what a cluster of one machine without real nodes does not need. The course's own reasons stand beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from epkit.errors import EpkitError
from epkit.targets.controlplane.binaries import NAMES
from epkit.targets.controlplane.certificates import Authority, Pair, key_pair, write
from epkit.targets.fake import FLAGS, seconds

LOOPBACK = "127.0.0.1"
SERVICE_RANGE, SERVICE_ADDRESS = "10.96.0.0/16", "10.96.0.1"
#: What the Service `kubernetes` leads to. An address of the loopback interface is refused in Endpoints, and the host's
#: own is nobody's business: this is the control plane's node in the simulation, where requests in pods arrive.
ADVERTISED = "172.18.0.2"
ISSUER = "https://kubernetes.default.svc.cluster.local"
#: users with all rights: the learner's, epkit's own watches, and the simulated kubelets
ADMIN, WATCHER = "kubernetes-admin", "epkit"
MASTERS, NODES = "system:masters", "system:nodes"
#: Go's garbage collector, set to keep the four programs to about half a gigabyte together
MEMORY = {
    "etcd": {"GOGC": "40", "GOMEMLIMIT": "90MiB"},
    "kube-apiserver": {"GOGC": "40", "GOMEMLIMIT": "250MiB"},
    "kube-controller-manager": {"GOGC": "40", "GOMEMLIMIT": "120MiB"},
    "kube-scheduler": {"GOGC": "40", "GOMEMLIMIT": "90MiB"},
}
#: what an audit log tells: who read what, and what was written, but no secrets
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["get", "list", "watch"]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
        {"level": "Request"},
    ],
}

Flags = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Ports:
    """Where the programs listen, all on 127.0.0.1."""

    etcd: int
    etcd_peer: int
    kube_apiserver: int
    kube_controller_manager: int
    kube_scheduler: int

    def of(self, name: str) -> int:
        return int(getattr(self, name.replace("-", "_")))


class Files:
    """Certificates, keys and kubeconfigs in the control plane's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pki"
        self.folder.mkdir(mode=0o700)
        self.etcd_data = folder / "etcd"
        self.etcd_ca = Authority(self.folder, "etcd-ca")
        self.ca = Authority(self.folder, "ca")
        here = ("localhost", LOOPBACK)
        both = ("server", "client")  # etcd's gateway calls etcd with the server's certificate
        self.etcd = self.etcd_ca.issue("etcd", "etcd", usages=both, hosts=here)
        self.etcd_client = self.etcd_ca.issue("etcd-client", "kube-apiserver-etcd-client")
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        hosts = (*here, *names, SERVICE_ADDRESS, ADVERTISED)
        self.serving = self.ca.issue("kube-apiserver", "kube-apiserver", usages=("server",), hosts=hosts)
        self.others = self.ca.issue("serving", "localhost", usages=("server",), hosts=here)
        self.token_key, self.token_public = key_pair(self.folder, "service-accounts")
        self._users: dict[str, Pair] = {}

    def user(self, name: str, *groups: str) -> Pair:
        """The certificate of a user of the API, made when first asked for."""
        if name not in self._users:
            self._users[name] = self.ca.issue(f"user-{name.replace(':', '-')}", name, groups)
        return self._users[name]

    def kubeconfig(self, file: Path, server: str, name: str, *groups: str) -> Path:
        """Write a kubeconfig for a user. It holds the certificates, so that it may be copied."""
        pair = self.user(name, *groups)
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "epkit",
                    "cluster": {"server": server, "certificate-authority-data": _base64(self.ca.file)},
                }
            ],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": _base64(pair.certificate),
                        "client-key-data": _base64(pair.key),
                    },
                }
            ],
            "contexts": [{"name": "epkit", "context": {"cluster": "epkit", "user": name}}],
            "current-context": "epkit",
        }
        write(file, yaml.safe_dump(content, sort_keys=False).encode())
        return file


def command(name: str, files: Files, ports: Ports, flags: Mapping[str, str], audit: Path | None) -> list[str]:
    """The arguments of a program; `flags` are added, or take the place of ours."""
    match name:
        case "etcd":
            ours = _etcd(files, ports)
        case "kube-apiserver":
            ours = _kube_apiserver(files, ports, audit)
        case "kube-controller-manager":
            ours = _kube_controller_manager(files, ports)
        case _:
            ours = _component(files, ports, name)
    return [f"--{flag}={value}" for flag, value in {**ours, **flags}.items()]


def _etcd(files: Files, ports: Ports) -> dict[str, str]:
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"https://{LOOPBACK}:{ports.etcd_peer}"
    return {
        "name": "default",
        "data-dir": str(files.etcd_data),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "client-cert-auth": "true",
        "trusted-ca-file": str(files.etcd_ca.file),
        "cert-file": str(files.etcd.certificate),
        "key-file": str(files.etcd.key),
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": str(files.etcd_ca.file),
        "peer-cert-file": str(files.etcd.certificate),
        "peer-key-file": str(files.etcd.key),
        # Nothing has to survive a power failure here, and disks of laptops are slow to sync.
        "unsafe-no-fsync": "true",
    }


def _kube_apiserver(files: Files, ports: Ports, audit: Path | None) -> dict[str, str]:
    flags = {
        "advertise-address": ADVERTISED,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "bind-address": LOOPBACK,
        "cert-dir": str(files.folder),
        "client-ca-file": str(files.ca.file),
        "etcd-cafile": str(files.etcd_ca.file),
        "etcd-certfile": str(files.etcd_client.certificate),
        "etcd-keyfile": str(files.etcd_client.key),
        "etcd-servers": f"https://{LOOPBACK}:{ports.etcd}",
        "secure-port": str(ports.kube_apiserver),
        "service-account-issuer": ISSUER,
        "service-account-key-file": str(files.token_public),
        "service-account-signing-key-file": str(files.token_key),
        "service-cluster-ip-range": SERVICE_RANGE,
        "tls-cert-file": str(files.serving.certificate),
        "tls-private-key-file": str(files.serving.key),
    }
    if audit is not None:
        policy = files.folder / "audit-policy.yaml"
        write(policy, yaml.safe_dump(AUDIT_POLICY, sort_keys=False).encode())
        flags |= {"audit-log-path": str(audit), "audit-policy-file": str(policy)}
    return flags


def _kube_controller_manager(files: Files, ports: Ports) -> dict[str, str]:
    return {
        **_component(files, ports, "kube-controller-manager"),
        "allocate-node-cidrs": "false",  # the simulated nodes bring their ranges
        # All but those that look after volumes: one of them makes a folder outside ours.
        "controllers": "*,-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller",
        # Each controller writes as a user of its own, so that the story can tell them apart.
        "use-service-account-credentials": "true",
        "root-ca-file": str(files.ca.file),
        "service-account-private-key-file": str(files.token_key),
        # The defaults, 20 and 30, are for clusters where others need the API server too.
        "kube-api-qps": "200",
        "kube-api-burst": "400",
    }


def _component(files: Files, ports: Ports, name: str) -> dict[str, str]:
    """What kube-controller-manager and kube-scheduler have in common."""
    server = f"https://{LOOPBACK}:{ports.kube_apiserver}"
    config = str(files.kubeconfig(files.folder / f"{name}.kubeconfig", server, f"system:{name}"))
    return {
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": LOOPBACK,
        "kubeconfig": config,
        "leader-elect": "false",  # there is one of each: no seconds lost at the start
        "secure-port": str(ports.of(name)),
        "tls-cert-file": str(files.others.certificate),
        "tls-private-key-file": str(files.others.key),
    }


def flags_of(given: Mapping[str, Mapping[str, Any]]) -> Flags:
    """What a learner gives as ``flags``, by program.

    As on the built-in cluster, a controller's option may be named, such as
    ``{"endpointslice-controller": {"max_endpoints_per_slice": 3}}``; or any flag of a program, such as
    ``{"kube-scheduler": {"v": 4}}``.

    Raises:
        EpkitError: there is no such controller or option.

    >>> flags_of({"endpointslice-controller": {"max_endpoints_per_slice": 3}})
    {'kube-controller-manager': {'max-endpoints-per-slice': '3'}}
    """
    found: Flags = {}
    for owner, options in given.items():
        if owner in NAMES:
            found.setdefault(owner, {}).update({flag.replace("_", "-"): _value(v) for flag, v in options.items()})
            continue
        known = {option: (flag, kind) for flag, (controller, option, kind, _) in FLAGS.items() if controller == owner}
        for option, value in options.items():
            if option.replace("-", "_") not in known:
                every = ", ".join(f"{controller}: {name}" for controller, name, _, _ in FLAGS.values())
                raise EpkitError(
                    f"kube-controller-manager has no option {option!r} of {owner} that could be passed on. There are "
                    f"{every}; any other flag goes under the name of its program, such as "
                    '{"kube-controller-manager": {"v": 2}}.'
                )
            flag, kind = known[option.replace("-", "_")]
            text = _duration(value) if kind is seconds and not isinstance(value, str) else _value(value)
            found.setdefault("kube-controller-manager", {})[flag] = text
    return found


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _duration(value: float) -> str:
    """Seconds as Go's ``time.ParseDuration`` reads them.

    >>> _duration(0.5)
    '0.5s'
    """
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


def _base64(file: Path) -> str:
    from base64 import b64encode

    return b64encode(file.read_bytes()).decode()
