"""The targets, and what differs between them: the one table."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from epkit.errors import EpkitError
from epkit.targets.base import POWERS, Target

#: name -> module and class; the class is made with the options of :func:`epkit.connect`, a context with its name too
TARGETS = {
    "fake": ("epkit.targets.builtin", "BuiltIn"),
    "controlplane": ("epkit.targets.controlplane", "ControlPlane"),
    "kind": ("epkit.targets.kind", "Kind"),
    "context": ("epkit.targets.context", "Context"),
}
#: what it is, and what it needs
ABOUT = {
    "fake": ("the built-in cluster", "nothing; it is the default"),
    "controlplane": ("a real control plane, simulated nodes", "etcd and Kubernetes' programs: epkit assets"),
    "kind": ("a real cluster in containers", "Docker or Podman, and kind: epkit up --target kind"),
    "context": ("a cluster of your kubeconfig", "the right to create namespaces, and your yes"),
}
#: what the table says of each power, in the order of its rows
ROWS = {
    "step": "step it by hand: step()",
    "pause": "stop and speed up time: pause(), resume()",
    "controllers": "stop, start and slow down controllers",
    "history": "tell what was written before you connected",
    "crowd": "hold a thousand pods",
    "everywhere": "write outside its namespaces, and to nodes",
    "kubelets": "stop the kubelet of a node",
    "story": "tell what was written since: events(), at(t)",
    "exec": "run commands in containers",
    "request": "send requests, and tell who answered",
}
#: what no power says
FACTS = {
    "real packets": ("no", "no", "yes", "yes"),
    "real API server": ("no", "yes", "yes", "yes"),
    "writes in": ("all of it", "own namespaces", "own namespaces", "own namespaces"),
    "settle() ends": ("at once", "after 2 quiet s", "after 2 quiet s", "after 2 quiet s"),
}


def open_target(target: str, options: dict[str, Any]) -> Target:
    """The target of that name, connected.

    Args:
        target: a key of :data:`TARGETS`; a context with its name after a colon.

    Raises:
        EpkitError: there is no such target, or it cannot be reached.
    """
    kind, colon, name = target.partition(":")
    if kind not in TARGETS or (colon and kind != "context"):
        raise EpkitError(
            f"There is no target {target!r}. There are: fake, controlplane, kind and context:NAME. "
            "`epkit targets` tells what each is."
        )
    made = class_of(kind)
    return made(name, options) if kind == "context" else made(options)


def class_of(target: str) -> Any:
    """The class of a target."""
    module, name = TARGETS[target]
    return getattr(import_module(module), name)


def lines() -> list[str]:
    """The table, for a terminal.

    >>> print("\\n".join(lines()))
    """
    from epkit.kubectl.builtin.tables import align

    assert set(ROWS) == set(POWERS), "each power has its row"
    powers = {target: class_of(target).powers for target in TARGETS}
    rows = [["", *TARGETS]]
    for power, text in ROWS.items():
        rows.append([text, *("yes" if power in powers[target] else "no" for target in TARGETS)])
    rows += [[what, *values] for what, values in FACTS.items()]
    table = align("".join("\t".join(row) + "\n" for row in rows)).splitlines()
    about = [f"{target:<14}{what}; needs {needs}" for target, (what, needs) in ABOUT.items()]
    hint = "Choose one with epkit.connect(…) or EPKIT_TARGET. %%needs marks the cells that need more than it has."
    return [*about, "", *table, "", hint]


def register(commands: Any) -> None:
    """Add ``epkit targets`` to the command line."""
    parser = commands.add_parser(
        "targets", help="where a cluster can come from", description="Tell what differs between targets."
    )
    parser.set_defaults(run=_run)


def _run(_: object) -> int:
    print("\n".join(lines()))
    return 0
