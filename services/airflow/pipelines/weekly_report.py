"""Mail the weekly sales report, once; and once more when its week was corrected."""

from __future__ import annotations

from leandata import reports, serving
from leandata.clock import Week, last_complete_week, months_later
from leandata.database import connect
from leandata.errors import DatabaseError, LeandataError
from leandata.mail import Message, send
from leandata.settings import Settings
from pipelines.report.data import Origin, Report, digest, gather
from pipelines.report.parts import DAYS, parts
from pipelines.report.render import html, images, subject, text


def report_of(settings: Settings, week: Week) -> Report:
    """The report's figures from the serving database. Raises DatabaseError when the week is not published whole."""
    shown = parts()
    with connect(settings.serving) as connection:
        known = {found.dataset: found for found in serving.freshness(connection)}
        published = known.get("sales.weekly_sales")
        if published is None or published.data_until < week.end:
            until = published.data_until if published else "nothing"
            raise DatabaseError(f"the week {week.label} is not published whole yet (published: {until})")
        weeks = serving.weekly_sales(connection, until=week.start)
        top = serving.top_customers(connection, since=week.start, until=week.end, limit=shown.customers)
        cohorts = [one for one in serving.cohorts(connection) if months_later(one.cohort, one.month) <= week.end]
    more = [
        Origin(dataset=name, version=known[name].version, rows=rows, query=query)
        for name, rows, query in (
            ("sales.customer_days", len(top), serving.top_customers_sql()),
            ("sales.cohorts", len(cohorts), serving.cohorts_sql()),
        )
        if name in known and rows
    ]
    return gather(
        week,
        weeks,
        published=published,
        commit=settings.commit,
        note=settings.source_note,
        top=top,
        cohorts=cohorts,
        cohorts_until=known["sales.cohorts"].data_until if "sales.cohorts" in known else None,
        more=more,
        usual_weeks=shown.usual_weeks,
    )


def mail_report(settings: Settings) -> str:
    """Send the report of the last complete week unless that was done; what was done, as a sentence.

    A week whose figures have changed since it was mailed is mailed again, marked as corrected, once for each change.
    The week is claimed before it is sent, so that of two runs at once one sends. Raises MailError, and then the next
    try sends.
    """
    today = settings.today()
    week = last_complete_week(today)
    if (today - week.end).days <= DAYS.index(parts().weekday):
        return f"not sent: the report of {week.label} goes out on {parts().weekday}"
    with connect(settings.serving, autocommit=True) as ledger:
        before = reports.mailed(ledger, week.start)
        try:
            report = report_of(settings, week)
        except DatabaseError as error:
            return f"not sent: {error.what}"
        now = digest(report)
        if before is not None and before in ("", now):
            return f"the report of {week.label} was sent before"
        if not reports.claim(ledger, week.start, digest=now):
            return f"the report of {week.label} is being sent by another run"
        try:
            message_id = send(settings.mail, message(report, settings, update=before is not None))
        except LeandataError:
            reports.release(ledger, week.start)
            raise
        reports.confirm(ledger, week.start, message_id=message_id, digest=now)
    what = "was sent" if before is None else "was sent again, corrected,"
    return f"the report of {week.label} {what} to {', '.join(settings.report_recipients)}"


def message(report: Report, settings: Settings, *, update: bool = False) -> Message:
    """The report as a mail; an update is marked as one."""
    link = settings.links.dash
    return Message(
        subject=subject(report, update=update),
        to=settings.report_recipients,
        text=text(report, link=link, update=update),
        html=html(report, link=link, update=update),
        images=images(report),
    )
