"""The commands of every job, taken from the files: all are verbs with options that exist, and they run in a clean clone.

What costs little is run here. LEANDATA_ALL_JOBS=yes also runs `make check CHANGED=yes`, `make test CHANGED=yes` and the previews of
every environment, in a clone that installs everything for itself (half an hour on two cores).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import bootstrap
from ci.cli import parser
from ci.commands import VERBS
from ci.drift.model import StackDrift
from ci.tests.clones import commit, copied
from ci.tests.comment.artifacts import changing, zipped
from ci.tests.comment.fake_github import COMMIT, NAME, TOKEN, Store, event, github
from ci.tests.comment.test_approvals_and_issues import drifted
from ci.workflows.described import FOLDER
from infra.environment import ROOT

pytestmark = pytest.mark.thorough("ci/*", "infra/*", "shared/*", "services/*/service.toml", ".github/*", "Makefile")
# What GitHub puts into the variables of a job; a matrix gives one of its rows.
GIVEN = {"BASE": "HEAD", "ENVIRONMENT": "dev", "GITHUB_EVENT_PATH": "event.json"}
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / FOLDER).glob("*.yml"))}
JOBS = {f"{name}.{key}": job for name, file in FILES.items() for key, job in file["jobs"].items()}
COMMANDS = sorted({step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step})
ALL = os.environ.get("LEANDATA_ALL_JOBS") == "yes"
# What says where things are kept and how this machine reaches the registries; nothing else of the environment is handed on.
_PLACES = {"HOME", "PATH", "LEANDATA_CACHE", "XDG_CACHE_HOME", "LANG", "GOPROXY", "GOMODCACHE", "TMPDIR"}
_NETWORK = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
_PROXY = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
KEPT = {name: value for name, value in os.environ.items() if name in _PLACES | _NETWORK | _PROXY}


def shown(command: str, **environ: str) -> str:
    """What make would run for a command of a job."""
    words = command.replace("make ", "make -n ", 1)
    whole = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **GIVEN, **environ}
    result = subprocess.run(["sh", "-c", words], cwd=ROOT, env=whole, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def given(command: str) -> list[str]:
    return re.findall(r"[A-Z]+=\S+", command)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "make help"])
def test_a_command_is_a_verb_that_exists_with_options_that_it_takes(command: str):
    words = shlex.split(shown(command).strip().splitlines()[-1])
    at = words.index("ci", words.index("-m"))
    options = parser().parse_args(words[at + 1 :])
    assert options.verb == command.split()[1]
    assert options.verb in VERBS


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command in COMMANDS for option in given(command)]
)  # fmt: skip
def test_every_option_of_a_command_makes_a_difference(command: str, option: str):
    name = option.partition("=")[0]
    without = re.sub(rf" {name}=\S+", "", command)
    environ = {name: ""} if name != "ENV" else {"ENV": "nowhere"}
    assert shown(command) != shown(without, **environ)


@pytest.fixture(name="clone", scope="module")
def _clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is here, and twice a sentence more in the README."""
    place = copied(tmp_path_factory.mktemp("clone") / "leandata", installed=not ALL)
    for text in ("one", "two"):
        with (place / "README.md").open("a") as file:
            file.write(f"\n{text}\n")
        commit(place, text)
    yield place
    if (place / ".leandata").exists():  # a job deployed
        subprocess.run(["make", "destroy", "ENV=local", "DATA=yes"], cwd=place, env={**KEPT, "CI": "true"}, check=True)
    shutil.rmtree(place.parent)


def done(clone: Path, job: str, **environ: str) -> list[str]:
    """Run the commands of a job one after the other, as a runner does: the first that fails ends it."""
    found: list[str] = []
    for step in JOBS[job]["steps"]:
        if "run" not in step:
            continue
        whole = {**KEPT, "CI": "true", **GIVEN, "BASE": "HEAD~1", **environ}
        result = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]],
            cwd=clone,
            env=whole,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{step['run']}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        found.append(result.stdout)
    return found


_READY = pytest.mark.skipif(
    not bootstrap.ready(ROOT, cloud=True) and not ALL, reason="the cloud's libraries are missing"
)


@_READY
@pytest.mark.integration
def test_the_job_that_says_what_is_affected_runs_in_a_clean_clone(clone: Path):
    (said,) = done(clone, "pull-request.affected")
    assert said.strip()


@_READY
@pytest.mark.integration
def test_a_job_of_a_preview_runs_in_a_clean_clone_and_leaves_what_is_handed_on(clone: Path):
    done(clone, "pull-request.preview", ENVIRONMENT="local")
    whole = json.loads((clone / "build/preview/preview.json").read_text())
    assert (whole["environment"], whole["head"]["dirty"], whole["exit_code"]) == ("local", False, 0)


@_READY
@pytest.mark.integration
def test_the_job_that_follows_a_review_runs_in_a_clean_clone(clone: Path):
    (said,) = done(clone, "review.told")
    assert "make deploy" in said


@_READY
@pytest.mark.integration
def test_the_poster_runs_in_a_clean_clone(clone: Path):
    store = Store()
    store.request(12)
    store.run(7)
    store.artifact(7, "prod", zipped(changing()))
    (clone / ".git" / "event.json").write_text(json.dumps(event()))
    with github(store) as client:
        environ = {"GITHUB_API_URL": client.api, "GITHUB_TOKEN": TOKEN, "GITHUB_EVENT_PATH": ".git/event.json"}
        done(clone, "comment.comment", **environ)
    assert any(text.startswith("<!-- preview:prod -->\n### Preview prod at aaaaaaaaaa") for text in store.on(12))
    assert [one["sha"] for one in store.statuses] == [COMMIT]


@_READY
@pytest.mark.integration
def test_the_job_that_tells_of_drift_runs_in_a_clean_clone(clone: Path):
    store = Store()
    answer: dict[str, Any] = {"environment": "prod", "stacks": [_plain(drifted("lake", "dangerous"))]}
    (clone / "build/drift").mkdir(parents=True, exist_ok=True)
    (clone / "build/drift/drift.json").write_text(json.dumps(answer))
    with github(store) as client:
        environ = {
            "GITHUB_API_URL": client.api,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_REPOSITORY": NAME,
            "ENVIRONMENT": "prod",
        }
        done(clone, "drift.tell", **environ)
    assert [one["title"] for one in store.issues.values()] == ["Drift of prod: lake"]


def _plain(found: StackDrift) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


@pytest.mark.skipif(not ALL, reason="LEANDATA_ALL_JOBS=yes runs what takes half an hour")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("job", ["pull-request.check", "pull-request.test", "restore-drill.drill"])
def test_a_long_job_runs_in_a_clean_clone(job: str, clone: Path):
    done(clone, job)


@pytest.mark.skipif(not ALL, reason="LEANDATA_ALL_JOBS=yes runs what takes half an hour")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["cluster", "dev", "prod", "staging"])
def test_every_environment_is_previewed_in_a_clean_clone(name: str, clone: Path):
    done(clone, "pull-request.preview", ENVIRONMENT=name)
    assert (clone / "build/preview/preview.md").read_text().startswith(f"<!-- preview:{name} -->")
