"""What an event may say: one model a type. `services/api/schemas/v1` holds the same as JSON Schema, for senders.

`python -m serving.schemas` writes those files. Fields may be added to a version; anything else needs a new version.
Every text has a longest length, so an event has one too.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

VERSION = "v1"
FOLDER = Path(__file__).parents[1] / "schemas" / VERSION
_FIRST, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


# Without the null character, which PostgreSQL cannot store.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Link = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\x00]*$")]
Money = Annotated[
    str, Field(pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$", examples=["29.33"], json_schema_extra={"format": "decimal"})
]
_WHOLE = "A whole number, written without a decimal point"
Count = Annotated[int, Field(ge=1, le=1_000_000, description=_WHOLE)]


class _Closed(BaseModel):
    """Nothing but its fields, each of its own type: a number in quotes is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Event(_Closed):
    """`event_id` is the sender's: sending an event again, after a lost answer say, keeps it once."""

    event_id: UUID = Field(examples=["6f1c2f0e-5c1b-4e3a-9a53-0d6f6f1f2a10"])
    occurred_at: AwareDatetime = Field(
        ge=_FIRST,
        lt=_END,
        examples=["2026-11-24T10:00:00Z"],
        description=f"From {_FIRST:%Y-%m-%dT%H:%M:%SZ} on, before {_END:%Y-%m-%dT%H:%M:%SZ}",
        # Known to ajv-formats and others; to JSON Schema itself it is a remark.
        json_schema_extra={
            "formatMinimum": f"{_FIRST:%Y-%m-%dT%H:%M:%SZ}",
            "formatExclusiveMaximum": f"{_END:%Y-%m-%dT%H:%M:%SZ}",
        },
    )
    customer_id: Annotated[int, Field(ge=1, le=2**62)] | None = Field(default=None, examples=[1], description=_WHOLE)


class PageViewed(_Closed):
    """Which page, and where the visitor came from."""

    page: Link | None = None
    referrer: Link | None = None
    title: Name | None = None


class PageView(_Event):
    """Somebody looked at a page."""

    type: Literal["page_view"]
    payload: PageViewed = Field(default_factory=PageViewed)


class ProductViewed(_Closed):
    """Which product, by the shop's number of it."""

    product_id: Name
    price_usd: Money | None = None


class ProductView(_Event):
    """Somebody looked at a product."""

    type: Literal["product_view"]
    payload: ProductViewed


class Added(_Closed):
    """Which product, how many, at which price a piece in US dollars."""

    product_id: Name
    quantity: Count = 1
    price_usd: Money | None = None


class AddToCart(_Event):
    """Something was put into the cart."""

    type: Literal["add_to_cart"]
    payload: Added


class Ordered(_Closed):
    """The order's own number, and US dollars of all of it."""

    order_id: Name
    amount_usd: Money
    units: Count = 1
    coupon: Name | None = None


class OrderPlaced(_Event):
    """An order was placed, as the sender saw it; figures of sales come from the shop itself."""

    type: Literal["order_placed"]
    payload: Ordered


class SignedUp(_Closed):
    """By which way the account was made."""

    method: Literal["email", "phone", "partner", "other"] | None = None
    campaign: Name | None = None


class SignUp(_Event):
    """Somebody made an account."""

    type: Literal["sign_up"]
    payload: SignedUp = Field(default_factory=SignedUp)


class Newsletter(_Closed):
    """Which mailing, and for a click which of its links."""

    campaign: Name
    link: Link | None = None


class NewsletterOpen(_Event):
    """A newsletter was opened."""

    type: Literal["newsletter_open"]
    payload: Newsletter


class NewsletterClick(_Event):
    """A link of a newsletter was followed."""

    type: Literal["newsletter_click"]
    payload: Newsletter


Event = PageView | ProductView | AddToCart | OrderPlaced | SignUp | NewsletterOpen | NewsletterClick
_Discriminated = Annotated[Event, Field(discriminator="type")]
ONE: TypeAdapter[Event] = TypeAdapter(_Discriminated)
BATCH: TypeAdapter[list[Event]] = TypeAdapter(list[_Discriminated])
MODELS: dict[str, type[_Event]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in sorted(get_args(Event), key=lambda model: str(model.__name__))
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (2020-12) of every type of event, by its name."""
    return {
        name: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"leandata/events/{VERSION}/{name}.json",
            **model.model_json_schema(),
        }
        for name, model in sorted(MODELS.items())
    }


def texts() -> dict[str, str]:
    """What the folder of schemas holds: a text for each file name."""
    return {f"{name}.json": json.dumps(found, indent=2) + "\n" for name, found in json_schemas().items()}


def main() -> int:
    """Write the folder of schemas anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(MODELS)} schemas are in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
