"""A thousand endpoints: the work of an update is counted, and grows with the change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from live_screen import Screen

from epkit.cluster import Cluster
from epkit.live import changes
from epkit.objects import Obj

ENDPOINTS, PER_SLICE = 1000, 100


def fill(cluster: Cluster) -> None:
    """A Service whose slices list a thousand endpoints; they are written by hand, since pods would take a while."""
    spec = {"ports": [{"port": 80}], "clusterIP": "10.96.0.77"}
    cluster.client.create("services", {"metadata": {"name": "big", "namespace": "default"}, "spec": spec})
    for number in range(ENDPOINTS // PER_SLICE):
        cluster.client.create("endpointslices", full_slice(number))


def full_slice(number: int) -> Obj:
    endpoints = [
        {"addresses": [f"10.1.{number}.{place}"], "conditions": {"ready": True}, "nodeName": f"node-{place % 3 + 1}"}
        for place in range(PER_SLICE)
    ]
    return {
        "metadata": {
            "name": f"big-{number}", "namespace": "default", "labels": {"kubernetes.io/service-name": "big"},
        },
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": endpoints,
    }  # fmt: skip


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often what is expensive was done."""
    counted: Counter[str] = Counter()

    def count(where: str, what: str) -> None:
        import importlib

        module = importlib.import_module(where)
        done: Callable[..., Any] = getattr(module, what)

        def counting(*given: Any, **named: Any) -> Any:
            counted[what] += 1
            return done(*given, **named)

        monkeypatch.setattr(module, what, counting)

    count("epkit.views.diagram", "draw")
    count("epkit.live.changes", "dump")
    count("epkit.live.feed", "of_plane")
    return counted


def flip(cluster: Cluster, number: int, place: int) -> None:
    """Let one endpoint become not ready."""
    changed = full_slice(number)
    changed["endpoints"][place]["conditions"]["ready"] = False
    cluster.client.patch("endpointslices", f"big-{number}", {"endpoints": changed["endpoints"]}, "default")


def test_an_update_costs_one_picture_and_the_yaml_of_what_changed(bare: Cluster, work: Counter[str]) -> None:
    fill(bare)
    screen = Screen(bare.live("svc/big"))
    assert "1,000 of 1,000 endpoints ready" in screen.status
    work.clear()
    flip(bare, 3, 50)
    assert "999 of 1,000 endpoints ready" in screen.status
    assert work["draw"] == 1
    assert work["dump"] <= 4  # the endpoint, and the metadata, before and after
    assert work["of_plane"] == 0
    assert screen.lines("+") == ["    ready: false"]
    assert screen.lines("-") == ["    ready: true"]
    assert screen.lines("…") == ["50 endpoints unchanged", "49 endpoints unchanged"]


def test_a_change_of_time_alone_draws_and_writes_nothing_anew(bare: Cluster, work: Counter[str]) -> None:
    fill(bare)
    view = bare.live("svc/big")
    flip(bare, 3, 50)
    sent: list[str] = []
    for name in ("picture", "slices", "writes", "status"):
        getattr(view._panel, name).observe(lambda change: sent.append(change["name"]), names="value")
    work.clear()
    bare.sleep(1)
    assert work["draw"] == 0
    assert sent == []


def test_what_is_sent_to_the_page_stays_small(bare: Cluster) -> None:
    fill(bare)
    view = bare.live("svc/big")
    for number in range(ENDPOINTS // PER_SLICE):
        changed = full_slice(number)
        for endpoint in changed["endpoints"]:
            endpoint["conditions"]["ready"] = False
        bare.client.patch("endpointslices", f"big-{number}", {"endpoints": changed["endpoints"]}, "default")
    panel = view._panel
    assert len(panel.slices.value) < 40_000
    assert len(panel.writes.value) < 20_000
    assert len(panel.picture.value) < 60_000
    shown = [line for sign in "+- " for line in Screen(view).lines(sign)]
    assert len(shown) < changes.MOST_LINES + changes.MOST_OF_PART
    assert "more parts left out" in Screen(view).slices
    assert "only what changed just now is shown" in Screen(view).slices


def test_going_back_winds_as_far_as_needed_and_draws_once(bare: Cluster, work: Counter[str]) -> None:
    fill(bare)
    screen = Screen(bare.live("svc/big"))
    flip(bare, 3, 50)
    screen.slide_to(screen.length - 1)  # drawn before, and remembered
    work.clear()
    screen.slide_to(screen.length - 4)
    assert work["draw"] == 1
    assert "7 slices, 700 of 700 endpoints ready" in screen.status
    work.clear()
    screen.panel.now.click()
    assert work["draw"] == 0
    assert work["of_plane"] == 0


def test_most_slices_are_counted_and_not_listed(bare: Cluster) -> None:
    spec = {"ports": [{"port": 80}], "clusterIP": "10.96.0.78"}
    bare.client.create("services", {"metadata": {"name": "many", "namespace": "default"}, "spec": spec})
    for number in range(30):
        one = full_slice(number)
        one["metadata"]["labels"]["kubernetes.io/service-name"] = "many"
        bare.client.create("endpointslices", {**one, "endpoints": []})
    screen = Screen(bare.live("svc/many"))
    assert "… and 10 more slices." in screen.slices
