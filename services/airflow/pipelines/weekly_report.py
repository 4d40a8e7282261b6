"""Mail the weekly sales report, once."""

from __future__ import annotations

from leandata import reports, serving
from leandata.clock import Week, last_complete_week
from leandata.database import connect
from leandata.errors import DatabaseError, LeandataError
from leandata.mail import Message, send
from leandata.settings import Settings
from pipelines.report.data import Report, gather
from pipelines.report.render import html, images, subject, text


def report_of(settings: Settings, week: Week) -> Report:
    """The report's figures from the serving database. Raises DatabaseError when the week is not published whole."""
    with connect(settings.serving) as connection:
        known = {found.dataset: found for found in serving.freshness(connection)}
        published = known.get("sales.weekly_sales")
        if published is None or published.data_until < week.end:
            until = published.data_until if published else "nothing"
            raise DatabaseError(f"the week {week.label} is not published whole yet (published: {until})")
        weeks = serving.weekly_sales(connection, until=week.start)
    return gather(week, weeks, published=published, commit=settings.commit, note=settings.source_note)


def mail_report(settings: Settings) -> str:
    """Send the report of the last complete week unless that was done; what was done, as a sentence.

    The week is claimed before it is sent, so that of two runs at once one sends. Raises MailError, and then the next
    try sends.
    """
    week = last_complete_week(settings.today())
    with connect(settings.serving, autocommit=True) as ledger:
        if reports.sent(ledger, week.start):
            return f"the report of {week.label} was sent before"
        try:
            report = report_of(settings, week)
        except DatabaseError as error:
            return f"not sent: {error.what}"
        if not reports.claim(ledger, week.start):
            return f"the report of {week.label} is being sent by another run"
        try:
            message_id = send(settings.mail, message(report, settings))
        except LeandataError:
            reports.release(ledger, week.start)
            raise
        reports.confirm(ledger, week.start, message_id=message_id)
    return f"the report of {week.label} was sent to {', '.join(settings.report_recipients)}"


def message(report: Report, settings: Settings) -> Message:
    """The report as a mail."""
    link = settings.links.dash
    return Message(
        subject=subject(report),
        to=settings.report_recipients,
        text=text(report, link=link),
        html=html(report, link=link),
        images=images(report),
    )
