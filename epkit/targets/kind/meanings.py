"""What kind, Docker, Podman and containerd mean when they fail: a sentence and a remedy for what they print.

What is not known here is told in the program's own last lines. The texts are those of kind v0.32 and its known issues,
Docker 20 to 29, Podman 3 to 5, and containerd 2.
"""

from __future__ import annotations

import re
from pathlib import Path

from epkit.errors import EpkitError

#: raises both limits of inotify to what kind's known issues recommend
SYSCTL = "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
_LAST_LINES = 8

_INOTIFY = (
    r"[Tt]oo many open files|failed to create fsnotify watcher|inotify_add_watch"
    r"|Failed to (allocate manager|create inotify) object",
    f"A node ran out of inotify watches, of which Linux gives each user few. Run `{SYSCTL}`, then run the command "
    "again (to keep it, write both into /etc/sysctl.d/; with Docker Desktop or WSL do it inside of its machine).",
)
_DISK = (
    r"no space left on device|disk quota exceeded|There is not enough space on the disk",
    "The disk of the container engine is full; the cluster needs 6 GB. Make room, for instance "
    "with `docker system prune` (or `podman system prune`), then run the command again.",
)
_MEMORY = (
    r"signal: killed|OOMKilled|[Oo]ut of memory|Cannot allocate memory",
    "The machine ran out of memory. Close other programs, or give the engine 3 GB or more, then run the command again.",
)
#: what is looked for in the logs of nodes: there much else is said that is no reason
_IN_NODES = [_INOTIFY, _DISK, _MEMORY]
#: what kind, the engines and containerd print -> what it means and what to do; the first that is found counts. What
#: kubeadm and nodes say of the network within the cluster must not pass for the registry's, so that comes last.
_MEANINGS = [
    *_IN_NODES,
    (
        r"port is already allocated|address already in use|Ports are not available"
        r"|bind: An attempt was made to access a socket|failed to expose ports via rootlessport|proxy already running",
        "The port that was chosen for the cluster's API server is in use by another program. Run the command again: "
        "kind chooses another free one.",
    ),
    (
        r"toomanyrequests|pull rate limit|429 Too Many Requests",
        "The registry refuses more pulls from your address for now. Run `docker login` (or `podman login docker.io`) "
        "with a free account, or wait an hour, then run the command again.",
    ),
    (
        r"node\(s\) already exist for a cluster",
        "Somebody else just made a kind cluster named epkit. Run the command again: it takes that one over if "
        "it works.",
    ),
    (
        r"container name \S+ is already in use",
        "There are containers with the names of the cluster's nodes. Look at them with `docker ps -a` (or `podman ps "
        "-a`), remove them if you do not need them, then run the command again.",
    ),
    (
        r"address pools have been fully subnetted|non-overlapping IPv4 address pool",
        "Docker has no addresses left for another network. Run `docker network prune`, then run the command again.",
    ),
    (
        r"rootless provider requires cgroup v2|rootless provider requires setting systemd property",
        "The rootless engine may not limit what containers use. Follow https://kind.sigs.k8s.io/docs/user/rootless/, "
        "then run the command again.",
    ),
    (
        r"unable to decode config|unknown apiVersion|strict decoding error|unknown field",
        "kind does not understand the course's configuration. Install kind 0.32.0 or newer, "
        "then run the command again.",
    ),
    (
        r"Cannot connect to the Docker daemon|failed to connect to the docker API|Cannot connect to Podman",
        "The container engine went away while the cluster was being made. Start it, then run the command again.",
    ),
    (
        r"could not find a log line that matches|couldn't find an alternative telinit|Failed to create control group",
        "A node's own systemd did not start. The usual reasons are few inotify watches, little memory, cgroups that "
        f'containers may not write, and "init": true in Docker\'s daemon.json. Run `{SYSCTL}`, then run the command '
        "again.",
    ),
    (
        r"failed to init node with kubeadm|failed to join node with kubeadm|kubelet is not (running|healthy)",
        "Kubernetes did not come up on a node. The usual reasons are little memory and a busy machine: close other "
        "programs, then run the command again.",
    ),
    (
        r"x509: |certificate signed by unknown authority|tls: failed to verify certificate",
        "A registry's certificate is not trusted here, as behind a proxy that opens connections. Install the proxy's "
        "certificate for Docker or Podman, then run the command again.",
    ),
    (
        r"no matching manifest for|exec format error|manifest unknown",
        "There is no node image for this kind of processor: kind has them for amd64 and arm64. Use the built-in "
        "cluster.",
    ),
    (
        r"no such host|Temporary failure in name resolution|server misbehaving|network is unreachable|i/o timeout|TLS "
        r"handshake timeout|Client\.Timeout exceeded|request canceled while waiting|connection reset by peer|dial tcp "
        r"\S+: connect: connection refused|failed to do request|pinging container registry|failed to resolve reference",
        "The registry cannot be reached. Connect to the network (behind a proxy set HTTPS_PROXY for the engine), then "
        "run the command again: it goes on where it stopped.",
    ),
]


def explain(doing: str, text: str, log: Path, nodes: str = "") -> EpkitError:
    """What a failed program's output means.

    Args:
        doing: what was tried, as a sentence goes on after "It was not possible to".
        text: everything printed.
        log: where it can be read in full.
        nodes: what the nodes' own logs say.
    """
    sentence = _find(_IN_NODES, nodes) or meaning(text)
    if sentence:
        return EpkitError(f"It was not possible to {doing}. {sentence} (All that was printed is in {log}.)")
    return EpkitError(
        f"It was not possible to {doing}. The last lines were:\n{last(text, _LAST_LINES)}\n"
        f"All of it is in {log}; https://kind.sigs.k8s.io/docs/user/known-issues/ lists what is known. "
        "Put right what it says, then run the command again."
    )


def meaning(text: str) -> str:
    """A sentence and a remedy for what was printed, or nothing.

    >>> meaning("Error response from daemon: toomanyrequests: You have reached your pull rate limit.")[:20]
    'The registry refuses'
    """
    return _find(_MEANINGS, text)


def _find(meanings: list[tuple[str, str]], text: str) -> str:
    return next((sentence for pattern, sentence in meanings if re.search(pattern, text)), "")


def last(text: str, lines: int) -> str:
    said = [line.strip() for line in text.splitlines() if line.strip() and "pretty printing" not in line]
    return "\n".join(said[-lines:]).rstrip(".") if said else "it printed nothing"
