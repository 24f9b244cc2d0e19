"""The live view without a page: what its controls do, what it shows, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import types

import ipywidgets
import pytest
import traitlets
from live_screen import Screen

import epkit
from epkit.cluster import Cluster
from epkit.live import view as live
from epkit.live.panel import SPEEDS


def widgets_open() -> set[str]:
    return set(ipywidgets.widget._instances)


def test_it_shows_the_service_as_it_is(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    assert screen.status == "Playing at once, at the present: 1 slice, 2 of 2 endpoints ready."
    assert screen.heading.startswith("default/svc/web at 1970-01-01T00:00:0")
    assert screen.picture == cluster.show("svc/web").sentence
    assert "image/svg+xml;base64," in screen.panel.picture.value
    assert "kubernetes.io/service-name: web" in screen.slices
    assert screen.rows[0][0] == "▶"
    assert screen.rows[0][3:] == [
        "endpointslice-controller",
        "ADDED",
        f"endpointslices/{slice_name(cluster)}",
        "2 of 2 ready",
    ]


def slice_name(cluster: Cluster) -> str:
    return str(
        cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web").items[0]["metadata"][
            "name"
        ]
    )


def test_its_text_form_is_one_sentence_and_the_same_each_time(cluster: Cluster) -> None:
    sentence = "Live view of Service web in the namespace default: 1 slice, 2 of 2 endpoints ready."
    first, second = cluster.live("svc/web"), cluster.live("svc/web")
    assert repr(first) == repr(second) == sentence
    bundle = first._repr_mimebundle_()
    assert bundle["text/plain"] == sentence
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


class Sidecar(ipywidgets.Output):
    """What the package sidecar has: it shows itself, beside the notebook."""

    title = traitlets.Unicode()
    anchor = traitlets.Unicode()


def test_where_sidecar_is_installed_it_is_shown_beside_the_notebook(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EPKIT_MODE")
    monkeypatch.setitem(sys.modules, "sidecar", types.SimpleNamespace(Sidecar=Sidecar))
    before = widgets_open()
    view = cluster.live("svc/web")
    for _ in range(2):  # shown again: the first place is given up
        assert view._repr_mimebundle_() == {"text/plain": repr(view)}
    [beside] = [one for one in ipywidgets.widget._instances.values() if isinstance(one, Sidecar)]
    assert beside.title == "svc/web"
    [shown] = beside.outputs
    assert shown["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == view._panel.root.model_id
    again, other = cluster.live("svc/web"), cluster.live("svc/kubernetes")
    other._repr_mimebundle_()
    again._repr_mimebundle_()  # as of a cell that is run again
    titles = sorted(one.title for one in ipywidgets.widget._instances.values() if isinstance(one, Sidecar))
    assert titles == ["svc/kubernetes", "svc/web"]
    for one in (view, again, other):
        one.close()
    assert widgets_open() == before


def test_under_test_and_where_outputs_are_stored_it_stays_in_the_cell(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sidecar", types.SimpleNamespace(Sidecar=Sidecar))
    assert "application/vnd.jupyter.widget-view+json" in cluster.live("svc/web")._repr_mimebundle_()


def test_it_is_made_of_texts_and_traits_alone(cluster: Cluster) -> None:
    def kinds(widget: ipywidgets.Widget) -> set[str]:
        found = {type(widget).__name__}
        return found.union(*map(kinds, getattr(widget, "children", ())))

    assert kinds(cluster.live("svc/web")._panel.root) == {
        "VBox",
        "HBox",
        "HTML",
        "Button",
        "SelectionSlider",
        "FloatSlider",
        "BoundedIntText",
    }


def test_every_control_says_what_it_is(cluster: Cluster) -> None:
    panel = cluster.live("svc/web")._panel
    controls = [panel.play, panel.step, panel.next, panel.speed, panel.moment, panel.number, panel.now]
    assert [control.description for control in controls] == [
        "Pause",
        "Step",
        "Next write",
        "Speed",
        "Moment",
        "Write",
        "Now",
    ]
    assert 'role="status"' in panel.status.value


def test_it_follows_a_command_and_marks_what_it_changed(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    cluster.kubectl("scale deployment web --replicas=3")
    assert screen.status.endswith("1 slice, 3 of 3 endpoints ready.")
    assert screen.picture == cluster.show("svc/web").sentence
    added, removed = screen.lines("+"), screen.lines("-")
    assert [line for line in added if line.startswith("  - 10.")] == [f"  - {newest_address(cluster)}"]
    assert [line.split(":")[0] for line in removed] == ["    endpoints.kubernetes.io/last-change-trigger-time"]
    assert "changed just now" in screen.slices
    assert ["kubectl", "MODIFIED", "deployments/web"] in [row[3:6] for row in screen.rows]


def newest_address(cluster: Cluster) -> str:
    pods = cluster.client.list("pods", "default").items
    return str(max(pods, key=lambda pod: int(pod["metadata"]["resourceVersion"]))["status"]["podIP"])


def test_an_endpoint_that_went_and_a_slice_that_went_are_marked(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    pod = cluster.client.list("pods", "default").items[0]
    cluster.kubectl(f"delete pod {pod['metadata']['name']}")
    assert f"  - {pod['status']['podIP']}" in screen.lines("-")
    cluster.kubectl("delete service web")
    assert "was deleted just now" in screen.slices
    assert "  - 10." not in "".join(screen.lines(" "))
    assert screen.picture.startswith("There is no Service web in the namespace default at this moment.")
    assert screen.status.endswith("there is no Service web.")


def test_pause_step_and_play_hold_the_clusters_clock(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    panel = screen.panel
    panel.play.click()
    assert cluster.paused
    assert panel.play.description == "Play"
    assert screen.status.startswith("Paused, at the present")
    cluster.kubectl("scale deployment web --replicas=3")
    assert screen.status.endswith("2 of 2 endpoints ready.")
    moment = cluster.now
    steps = []
    while "3 of 3" not in screen.status and len(steps) < 500:
        panel.step.click()
        steps.append(screen.status.split(". ")[0])
    assert "Step: deployment: syncs default/web" in steps
    assert steps[-1] == "Step: endpoint_slice: syncs default/web"
    assert cluster.now > moment  # the pod took a while to start
    panel.play.click()
    assert not cluster.paused
    assert screen.status.startswith("Playing at once")


def test_next_write_steps_to_what_concerns_the_service(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    screen.panel.play.click()
    cluster.kubectl("create deployment other --image=nginx")
    cluster.kubectl("scale deployment web --replicas=3")
    length = screen.length
    seen = []
    while "3 of 3" not in screen.status and len(seen) < 50:
        screen.panel.next.click()
        seen.append(screen.rows[0][3:6])
        assert screen.length > length
        length = screen.length
    assert ["replicaset-controller", "ADDED"] in [row[3:5] for row in screen.rows]
    assert seen[-1] == ["endpointslice-controller", "MODIFIED", f"endpointslices/{slice_name(cluster)}"]
    assert "other" not in str(screen.rows)


def test_a_write_that_does_not_come_is_not_waited_for_long(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    moment = cluster.now
    screen.panel.next.click()
    assert screen.status.startswith("Nothing that concerns this Service was written in 60 s of the cluster's time.")
    assert 60 < cluster.now - moment < 120


def test_stepping_pauses_first(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    screen.panel.step.click()
    assert cluster.paused
    assert screen.status.startswith("Step: ")
    assert screen.panel.play.description == "Play"


def test_with_nothing_left_to_do_a_step_says_so(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(cluster.live("svc/web"))
    monkeypatch.setattr(cluster, "step", lambda: None)
    screen.panel.step.click()
    assert screen.status.startswith("Step: nothing is left to do. Paused")
    screen.panel.next.click()
    assert screen.status.startswith("Nothing is left to do. Paused")


def test_the_clock_is_shown_as_others_set_it(cluster: Cluster) -> None:
    panel = cluster.live("svc/web")._panel
    cluster.pause()
    assert panel.play.description == "Play"
    cluster.resume("realtime", speed=3)
    assert panel.play.description == "Pause"
    assert panel.speed.value == 3
    cluster.resume()
    assert panel.speed.value == 0


def test_speed_holds_at_once_while_time_moves_and_waits_for_play_while_it_does_not(cluster: Cluster) -> None:
    view = cluster.live("svc/web")
    panel = view._panel
    panel.play.click()
    panel.speed.value = SPEEDS[-1]
    assert cluster.paused
    assert Screen(view).status.startswith("From the next Play on: × 60. Paused, at the present")
    panel.play.click()
    assert Screen(view).status.startswith("Playing × 60")
    assert (view._feed.clock, view._feed.speed) == ("realtime", SPEEDS[-1])
    panel.speed.value = SPEEDS[0]
    assert (view._feed.clock, view._feed.speed) == ("realtime", SPEEDS[0])
    panel.speed.value = 0.0
    assert view._feed.clock == "instant"


def test_the_slider_goes_back_to_every_write_and_to_the_present(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    last = screen.length
    assert screen.position == last == int(screen.rows[0][1])
    screen.slide_to(last - 1)
    assert screen.status.startswith(f"Looking back at write {last - 1} of {last}, +")
    assert screen.picture.startswith("Service web (10.") and "has no slices" in screen.picture
    assert screen.rows[0][0] == "later" and screen.rows[1][0] == "▶"
    screen.slide_to(0)
    assert screen.status.startswith(f"Looking back, before write 1 of {last}")
    assert screen.picture.startswith("There is no Service web")
    assert "epkit-past" in screen.panel.picture.value
    screen.panel.now.click()
    assert screen.position == last
    assert screen.picture == cluster.show("svc/web").sentence
    assert "epkit-past" not in screen.panel.picture.value


def test_the_number_beside_the_slider_goes_where_the_slider_goes(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    number, last = screen.panel.number, screen.length
    assert (number.min, number.value, number.max) == (0, last, last)
    number.value = 3
    assert screen.position == 3
    assert screen.status.startswith(f"Looking back at write 3 of {last}, +")
    screen.slide_to(5)
    assert number.value == 5
    cluster.kubectl("scale deployment web --replicas=3")
    assert number.value == 5 and number.max == screen.length > last
    number.value = number.max
    assert "at the present" in screen.status
    cluster.kubectl("scale deployment web --replicas=4")
    assert number.value == number.max == screen.length
    number.value = 0
    assert screen.status.startswith(f"Looking back, before write 1 of {screen.length}")


def test_every_moment_is_as_the_story_tells_it(cluster: Cluster) -> None:
    view = cluster.live("svc/web")
    cluster.kubectl("scale deployment web --replicas=1")
    screen = Screen(view)
    moments = {screen.position: screen.picture}
    compared = 0
    for position in [*range(screen.length, -1, -1), *range(screen.length + 1)]:
        screen.slide_to(position)
        assert screen.position == position
        assert moments.setdefault(position, screen.picture) == screen.picture  # there and back
        write = view._tape.write(position) if position else None
        following = view._tape.write(position + 1).at if position < screen.length else cluster.now
        if write is not None and write.at < following and not screen.picture.startswith("There is no"):
            assert screen.picture == cluster.at(write.at).show("svc/web").sentence
            compared += 1
    assert compared > 2


def test_who_looks_back_stays_there_while_the_cluster_goes_on(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    length = screen.length
    screen.slide_to(length - 2)
    picture = screen.picture
    cluster.kubectl("scale deployment web --replicas=3")
    assert (screen.position, screen.picture) == (length - 2, picture)
    assert screen.length > length + 10
    screen.panel.now.click()
    assert screen.position == screen.length
    assert "3 of 3" in screen.status


def test_a_step_brings_back_to_the_present(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    screen.slide_to(3)
    screen.panel.step.click()
    assert screen.position == screen.length
    assert "at the present" in screen.status


def test_two_views_at_once_look_at_different_moments(cluster: Cluster) -> None:
    first, second = cluster.live("svc/web"), cluster.live("svc/web")
    Screen(first).slide_to(0)
    assert Screen(second).status.startswith("Playing at once")
    first.close()
    cluster.kubectl("scale deployment web --replicas=3")
    assert "3 of 3" in Screen(second).status


def test_a_cell_run_again_and_again_leaves_few_views(cluster: Cluster) -> None:
    views = [cluster.live("svc/web") for _ in range(live.MOST_VIEWS + 2)]
    assert [view.closed for view in views] == [True, True] + [False] * live.MOST_VIEWS


def test_a_service_that_is_not_there_is_refused_with_the_nearest_names(cluster: Cluster) -> None:
    before = widgets_open()
    with pytest.raises(
        epkit.EpkitError, match="There is no Service wbe in the namespace default. The nearest name is web"
    ):
        cluster.live("svc/wbe")
    assert widgets_open() == before


def test_what_another_thread_changes_is_drawn_by_the_own_one(cluster: Cluster) -> None:
    drawn: list[int] = []

    async def follow() -> None:
        screen = Screen(cluster.live("svc/web"))
        screen.panel.picture.observe(lambda _: drawn.append(threading.get_ident()), names="value")
        other = threading.Thread(target=cluster.kubectl, args=("scale deployment web --replicas=3",))
        other.start()
        other.join()
        assert drawn == []
        while "3 of 3" not in screen.status:
            await asyncio.sleep(0)
        click = threading.Thread(target=screen.panel.play.click)  # JupyterLab may have it handled in a subshell
        click.start()
        click.join()
        assert not cluster.paused
        while not screen.status.startswith("Paused"):
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(follow(), 20))
    assert set(drawn) == {threading.get_ident()}


def test_with_a_running_clock_it_follows_the_servers_thread(cluster: Cluster) -> None:
    async def follow() -> None:
        screen = Screen(cluster.live("svc/web"))
        screen.panel.speed.value = SPEEDS[-1]
        cluster.kubectl("scale deployment web --replicas=3")
        while "3 of 3" not in screen.status:
            await asyncio.sleep(0.01)
        cluster.close()

    threads = threading.active_count()
    asyncio.run(asyncio.wait_for(follow(), 20))
    assert threading.active_count() == threads


def test_a_closed_view_leaves_no_widget_no_listener_and_no_thread(cluster: Cluster) -> None:
    widgets, threads, listeners = widgets_open(), threading.active_count(), list(cluster._plane.on_change)
    view = cluster.live("svc/web")
    Screen(view).slide_to(2)
    assert threading.active_count() == threads
    view.close()
    view.close()
    assert widgets_open() == widgets
    assert cluster._plane.on_change == listeners
    assert repr(view) == "The live view of Service web in the namespace default is closed."
    assert view._repr_mimebundle_() == {"text/plain": repr(view)}
    cluster.kubectl("scale deployment web --replicas=3")  # goes on without it


def test_closing_the_cluster_closes_its_views(cluster: Cluster) -> None:
    threads = threading.active_count()
    view = cluster.live("svc/web")
    view._panel.speed.value = SPEEDS[-1]
    cluster.close()
    assert view.closed
    assert threading.active_count() == threads
    view._panel.play.click()  # a click that was on its way


def test_names_and_annotations_cannot_reach_the_page(cluster: Cluster) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e</pre>&"
    one = cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web").items[0]
    view = cluster.live("svc/web")
    cluster.client.patch(
        "endpointslices", one["metadata"]["name"], {"metadata": {"annotations": {"note": hostile}}}, "default"
    )
    everything = "".join(widget.value for widget in (view._panel.slices, view._panel.writes, view._panel.status))
    assert "onerror=alert(1)" in Screen(view).slices
    assert "<img" not in everything
    assert "\u202e" not in everything


def test_without_graphviz_words_stand_for_the_picture(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(dot: str) -> str:
        raise epkit.EpkitError("Pictures need Graphviz.")

    monkeypatch.setattr("epkit.views.diagram.draw", none)
    cluster.kubectl("scale deployment web --replicas=3")
    cluster.kubectl("label pod -l app=web drawn=never")
    cluster.kubectl("create service clusterip other --tcp=80")
    screen = Screen(cluster.live("svc/other"))
    assert "Service other (10." in screen.picture and "Pictures need Graphviz." in screen.picture


def test_a_fault_of_the_view_is_told_and_does_not_fail_the_command(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(cluster.live("svc/web"))

    def fault(*_: object) -> str:
        raise KeyError("addresses")

    monkeypatch.setattr("epkit.live.page.slices", fault)
    assert cluster.kubectl("scale deployment web --replicas=3").returncode == 0
    assert screen.status == "This view cannot be drawn: KeyError: 'addresses'. The cluster goes on."


def test_after_a_compaction_it_begins_anew(cluster: Cluster) -> None:
    screen = Screen(cluster.live("svc/web"))
    screen.slide_to(3)
    store = cluster._plane.store
    store.put("configmaps", {"metadata": {"namespace": "default", "name": "a"}})
    store.compact()  # before the view has heard of that write
    cluster.kubectl("scale deployment web --replicas=3")
    assert "3 of 3" in screen.status
    assert screen.position == screen.length


def test_a_view_of_a_service_without_a_past_has_nothing_to_slide_over(cluster: Cluster) -> None:
    cluster._plane.store.compact()
    screen = Screen(cluster.live("svc/web"))
    assert screen.panel.moment.disabled and screen.panel.number.disabled
    assert screen.rows == [["Nothing was written yet."]]
    assert "not changed since the story began" in screen.slices


def test_the_state_of_the_widgets_can_be_sent(cluster: Cluster) -> None:
    for name in ("root", "play", "step", "speed", "moment", "number", "now", "slices"):
        json.dumps(getattr(cluster.live("svc/web")._panel, name).get_state(drop_defaults=True), default=str)
