"""The schemas of events: the files that senders read say the same as what the API demands."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.testing.api import event
from serving.schemas import BATCH, FOLDER, MODELS, ONE, VERSION, json_schemas, main, texts

RIGHT: dict[str, dict[str, Any]] = {
    "page_view": {"page": "/a"},
    "product_view": {"product_id": "7"},
    "add_to_cart": {"product_id": "7", "quantity": 2, "price_usd": "3.10"},
    "order_placed": {"order_id": "A-1", "amount_usd": "29.33"},
    "sign_up": {"method": "email"},
    "newsletter_open": {"campaign": "autumn"},
    "newsletter_click": {"campaign": "autumn", "link": "https://shop.example/a"},
}
VALUES = st.none() | st.booleans() | st.integers(-3, 2_000_000) | st.text(max_size=8) | st.sampled_from(
    ["", "29.33", "29.333", "-1", "email", "\u0000", "x" * 201, "x" * 2049, [], {}, 1.5]
)  # fmt: skip
NAMES = st.sampled_from(
    ["page", "referrer", "title", "product_id", "price_usd", "quantity", "order_id", "amount_usd", "units", "coupon",
     "method", "campaign", "link", "colour"]
)  # fmt: skip


def test_the_folder_holds_the_schema_of_every_type_and_nothing_else() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == texts(), (
        "run python -m serving.schemas"
    )
    assert FOLDER.name == VERSION


def test_every_type_has_a_right_example_and_the_known_types_are_these() -> None:
    assert sorted(MODELS) == sorted(RIGHT)
    for name, payload in RIGHT.items():
        ONE.validate_json(json.dumps(event(type=name, payload=payload)))


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_schema_is_a_schema_and_says_what_it_is_about(name: str) -> None:
    found = json_schemas()[name]
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["description"]
    assert found["additionalProperties"] is False


def by_the_file(one: dict[str, Any]) -> bool:
    """Whether an independent validator takes the event."""
    schema = json.loads((FOLDER / f"{one['type']}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema).is_valid(one)


def by_the_api(one: dict[str, Any]) -> bool:
    try:
        ONE.validate_json(json.dumps(one))
    except ValidationError:
        return False
    return True


@given(name=st.sampled_from(sorted(RIGHT)), payload=st.dictionaries(NAMES, VALUES, max_size=4))
def test_the_api_takes_a_payload_exactly_if_its_published_schema_does(name: str, payload: dict[str, Any]) -> None:
    one = event(type=name, payload={**RIGHT[name], **payload})
    assert by_the_api(one) == by_the_file(one), one


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_each_field_of_an_example_may_be_wrong_and_is_found(name: str) -> None:
    for field in RIGHT[name]:
        assert not by_the_api(event(type=name, payload={**RIGHT[name], field: ["wrong"]}))
    assert not by_the_api(event(type=name, payload={**RIGHT[name], "colour": "red"}))


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(ValidationError) as told:
        ONE.validate_json(json.dumps(event(type="page_veiw")))
    for name in MODELS:
        assert repr(name) in str(told.value)


def test_the_largest_event_that_the_schemas_allow_is_small() -> None:
    largest = 0
    for name, payload in RIGHT.items():
        texts_ = dict.fromkeys(("page", "referrer", "link"), "一" * 2048) | dict.fromkeys(
            ("title", "product_id", "order_id", "coupon", "campaign"), "一" * 200
        )
        known = set(json_schemas()[name]["$defs"].popitem()[1]["properties"])
        one = event(type=name, payload={**payload, **{key: value for key, value in texts_.items() if key in known}})
        largest = max(largest, len(BATCH.dump_json(BATCH.validate_json(json.dumps([one])), exclude_unset=True)))
    assert largest < 16 * 1024


def test_the_files_are_written_again_by_one_command(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    from serving import schemas

    monkeypatch.setattr(schemas, "FOLDER", tmp_path / "v1")
    assert main() == 0
    assert {path.name for path in (tmp_path / "v1").iterdir()} == set(texts())
    assert "7 schemas" in capsys.readouterr().out
