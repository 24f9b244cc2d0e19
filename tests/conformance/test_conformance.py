"""Every recorded scenario, replayed against `epkit up`: see README.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import shards

SCENARIOS = shards.scenarios()
AGREEING = [line for line in (shards.HERE / "agreeing.txt").read_text().splitlines() if line and line[0] != "#"]

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_kubectl: Path | None
) -> dict[str, shards.Result]:
    """The results of all scenarios that this run selected and that this machine can replay."""
    selected = {item.callspec.params["name"] for item in request.session.items if hasattr(item, "callspec")
                and item.callspec.params.get("name") in SCENARIOS}  # fmt: skip
    wanted = {
        name: SCENARIOS[name]
        for name in sorted(selected)
        if real_kubectl is not None or not shards.uses_kubectl(SCENARIOS[name])
    }
    return shards.replay(wanted, tmp_path_factory.mktemp("conformance"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_agrees(
    name: str, results: dict[str, shards.Result], real_kubectl: Path | None, record_property
) -> None:
    if real_kubectl is None and shards.uses_kubectl(SCENARIOS[name]):
        pytest.skip("needs kubectl 1.29 or newer")
    result = results[name]
    must = name in AGREEING
    record_property("agrees" if result.agrees else "differs", name)
    if result.agrees and not must:
        record_property("agrees-newly", name)
    if not result.agrees and not must:
        pytest.xfail("not yet: " + (result.differences.splitlines() or ["differs"])[0][:200])
    assert result.agrees, f"{name} must agree with the recording:\n{result.differences}"


def test_every_scenario_belongs_to_a_known_group_and_has_a_recording() -> None:
    assert {one.get("group", "default") for one in SCENARIOS.values()} == set(shards.GROUPS)
    assert sorted(SCENARIOS) == sorted(path.stem for path in (shards.HERE / "golden").glob("*.json"))


def test_the_list_of_agreeing_scenarios_is_sorted_and_names_scenarios() -> None:
    assert sorted(set(AGREEING)) == AGREEING
    assert set(AGREEING) <= set(SCENARIOS)


def test_a_scenario_s_differences_are_those_printed_before_its_outcome() -> None:
    output = "agrees    a\n--- b step 2: {}\n-old\n+new\nDIFFERS   b\nagrees    c\n2 of 3 scenarios agree\n"
    assert shards.outcomes(output) == {
        "a": shards.Result(True),
        "b": shards.Result(False, "--- b step 2: {}\n-old\n+new"),
        "c": shards.Result(True),
    }


def test_shards_hold_every_scenario_once_and_are_about_equally_long() -> None:
    cut = shards.shards(SCENARIOS)
    assert sorted(name for shard in cut for name in shard.names) == sorted(SCENARIOS)
    longest = max(shards.estimate(one) for one in SCENARIOS.values())
    for group in shards.GROUPS:
        lengths = [shard.seconds for shard in cut if shard.group == group]
        assert max(lengths) - min(lengths) <= longest
