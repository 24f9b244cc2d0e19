"""The steps of ``epkit up --target kind`` and ``epkit down --target kind``."""

from __future__ import annotations

import os
import re
import shlex
import time
from importlib import resources

import yaml

from epkit.client import Client
from epkit.errors import EpkitError
from epkit.objects import name_of
from epkit.targets.http import HttpTransport
from epkit.targets.images import LAB_IMAGE
from epkit.targets.kind import made, meanings, needs
from epkit.targets.kind.made import CONTEXT, NAME, Made, Node
from epkit.targets.kind.needs import Engine
from epkit.targets.kind.programs import Done, Programs, Step, TookTooLong, say, step

#: seconds: a pull over a slow line, kind's own work, nodes and system pods coming up, one short command
PULL, CREATE, READY, SHORT = 1800, 900, 300, 60
#: an earlier cluster is up by then, or something is wrong with it
AGAIN = 90
#: the command that engines and kind share: which containers are nodes of a cluster
_LABEL = f"label=io.x-k8s.kind.cluster={NAME}"


def configuration() -> str:
    """The cluster's configuration for kind, as text."""
    return resources.files("epkit.targets.kind").joinpath("cluster.yaml").read_text(encoding="utf-8")


def node_image() -> str:
    """The image of all nodes, with its digest."""
    return str(yaml.safe_load(configuration())["nodes"][0]["image"])


def node_names() -> list[str]:
    """The nodes as kind names them: after their role, the second and later ones with a number."""
    names: list[str] = []
    for node in yaml.safe_load(configuration())["nodes"]:
        name = f"{NAME}-{node['role']}"
        before = sum(1 for known in names if re.fullmatch(rf"{name}\d*", known))
        names.append(f"{name}{before + 1}" if before else name)
    return names


class Making:
    """The steps of both commands, with one engine."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._made = made.read()
        self._engine: Engine | None = None

    # -- up ----------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Leave a cluster that is ready.

        Raises:
            EpkitError: that is not possible; the text says why and what to do.
            KeyboardInterrupt: somebody asked for the end, and what was begun has been removed.
        """
        version = needs.refuse_old_kind(self._programs)
        needs.refuse_proxies()
        engine = self._find_engine()
        say(
            f"kind {version} with {engine.title}, Kubernetes {_short(node_image()).rpartition(':')[2]}; the log is "
            f"{made.log()}"
        )
        nodes = self._nodes()
        if not (nodes and self._take_over(nodes)):
            self._make()
        where = shlex.quote(str(made.kubeconfig()))
        say('ready. In a notebook: epkit.connect("kind"), or EPKIT_TARGET=kind. In a terminal:')
        print(f"export KUBECONFIG={where}", flush=True)

    def _find_engine(self) -> Engine:
        self._engine = engine = needs.find_engine(self._programs, self._made.engine if self._made else "")
        if self._made and self._made.ours and self._made.daemon != engine.id:
            raise EpkitError(
                "epkit made its kind cluster with another Docker than the one that answers now. Switch back "
                f"(`docker context ls` lists them), or, if that Docker is gone, remove {made.path()}. Then run the "
                "command again."
            )
        # kind takes no cluster's name, kubeconfig or engine from the learner's environment, but what epkit tells it.
        left = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "KIND_CLUSTER_NAME")}
        self._programs.environment = {**left, "KIND_EXPERIMENTAL_PROVIDER": engine.name}
        return engine

    def _take_over(self, nodes: list[Node]) -> bool:
        """Make use of a cluster named epkit that is there; False if it was no good, was epkit's, and is gone now.

        Raises:
            EpkitError: it is no good, and is not epkit's to remove.
        """
        ours = self._made is not None and self._made.is_of(nodes)
        say(f"there is a kind cluster {NAME} already" + ("" if ours else ", which was not made by epkit here"))
        try:
            problem = self._problem_with(nodes)
        except BaseException:
            if not ours:
                made.forget()
            raise
        if not problem:
            taken = Made(self._name, self._daemon, ours, complete=True)
            taken.note(nodes)
            self._load()
            return True
        if not ours:
            made.forget()
            raise EpkitError(
                f"There is a kind cluster named {NAME} that epkit did not make, and {problem}. epkit removes only what "
                f"it made. If you do not need that cluster, run `kind delete cluster --name {NAME}`, then run the "
                "command again."
            )
        say(f"it is half there: {problem}. It is epkit's own, so it is removed and made anew")
        with self._programs.signals.shield():
            self._remove()
            made.forget()
        self._programs.signals.check()
        return False

    def _problem_with(self, nodes: list[Node]) -> str:
        """What keeps a cluster from being used, or nothing."""
        missing = sorted(set(node_names()) - {node.name for node in nodes})
        if missing:
            return f"it has no {' and no '.join(missing)}"
        stopped = [node for node in nodes if not node.running]
        if stopped:
            with step(f"starting {len(stopped)} stopped nodes"):
                done = self._programs.run([self._name, "start", *(node.id for node in stopped)], SHORT * 2)
            if not done.ok:
                return f"its nodes cannot be started: {meanings.meaning(done.text) or done.text.strip()}"
        export = ["kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(made.kubeconfig())]
        if not self._programs.run(export, SHORT).ok:
            return "kind has no kubeconfig for it"
        with step("waiting until it answers") as going:
            return self._wait(going, AGAIN)

    def _make(self) -> None:
        engine = self._engine
        assert engine is not None
        needs.refuse_little_room(engine)
        needs.warn_of_few_watches()
        self._pull()
        made.forget()  # what an earlier one may have left
        begun = Made(engine.name, engine.id, ours=True)
        begun.save()
        self._made = begun
        try:
            self._create(begun)
            with step("waiting for the nodes and Kubernetes' own pods") as going:
                problem = self._wait(going, READY)
            if problem:
                raise meanings.explain("bring up the cluster", problem, made.log(), self._what_nodes_say())
            self._load()
        except BaseException as error:
            with self._programs.signals.shield():
                if not isinstance(error, _Foreign):
                    self._remove(late=isinstance(error, KeyboardInterrupt | TookTooLong))
                made.forget()
            raise
        begun.complete = True
        begun.save()

    def _pull(self) -> None:
        image = node_image()
        if self._name == "podman":
            # Podman resolves no short names by itself, and takes a tag or a digest: the form in which kind asks for it.
            image = "docker.io/" + re.sub(r":[^@/]+@", "@", image)
        if self._programs.run([self._name, "image", "inspect", image], SHORT).ok:
            return
        with step(f"pulling the nodes' image {_short(node_image())}, about 400 MB") as going:
            layers = Layers(going)
            done = self._programs.run([self._name, "pull", image], PULL, step=going, on_line=layers.read)
            if not done.ok:
                raise meanings.explain("pull the nodes' image", done.text, made.log())

    def _create(self, begun: Made) -> None:
        looked = -1.0

        def look(passed: float) -> None:
            # Written down at once, so that a cluster is known as epkit's even if epkit is killed now.
            nonlocal looked
            if passed - looked >= 1.0 and len(begun.nodes) < len(node_names()):
                looked = passed
                begun.note(self._nodes())

        def tell(line: str) -> None:
            if found := re.match(r"\s*•\s+(.*)", line):
                going.detail = re.sub(r"[^\x20-\x7e]+", "", found[1]).strip(" .")
                say(f"  {going.detail}, after {going.seconds:.0f} s")

        # --retain: kind would remove failed nodes at once, with what they say about why. epkit removes them itself.
        words = [
            "kind", "create", "cluster", "--name", NAME, "--config", "-", "--kubeconfig", str(made.kubeconfig()),
            "--retain",
        ]  # fmt: skip
        with step(f"making the cluster {NAME}: {len(node_names())} nodes in two zones") as going:
            done = self._programs.run(words, CREATE, stdin=configuration(), step=going, on_line=tell, on_look=look)
            if not done.ok:
                if "node(s) already exist" in done.text:
                    raise _Foreign(str(meanings.explain("make the cluster", done.text, made.log())))
                raise meanings.explain("make the cluster", done.text, made.log(), self._what_nodes_say())
        begun.note(self._nodes())

    def _what_nodes_say(self) -> str:
        """The end of the nodes' logs, for the reason of a failure."""
        said = []
        for node in self._nodes():
            logs = ["logs", "--tail", "100", node.id]
            kubelet = ["exec", node.id, "journalctl", "-u", "kubelet", "-n", "50", "--no-pager"]
            said += [self._programs.run([self._name, *words], SHORT).text for words in (logs, kubelet)]
        return "".join(said)

    def _wait(self, going: Step, limit: float) -> str:
        """Wait until nodes and system pods are ready; what is wrong after `limit` seconds, or nothing."""
        client = Client(HttpTransport.from_kubeconfig(str(made.kubeconfig()), CONTEXT))
        end = time.monotonic() + limit
        while True:
            try:
                problem, fatal = self._programs.aside(lambda: _not_ready(client))
            except EpkitError as error:
                problem, fatal = f"its API server does not answer ({error})", False
            if not problem or fatal or time.monotonic() > end:
                return problem
            going.detail = problem
            going.beat()
            self._programs.pause(0.5)

    def _load(self) -> None:
        """Have each node pull the labs' image.

        ``kind load docker-image`` cannot load an image that is named by digest: saving and importing it makes another
        manifest, so that the digest names nothing on the node (kind's issues 2394 and 4028). The node's own pull can.
        """
        with step(f"loading the labs' image {_short(LAB_IMAGE)} into the nodes, about 50 MB each") as going:
            for number, node in enumerate(self._nodes(), 1):
                going.detail = f"node {number}, {node.name}"
                if self._on(node, SHORT, going, "crictl", "inspecti", "-q", LAB_IMAGE).ok:
                    continue
                done = self._on(node, PULL, going, "crictl", "pull", LAB_IMAGE)
                if not done.ok:
                    reason = meanings.meaning(done.text) or f"crictl pull failed on {node.name} ({made.log()} has it)."
                    say(f"note: the labs' image could not be loaded; nodes pull it once a pod needs it. {reason}")
                    return

    def _on(self, node: Node, limit: float, going: Step, *words: str) -> Done:
        return self._programs.run([self._name, "exec", node.name, *words], limit, step=going)

    # -- down --------------------------------------------------------------------------------------------------------

    def down(self) -> None:
        """Remove the cluster if epkit made it.

        Raises:
            EpkitError: the engine does not answer, or something is still there.
        """
        if self._made is None:
            say("there is no kind cluster of epkit's; nothing was removed")
            return
        if not self._made.ours:
            made.forget()
            say(
                f"the kind cluster {NAME} was not made by epkit, so it stays; epkit has forgotten it. To remove it: "
                f"kind delete cluster --name {NAME}"
            )
            return
        self._find_engine()
        nodes = self._nodes()
        if not nodes:
            say("the kind cluster is gone already")
        elif self._made.is_of(nodes):
            needs.refuse_old_kind(self._programs)
            self._remove()
        else:
            say(f"the kind cluster {NAME} that is there now was not made by epkit, so it stays")
        made.forget()

    def _remove(self, late: bool = False) -> None:
        """Remove the cluster named epkit, which was found to be epkit's own.

        Args:
            late: kind was just ended in the middle. The engine may still be about to start a node that it was asked
                for, so a second look comes a second after all seem gone.
        """
        if self._made is not None:
            self._made.note(self._nodes())  # if it cannot be removed, the next one knows whose it is
        with step(f"removing the cluster {NAME}") as going:
            words = ["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", str(made.kubeconfig())]
            try:
                self._programs.run(words, SHORT * 3, step=going)
            except EpkitError as error:
                say(str(error))  # what is left is looked for below
            if late:
                self._programs.pause(1.0)
            left = self._nodes()
            if left:
                self._programs.run([self._name, "rm", "-f", "-v", *(node.id for node in left)], SHORT * 2, step=going)
                left = self._nodes()
            if left:
                raise EpkitError(
                    f"The cluster {NAME} could not be removed: {', '.join(node.name for node in left)} still there. "
                    f"Run `{self._name} rm -f -v {' '.join(node.name for node in left)}`; {made.log()} says more."
                )

    # -- within ------------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        assert self._engine is not None
        return self._engine.name

    @property
    def _daemon(self) -> str:
        assert self._engine is not None
        return self._engine.id

    def _nodes(self) -> list[Node]:
        """The containers of the cluster named epkit, whoever made it."""
        words = [self._name, "ps", "-a", "--no-trunc", "--filter", _LABEL, "--format", "{{.ID}} {{.Names}} {{.State}}"]
        done = self._programs.run(words, SHORT)
        if not done.ok:
            raise meanings.explain("list the containers", done.text, made.log())
        lines = [line.split() for line in done.stdout.splitlines() if len(line.split()) >= 3]
        return sorted(
            (Node(name, id, state.lower() == "running") for id, name, state, *_ in lines), key=lambda n: n.name
        )


class _Foreign(EpkitError):
    """A cluster of the same name came up meanwhile: nothing of it is ours."""


class Layers:
    """Counts the layers of an image while it is pulled."""

    def __init__(self, going: Step) -> None:
        self._going = going
        self._all: set[str] = set()
        self._done: set[str] = set()

    def read(self, line: str) -> None:
        """One line of ``docker pull`` or ``podman pull``."""
        if match := re.match(r"([0-9a-f]{12}): (\w+)", line):
            self._all.add(match[1])
            if match[2] in ("Pull", "Already") and ("complete" in line or "exists" in line):
                self._done.add(match[1])
        elif match := re.match(r"Copying blob (\S+)( done)?", line):
            self._all.add(match[1])
            if match[2]:
                self._done.add(match[1])
        if self._all:
            self._going.detail = f"{len(self._done)} of {len(self._all)} layers"


def _not_ready(client: Client) -> tuple[str, bool]:
    """What is not ready yet, and whether waiting is of no use; nothing if all is."""
    nodes = client.list("nodes").items
    waiting = [name_of(node) for node in nodes if not _is_ready(node)]
    if missing := sorted(set(node_names()) - {name_of(node) for node in nodes}):
        return f"waiting for the nodes {', '.join(missing)}", False
    if waiting:
        return f"not ready: the nodes {', '.join(waiting)}", False
    zones = {(node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "") for node in nodes}
    if len(zones - {""}) < 2:
        return "its nodes are not in two zones, as labs/kind.yaml has them", True
    pods = [pod for pod in client.list("pods", "kube-system").items if not _is_ready(pod)]
    return (f"not ready: {', '.join(map(name_of, pods))}" if pods else ""), False


def _is_ready(obj: dict) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _short(image: str) -> str:
    return image.partition("@")[0]
