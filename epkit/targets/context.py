"""Any cluster that a kubeconfig names: read by everybody's rights, written to only after a yes.

``epkit.connect("context:NAME")`` reads. Pictures, ``why`` and the story work as on the built-in cluster, and a command
that would change something is refused before it is sent. Once you said yes, for this cluster, epkit works there in
namespaces of its own, and nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.objects import labels_of, name_of
from epkit.targets import learner as learners
from epkit.targets.base import given
from epkit.targets.live import Live
from epkit.targets.own import CONTAINER, LEARNER, PREFIX, QUOTA, Taken
from epkit.targets.permissions import Permissions, ask

#: names of clusters that others depend on: the answer is then the context's name, not a quick y
_PRODUCTION = re.compile(r"prod|(^|[^a-z])(prd|live)([^a-z]|$)", re.IGNORECASE)


class Context(Live):
    """One context of a kubeconfig.

    Args:
        context: its name; the current one if empty.
        options: ``kubeconfig`` names another file; ``yes`` is the yes to writing, said beforehand.
    """

    name = "context"

    def __init__(self, context: str, options: dict[str, Any]) -> None:
        given(options, ("kubeconfig", "yes"), self.name)
        where = context or "that is current"
        why_not = f"epkit only looks at the cluster of the context {where}"
        super().__init__(str(options.get("kubeconfig") or ""), context, why_not=why_not)
        self.permissions: Permissions | None = None
        if self.identity in self.learner.clusters:
            self._open()
        elif options.get("yes", bool(os.environ.get("EPKIT_YES"))):
            self.confirm(yes=True)

    def describe(self) -> str:
        what = f"namespaces {self.own.namespace}…" if self.writable else "read-only"
        return f"context {self._context or 'current'}, {self._bare.server}, Kubernetes {self.version}, {what}"

    def kubeconfig(self) -> Path:
        raise EpkitError(
            "epkit hands no kubeconfig of your cluster to programs: they would not be kept inside its namespaces. "
            "Your own kubeconfig leads there."
        )

    def enter(self, chapter: str) -> None:
        if not self.writable:
            self.confirm()
        self.allowed.need(chapter)
        super().enter(chapter)

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        if not self.writable and self.like_production:
            raise EpkitError(
                f"{self._context or 'The current context'} looks like production, and epkit has no yes for it: no "
                "command is run in its pods. Use kubectl in a terminal."
            )
        return super().exec(namespace, pod, container, words, stdin)

    @property
    def like_production(self) -> bool:
        """Is the context or its server named as clusters are that others depend on?"""
        return bool(_PRODUCTION.search(f"{self._context} {self._bare.server}"))

    # -- the yes -------------------------------------------------------------------------------------------------------

    def plan(self) -> str:
        """What epkit will do there, for the learner to read before saying yes."""
        quota = ", ".join(f"{key} {value}" for key, value in QUOTA.items())
        return "\n".join(
            [
                f"Cluster:     {self._bare.server} (context {self._context or 'that is current'})",
                f"You are:     {self._user_there()}",
                f"Server:      Kubernetes {self.version}",
                f"Creates:     namespaces {PREFIX}{self.own.user}-<chapter>, labelled {LEARNER}={self.learner.id},",
                "             and in them pods, Services, Deployments, Endpoints and EndpointSlices",
                f"Bounds each: ResourceQuota ({quota})",
                f"             and LimitRange (memory {CONTAINER['default']['memory']} a container), where you may",
                "Leaves be:   every other namespace, all cluster-scoped objects, your kubeconfig",
                f"Removed by:  epkit down --target context:{self._context}".rstrip(":"),
                str(self.allowed),
            ]
        )

    def confirm(self, *, yes: bool = False) -> None:
        """Ask, once for this cluster, whether epkit may write to it; with `yes`, take it as said.

        Raises:
            EpkitError: the answer is no, or nobody can be asked.
        """
        if not yes:
            self.own.user = self._free_name()
            if not self._ask():
                raise EpkitError("Nothing was created. The cluster can still be looked at.")
        self.learner.keep()  # before there is something with their number, which another kernel may have written first
        self.own.user = self._free_name()
        self._claim()
        self.learner.confirm(self.identity, self.own.user)
        self._open()

    def _claim(self) -> None:
        """Make the first namespace: from then on nobody else can have the name, however close they come."""
        try:
            self.own.ensure()
        except Taken:
            self.own.user = self.learner.distinct(learners.user())
            self.own.ensure()

    def _open(self) -> None:
        self._guard.why_not = ""
        self._begin()

    def _ask(self) -> bool:
        print(self.plan(), flush=True)
        name = self._context or "current"
        careful = self.like_production
        wanted = f"Type the context's name, {name}, to go on: " if careful else "Go on? [y/N] "
        try:
            said = input(wanted).strip()
        except (EOFError, RuntimeError):  # Jupyter's kernel raises a RuntimeError where no front end can ask
            raise EpkitError(
                "epkit has not yet been told that it may write to this cluster, and nobody can be asked here. Run "
                f"`epkit up --target context:{self._context}` in a terminal, or set EPKIT_YES=1; until then epkit only "
                "reads."
            ) from None
        return said == name if careful else said.lower() in ("y", "yes")

    def _free_name(self) -> str:
        """What the namespaces are named after: the user, and a part of their number where another has that name."""
        user = learners.user()
        try:
            theirs = Client(self._bare).list("namespaces", labels=LEARNER)
        except ApiError:
            return user
        taken = [one for one in theirs if labels_of(one).get(LEARNER) != self.learner.id]
        theirs_of = re.compile(rf"{PREFIX}{user}-\d+(-.*)?")  # not those of ann-marie, where one is ann
        if any(theirs_of.fullmatch(name_of(one)) for one in taken):
            return self.learner.distinct(user)
        return user

    def _user_there(self) -> str:
        answer = self._bare.send(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        if answer.code >= 400:
            return "(the server does not say)"
        return str(((answer.body.get("status") or {}).get("userInfo") or {}).get("username", "?"))

    @property
    def allowed(self) -> Permissions:
        """What the learner may do there, asked once."""
        if self.permissions is None:
            self.permissions = ask(self._bare, self.own.namespace)
        return self.permissions

    # -- the end -------------------------------------------------------------------------------------------------------

    def down(self) -> list[str]:
        """Remove every namespace that epkit made for this learner, and forget the yes; returns their names."""
        names = self.own.left()
        self.own.find()
        self.remove(names)
        self.learner.forget(self.identity)
        return names
