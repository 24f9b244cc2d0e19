"""``epkit up --target kind`` and its end, with programs that behave as kind, docker and podman do at their outside.

What stands behind the stand-in's nodes is a built-in cluster in a process of its own, so that what is made can be
connected to as well.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import epkit
from epkit.cli import main
from epkit.errors import EpkitError
from epkit.targets.images import LAB_IMAGE
from epkit.targets.kind import Kind, made, making, meanings, needs
from epkit.targets.kind.made import Made, Node
from epkit.targets.kind.programs import Programs, Signals, TookTooLong

ROOT = Path(__file__).resolve().parents[3]
STANDINS = Path(__file__).resolve().parent / "standins"
NODES = ["epkit-control-plane", "epkit-worker", "epkit-worker2"]
#: a test gives up on something that has not come after so many seconds
BOUND = 60.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are programs for Linux and macOS")


@dataclass
class Machine:
    """A machine with some of the programs on PATH, and an epkit home of its own."""

    folder: Path
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def install(self, *programs: str) -> None:
        for name in programs:
            file = self.folder / "bin" / name
            code = (
                f"import sys; sys.path.insert(0, {str(STANDINS)!r}); import kind_standins; kind_standins.main({name!r})"
            )
            file.write_text(f"#!{sys.executable} -SE\n{code}\n")
            file.chmod(0o755)

    def wants(self, **plan: Any) -> None:
        """What is to happen otherwise; a word's underscores stand for spaces."""
        self.plan.update({word.replace("_", " "): value for word, value in plan.items()})
        self.write_plan()

    def fails(self, begin: str, err: str, code: int = 1, out: str = "") -> None:
        """Every command that begins so fails."""
        self.plan[begin] = {"code": code, "err": err, "out": out}
        self.write_plan()

    def write_plan(self) -> None:
        (self.state / "plan.json").write_text(json.dumps(self.plan))

    @property
    def calls(self) -> list[str]:
        file = self.state / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def containers(self) -> dict[str, str]:
        files = sorted((self.state / "containers").iterdir())
        return {file.name: json.loads(file.read_text())["state"] for file in files}

    def container(self, name: str, id: str, state: str = "running") -> None:
        (self.state / "containers" / name).write_text(json.dumps({"id": id, "state": state}))

    def end_cluster(self) -> None:
        """What answers for the cluster goes away; its containers stay."""
        file = self.state / "cluster.pid"
        if file.exists():
            pid = int(file.read_text())
            os.kill(pid, signal.SIGTERM)
            until(lambda: not alive(pid))
            file.unlink()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in ("bin", "state", "state/containers", "home"):
        (tmp_path / name).mkdir()
    made_here = Machine(tmp_path)
    made_here.install("kind", "docker")
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("KIND_", "DOCKER_", "EPKIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("STANDIN_STATE", str(made_here.state))
    monkeypatch.setenv("EPKIT_HOME", str(made_here.home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    (tmp_path / "mine").write_text("the learner's own")
    yield made_here
    made_here.end_cluster()
    assert (tmp_path / "mine").read_text() == "the learner's own"


def up(*options: str) -> int:
    return main(["up", "--target", "kind", *options])


def down() -> int:
    return main(["down", "--target", "kind"])


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + BOUND
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended yet."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")  # on Linux: a process that nobody has waited for is still listed
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_of_the_labs_is_the_one_that_is_installed() -> None:
    assert (ROOT / "labs" / "kind.yaml").read_text(encoding="utf-8") == making.configuration()


def test_three_nodes_in_two_zones_with_one_pinned_image() -> None:
    nodes = yaml.safe_load(making.configuration())["nodes"]
    assert making.node_names() == NODES
    assert {node["image"] for node in nodes} == {making.node_image()}
    version, _, digest = making.node_image().partition("@sha256:")
    assert version.startswith("kindest/node:v1.36.") and len(digest) == 64
    zones = [(node["role"], node["labels"]["topology.kubernetes.io/zone"]) for node in nodes]
    assert zones == [("control-plane", "zone-a"), ("worker", "zone-b"), ("worker", "zone-a")]


def test_the_nightly_run_takes_the_kind_that_the_node_image_is_for() -> None:
    """That it is run with as few rights as it needs, and that the release is the one that epkit asks for."""
    run = yaml.safe_load((ROOT / ".github" / "workflows" / "live.yml").read_text(encoding="utf-8"))
    assert run["env"]["KIND_VERSION"] == "v" + ".".join(map(str, needs.OLDEST_KIND))
    assert run["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in run["jobs"].values())


# -- up and down -------------------------------------------------------------------------------------------------------


def test_up_makes_it_and_tells_how_far_it_is(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0
    out, err = capsys.readouterr()
    assert out == f"export KUBECONFIG={machine.home / 'kind.kubeconfig'}\n"
    for line in (
        "epkit: kind v0.32.0 with Docker, Kubernetes v1.36.1",
        "epkit: pulling the nodes' image kindest/node:v1.36.1, about 400 MB …",
        "epkit: making the cluster epkit: 3 nodes in two zones …",
        "epkit:   Preparing nodes, after 0 s",
        "epkit:   Joining worker nodes, after",
        "epkit: waiting for the nodes and Kubernetes' own pods …",
        "epkit: loading the labs' image registry.k8s.io/e2e-test-images/agnhost:2.53 into the nodes",
        'epkit: ready. In a notebook: epkit.connect("kind")',
    ):
        assert line in err
    assert machine.containers == dict.fromkeys(NODES, "running")
    assert [call for call in machine.calls if "crictl pull" in call] == [
        f"docker exec {node} crictl pull {LAB_IMAGE}" for node in NODES
    ]
    assert "$ kind create cluster" in (machine.home / "kind.log").read_text()
    assert (made.read() or Made("", "", False)).complete


def test_down_removes_it_and_the_files(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0 and down() == 0
    assert machine.containers == {}
    assert sorted(file.name for file in machine.home.iterdir()) == ["kind.lock", "kind.log"]
    assert "removing the cluster epkit …" in capsys.readouterr().err


def test_down_of_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert down() == 0
    assert "there is no kind cluster of epkit's; nothing was removed" in capsys.readouterr().err
    assert machine.calls == []


def test_down_of_what_is_gone_already(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0
    for file in (machine.state / "containers").iterdir():
        file.unlink()
    assert down() == 0
    assert "gone already" in capsys.readouterr().err
    assert not made.path().exists()


def test_podman_does_too(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    (machine.folder / "bin" / "docker").unlink()
    machine.install("podman")
    assert up() == 0
    digest = making.node_image().partition("@")[2]
    assert f"podman pull docker.io/kindest/node@{digest}" in machine.calls
    assert "with Podman" in capsys.readouterr().err
    assert down() == 0 and machine.containers == {}


def test_podman_takes_the_place_of_a_docker_that_does_not_run(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("podman")
    machine.fails("docker info", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    assert up() == 0
    assert "Going on with Podman." in capsys.readouterr().err


def test_a_podman_that_poses_as_docker_is_podman(machine: Machine) -> None:
    machine.install("podman")
    machine.wants(docker_version="podman version 5.7.1")
    assert up() == 0
    assert (made.read() or Made("", "", False)).engine == "podman"


def test_an_image_that_no_node_can_pull_is_a_note(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    failed = "failed to pull image: failed to do request: Head https://registry.k8s.io/v2/: dial tcp: i/o timeout"
    machine.fails("docker exec epkit-control-plane crictl pull", failed)
    assert up() == 0
    err = capsys.readouterr().err
    assert "note: the labs' image could not be loaded; nodes pull it once a pod needs it. The registry cannot be" in err


# -- connecting --------------------------------------------------------------------------------------------------------


def test_what_was_made_can_be_connected_to(machine: Machine) -> None:
    assert up() == 0
    cluster = Kind({})
    try:
        assert "kind, http://127.0.0.1:" in cluster.describe()
        assert [node["metadata"]["name"] for node in cluster.client.list("nodes").items] == NODES
    finally:
        cluster.close()


def test_a_learner_works_in_namespaces_of_their_own_there(machine: Machine) -> None:
    assert up() == 0
    with epkit.connect("kind") as cluster:
        cluster.kubectl("create configmap settings --from-literal=a=b")
        found = cluster.client.list("configmaps", "")
        where = {each["metadata"]["namespace"] for each in found.items if each["metadata"]["name"] == "settings"}
        assert len(where) == 1 and where.pop().startswith("epkit-")


def test_connecting_before_up_says_what_to_run(machine: Machine) -> None:
    with pytest.raises(EpkitError, match="no kind cluster of epkit's. Run `epkit up --target kind`"):
        Kind({})


def test_connecting_to_one_that_stopped_says_what_to_run(machine: Machine) -> None:
    assert up() == 0
    machine.end_cluster()
    with pytest.raises(EpkitError, match="does not answer.* Run `epkit up --target kind` in a terminal: it starts"):
        Kind({})


def test_connect_has_no_options(machine: Machine) -> None:
    with pytest.raises(EpkitError, match="The target kind has no option 'nodes'"):
        Kind({"nodes": 3})


# -- a cluster that is there -------------------------------------------------------------------------------------------


def test_up_again_takes_it_over(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0
    before = made.path().read_text()
    capsys.readouterr()
    assert up() == 0
    err = capsys.readouterr().err
    assert "there is a kind cluster epkit already\n" in err and "ready" in err
    assert sum(call.startswith("kind create") for call in machine.calls) == 1
    assert sum("crictl pull" in call for call in machine.calls) == len(NODES), "the image was there"
    assert made.path().read_text() == before
    assert down() == 0 and machine.containers == {}


def test_one_that_a_restart_of_the_machine_stopped_is_started(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up() == 0
    ids = list((made.read() or Made("", "", False)).nodes.values())
    for name, id in zip(NODES, ids, strict=True):
        machine.container(name, id, "exited")
    assert up() == 0
    assert machine.containers == dict.fromkeys(NODES, "running")
    assert "starting 3 stopped nodes" in capsys.readouterr().err


def test_half_of_one_of_ours_is_removed_and_made_anew(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.container(NODES[0], "a" * 64)
    Made("docker", "f00", ours=True, nodes={NODES[0]: "a" * 64}).save()
    assert up() == 0
    err = capsys.readouterr().err
    assert "it is half there: it has no epkit-worker and no epkit-worker2. It is epkit's own, so it is removed" in err
    assert machine.containers == dict.fromkeys(NODES, "running")
    assert "a" * 64 not in made.path().read_text()


def test_one_of_ours_whose_api_does_not_answer_is_made_anew(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert up() == 0
    machine.end_cluster()
    monkeypatch.setattr(making, "AGAIN", 0.0)
    assert up() == 0
    assert "it is half there: its API server does not answer" in capsys.readouterr().err
    Kind({}).close()


def test_half_of_somebody_elses_is_not_touched(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.container(NODES[0], "b" * 64)
    Made("docker", "f00", ours=True, nodes={NODES[0]: "a" * 64}).save()  # an earlier one of ours, long gone
    assert up() == 2
    err = capsys.readouterr().err
    assert "There is a kind cluster named epkit that epkit did not make, and it has no epkit-worker" in err
    assert "kind delete cluster --name epkit" in err
    assert machine.containers == {NODES[0]: "running"}
    assert not any(call.startswith(("kind delete", "docker rm", "kind create")) for call in machine.calls)


def test_somebody_elses_that_works_is_taken_over_and_never_removed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up() == 0
    made.forget()  # as if another home had made it
    capsys.readouterr()
    assert up() == 0
    assert "which was not made by epkit here" in capsys.readouterr().err
    Kind({}).close()
    assert down() == 0
    assert "was not made by epkit, so it stays" in capsys.readouterr().err
    assert machine.containers == dict.fromkeys(NODES, "running")
    assert not made.kubeconfig().exists()


def test_one_that_comes_up_meanwhile_is_not_touched(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "epkit"\n'
    machine.fails("kind create", text)
    assert up() == 2
    assert "Somebody else just made a kind cluster named epkit" in capsys.readouterr().err
    assert not any(call.startswith(("kind delete", "docker rm")) for call in machine.calls)
    assert not made.path().exists()


def test_another_docker_than_it_was_made_with(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0
    before = made.path().read_text()
    machine.wants(info={"ID": "another"})
    assert up() == 2 and down() == 2
    assert capsys.readouterr().err.count("with another Docker than the one that answers now") == 2
    assert made.path().read_text() == before and len(machine.containers) == len(NODES)


def test_only_one_epkit_works_on_it(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    with made.alone():
        assert up() == 2 and down() == 2
    assert capsys.readouterr().err.count("Another epkit is making or removing the kind cluster") == 2


def test_a_cluster_is_ours_by_its_containers_alone() -> None:
    mine = Made("docker", "f00", ours=True, nodes={"epkit-worker": "a"})
    assert mine.is_of([Node("epkit-worker", "a", True), Node("epkit-worker2", "new", False)])
    assert not mine.is_of([Node("epkit-worker", "b", True)]) and not mine.is_of([])
    assert not Made("docker", "f00", ours=False, nodes={"epkit-worker": "a"}).is_of([Node("epkit-worker", "a", True)])


# -- what may be missing -----------------------------------------------------------------------------------------------


def test_neither_docker_nor_podman(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    (machine.folder / "bin" / "docker").unlink()
    assert up() == 2
    assert "Neither Docker nor Podman is on PATH" in capsys.readouterr().err


def test_no_kind(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    (machine.folder / "bin" / "kind").unlink()
    assert up() == 2
    assert "There is no kind on PATH. Install kind 0.32.0 or newer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("kind v0.27.0 go1.23.6 linux/amd64", "kind v0.27.0 is too old for the node image"),
        ("kind, the language, 1.4", "is not the one that makes clusters"),
    ],
)
def test_a_kind_that_will_not_do(
    machine: Machine, capsys: pytest.CaptureFixture[str], says: str, sentence: str
) -> None:
    machine.wants(version=says)
    assert up() == 2
    assert sentence in capsys.readouterr().err


def test_a_newer_kind_will_do(machine: Machine, tmp_path: Path) -> None:
    machine.wants(version="kind v0.40.1-alpha+abc go1.27 linux/amd64")
    with Signals() as signals:
        assert needs.refuse_old_kind(Programs(tmp_path / "log", signals)) == "v0.40.1-alpha+abc"


DOWN = "Docker is installed and its daemon does not answer"
DENIED = "You have no permission to use Docker's socket"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", DOWN),
        (
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if "
            "the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
            DOWN,
        ),
        ("error during connect: open //./pipe/docker_engine: The system cannot find the file specified.", DOWN),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
            'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.47/info": dial unix /var/run/docker.sock: connect: permission '
            "denied",
            DENIED,
        ),
        ("permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", DENIED),
    ],
)
@pytest.mark.parametrize("in_json", [True, False])
def test_a_docker_that_does_not_answer(
    machine: Machine, capsys: pytest.CaptureFixture[str], text: str, sentence: str, in_json: bool
) -> None:
    out = json.dumps({"ID": "", "MemTotal": 0, "ServerErrors": [text]}) if in_json else ""
    machine.fails("docker info", "" if in_json else f"{text}\nerrors pretty printing info\n", out=out)
    assert up() == 2
    assert sentence in capsys.readouterr().err


def test_a_podman_that_does_not_answer(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    (machine.folder / "bin" / "docker").unlink()
    machine.install("podman")
    machine.fails("podman info", "Error: unable to connect to Podman socket: connection refused", 125)
    assert up() == 2
    assert "Podman is installed and does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"MemTotal": 2 * 1024**3}, "Docker has 2.0 GB of memory, and three nodes with the labs need 3.0 GB"),
        ({"OSType": "windows"}, "Docker runs Windows containers"),
        ({"SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}, "Docker runs rootless on cgroup v1"),
        ({"SecurityOptions": ["name=rootless"], "PidsLimit": False}, "Set Delegate=yes for user@.service"),
    ],
)
def test_a_docker_that_will_not_do(
    machine: Machine, capsys: pytest.CaptureFixture[str], info: dict[str, Any], sentence: str
) -> None:
    machine.wants(info=info)
    assert up() == 2
    assert sentence in capsys.readouterr().err
    assert machine.containers == {} and not made.path().exists()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ({"cgroupVersion": "v1"}, "Podman runs rootless on cgroup v1"),
        ({"cgroupControllers": ["memory", "pids"]}, "Podman runs rootless, and systemd does not let it limit"),
        ({"memTotal": 2 * 1024**3}, "podman machine set --memory 4096"),
    ],
)
def test_a_podman_that_will_not_do(
    machine: Machine, capsys: pytest.CaptureFixture[str], host: dict[str, Any], sentence: str
) -> None:
    (machine.folder / "bin" / "docker").unlink()
    machine.install("podman")
    machine.wants(host=host)
    assert up() == 2
    assert sentence in capsys.readouterr().err


def test_too_little_disk(machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def disk_usage(folder: str) -> Any:
        asked.append(folder)
        return type("Usage", (), {"free": 2 * 1024**3})

    monkeypatch.setattr(needs.shutil, "disk_usage", disk_usage)
    assert up() == 2
    assert asked == [str(machine.state)]
    assert "has 2.0 GB left, and the cluster needs 6.0 GB. Make room" in capsys.readouterr().err


def test_the_disk_of_a_virtual_machine_is_not_ours_to_look_at(machine: Machine, tmp_path: Path) -> None:
    machine.wants(info={"OperatingSystem": "Docker Desktop"})
    with Signals() as signals:
        assert needs.find_engine(Programs(tmp_path / "log", signals)).folder == ""


def test_another_engine_than_these(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl")
    assert up() == 2
    assert "KIND_EXPERIMENTAL_PROVIDER is 'nerdctl'; epkit works with docker and podman" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "NO_PROXY does not name 127.0.0.1"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "corp.example"}, "export NO_PROXY=corp.example,127.0.0.1,"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1", "no_proxy": "x"}, "does not name 127.0.0.1"),
        ({"HTTP_PROXY": "http://127.0.0.1:3128", "NO_PROXY": "127.0.0.1"}, "where 127.0.0.1 is the node itself"),
        ({"HTTP_PROXY": "localhost:3128", "NO_PROXY": "127.0.0.1"}, "where localhost is the node itself"),
    ],
)
def test_proxies(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    sentence: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert up() == 2
    assert sentence in capsys.readouterr().err
    assert machine.containers == {}


def test_a_proxy_with_exceptions_is_fine() -> None:
    needs.refuse_proxies({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": needs.NO_PROXY})
    needs.refuse_proxies({"HTTPS_PROXY": "", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--nodes", "5"], "has the three nodes of labs/kind.yaml"),
        (["--kubeconfig", "mine"], "is always"),
        (["--max-endpoints-per-slice", "3"], "--max-endpoints-per-slice is a flag of a controller"),
    ],
)
def test_options_without_a_meaning_are_refused(
    machine: Machine, capsys: pytest.CaptureFixture[str], option: list[str], sentence: str
) -> None:
    assert up(*option) == 2
    assert sentence in capsys.readouterr().err


def test_a_home_that_cannot_be_written(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.folder / "file").write_text("")
    monkeypatch.setenv("EPKIT_HOME", str(machine.folder / "file" / "home"))
    assert up() == 2
    assert "Set EPKIT_HOME to a folder that you may write" in capsys.readouterr().err


def test_a_file_of_ours_that_cannot_be_understood(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    made.path().write_text("{")
    assert down() == 2
    assert "kind.json cannot be understood" in capsys.readouterr().err


# -- what may go wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("toomanyrequests: You have reached your unauthenticated pull rate limit.", "Run `docker login`"),
        (
            'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
            "cannot be reached",
        ),
        ('Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout', "cannot be reached"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "is not trusted here"),
        (
            "failed to register layer: write /usr/bin/kubelet: no space left on device",
            "disk of the container engine is",
        ),
        ("no matching manifest for linux/riscv64 in the manifest list entries", "for this kind of processor"),
        ("something new", "The last lines were:\nError response from daemon: something new\n"),
    ],
)
def test_a_pull_that_fails(machine: Machine, capsys: pytest.CaptureFixture[str], text: str, sentence: str) -> None:
    machine.fails("docker pull", f"Error response from daemon: {text}\n")
    assert up() == 2
    err = capsys.readouterr().err
    assert "It was not possible to pull the nodes' image." in err and sentence in err
    assert str(machine.home / "kind.log") in err


LOG = Path("kind.log")
PREPARING, STARTING = "Preparing nodes \U0001f4e6 \U0001f4e6 \U0001f4e6", "Starting control-plane \U0001f579️"
PORT = (
    'command "docker run --name epkit-control-plane --publish=127.0.0.1:40937:6443/tcp" failed with error: exit status '
    "125\nCommand Output: docker: Error response from daemon: failed to set up container networking: driver failed "
    "programming external connectivity on endpoint epkit-control-plane: Bind for 127.0.0.1:40937 failed: port is "
    "already allocated"
)
NO_LINE = 'could not find a log line that matches "Reached target .*Multi-User System.*|detected cgroup v1"'
KUBEADM = (
    'failed to init node with kubeadm: command "docker exec --privileged epkit-control-plane kubeadm init" failed with '
    'error: exit status 1\n[kubelet-check] Get "http://127.0.0.1:10248/healthz": dial tcp 127.0.0.1:10248: connect: '
    "connection refused"
)


@pytest.mark.parametrize(
    ("text", "nodes", "sentence"),
    [
        (PORT, "", "The port that was chosen for the cluster's API server is in use"),
        ("Ports are not available: exposing port TCP 127.0.0.1:40937", "", "The port that was chosen"),
        (
            'rootlessport cannot expose port: Error: something went wrong: "proxy already running"',
            "",
            "The port that was",
        ),
        (NO_LINE, "Failed to create inotify object: Too many open files", "A node ran out of inotify watches"),
        (NO_LINE, "", "A node's own systemd did not start"),
        ('command "docker run" failed: signal: killed', "", "The machine ran out of memory"),
        ("could not find an available, non-overlapping IPv4 address pool", "", "docker network prune"),
        ("all predefined address pools have been fully subnetted", "", "docker network prune"),
        ("running kind with rootless provider requires cgroup v2, see https://kind", "", "The rootless engine may not"),
        ('rootless provider requires setting systemd property "Delegate=yes"', "", "The rootless engine may not"),
        ("unable to decode config: strict decoding error: unknown field", "", "Install kind 0.32.0 or newer"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "", "The container engine went away"),
        ('Conflict. The container name "/epkit-worker" is already in use by container "b1"', "", "docker ps -a"),
        (KUBEADM, "", "Kubernetes did not come up on a node"),
        (KUBEADM, "kubelet: dial tcp 172.18.0.2:6443: connect: connection refused", "Kubernetes did not come up"),
        (KUBEADM, "kubelet: write /var/lib/x: no space left on device", "The disk of the container engine is full"),
        (KUBEADM, "kubelet: inotify_add_watch /sys/fs/cgroup: no space left on device", "ran out of inotify watches"),
        ("the flux capacitor is empty", "", "The last lines were:\nthe flux capacitor is empty\n"),
    ],
)
def test_what_kind_means(text: str, nodes: str, sentence: str) -> None:
    said = str(meanings.explain("make the cluster", text, LOG, nodes))
    assert said.startswith("It was not possible to make the cluster. ") and sentence in said and str(LOG) in said


@pytest.mark.parametrize(
    ("at", "text", "nodes", "sentence"),
    [
        (PREPARING, NO_LINE, "Failed to create inotify object: Too many open files", "ran out of inotify watches"),
        (PREPARING, PORT, "", "The port that was chosen for the cluster's API server is in use"),
        (STARTING, "the flux capacitor is empty", "", "The last lines were:\n"),
    ],
)
def test_a_creation_that_fails_leaves_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str], at: str, text: str, nodes: str, sentence: str
) -> None:
    machine.wants(fails_at=at, **{"with": text}, node_says=nodes)
    assert up() == 2
    err = capsys.readouterr().err
    assert "It was not possible to make the cluster." in err and sentence in err
    assert machine.containers == {}
    assert sorted(file.name for file in machine.home.iterdir()) == ["kind.lock", "kind.log"]


def test_a_cluster_that_does_not_get_ready_is_removed(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "READY", 0.0)
    monkeypatch.setattr(making, "_not_ready", lambda client: ("not ready: the nodes epkit-worker2", False))
    assert up() == 2
    assert "not ready: the nodes epkit-worker2" in capsys.readouterr().err
    assert machine.containers == {}


def test_a_removal_that_fails_says_what_is_left(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert up() == 0
    machine.fails("kind delete", "ERROR: failed to delete cluster")
    machine.fails("docker rm", "Error response from daemon: removal of container is already in progress")
    assert down() == 2
    assert "epkit-control-plane, epkit-worker, epkit-worker2 still there" in capsys.readouterr().err
    assert made.path().exists(), "so that the next one knows whose it is"


def test_a_program_has_a_time_limit(machine: Machine, tmp_path: Path) -> None:
    machine.wants(hang="docker ps")
    with Signals() as signals, pytest.raises(TookTooLong, match="`docker ps` was not done after 0 s"):
        # The time is over once it hangs, however long it took to get there.
        Programs(tmp_path / "log", signals).run(["docker", "ps"], 0.1, on_look=lambda _: wait_for_hang(machine))
    assert not alive(wait_for_hang(machine))


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def start(machine: Machine, *words: str) -> subprocess.Popen[str]:
    """A real ``epkit`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "epkit", *(words or ("up", "--target", "kind"))], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_for_hang(machine: Machine) -> int:
    file = machine.state / "hangs"
    until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("docker info", signal.SIGINT),
        ("docker pull", signal.SIGINT),
        ("docker pull", signal.SIGHUP),
        ("begin Preparing", signal.SIGINT),
        ("node 2", signal.SIGINT),
        ("node 2", signal.SIGTERM),
        ("end Joining", signal.SIGINT),
        ("crictl pull", signal.SIGINT),
    ],
)
def test_ctrl_c_leaves_nothing_behind(machine: Machine, point: str, number: int) -> None:
    machine.wants(hang=point)
    running = start(machine)
    hanging = wait_for_hang(machine)
    os.killpg(running.pid, number)  # as a terminal does: all that epkit runs in its own group gets it too
    out, err = running.communicate(timeout=BOUND)
    assert running.returncode == 130, err
    assert out == ""
    assert f"{signal.Signals(number).name}: stopping" in err and "nothing that was begun is left behind" in err
    assert machine.containers == {} and not alive(hanging)
    assert not (machine.state / "cluster.pid").exists()
    assert sorted(file.name for file in machine.home.iterdir()) == ["kind.lock", "kind.log"]


def test_a_terminal_that_was_closed_keeps_nothing_from_being_removed(machine: Machine) -> None:
    machine.wants(hang="node 2")
    running = start(machine)
    wait_for_hang(machine)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    running.stderr.close()
    running.send_signal(signal.SIGHUP)
    assert running.wait(BOUND) == 130
    assert machine.containers == {} and not made.path().exists()


def test_a_node_that_the_daemon_still_starts_is_removed_too(machine: Machine) -> None:
    machine.wants(late_node=True)
    running = start(machine)
    wait_for_hang(machine)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=BOUND)
    assert running.returncode == 130, err
    assert machine.containers == {}


def test_a_second_ctrl_c_does_not_break_the_removal_off(machine: Machine) -> None:
    machine.wants(hang="node 3")
    running = start(machine)
    wait_for_hang(machine)
    # The removal hangs now until the test lets it go on, so that the second Ctrl-C comes in the middle of it.
    (machine.state / "hangs").unlink()
    machine.wants(hold="kind delete", hang="")
    running.send_signal(signal.SIGINT)
    until(lambda: (machine.state / "holds").exists())
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    lines = iter(running.stderr.readline, "")
    assert any("that is not broken off" in line for line in lines)
    (machine.state / "go").write_text("")
    _, err = running.communicate(timeout=BOUND)
    assert running.returncode == 130, err
    assert "nothing that was begun is left behind" in err
    assert machine.containers == {}


def test_ctrl_c_does_not_break_down_off(machine: Machine) -> None:
    assert up() == 0
    machine.wants(hold="kind delete")
    running = start(machine, "down", "--target", "kind")
    until(lambda: (machine.state / "holds").exists())
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    assert any("that is not broken off" in line for line in iter(running.stderr.readline, ""))
    (machine.state / "go").write_text("")
    _, err = running.communicate(timeout=BOUND)
    assert running.returncode == 0, err
    assert machine.containers == {}


def test_ctrl_c_while_one_is_taken_over_leaves_it_as_it_was(machine: Machine) -> None:
    assert up() == 0
    before = made.path().read_text()
    machine.wants(hang="export kubeconfig")
    running = start(machine)
    wait_for_hang(machine)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=BOUND)
    assert running.returncode == 130
    assert machine.containers == dict.fromkeys(NODES, "running")
    assert made.path().read_text() == before


def test_an_epkit_that_was_killed_left_something_that_the_next_one_knows(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.wants(hang="node 2")
    running = start(machine)
    hanging = wait_for_hang(machine)
    until(lambda: (made.read() or Made("", "", False)).nodes)
    running.kill()
    running.communicate(timeout=BOUND)
    assert up() == 2, "its kind is still at work, and holds the lock"
    assert "Another epkit is making or removing" in capsys.readouterr().err
    os.kill(hanging, signal.SIGKILL)
    until(lambda: not alive(hanging))
    machine.wants(hang="")
    assert up() == 0
    assert "It is epkit's own, so it is removed and made anew" in capsys.readouterr().err
    assert machine.containers == dict.fromkeys(NODES, "running")
