"""What the learner may do on a cluster, asked of its API server beforehand, and which chapters that is enough for.

Source: ``SelfSubjectAccessReview`` of ``authorization.k8s.io/v1``: any user may ask what they may do.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from epkit.client import Transport
from epkit.errors import EpkitError

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#: so many questions are asked at once: far away, one after the other would take seconds
AT_ONCE = 8
CHAPTERS = ("1", "2", "3", "4", "5", "6", "7", "8")


@dataclass(frozen=True, slots=True)
class Right:
    """To do something with a resource, in the learner's namespaces or in the whole cluster."""

    verb: str
    resource: str  # with its group, such as "deployments.apps", and its subresource after a slash
    everywhere: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def _rights(verbs: str, *resources: str, everywhere: bool = False) -> tuple[Right, ...]:
    return tuple(Right(verb, resource, everywhere) for resource in resources for verb in verbs.split())


_OBJECTS = ("services", "pods", "endpointslices.discovery.k8s.io", "deployments.apps")
#: what every chapter does
BASE = (
    *_rights("create delete get list", "namespaces", everywhere=True),
    *_rights("get list watch create update patch delete", *_OBJECTS),
    *_rights("get list watch", "endpoints", "replicasets.apps", "events"),
)
#: what some chapters do besides
MORE: dict[tuple[Right, ...], tuple[str, ...]] = {
    _rights("get list", "nodes", everywhere=True): ("3", "5", "6", "7", "8"),
    _rights("create get", "pods/exec"): ("3", "6", "7", "8"),
    _rights("get", "pods/log"): ("3", "6", "7", "8"),
    _rights("get patch", "deployments.apps/scale"): ("2", "3", "5", "6", "7", "8"),
    _rights("create update patch delete", "endpoints"): ("2", "6"),
    _rights("create get", "configmaps"): ("7",),
}


def rights_of(chapter: str) -> frozenset[Right]:
    """All that a chapter does."""
    return frozenset(BASE).union(*(rights for rights, chapters in MORE.items() if chapter in chapters))


@dataclass(frozen=True, slots=True)
class Permissions:
    """What came of asking.

    Attributes:
        missing: a chapter → the rights that it needs and the learner lacks.
    """

    missing: dict[str, list[Right]]

    @property
    def chapters(self) -> list[str]:
        """The chapters that can run."""
        return [chapter for chapter in CHAPTERS if not self.missing.get(chapter)]

    def __str__(self) -> str:
        if len(self.chapters) == len(CHAPTERS):
            return "Your permissions are enough for all eight chapters."
        can = f"enough for {_listed(self.chapters)}" if self.chapters else "enough for no chapter"
        lacking = _together(right for rights in self.missing.values() for right in rights)
        short = ", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
        return f"Your permissions are {can}. You may not: {short}."

    def need(self, chapter: str) -> None:
        """Raises EpkitError where a chapter cannot run, naming what is missing."""
        lacking = self.missing.get(chapter)
        if lacking:
            can = ", ".join(self.chapters) or "none"
            raise EpkitError(
                f"Chapter {chapter} cannot run here: you may not {', '.join(_together(lacking))}. Ask whoever looks "
                f"after the cluster, or take the built-in one. Chapters that can run: {can}."
            )


def ask(transport: Transport, namespace: str) -> Permissions:
    """Ask for every right that a chapter needs, in a namespace of the learner's. Nothing is changed by asking.

    Raises:
        EpkitError: the API server does not take the question.
    """
    rights = sorted(frozenset[Right]().union(*map(rights_of, CHAPTERS)), key=str)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = dict(zip(rights, pool.map(lambda right: _allowed(transport, right, namespace), rights), strict=True))
    lacking = {chapter: [right for right in rights_of(chapter) if not allowed[right]] for chapter in CHAPTERS}
    return Permissions({chapter: sorted(found, key=str) for chapter, found in lacking.items() if found})


def _allowed(transport: Transport, right: Right, namespace: str) -> bool:
    named, _, subresource = right.resource.partition("/")
    resource, _, group = named.partition(".")
    attributes = {"verb": right.verb, "resource": resource}
    attributes |= {key: value for key, value in (("group", group), ("subresource", subresource)) if value}
    if not right.everywhere:
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = transport.send("POST", REVIEWS, body=review)
    if answer.code >= 400:
        raise EpkitError(f"The cluster does not say what you may do: {answer.body.get('message', answer.code)}.")
    return bool((answer.body.get("status") or {}).get("allowed"))


def _together(rights: Iterable[Right]) -> list[str]:
    """Rights as a person lists them, the verbs of a resource together."""
    verbs: dict[str, set[str]] = {}
    for right in rights:
        verbs.setdefault(right.resource, set()).add(right.verb)
    return [f"{'/'.join(sorted(found))} {resource}" for resource, found in sorted(verbs.items())]


def _listed(chapters: Iterable[str]) -> str:
    found = list(chapters)
    if len(found) == 1:
        return f"chapter {found[0]}"
    return f"the chapters {', '.join(found[:-1])} and {found[-1]}"
