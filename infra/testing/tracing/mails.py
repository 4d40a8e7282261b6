"""The weekly report as it arrived, held against the CSV: subject, text, HTML, and the bars of its picture."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from html.parser import HTMLParser
from statistics import median

import numpy as np
from matplotlib import colormaps
from matplotlib.image import imread
from numpy.typing import NDArray

from infra.testing.tracing import shown
from infra.testing.tracing.documented import VERSION, moment
from infra.testing.tracing.ledger import Ledger, Rule
from infra.testing.tracing.shop import Shop, Sums

_USUAL_WEEKS = 26
_BEST = 5
_MOST = 12
_BLUISH = 5
_LIMIT = Decimal("3.5")
_BARS = ((0x1F, 0x5F, 0xA8), (0x9D, 0xB7, 0xD5))
_FIGURES = ("Revenue", "Orders", "Customers", "New customers", "Returning customers", "Units")


class _Page(HTMLParser):
    """What is read of HTML: a line for each row and paragraph, the cells of a row apart; alternative texts too."""

    _BREAKS = frozenset({"tr", "p", "h1", "h2", "title", "br", "code", "div"})

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self._quiet = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._quiet = tag == "style"
        if tag in self._BREAKS:
            self.lines.append("")
        for name, value in attrs:
            if name in ("alt", "title") and value:
                self.lines[-1:] = [value, ""]

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False
        if tag in self._BREAKS:
            self.lines.append("")
        elif tag in ("td", "th"):
            self.lines[-1] += " "

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.lines[-1] += data.replace("\n", " ")


def report(ledger: Ledger, mail: EmailMessage, *, shop: Shop, since: datetime, dash: str) -> None:
    """Hold every number of the report's mail. `dash` is the address of the dashboards that it links to."""
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    figures = _figures(shop)
    revenue, changed = figures["Revenue"][0], figures["Revenue"][2]
    subject = f"Sales of week {shown.week(shop.last_week)}: {revenue} ({changed})"
    ledger.hold("mail / subject", str(mail["Subject"]), subject)
    common = _lines(shop, figures)
    origins = _origins(shop, since, end=".", joined=False)
    ledger.lines("mail / text", text.get_content().splitlines(), [*common, f"Dashboard: {dash}", *origins])
    html = _Page()
    html.feed(page.get_content())
    alternative = f"Revenue of each of the last {len(_history(shop))} weeks"
    origins = _origins(shop, since, end=":", joined=True)
    ledger.lines("mail / html", html.lines, [*common, subject, alternative, *_open_month(shop), *origins])
    images = {
        str(part["Content-ID"]).strip("<>"): part for part in mail.walk() if part.get_content_type() == "image/png"
    }
    for name, image in sorted(images.items()):
        if name == "revenue-by-week":
            _bars(ledger, image.get_payload(decode=True), shop)  # pyright: ignore[reportArgumentType]
        elif name == "cohorts":
            _shades(ledger, image.get_payload(decode=True), shop)  # pyright: ignore[reportArgumentType]
            ledger.leave(
                "mail / picture of cohorts / percents", why="texts in a picture; their squares' shades are held"
            )
        else:
            ledger.wrong.append(f"mail / picture {name}: no rule covers this picture")


def _figures(shop: Shop) -> dict[str, tuple[str, str, str, str, str]]:
    """This week, the week before, the change, the year before, the change."""
    weeks = [shop.weeks.get(shop.last_week - timedelta(weeks=back), Sums()) for back in (0, 1, 52)]
    found: dict[str, tuple[str, str, str, str, str]] = {}
    for name in _FIGURES:
        now, before, year = (_value(week, name) for week in weeks)
        show = shown.money if name == "Revenue" else shown.whole
        found[name] = (show(now), show(before), _changed(now, before), show(year), _changed(now, year))
    return found


def _value(week: Sums, name: str) -> Decimal:
    values = {
        "Revenue": week.revenue,
        "Orders": week.orders,
        "Customers": len(week.customers),
        "New customers": week.new,
        "Returning customers": len(week.customers) - week.new,
        "Units": week.units,
    }
    return Decimal(values[name])


def _changed(now: Decimal, before: Decimal) -> str:
    return shown.change(now, before) or ("new" if now else "no change")


def _lines(shop: Shop, figures: Mapping[str, tuple[str, ...]]) -> list[str]:
    start, end = shop.last_week, shop.last_week + timedelta(days=6)
    best = shop.top(since=start, until=end, most=_BEST)
    return [
        f"Sales of week {shown.week(start)}",
        f"{start} to {end}, against the week before and the same week a year before",
        *(f"{name} {' '.join(values)}" for name, values in figures.items()),
        unusual(shop),
        *(f"{who} {shown.whole(of.orders)} {shown.whole(of.units)} {shown.money(of.revenue)}" for who, of in best),
        _note(len(shop.orders)),
    ]


def _note(orders: int) -> str:
    return (
        f"The sales are real: {shown.whole(orders)} purchases at the shop CDNOW, made in 1997 and 1998."
        " Their dates were moved forward by whole weeks; amounts, customers and rhythm are untouched."
        " They end on a Tuesday, so the last week is a short one."
    )


def unusual(shop: Shop) -> str:
    """The sentence by the rule of Iglewicz and Hoaglin: the figure furthest from the median of the weeks before."""
    weeks = [shop.last_week - timedelta(weeks=back) for back in range(_USUAL_WEEKS, 0, -1)]
    past = [shop.weeks[week] for week in weeks if week in shop.weeks]
    furthest, sentence = Decimal(0), ""
    for name in _FIGURES:
        now, before = _value(shop.weeks[shop.last_week], name), [_value(week, name) for week in past]
        middle = median(before)
        spread = median(abs(value - middle) for value in before)
        score = Decimal("0.6745") * (now - middle) / spread if spread else Decimal(0)
        if abs(score) > abs(furthest):
            show = shown.money if name == "Revenue" else shown.whole
            furthest, side, sign = score, "above" if score > 0 else "below", "+" if score > 0 else ""
            sentence = (
                f"Unusual: {name.lower()} of {show(now)}, far {side} the usual {show(middle)} (median of the"
                f" {len(past)} weeks before;"
                f" modified z-score {sign}{shown.one_place(score)}, limit {_LIMIT})."
            )
    if abs(furthest) <= _LIMIT:
        return f"Nothing is unusual: every figure lies within what the {len(past)} weeks before it were like."
    return sentence


def _origins(shop: Shop, since: datetime, *, end: str, joined: bool) -> list[Rule]:
    """Where the figures come from: how many rows were read is counted, versions and moments are judged by their form.

    `end` is how a line of another origin ends; `joined` where the first two lines are one.
    """
    first = f"From sales.weekly_sales, version V ({len(shop.weeks)} rows),"
    second = "published M; made by commit C."
    best = len(shop.top(since=shop.last_week, until=shop.last_week + timedelta(days=6), most=_BEST))
    more = [(best, "sales.customer_days"), (len(shop.cohorts), "sales.cohorts")]
    lines = [f"{first} {second}"] if joined else [first, second]
    lines += [f"{name}, version V, {rows} rows read{end}" for rows, name in more]
    return [_origin(line, since) for line in lines]


def _origin(line: str, since: datetime) -> Rule:
    """A line in which V is a version, M a moment, C a commit."""
    form = re.escape(line).replace("version\\ V", r"version\ (?P<version>\w+)").replace("\\ M;", r"\ (?P<moment>\S+);")
    found = re.compile(form.replace("commit\\ C", r"commit\ [0-9a-f]{12}[\w+-]*"))
    published = moment(since)

    def holds(seen: str) -> bool:
        said = found.fullmatch(seen)
        given = said.groupdict() if said else {}
        judged = {"version": VERSION, "moment": published}
        return said is not None and all(judged[name].holds(value) for name, value in given.items())

    return Rule(what=line, holds=holds)


def _history(shop: Shop) -> list[Sums]:
    """The weeks of the picture, the report's own last."""
    return [sums for week, sums in shop.weeks.items() if week <= shop.last_week][-_USUAL_WEEKS:]


def bar_heights(image: bytes) -> list[int]:
    """How many pixels high each bar of the picture is, from left to right."""
    pixels = _pixels(image)
    one, other = ((pixels == colour).all(axis=2) for colour in _BARS)
    heights: list[int] = []
    apart = True
    for height in (int(column.sum()) for column in (one | other).T):
        if height and apart:
            heights.append(0)
        apart = not height
        if height:
            heights[-1] = max(heights[-1], height)
    return heights


def _bars(ledger: Ledger, image: bytes, shop: Shop) -> None:
    """Each bar is as high as its revenue, to two pixels."""
    where, weeks, heights = "mail / picture of revenue", _history(shop), bar_heights(image)
    ledger.hold(f"{where} / bars", len(heights), len(weeks))
    highest = max(week.revenue for week in weeks)
    for at, (height, week) in enumerate(zip(heights, weeks, strict=False)):
        right = max(heights) * week.revenue / highest
        rule = Rule(what="a bar as high as its revenue", holds=lambda seen, right=right: abs(seen - right) <= 2)
        ledger.hold(f"{where} / bar {at} of {week.revenue}", height, rule)


def shades(image: bytes, *, rows: int, columns: int) -> list[list[tuple[int, int, int]]]:
    """The colour of each square of a grid of blue squares, near its corner, where no text is."""
    pixels = _pixels(image)
    blue = pixels[:, :, 2] - pixels[:, :, 0] > _BLUISH
    down, across = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    top, left = int(down[0]), int(across[0])
    height, width = (int(down[-1]) + 1 - top) / rows, (int(across[-1]) + 1 - left) / columns

    def at(row: int, column: int) -> tuple[int, int, int]:
        red, green, blue_ = pixels[int(top + (row + 0.2) * height), int(left + (column + 0.2) * width)]
        return int(red), int(green), int(blue_)

    return [[at(row, column) for column in range(columns)] for row in range(rows)]


def _shades(ledger: Ledger, image: bytes, shop: Shop) -> None:
    """Each square is as dark as the share of its cohort that ordered, on matplotlib's scale of blues."""
    cohorts = sorted({cohort for cohort, _ in shop.cohorts})[-_MOST:]
    months = range(1, _MOST + 1)
    shares = [[_share(shop, cohort, at) for at in months] for cohort in cohorts]
    highest = max(share for row in shares for share in row)
    scale = colormaps["Blues"]
    for cohort, row, found in zip(cohorts, shares, shades(image, rows=len(cohorts), columns=_MOST), strict=True):
        for at, share, colour in zip(months, row, found, strict=True):
            right = [round(part * 255) for part in scale(float(share / highest))[:3]]
            rule = Rule(what="a square as dark as its share", holds=lambda seen, right=right: _near(seen, right))
            ledger.hold(f"mail / picture of cohorts / {cohort} after {at} months, {share:.2%}", colour, rule)


def _open_month(shop: Shop) -> list[str]:
    """The line below the picture where it has a month that is not over."""
    drawn = sorted({cohort for cohort, _ in shop.cohorts})[-_MOST:]
    found = any(shop.open_month(cohort, at) for cohort, at in shop.cohorts if cohort in drawn and 1 <= at <= _MOST)
    return [f"* This month is not over: its orders are counted until {shop.until}."] if found else []


def _share(shop: Shop, cohort: date, at: int) -> Decimal:
    one = shop.cohorts[cohort, at]
    return Decimal(len(one.sums.customers)) / one.size


def _near(seen: Sequence[int], right: Sequence[int]) -> bool:
    return all(abs(one - other) <= 2 for one, other in zip(seen, right, strict=True))


def _pixels(image: bytes) -> NDArray[np.int_]:
    return (imread(io.BytesIO(image))[:, :, :3] * 255).round().astype(int)
