"""kind, docker and podman as far as epkit runs them: the same arguments, outputs and exit codes, on a folder of files.

A program's file on PATH calls :func:`main` with its name. The folder (STANDIN_STATE) holds

    plan.json        what a test wants to happen otherwise, by the words of a command
    calls            one line for each call
    containers/NAME  a node's container: its id and state
    cluster.pid      a built-in cluster, which stands behind the nodes, with its kubeconfig beside it

The standard library alone, since the programs start without site-packages.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ["STANDIN_STATE"])
PLAN = json.loads((STATE / "plan.json").read_text()) if (STATE / "plan.json").exists() else {}
ZONES = {"epkit-control-plane": "zone-a", "epkit-worker": "zone-b", "epkit-worker2": "zone-a"}
#: as kind prints on something that is no terminal
STEPS = [
    "Ensuring node image (kindest/node:v1.36.1) \U0001f5bc",
    "Preparing nodes \U0001f4e6 \U0001f4e6 \U0001f4e6",
    "Writing configuration \U0001f4dc",
    "Starting control-plane \U0001f579️",
    "Installing CNI \U0001f50c",
    "Installing StorageClass \U0001f4be",
    "Joining worker nodes \U0001f69c",
]


def main(name):
    words = sys.argv[1:]
    with (STATE / "calls").open("a") as calls:
        calls.write(" ".join([name, *words]) + "\n")
    for begin, answer in PLAN.items():
        if " ".join([name, *words]).startswith(begin) and isinstance(answer, dict) and "code" in answer:
            sys.stdout.write(answer.get("out", ""))
            sys.stderr.write(answer.get("err", ""))
            sys.exit(answer["code"])
    hang(f"{name} {' '.join(words)}")
    if PLAN.get("hold") and PLAN["hold"] in f"{name} {' '.join(words)}":
        (STATE / "holds").write_text("")
        while not (STATE / "go").exists():
            time.sleep(0.01)
    sys.exit((kind if name == "kind" else engine)(name, words))


def hang(where):
    """Stop here for ever, if the plan says so, and let the test know."""
    wanted = PLAN.get("hang")
    if wanted and wanted in where:
        (STATE / "hangs").write_text(str(os.getpid()))
        while True:
            signal.pause()


# -- kind --------------------------------------------------------------------------------------------------------------


def kind(_, words):
    if words == ["version"]:
        print(PLAN.get("version", "kind v0.32.0 go1.25.9 linux/amd64"))
        return 0
    options = dict(zip(words, words[1:], strict=False))
    assert options["--name"] == "epkit", words
    if words[:2] == ["create", "cluster"]:
        return create(options, sys.stdin.read())
    if words[:2] == ["export", "kubeconfig"]:
        return export(options["--kubeconfig"])
    if words[:2] == ["delete", "cluster"]:
        print('Deleting cluster "epkit" ...', file=sys.stderr)
        there = containers()
        for node in there:
            remove(node)
        if there:
            print(f"Deleted nodes: {json.dumps(there)}", file=sys.stderr)
        Path(options["--kubeconfig"]).unlink(missing_ok=True)
        return 0
    raise AssertionError(words)


def create(options, config):
    assert os.environ["KIND_EXPERIMENTAL_PROVIDER"] in ("docker", "podman") and "KUBECONFIG" not in os.environ
    assert "kind: Cluster" in config, config
    if containers():
        print(
            'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "epkit"',
            file=sys.stderr,
        )
        return 1
    print('Creating cluster "epkit" ...', file=sys.stderr)
    for step in STEPS:
        print(f" • {step}  ...", file=sys.stderr, flush=True)
        hang(f"begin {step}")
        if step.startswith("Preparing"):
            run_nodes()
        if step == PLAN.get("fails at"):
            print(f" ✗ {step}\nERROR: failed to create cluster: {PLAN['with']}", file=sys.stderr)
            return 1
        if step.startswith("Starting"):
            start_cluster()
        hang(f"end {step}")
        print(f" ✓ {step}", file=sys.stderr, flush=True)
    return export(options["--kubeconfig"])


def run_nodes():
    if PLAN.get("late node"):
        # The client is ended here, and the daemon runs the container all the same.
        code = f"import os, sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); import kind_standins as s; "
        code += f"s.run_late({os.getpid()})"
        subprocess.Popen([sys.executable, "-SE", "-c", code], start_new_session=True, stdin=subprocess.DEVNULL)
        (STATE / "hangs").write_text(str(os.getpid()))
        while True:
            signal.pause()
    for number, name in enumerate(ZONES, 1):
        run(name, f"{number}{os.getpid():063d}"[:64])
        hang(f"node {number}")


def run_late(pid):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            run("epkit-worker", "f" * 64)
            return
        time.sleep(0.01)


def start_cluster():
    """What answers for the cluster: a built-in one, in a process of its own."""
    file, log = STATE / "cluster.kubeconfig", (STATE / "cluster.log").open("w")
    nodes = ",".join(f"{name}={zone}" for name, zone in ZONES.items())
    words = [sys.executable, "-m", "epkit", "up", "--target", "fake", "--kubeconfig", str(file), "--nodes", nodes]
    environment = {name: value for name, value in os.environ.items() if name != "EPKIT_TARGET"}
    started = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True, env=environment
    )
    (STATE / "cluster.pid").write_text(str(started.pid))
    assert started.stdout.readline(), (STATE / "cluster.log").read_text()
    # As in the control plane's container, the kubeconfig is there also when nothing answers any more.
    (STATE / "admin.conf").write_text(re.sub(r"\bepkit$", "kind-epkit", file.read_text(), flags=re.M))


def export(file):
    admin = STATE / "admin.conf"
    if "epkit-control-plane" not in containers() or not admin.exists():
        print('ERROR: could not locate any control plane nodes for cluster named "epkit".', file=sys.stderr)
        return 1
    Path(file).write_text(admin.read_text())
    print('Set kubectl context to "kind-epkit"', file=sys.stderr)
    return 0


# -- docker and podman -------------------------------------------------------------------------------------------------


def engine(name, words):
    match words:
        case ["--version"]:
            print(PLAN.get(f"{name} version", f"{name.capitalize()} version 29.2.1, build a5c7197"))
        case ["info", "--format", form]:
            assert form == ("{{json .}}" if name == "docker" else "json")
            print(json.dumps((docker_info if name == "docker" else podman_info)() | PLAN.get("info", {})))
        case ["image", "inspect", image]:
            if image not in pulled():
                print(f"[]\nError response from daemon: No such image: {image}", file=sys.stderr)
                return 1
        case ["pull", image]:
            for layer in ("a1b2c3d4e5f6", "0f1e2d3c4b5a"):
                print(f"{layer}: Pulling fs layer\n{layer}: Pull complete", flush=True)
            (STATE / "images").open("a").write(image + "\n")
            print(f"Status: Downloaded newer image for {image}")
        case ["ps", *_]:
            for node in containers():
                entry = read(node)
                print(entry["id"], node, entry["state"])
        case ["start", *ids]:
            for node in containers():
                entry = read(node)
                if entry["id"] in ids:
                    write(node, {**entry, "state": "running"})
                    print(entry["id"])
        case ["rm", "-f", "-v", *ids]:
            for node in [node for node in containers() if read(node)["id"] in ids]:
                remove(node)
        case ["logs", "--tail", _, _]:
            print(PLAN.get("node says", "Welcome to Debian GNU/Linux 13 (trixie)!"))
        case ["exec", _, "journalctl", *_]:
            print("kubelet: dial tcp 172.18.0.2:6443: connect: connection refused")
        case ["exec", node, "crictl", "inspecti", "-q", image]:
            return 0 if f"{node} {image}" in pulled() else 1
        case ["exec", node, "crictl", "pull", image]:
            (STATE / "images").open("a").write(f"{node} {image}\n")
            print(f"Image is up to date for {image}")
        case _:
            raise AssertionError(words)
    return 0


def docker_info():
    return {
        "ID": "f00", "OperatingSystem": "Debian GNU/Linux 13 (trixie)", "OSType": "linux", "MemTotal": 8 * 1024**3,
        "DockerRootDir": str(STATE), "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "CgroupVersion": "2", "MemoryLimit": True, "PidsLimit": True, "CPUShares": True,
    }  # fmt: skip


def podman_info():
    host = {
        "memTotal": 8 * 1024**3, "cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"],
        "security": {"rootless": True}, "serviceIsRemote": False,
    }  # fmt: skip
    return {"host": host | PLAN.get("host", {}), "store": {"graphRoot": str(STATE)}}


def pulled():
    return (STATE / "images").read_text().splitlines() if (STATE / "images").exists() else []


# -- containers --------------------------------------------------------------------------------------------------------


def containers():
    return sorted(file.name for file in (STATE / "containers").iterdir() if not file.name.endswith(".part"))


def read(node):
    return json.loads((STATE / "containers" / node).read_text())


def write(node, entry):
    part = STATE / "containers" / f"{node}.part"
    part.write_text(json.dumps(entry))
    part.replace(STATE / "containers" / node)


def run(node, id):
    write(node, {"id": id, "state": "running"})


def remove(node):
    (STATE / "containers" / node).unlink(missing_ok=True)
    pid = STATE / "cluster.pid"
    if node == "epkit-control-plane":
        (STATE / "admin.conf").unlink(missing_ok=True)
    if node == "epkit-control-plane" and pid.exists():
        try:
            os.kill(int(pid.read_text()), signal.SIGTERM)
        except ProcessLookupError:
            pass
        pid.unlink()
