"""The benchmarks run to their end and measure every case. Figures are not judged: CI is noisy."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import candidates  # noqa: E402
import cases  # noqa: E402
import jobs  # noqa: E402
import report  # noqa: E402
import sched_cases  # noqa: E402


def run(argv, tmp_path):
    """What a benchmark writes with --json."""
    out = tmp_path / "figures.json"
    done = subprocess.run([*argv, "--json", str(out)], capture_output=True, text=True, timeout=300,
                          check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text()), done.stdout


def test_relay_measures_every_case(tmp_path):
    figures, text = run([sys.executable, "-B", HERE / "relay.py", "--quick"], tmp_path)
    assert figures["left_out"] == {}
    assert [case["name"] for case in figures["cases"]] == [case.name for case in cases.ALL]
    for case in figures["cases"]:
        failed = {who: why for who, why in case["notes"].items() if "not measured" in why}
        assert failed == {}, case["name"]
        assert case["candidates"]["sluice"]["rounds"], case["name"]
        assert case["title"] in text
    compared = [case for case in figures["cases"] if case["name"].startswith("select1")]
    assert all(set(case["candidates"]) == set(candidates.NAMES) for case in compared)
    assert list(tmp_path.glob("sluice-bench-*")) == []


def test_relay_goes_on_without_a_candidate(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates.shutil, "which", lambda name: None)
    fleet = candidates.Fleet(tmp_path, candidates.NAMES)
    assert set(fleet.left_out) == {"haproxy", "nginx", "sysbench"}
    assert fleet.names == ["direct", "floor", "sluice"]


def test_relay_refuses_an_unknown_case():
    done = subprocess.run([sys.executable, "-B", HERE / "relay.py", "--only", "nothing"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "--list" in done.stderr


def figures_of(cpu, rate):
    return {"cpu_us": cpu, "rate": rate, "p50_us": 1.0, "p99_us": 2.0, "client_busy": 0.5}


@pytest.mark.parametrize("cpu, is_met", [(0.85, True), (0.95, False), (1.05, False)])
def test_goals_are_ratios_within_a_round(cpu, is_met):
    """Sluice's cost follows HAProxy's from round to round, however far that drifts."""
    samples = {
        "haproxy": [figures_of(drift, 100.0) for drift in (10.0, 20.0, 40.0)],
        "sluice": [figures_of(drift * cpu, 100.0) for drift in (10.0, 20.0, 40.0)],
    }
    case = cases.Case("select1-fake-1", "", "rate", None)
    goals = {g["what"]: g for g in report.goals([cases.evaluate(case, samples, {})])}
    assert goals["select1-fake-1: CPU / haproxy"]["is_met"] == is_met
    assert goals["select1-fake-1: rate / haproxy"]["is_met"]
    assert "select1-fake-1: CPU / nginx" not in goals


def test_jobs_measures_every_query(tmp_path):
    figures, text = run([sys.executable, "-B", HERE / "jobs.py", "--quick"], tmp_path)
    assert figures[0]["queries"].keys() == jobs.QUERIES.keys()
    assert all(f["n"] > 0 for f in figures[0]["queries"].values())
    assert set(figures[0]["relay"]) == {"alone", "a busy core", "jobs()"}
    assert "tasks of one" in text


def test_classifier_measures_statements(tmp_path):
    mine = tmp_path / "mine.sql"
    mine.write_text("# a comment\nSELECT 1;\nSELECT * FROM\n  jobs('type'='insert');\n")
    figures, text = run([HERE / "classifier", "--most", "50", mine], tmp_path)
    assert figures["real"]["mariadb-test"]["statements"] == 50
    assert figures["real"]["files"]["statements"] == 2
    assert figures["real"]["files"]["ours"] == 1
    assert "made to be bad" in text


def test_scheduler_measures_every_case(tmp_path):
    figures, text = run([sys.executable, "-B", HERE / "scheduler.py", "--quick"], tmp_path)
    assert [case["name"] for case in figures["cases"]] == [case.name for case in sched_cases.ALL]
    for case in figures["cases"]:
        assert "failure" not in case, case["name"]
        assert case["figures"], case["name"]
        assert case["title"] in text
    by_name = {case["name"]: case["figures"] for case in figures["cases"]}
    assert by_name["flight"]["is_once"]
    assert by_name["flight"]["most"] == sched_cases.QUICK.in_flight
    assert by_name["idle"]["polls"] >= sched_cases.QUICK.jobs
    assert "the scheduler reaches" in text
    assert list(tmp_path.glob("sluice-bench-*")) == []


def test_scheduler_refuses_an_unknown_case():
    done = subprocess.run([sys.executable, "-B", HERE / "scheduler.py", "--only", "nothing"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "--list" in done.stderr


def test_turns_are_cut_at_the_list_requests():
    """Two loads, between them the look at ETags and the next plan; times in ns."""
    loads = [(0, 1_000_000), (9_000_000, 10_000_000)]
    events = [(500_000, 600_000, 1), (2_000_000, 3_000_000, 1), (5_000_000, 7_000_000, 5),
              (11_000_000, 12_000_000, 5)]
    assert sched_cases.turns_of(loads, events) == [
        {"all": 8.0, "listing": 3.0, "overhead": 5.0, "to check": 1.0, "commit and on": 2.0,
         "INTENT and on": 2.0, "lists": 2}]
