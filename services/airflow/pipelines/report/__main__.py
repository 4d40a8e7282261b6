"""Render a week's report to files: `python -m pipelines.report --week 2026-W47 --out FOLDER`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from leandata.clock import Week, last_complete_week
from leandata.errors import LeandataError
from leandata.mail import compose
from leandata.settings import Settings
from pipelines.report.render import compared, html
from pipelines.weekly_report import message, report_of


def main() -> int:
    """Write report.html, report.txt and report.eml; 1 with one clear line when that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.report", description=__doc__)
    parser.add_argument("--week", default="", help="such as 2026-W47 (default: the last complete week)")
    parser.add_argument("--against", default="", help="another week to compare it with, such as 2026-W46")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")
    options = parser.parse_args()
    try:
        settings = Settings.load(os.environ)
        week = Week.parse(options.week) if options.week else last_complete_week(settings.today())
        report = report_of(settings, week)
        other = report_of(settings, Week.parse(options.against)) if options.against else None
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    mail = message(report, settings)
    files = {name: options.out / f"report-{week.label}.{name}" for name in ("html", "txt", "eml")}
    files["html"].write_text(html(report, link=settings.links.dash, inline=True), encoding="utf-8")
    files["txt"].write_text(mail.text, encoding="utf-8")
    eml = compose(mail, sender=settings.mail.sender, message_id=f"<report-{week.label}@leandata>")
    for number, part in enumerate(eml.walk()):
        if part.is_multipart():
            part.set_boundary(f"=leandata-{number}=")  # else it is random: the same report, the same bytes
    files["eml"].write_bytes(eml.as_bytes())
    if other is not None:
        files["against"] = options.out / f"report-{week.label}-against-{other.week.label}.txt"
        files["against"].write_text(compared(report, other), encoding="utf-8")
    paths = {name: str(path) for name, path in sorted(files.items())}
    print(json.dumps({"version": 1, "files": paths}) if options.json else "\n".join(paths.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
