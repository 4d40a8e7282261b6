"""Note each run of a pipeline for the dashboards, from its own tasks: they may write to the serving database anyway.

So nobody who shows runs holds a password of Airflow's. What a task could not tell (its process was killed, the
database was down) is put right by the next task of any pipeline: it asks Airflow what became of runs that are noted as
running. `drain_events` begins every five minutes, so nothing is wrong for longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from leandata.errors import LeandataError
from leandata.settings import Settings

if TYPE_CHECKING:
    from leandata.serving import Run, RunState

_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What Airflow knows of a run."""

    state: str
    started_at: datetime | None
    ended_at: datetime | None


Ask = Callable[[str, str], Fate | None]
"""What became of a run of a pipeline; None when Airflow does not know it any more."""


def begun(context: Any) -> None:
    """Airflow's callback when a try of a task begins: the run is running; other runs are looked after."""
    _tell(context, "running", ask=ask_airflow)


def ended(context: Any) -> None:
    """Airflow's callback when a task is done or skipped: after the pipeline's only last task the run is over."""
    if is_last(context):
        _tell(context, "success")


def failed(context: Any) -> None:
    """Airflow's callback when a task has failed for good."""
    _tell(context, "failed")


def is_last(context: Any) -> bool:
    """Whether nothing of the run can be left when this task is over: it is the only one that nothing follows."""
    ends = [task.task_id for task in context["dag"].tasks if not task.downstream_task_ids]
    instance = context["ti"]
    return ends == [instance.task_id] and instance.map_index in (None, -1)


def run_of(context: Any, state: RunState, *, now: datetime) -> Run:
    """The run of a task's context in that state."""
    from leandata.serving import Run

    instance, known = context["ti"], context.get("dag_run")
    started = (known and known.start_date) or getattr(instance, "start_date", None) or now
    return Run(
        pipeline=instance.dag_id,
        run=instance.run_id,
        state=state,
        started_at=started,
        ended_at=None if state == "running" else now,
        tries=instance.try_number,
        task=instance.task_id,
    )


def note(settings: Settings, run: Run, *, ask: Ask | None = None) -> None:
    """Write the run down; with `ask`, also what became of other runs. Raises DatabaseError when nobody can be told."""
    import psycopg

    from leandata import serving
    from leandata.database import connect
    from leandata.errors import DatabaseError

    try:
        with connect(settings.serving) as connection:
            others = serving.record_run(connection, run)
            connection.commit()
            if ask is None:
                return
            for other in others:
                if (found := settled(other, ask(other.pipeline, other.run))) is not None:
                    serving.record_run(connection, found)
                    connection.commit()
    except psycopg.Error as error:
        raise DatabaseError(f"a run cannot be noted: {' '.join(str(error).split())[:200]}") from error


def settled(noted: Run, fate: Fate | None) -> Run | None:
    """The run as it ended, None while it has not."""
    if fate is None:
        return replace(noted, state="lost")
    if fate.state not in ("success", "failed"):
        return None
    return replace(noted, state=fate.state, started_at=fate.started_at or noted.started_at, ended_at=fate.ended_at)


def ask_airflow(pipeline: str, run: str) -> Fate | None:
    """What Airflow's server says of a run to a task, by the token that the task has."""
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import GetDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        found: Any = SUPERVISOR_COMMS.send(GetDagRun(dag_id=pipeline, run_id=run))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == _NOT_FOUND:
            return None
        print(f"Airflow does not say what became of {pipeline} {run}: {error}")
        return Fate(state="not told", started_at=None, ended_at=None)
    return Fate(state=str(found.state.value), started_at=found.start_date, ended_at=found.end_date)


def _tell(context: Any, state: RunState, *, ask: Ask | None = None) -> None:
    """A run that cannot be noted is only said in the log: no task fails for it."""
    try:
        note(Settings.load(os.environ), run_of(context, state, now=datetime.now(UTC)), ask=ask)
    except LeandataError as error:
        print(f"the run could not be noted: {error}")
