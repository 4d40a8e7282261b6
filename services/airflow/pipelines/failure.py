"""Tell the owner when a task has failed for good."""

from __future__ import annotations

import os
from typing import Any

from leandata.errors import LeandataError
from leandata.mail import Message, send
from leandata.settings import Settings


def failure_message(settings: Settings, *, dag: str, task: str, run: str, attempt: int, error: str) -> Message:
    """One clear mail: what failed, why, and where to look."""
    reason = " ".join(error.split())[:1000] or "no reason was given"
    link = f"{settings.links.airflow}/dags/{dag}/runs/{run}" if settings.links.airflow else ""
    text = (
        f"The task {task} of the pipeline {dag} failed for good, after try {attempt}.\n\n"
        f"Why:  {reason}\nRun:  {run}\n" + (f"Log:  {link}\n" if link else "")
    ) + "\nThe last good data stays served; its age is on the dashboard. Mend the cause, then run the pipeline again."
    subject = f"[{settings.environment}] {dag}.{task} failed: {reason[:80]}"
    return Message(subject=subject, to=[settings.owner_mail], text=text)


def mail_owner(context: dict[str, Any]) -> None:
    """Airflow's callback for a failed task. A mail that cannot be sent is only logged: the task has failed already."""
    instance = context["task_instance"]
    settings = Settings.load(os.environ)
    message = failure_message(
        settings,
        dag=instance.dag_id,
        task=instance.task_id,
        run=str(context.get("run_id", "")),
        attempt=instance.try_number,
        error=str(context.get("exception") or ""),
    )
    try:
        send(settings.mail, message)
    except LeandataError as error:
        print(f"the owner could not be told: {error}")
