"""What a learner may do, and which chapters that is enough for."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest

from epkit.client import Answer
from epkit.errors import EpkitError
from epkit.targets.permissions import BASE, CHAPTERS, MORE, Permissions, Right, ask, rights_of


class Reviews:
    """Answers reviews by a rule, and remembers what it was asked."""

    def __init__(self, allows: Callable[[str, str], bool], code: int = 201) -> None:
        self._allows, self._code, self._lock = allows, code, Lock()
        self.asked: list[dict[str, str]] = []

    def send(self, method: str, path: str, query: Any = None, body: Any = None, **_: Any) -> Answer:
        assert (method, path) == ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        attributes = body["spec"]["resourceAttributes"]
        with self._lock:
            self.asked.append(attributes)
        named = ".".join(attributes[key] for key in ("resource", "group") if key in attributes)
        named += f"/{attributes['subresource']}" if "subresource" in attributes else ""
        if self._code >= 400:
            return Answer(self._code, {"message": "the authorizer is away"})
        return Answer(self._code, {"status": {"allowed": self._allows(attributes["verb"], named)}})


def answered(allows: Callable[[str, str], bool]) -> Permissions:
    return ask(Reviews(allows), "epkit-ann-0")  # type: ignore[arg-type]


def test_who_may_all_may_run_all_chapters() -> None:
    permissions = answered(lambda verb, resource: True)
    assert permissions.chapters == list(CHAPTERS)
    assert str(permissions) == "Your permissions are enough for all eight chapters."
    for chapter in CHAPTERS:
        permissions.need(chapter)


def test_who_may_nothing_may_run_none() -> None:
    permissions = answered(lambda verb, resource: False)
    assert permissions.chapters == []
    assert str(permissions).startswith(
        "Your permissions are enough for no chapter. You may not: create/get configmaps, create/delete/get/list/patch/"
    )
    assert str(permissions).endswith(" and 7 more.")
    with pytest.raises(EpkitError, match=r"Chapter 4 cannot run here: you may not .*Chapters that can run: none\."):
        permissions.need("4")


@pytest.mark.parametrize(
    ("lacking", "chapters"),
    [
        ("pods/exec", "the chapters 1, 2, 4 and 5"),
        ("pods/log", "the chapters 1, 2, 4 and 5"),
        ("nodes", "the chapters 1, 2 and 4"),
        ("deployments.apps/scale", "the chapters 1 and 4"),
        ("configmaps", "the chapters 1, 2, 3, 4, 5, 6 and 8"),
        ("endpointslices.discovery.k8s.io", "no chapter"),
        ("namespaces", "no chapter"),
    ],
)
def test_one_right_too_few_costs_its_chapters(lacking: str, chapters: str) -> None:
    permissions = answered(lambda verb, resource: resource != lacking)
    assert str(permissions).startswith(f"Your permissions are enough for {chapters}. You may not: ")
    assert str(permissions).endswith(f" {lacking}.")


def test_reading_alone_is_not_writing() -> None:
    permissions = answered(lambda verb, resource: verb in ("get", "list", "watch"))
    assert permissions.chapters == []


def test_a_chapter_that_can_run_is_named_in_the_refusal() -> None:
    permissions = answered(lambda verb, resource: resource != "configmaps")
    permissions.need("6")
    with pytest.raises(EpkitError) as caught:
        permissions.need("7")
    assert str(caught.value) == (
        "Chapter 7 cannot run here: you may not create/get configmaps. Ask whoever looks after the cluster, "
        "or take the built-in one. Chapters that can run: 1, 2, 3, 4, 5, 6, 8."
    )


def test_each_right_is_asked_once_where_it_is_needed() -> None:
    reviews = Reviews(lambda verb, resource: True)
    ask(reviews, "epkit-ann-0")  # type: ignore[arg-type]
    asked = [tuple(sorted(attributes.items())) for attributes in reviews.asked]
    assert len(asked) == len(set(asked)) == len(frozenset().union(*map(rights_of, CHAPTERS)))
    everywhere = {attributes["resource"] for attributes in reviews.asked if "namespace" not in attributes}
    assert everywhere == {"namespaces", "nodes"}
    assert {attributes.get("namespace") for attributes in reviews.asked} == {None, "epkit-ann-0"}
    assert {"verb": "patch", "resource": "deployments", "group": "apps", "subresource": "scale",
            "namespace": "epkit-ann-0"} in reviews.asked  # fmt: skip


def test_a_server_that_takes_no_questions_is_told() -> None:
    with pytest.raises(EpkitError, match="does not say what you may do: the authorizer is away"):
        ask(Reviews(lambda verb, resource: True, code=500), "epkit-ann-0")  # type: ignore[arg-type]


def test_chapters_are_made_of_what_all_do_and_more() -> None:
    assert all(set(BASE) <= rights_of(chapter) for chapter in CHAPTERS)
    assert {chapter for chapters in MORE.values() for chapter in chapters} <= set(CHAPTERS)
    assert Right("create", "configmaps") in rights_of("7") and Right("create", "configmaps") not in rights_of("1")
