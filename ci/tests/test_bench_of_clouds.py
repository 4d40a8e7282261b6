"""The measures of whole environments measure what they say; no time is judged here."""

from __future__ import annotations

import pytest

from ci.bench.cloud import TARGETS, generated, growing, judge_of, peak_mb, seconds_of, whole
from ci.bench.run import bench
from ci.cli import Options
from leandata.errors import LeandataError


@pytest.mark.integration
def test_a_generated_program_declares_its_buckets_and_their_components() -> None:
    figures = growing((20, 40))
    assert sorted(figures) == ["resource_ms_at_20", "resource_ms_at_40"]
    assert all(value > 0 for value in figures.values())


@pytest.mark.integration
def test_a_whole_environment_is_measured_in_a_process_of_its_own() -> None:
    figures = whole("local")
    assert sorted(figures) == ["local_memory_mb", "local_resources", "local_seconds"]
    assert figures["local_resources"] > 50


def test_an_environment_that_is_none_is_refused() -> None:
    with pytest.raises(LeandataError, match="unknown environment 'nowhere'"):
        whole("nowhere")


def test_what_is_not_there_judges_nothing() -> None:
    assert judge_of("ci.nothing_of_that_name", "judge") is None
    assert judge_of("nothing.of.that.name", "judge") is None
    assert judge_of("ci.budgets", "no_such_function") is None
    found = judge_of("ci.cost", "table")
    assert found is not None


def test_a_judgement_is_timed_and_made_once() -> None:
    seen: list[int] = []
    assert seconds_of(lambda programs: seen.append(len(programs)), {}) >= 0
    assert seen == [0]


def test_memory_is_in_millions_of_bytes() -> None:
    assert 10 < peak_mb() < 100_000


def test_every_target_names_a_bound() -> None:
    assert all(text.startswith(("at most ", "at least ")) for text in TARGETS.values())


def test_the_verb_knows_the_measure_and_refuses_others_with_its_name() -> None:
    with pytest.raises(
        LeandataError,
        match=r"ONLY is one or more of: airflow, api, cloud, compare, dash, exports, features, load, pipelines, platform, previews, sizes",
    ):
        bench(Options(only="clouds", out="", json=False))


@pytest.mark.integration
def test_a_program_of_one_bucket_has_a_stack_a_component_and_a_bucket() -> None:
    import subprocess
    import sys

    code = "from ci.bench.cloud import generated; print(len(generated(1).resources))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "3"
    assert generated.__doc__
