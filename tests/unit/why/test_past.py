"""`why` about the past: on the built-in cluster, on a replayed story, and on one that does not tell of everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Stage

import epkit
from epkit.errors import EpkitError
from epkit.story import Story


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def broken_for_a_while(stage: Stage) -> tuple[float, float, float]:
    """The moments before a selector was mistyped, while it was, and after it was mended."""
    cluster, moments = stage.cluster, []
    stage.web()
    for selector in ("wbe", "web", ""):
        moments.append(cluster.now)
        cluster.sleep(10)
        if selector:
            stage.patch("services", "web", f"{{spec: {{selector: {{app: {selector}}}}}}}")
            cluster.settle()
    return moments[0], moments[1], moments[2]


def first_reasons(story: Story, moments: tuple[float, ...]) -> list[str]:
    reports = [story.at(moment).why("svc/web") for moment in moments]
    assert all(report.unknown == () for report in reports)
    return [report.findings[0].reason if report.findings else "" for report in reports]


def test_the_reasons_then_are_not_those_of_now(stage: Stage) -> None:
    moments = broken_for_a_while(stage)
    assert stage.why("svc/web").ok
    assert first_reasons(stage.cluster.story, moments) == ["", "SelectorMatchesNothing", ""]
    pod = stage.pods()[0]
    report = stage.cluster.at(moments[1]).why(f"pod/{pod}", "svc/web")
    assert report.findings[0].reason == "SelectorMismatch" and report.exit_status == 1


def test_a_replayed_story_tells_the_same_reasons(stage: Stage, tmp_path: Path) -> None:
    moments = broken_for_a_while(stage)
    story = epkit.replay(stage.cluster.export(tmp_path / "story.json"))
    assert first_reasons(story, moments) == ["", "SelectorMatchesNothing", ""]
    now = stage.cluster.at(moments[1]).why("svc/web")
    assert repr(story.at(moments[1]).why("svc/web")) == repr(now)


def test_what_was_not_there_then_is_said_with_the_nearest_name(stage: Stage) -> None:
    before = stage.cluster.now
    stage.cluster.sleep(1)
    stage.web()
    with pytest.raises(EpkitError, match="There is no Service web in the namespace default"):
        stage.cluster.at(before).why("svc/web")


def test_what_a_story_does_not_tell_of_is_not_known(stage: Stage, tmp_path: Path) -> None:
    """As of a cluster whose nodes and Events one may not list: no word of missing nodes."""
    stage.probed("readinessProbe: {httpGet: {path: /, port: 81}}")
    stage.service(selector={"app": "web"})
    path = stage.cluster.export(tmp_path / "story.json")
    told = json.loads(path.read_text())
    told["beginning"] = {key: found for key, found in told["beginning"].items() if key not in ("nodes", "events")}
    told["writes"] = [write for write in told["writes"] if write["resource"] not in ("nodes", "events")]
    path.write_text(json.dumps(told))
    story = epkit.replay(path)
    past = story.at(story.end)
    report = past.why("svc/web")
    assert [finding.reason for finding in report.findings] == ["ReadinessProbeFails"]
    assert [unknown.resource for unknown in report.unknown] == ["nodes", "events"]
    assert "this story does not tell of nodes: they were not recorded" in repr(report)
    done = past.kubectl("get nodes")
    assert done.returncode == 1 and "this story does not tell of nodes" in done.stderr
    assert "You may not list nodes" in past.show("svc/web").sentence
    assert past.kubectl("get jobs").returncode == 0  # of which there were none
