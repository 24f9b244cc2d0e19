"""What a kind cluster needs, looked at before anything is made. What is missing becomes one sentence with a remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from epkit.errors import EpkitError
from epkit.targets.kind.meanings import SYSCTL, last
from epkit.targets.kind.programs import Programs, say

#: kind supports a node image only with the release that built it, or a newer one
OLDEST_KIND = (0, 32, 0)
#: bytes: the control plane takes about 1 GB, two workers 0.3 GB each, what the labs run 0.5 GB
MEMORY = 3 * 1024**3
#: bytes: the node image takes 1.2 GB, what each of three nodes unpacks 1 GB, the labs' image and pods the rest
DISK = 6 * 1024**3
#: known to be too few for the systemd, containerd and kubelets of three nodes, where other things run as well
INOTIFY_INSTANCES = 128
#: kind's defaults for Services and Pods, the names within a cluster, and Docker's usual networks
NO_PROXY = "127.0.0.1,localhost,10.96.0.0/16,10.244.0.0/16,172.16.0.0/12,.svc,.cluster.local"


@dataclass(frozen=True, slots=True)
class Engine:
    """Docker or Podman, running.

    Attributes:
        name: ``docker`` or ``podman``, as the program and kind's KIND_EXPERIMENTAL_PROVIDER call it.
        id: what tells one Docker daemon from another; empty for Podman.
        memory: bytes, of the machine or of the virtual machine that it runs in; 0 if it does not say.
        folder: where it keeps images and containers; empty if that is not a folder of this machine.
        rootless: it runs as an ordinary user.
        limits: cgroup v2, with what a kubelet needs of it.
    """

    name: str
    id: str
    memory: int
    folder: str
    rootless: bool
    cgroup2: bool
    limits: bool

    @property
    def title(self) -> str:
        return self.name.capitalize()


def find_engine(programs: Programs, wanted: str = "") -> Engine:
    """Docker, or Podman where there is no Docker that answers.

    Args:
        wanted: the one that an earlier cluster was made with; else KIND_EXPERIMENTAL_PROVIDER may name one.

    Raises:
        EpkitError: neither is there, or neither answers.
    """
    wanted = wanted or os.environ.get("KIND_EXPERIMENTAL_PROVIDER", "")
    if wanted not in ("", "docker", "podman"):
        raise EpkitError(
            f"KIND_EXPERIMENTAL_PROVIDER is {wanted!r}; epkit works with docker and podman. Unset it, or set one of "
            "them."
        )
    there = [name for name in ((wanted,) if wanted else ("docker", "podman")) if _is_there(programs, name)]
    if not there:
        what = wanted.capitalize() if wanted else "Neither Docker nor Podman"
        verb = "is not" if wanted else "is"
        raise EpkitError(
            f"{what} {verb} on PATH, and kind runs its nodes in containers. Install Docker "
            "(https://docs.docker.com/get-docker/) or Podman (https://podman.io), then run the command again."
        )
    troubles = []
    for name in there:
        try:
            found = _docker(programs) if name == "docker" else _podman(programs)
        except EpkitError as error:
            troubles.append(error)
            continue
        if troubles:
            say(f"{troubles[0]} Going on with {found.title}.")
        return found
    raise troubles[0]


def refuse_old_kind(programs: Programs) -> str:
    """The version of kind.

    Raises:
        EpkitError: there is no kind, or it is older than the node image.
    """
    needed = ".".join(map(str, OLDEST_KIND))
    if shutil.which("kind") is None:
        raise EpkitError(
            f"There is no kind on PATH. Install kind {needed} or newer "
            "(https://kind.sigs.k8s.io/docs/user/quick-start/#installation), then run the command again."
        )
    done = programs.run(["kind", "version"], 30)
    match = re.search(r"kind v?(\d+)\.(\d+)\.(\d+)\S*", done.stdout)
    if match is None:
        raise EpkitError(
            f"The program kind on PATH is not the one that makes clusters: `kind version` says {last(done.text, 1)!r}. "
            f"Put kind {needed} or newer first on PATH."
        )
    version = match[0].removeprefix("kind ")
    if tuple(map(int, match.groups())) < OLDEST_KIND:
        raise EpkitError(
            f"kind {version} is too old for the node image of the course, Kubernetes 1.36: that needs kind {needed} or "
            "newer. Get one from https://github.com/kubernetes-sigs/kind/releases, then run the command again."
        )
    return version


def refuse_proxies(environ: Mapping[str, str] = os.environ) -> None:
    """See that a proxy in the environment does not stand between epkit and the cluster, nor between node and image.

    kind gives HTTP_PROXY, HTTPS_PROXY and NO_PROXY to its nodes, and adds their own networks to NO_PROXY there. It
    cannot do that for programs on this machine: they would ask the proxy for the API server at 127.0.0.1.

    Raises:
        EpkitError: NO_PROXY leaves 127.0.0.1 out, or a proxy is at this machine's loopback.
    """
    proxies = {
        name: value for name, value in environ.items() if name.lower() in ("http_proxy", "https_proxy") and value
    }
    if not proxies:
        return
    # Some programs read the one first, and some the other.
    given = [environ[name].replace(" ", "").split(",") for name in ("NO_PROXY", "no_proxy") if environ.get(name)]
    if not given or not all({"127.0.0.1", "127.0.0.0/8", "*"} & set(entries) for entries in given):
        value = ",".join(dict.fromkeys([*filter(None, sum(given, [])), *NO_PROXY.split(",")]))
        raise EpkitError(
            f"{' and '.join(sorted(proxies))} is set, and NO_PROXY does not name 127.0.0.1, where the cluster's API "
            f"server listens: requests to it would go to the proxy. Run `export NO_PROXY={value} no_proxy={value}`, "
            "here and where the notebooks run, then try again."
        )
    for name, value in sorted(proxies.items()):
        host = urlsplit(value if "//" in value else f"//{value}").hostname or ""
        if host in ("localhost", "::1") or host.startswith("127."):
            raise EpkitError(
                f"{name} is {value}, and kind passes it on into the nodes, where {host} is the node itself: no image "
                "could be pulled there. Set it to an address of this machine that containers reach (with Docker "
                "Desktop: http://host.docker.internal:PORT), or unset it, then run the command again."
            )


def refuse_little_room(engine: Engine) -> None:
    """See that there is memory and disk for three nodes.

    The disk is looked at where the engine keeps its data on this machine; in a virtual machine only a pull tells.

    Raises:
        EpkitError: there is too little.
    """
    if 0 < engine.memory < MEMORY:
        raise EpkitError(
            f"{engine.title} has {_gb(engine.memory)} of memory, and three nodes with the labs need {_gb(MEMORY)}: the "
            "control plane takes about 1 GB, each worker 0.3 GB. Give it more (Docker Desktop: Settings, Resources; "
            "Podman: podman machine set --memory 4096), or use the built-in cluster."
        )
    if engine.rootless and not engine.cgroup2:
        raise EpkitError(
            f"{engine.title} runs rootless on cgroup v1, and kind needs cgroup v2 there. Boot with "
            "systemd.unified_cgroup_hierarchy=1 (https://kind.sigs.k8s.io/docs/user/rootless/), or run it as root."
        )
    if engine.rootless and not engine.limits:
        raise EpkitError(
            f"{engine.title} runs rootless, and systemd does not let it limit memory, CPU and processes, which a "
            "kubelet needs. Set Delegate=yes for user@.service (https://kind.sigs.k8s.io/docs/user/rootless/) and log "
            "in anew, or start the command with `systemd-run --scope --user -p Delegate=yes`."
        )
    if engine.folder:
        free = shutil.disk_usage(engine.folder).free
        if free < DISK:
            raise EpkitError(
                f"The disk of {engine.folder}, where {engine.title} keeps its data, has {_gb(free)} left, and the "
                f"cluster needs {_gb(DISK)}. Make room, for instance with `{engine.name} system prune`, then run "
                "the command again."
            )


def warn_of_few_watches() -> None:
    """Tell when Linux allows few inotify instances: often enough, and a riddle when not."""
    file = Path("/proc/sys/fs/inotify/max_user_instances")
    try:
        instances = int(file.read_text())
    except (OSError, ValueError):  # not Linux: the virtual machine of the engine has limits of its own
        return
    if instances <= INOTIFY_INSTANCES:
        say(
            f"note: fs.inotify.max_user_instances is {instances}. If a node does not start, or pods say 'too many open "
            f"files', raise it: {SYSCTL}"
        )


def _is_there(programs: Programs, name: str) -> bool:
    """Podman may pose as docker; kind asks for the version, and so does epkit."""
    if shutil.which(name) is None:
        return False
    return programs.run([name, "--version"], 30).stdout.lower().startswith(f"{name} version")


def _docker(programs: Programs) -> Engine:
    done = programs.run(["docker", "info", "--format", "{{json .}}"], 60)
    info = _json(done.stdout)
    errors = " ".join(map(str, info.get("ServerErrors") or ()))
    if not done.ok or errors or "MemTotal" not in info:
        raise _silent("Docker", f"{errors}\n{done.text if not errors else ''}")
    if info.get("OSType") == "windows":
        raise EpkitError(
            "Docker runs Windows containers, and kind needs Linux ones. Choose 'Switch to Linux containers' in Docker "
            "Desktop's menu, then run the command again."
        )
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    folder = str(info.get("DockerRootDir") or "")
    socket = os.environ.get("DOCKER_HOST", "unix://")
    remote = "Desktop" in str(info.get("OperatingSystem")) or not socket.startswith("unix://")
    return Engine(
        "docker",
        str(info.get("ID") or ""),
        int(info["MemTotal"]),
        "" if remote or not Path(folder).is_dir() else folder,
        "name=rootless" in options,
        str(info.get("CgroupVersion")) == "2",
        all(info.get(limit, True) for limit in ("MemoryLimit", "PidsLimit", "CPUShares")),
    )


def _podman(programs: Programs) -> Engine:
    done = programs.run(["podman", "info", "--format", "json"], 60)
    info = _json(done.stdout)
    host = info.get("host") or {}
    if not done.ok or not host:
        raise _silent("Podman", done.text)
    folder = str((info.get("store") or {}).get("graphRoot") or "")
    remote = bool(host.get("serviceIsRemote"))
    controllers = host.get("cgroupControllers") or ("cpu", "memory", "pids")  # Podman 3 does not list them
    return Engine(
        "podman",
        "",
        int(host.get("memTotal") or 0),
        "" if remote or not Path(folder).is_dir() else folder,
        bool((host.get("security") or {}).get("rootless")),
        host.get("cgroupVersion") == "v2",
        {"cpu", "memory", "pids"} <= set(controllers),
    )


def _silent(title: str, text: str) -> EpkitError:
    """Why Docker or Podman did not answer."""
    if title == "Docker" and "permission denied" in text.lower():
        return EpkitError(
            f"You have no permission to use {title}'s socket. Add yourself to its group (`sudo usermod -aG docker "
            '"$USER"`) and log in anew, or use rootless mode (https://docs.docker.com/engine/security/rootless/).'
        )
    if title == "Podman":
        return EpkitError(
            f"Podman is installed and does not answer: {last(text, 1)}. On macOS and Windows run `podman machine init` "
            "once and `podman machine start`; on Linux see that `podman info` works. Then run the command again."
        )
    return EpkitError(
        f"Docker is installed and its daemon does not answer: {last(text, 1)}. Start Docker Desktop, or run "
        "`sudo systemctl start docker`, then run the command again."
    )


def _json(text: str) -> dict:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _gb(count: int) -> str:
    return f"{count / 1024**3:.1f} GB"
