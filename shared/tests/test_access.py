"""The access model answers who may do what: roles, grants, documents, secrets and stages, and never more than is said."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.access import READ, USE, WRITE, Action, Grant, Link, Model, Right, Stage, Statement, Thing, matching

TABLE = Thing(store="warehouse", name="MARTS.SALES.WEEKLY", place="MARTS.SALES.WEEKLY")
OTHER = Thing(store="warehouse", name="MARTS.SALES.DAILY", place="MARTS.SALES.DAILY")
FOLDER = Thing(store="lake", name="raw/shop/orders/", place="arn:aws:s3:::raw/shop/orders/")
ROLE = Thing(store="database", name="serving_reader", place="database:serving_reader")
WAY = (
    Grant(role="role:R", privilege="USAGE", kind="DATABASE", place="MARTS"),
    Grant(role="role:R", privilege="USAGE", kind="SCHEMA", place="MARTS.SALES"),
)
SELECT = Grant(role="role:R", privilege="SELECT", kind="TABLE", place="MARTS.SALES", within=True, future=True)
LOGIN = Link(source="user:U", target="role:R", how="has")


def allow(
    holder: str = "iam:a", action: str = "s3:GetObject", resource: str = "arn:aws:s3:::raw/shop/*", sid: str = "Read"
) -> Statement:
    """A statement that allows."""
    return Statement(holder=holder, sid=sid, effect="Allow", actions=(action,), resources=(resource,))


def deny(action: str = "s3:GetObject", resource: str = "*", *, conditional: bool = False) -> Statement:
    """A statement that denies, about the same holder."""
    return Statement(
        holder="iam:a", sid="No", effect="Deny", actions=(action,), resources=(resource,), conditional=conditional
    )


def of_table(*grants: Grant, links: tuple[Link, ...] = (LOGIN,)) -> Model:
    """A model of one user, and these grants."""
    return Model(links=links, grants=grants, things=[TABLE, OTHER], people=["user:U"])


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_table_is_read_by_a_privilege_and_the_way_to_it() -> None:
    assert of_table(*WAY, SELECT).may("user:U", READ, TABLE) == (
        "user:U",
        "role:R",
        "SELECT on future tables in MARTS.SALES",
    )


@pytest.mark.parametrize("missing", range(3))
def test_without_one_step_of_the_way_nothing_is_read(missing: int) -> None:
    grants = [grant for number, grant in enumerate((*WAY, SELECT)) if number != missing]
    assert of_table(*grants).may("user:U", READ, TABLE) == ()


def test_reading_is_not_writing() -> None:
    assert of_table(*WAY, SELECT).may("user:U", WRITE, TABLE) == ()


@pytest.mark.parametrize("privilege", ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "OWNERSHIP"])
def test_each_privilege_that_changes_a_table_is_writing(privilege: str) -> None:
    change = replace(SELECT, privilege=privilege)
    assert of_table(*WAY, change).may("user:U", WRITE, TABLE)[-1] == f"{privilege} on future tables in MARTS.SALES"


@pytest.mark.parametrize("privilege", ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "USAGE", "MONITOR"])
def test_no_other_privilege_is_reading(privilege: str) -> None:
    assert of_table(*WAY, replace(SELECT, privilege=privilege)).may("user:U", READ, TABLE) == ()


def test_an_owner_reads_and_writes() -> None:
    owned = replace(SELECT, privilege="OWNERSHIP")
    assert [right.action for right in of_table(*WAY, owned).rights("user:U")] == ["read", "write", "read", "write"]


def test_a_grant_on_one_table_is_about_no_other() -> None:
    one = Grant(role="role:R", privilege="SELECT", kind="TABLE", place="MARTS.SALES.WEEKLY")
    model = of_table(*WAY, one)
    assert model.may("user:U", READ, TABLE)[-1] == "SELECT on MARTS.SALES.WEEKLY"
    assert model.may("user:U", READ, OTHER) == ()


@pytest.mark.parametrize("place", ["MARTS", "MARTS.SALES"])
def test_a_grant_within_a_database_or_a_schema_is_about_all_that_lies_there(place: str) -> None:
    model = of_table(*WAY, replace(SELECT, place=place))
    assert model.may("user:U", READ, TABLE)
    assert model.may("user:U", READ, OTHER)


@pytest.mark.parametrize("place", ["MARTS.SALE", "MARTS.SALES.WEEKLY", "RAW", "MARTS.SALES2", ""])
def test_a_grant_within_another_place_is_not_about_the_table(place: str) -> None:
    assert of_table(*WAY, replace(SELECT, place=place)).may("user:U", READ, TABLE) == ()


@pytest.mark.parametrize("kind", ["VIEW", "STAGE", "SCHEMA", "DATABASE", "table", ""])
def test_a_grant_on_another_kind_is_not_about_tables(kind: str) -> None:
    assert of_table(*WAY, replace(SELECT, kind=kind)).may("user:U", READ, TABLE) == ()


def test_nobody_uses_a_table() -> None:
    assert of_table(*WAY, SELECT).may("user:U", USE, TABLE) == ()


# -- roles -------------------------------------------------------------------------------------------------------------


def test_roles_are_inherited_and_the_path_names_each() -> None:
    links = (
        Link(source="user:U", target="role:SERVICE", how="has"),
        Link(source="role:SERVICE", target="role:WRITE", how="has"),
        Link(source="role:WRITE", target="role:R", how="has"),
    )
    path = of_table(*WAY, SELECT, links=links).may("user:U", READ, TABLE)
    assert path[:-1] == ("user:U", "role:SERVICE", "role:WRITE", "role:R")


def test_the_way_may_come_from_another_role_of_the_same_session() -> None:
    way = tuple(replace(grant, role="role:WAY") for grant in WAY)
    links = (LOGIN, Link(source="user:U", target="role:WAY", how="has"))
    assert of_table(*way, SELECT, links=links).may("user:U", READ, TABLE)


def test_a_role_above_has_what_the_role_below_has_and_not_the_other_way_round() -> None:
    links = (LOGIN, Link(source="role:R", target="role:BELOW", how="has"))
    below = [replace(grant, role="role:BELOW") for grant in (*WAY, SELECT)]
    model = of_table(*below, links=links)
    assert model.may("role:R", READ, TABLE)
    assert of_table(*WAY, SELECT, links=links).may("role:BELOW", READ, TABLE) == ()


def test_sessions_of_two_users_do_not_add_up() -> None:
    links = (
        Link(source="process:p", target="user:A", how="opens"),
        Link(source="process:p", target="user:B", how="opens"),
        Link(source="user:A", target="role:WAY", how="has"),
        Link(source="user:B", target="role:R", how="has"),
    )
    way = tuple(replace(grant, role="role:WAY") for grant in WAY)
    assert of_table(*way, SELECT, links=links).may("process:p", READ, TABLE) == ()


def test_roles_in_a_circle_end() -> None:
    links = (
        LOGIN,
        Link(source="role:R", target="role:S", how="has"),
        Link(source="role:S", target="role:R", how="has"),
    )
    assert of_table(*WAY, SELECT, links=links).may("user:U", READ, TABLE)


def test_of_two_paths_the_shorter_is_told() -> None:
    links = (
        LOGIN,
        Link(source="user:U", target="role:LONG", how="has"),
        Link(source="role:LONG", target="role:R", how="has"),
    )
    assert of_table(*WAY, SELECT, links=links).may("user:U", READ, TABLE)[1] == "role:R"


def test_who_is_nobody_may_nothing() -> None:
    assert of_table(*WAY, SELECT).rights("user:STRANGER") == []


# -- files of the lake -------------------------------------------------------------------------------------------------


def of_lake(*statements: Statement, **more: object) -> Model:
    """A model of one process that takes one cloud role with these statements."""
    links = (Link(source="process:p", target="iam:a", how="takes"),)
    return Model(links=links, statements=statements, things=[FOLDER], people=["process:p"], **more)  # type: ignore[arg-type]


def test_files_are_read_by_a_document_of_the_role_that_is_taken() -> None:
    path = of_lake(allow()).may("process:p", READ, FOLDER)
    assert path == ("process:p", "iam:a", "s3:GetObject (Read)")


def test_files_are_written_by_putting_objects() -> None:
    assert of_lake(allow()).may("process:p", WRITE, FOLDER) == ()
    assert of_lake(allow(action="s3:PutObject", sid="W")).may("process:p", WRITE, FOLDER)[-1] == "s3:PutObject (W)"


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        "arn:aws:s3:::raw/*",
        "arn:aws:s3:::raw/shop/*",
        "arn:aws:s3:::raw/shop/orders/*",
        "arn:aws:s3:::r?w/s*/orders/?",
    ],
)
def test_wildcards_of_resources_are_understood(resource: str) -> None:
    assert of_lake(allow(resource=resource)).may("process:p", READ, FOLDER)


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:s3:::raw", "arn:aws:s3:::raw/shop/orders/", "arn:aws:s3:::raw/shop/orders2/*", "arn:aws:s3:::raw2/*",
        "arn:aws:s3:::raw/shop/[o]rders/*", "", "arn:aws:s3:::RAW/*",
    ],
)  # fmt: skip
def test_what_no_pattern_covers_is_refused(resource: str) -> None:
    assert of_lake(allow(resource=resource)).may("process:p", READ, FOLDER) == ()


@pytest.mark.parametrize("action", ["s3:*", "s3:Get*", "*", "s3:GetObjec?"])
def test_wildcards_of_actions_are_understood(action: str) -> None:
    assert of_lake(allow(action=action)).may("process:p", READ, FOLDER)


def test_a_deny_wins_wherever_it_stands() -> None:
    for statements in ((allow(), deny()), (deny(), allow())):
        assert of_lake(*statements).may("process:p", READ, FOLDER) == ()


def test_a_deny_of_something_else_takes_nothing() -> None:
    assert of_lake(allow(), deny(action="sts:AssumeRole")).may("process:p", READ, FOLDER)
    assert of_lake(allow(), deny(resource="arn:aws:s3:::raw/shop/customers/*")).may("process:p", READ, FOLDER)


def test_a_deny_under_a_condition_is_not_counted_on() -> None:
    assert of_lake(allow(), deny(conditional=True)).may("process:p", READ, FOLDER)


def test_an_allow_under_a_condition_counts() -> None:
    assert of_lake(replace(allow(), conditional=True)).may("process:p", READ, FOLDER)


def test_a_document_of_another_role_gives_nothing() -> None:
    assert of_lake(allow(holder="iam:b")).may("process:p", READ, FOLDER) == ()


# -- secrets and what they open ----------------------------------------------------------------------------------------

SECRET = "arn:aws:secretsmanager:eu:1:secret:leandata/prod/database-serving-reader-AbCdEf"


def opened(resource: str, *more: Statement) -> Model:
    """A process whose role may open what the pattern says; the secret opens a role of the database."""
    opens = allow(action="secretsmanager:GetSecretValue", resource=resource, sid="Secrets")
    return Model(
        links=(
            Link(source="process:p", target="iam:a", how="takes"),
            Link(source="secret:database-serving-reader", target="database:serving_reader", how="opens"),
        ),
        statements=(opens, *more),
        secrets={"secret:database-serving-reader": SECRET},
        things=[ROLE],
        people=["process:p"],
    )


def test_whoever_opens_a_password_is_that_role() -> None:
    path = opened(SECRET[:-6] + "??????").may("process:p", USE, ROLE)
    assert path == ("process:p", "iam:a", "secret:database-serving-reader", "database:serving_reader")


@pytest.mark.parametrize("resource", ["arn:aws:secretsmanager:eu:1:secret:leandata/prod/other-??????", SECRET[:-1], ""])
def test_another_secret_opens_nothing(resource: str) -> None:
    assert opened(resource).may("process:p", USE, ROLE) == ()


def test_a_denied_secret_stays_closed() -> None:
    assert opened("*", deny(action="secretsmanager:*")).may("process:p", USE, ROLE) == ()


@pytest.mark.parametrize("action", [READ, WRITE])
def test_a_role_of_the_database_is_used_and_not_read(action: Action) -> None:
    assert opened("*").may("process:p", action, ROLE) == ()


def test_a_key_leads_from_a_pod_to_a_table() -> None:
    model = Model(
        links=(
            Link(source="service:s", target="process:p", how="runs"),
            Link(source="process:p", target="iam:a", how="takes"),
            Link(source="secret:warehouse-s", target="user:U", how="opens"),
            LOGIN,
        ),
        grants=(*WAY, SELECT),
        statements=(allow(action="secretsmanager:GetSecretValue", resource="*"),),
        secrets={"secret:warehouse-s": "arn:aws:secretsmanager:eu:1:secret:x"},
        things=[TABLE],
        people=["service:s"],
    )
    steps = ("service:s", "process:p", "iam:a", "secret:warehouse-s", "user:U", "role:R")
    assert model.holders(TABLE) == [
        Right(who="service:s", action="read", thing=TABLE, path=(*steps, "SELECT on future tables in MARTS.SALES"))
    ]


# -- stages ------------------------------------------------------------------------------------------------------------

STAGE = Stage(name="RAW.LAKE.FILES", place="arn:aws:s3:::raw/", holder="iam:snowflake")
TO_STAGE = (
    Grant(role="role:R", privilege="USAGE", kind="DATABASE", place="RAW"),
    Grant(role="role:R", privilege="USAGE", kind="SCHEMA", place="RAW.LAKE"),
    Grant(role="role:R", privilege="USAGE", kind="STAGE", place="RAW.LAKE", within=True, future=True),
)


def staged(*grants: Grant, reads: str = "arn:aws:s3:::raw/shop/*", stage: Stage = STAGE) -> Model:
    """A user of the warehouse, and a stage whose cloud role reads what the pattern says."""
    return Model(
        links=(LOGIN,),
        grants=grants,
        statements=(allow(holder="iam:snowflake", resource=reads),),
        stages=(stage,),
        things=[FOLDER],
        people=["user:U"],
    )


def test_whoever_uses_a_stage_reads_what_its_role_reads() -> None:
    path = staged(*TO_STAGE).may("user:U", READ, FOLDER)
    assert path == ("user:U", "role:R", "USAGE on the stage RAW.LAKE.FILES", "iam:snowflake")


def test_a_stage_writes_nothing_that_its_role_may_not() -> None:
    assert staged(*TO_STAGE).may("user:U", WRITE, FOLDER) == ()


@pytest.mark.parametrize("missing", range(3))
def test_a_stage_needs_the_way_to_it_too(missing: int) -> None:
    assert staged(*(one for number, one in enumerate(TO_STAGE) if number != missing)).may("user:U", READ, FOLDER) == ()


def test_what_its_role_may_not_read_is_not_read_through_the_stage() -> None:
    assert staged(*TO_STAGE, reads="arn:aws:s3:::raw/other/*").may("user:U", READ, FOLDER) == ()


def test_what_lies_outside_the_stage_is_not_read_through_it() -> None:
    assert staged(*TO_STAGE, stage=replace(STAGE, place="arn:aws:s3:::curated/")).may("user:U", READ, FOLDER) == ()


# -- names -------------------------------------------------------------------------------------------------------------

NAMED = [TABLE, OTHER, FOLDER, ROLE]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MARTS.SALES.WEEKLY", [TABLE]), ("marts.weekly", [TABLE]), ("weekly", [TABLE]), ("sales.daily", [OTHER]),
        ("raw/shop/orders/", [FOLDER]), ("shop/orders", [FOLDER]), ("orders", [FOLDER]), ("serving_reader", [ROLE]),
        ("SALES", []), ("MARTS", []), ("", []), ("...", []), ("weekly.marts", []), ("nobody", []), ("raw", []),
    ],
)  # fmt: skip
def test_a_thing_is_found_by_what_people_call_it(text: str, found: list[Thing]) -> None:
    assert matching(NAMED, text) == found


def test_a_table_and_a_folder_of_the_same_parts_are_told_apart_by_how_they_are_written() -> None:
    table = Thing(store="warehouse", name="RAW.SHOP.ORDERS", place="RAW.SHOP.ORDERS")
    assert matching([FOLDER, table], "raw.shop.orders") == [table]
    assert matching([FOLDER, table], "RAW/SHOP/ORDERS/") == [FOLDER]
    assert matching([FOLDER, table], "raw shop orders") == [FOLDER, table]


@pytest.mark.parametrize("thing", NAMED, ids=lambda thing: thing.store)
def test_a_full_name_is_always_just_that_thing(thing: Thing) -> None:
    assert matching(NAMED, thing.name) == [thing]


def test_things_say_what_can_be_done_with_them() -> None:
    assert [thing.actions for thing in NAMED] == [("read", "write")] * 3 + [("use",)]


# -- properties --------------------------------------------------------------------------------------------------------

NODES = [*(f"role:{name}" for name in "ABCD"), "user:U", "user:V", "process:p", "iam:a", "iam:b"]
PLACES = ["MARTS", "MARTS.SALES", "MARTS.SALES.WEEKLY", "RAW", "RAW.LAKE", "RAW.LAKE.FILES"]
links_ = st.sets(
    st.builds(Link, source=st.sampled_from(NODES), target=st.sampled_from(NODES), how=st.just("has")), max_size=14
)
grants_ = st.sets(
    st.builds(
        Grant,
        role=st.sampled_from(NODES[:4]),
        privilege=st.sampled_from(["USAGE", "SELECT", "INSERT", "OWNERSHIP"]),
        kind=st.sampled_from(["DATABASE", "SCHEMA", "TABLE", "STAGE"]),
        place=st.sampled_from(PLACES),
        within=st.booleans(),
        future=st.booleans(),
    ),
    max_size=24,
)
statements_ = st.lists(
    st.builds(
        Statement,
        holder=st.sampled_from(["iam:a", "iam:b", "iam:snowflake"]),
        sid=st.just("S"),
        effect=st.sampled_from(["Allow", "Allow", "Deny"]),
        actions=st.tuples(st.sampled_from(["s3:*", "s3:GetObject", "s3:PutObject", "secretsmanager:GetSecretValue"])),
        resources=st.tuples(st.sampled_from(["*", "arn:aws:s3:::raw/*", "arn:secret", "arn:aws:s3:::raw/other/*"])),
    ),
    max_size=5,
)
models = st.builds(
    Model,
    links=links_,
    grants=grants_,
    statements=statements_,
    stages=st.just([STAGE]),
    things=st.just(NAMED),
    people=st.just(NODES),
    secrets=st.just({"secret:s": "arn:secret"}),
)


def allowed(model: Model) -> set[tuple[str, str, str]]:
    """All that anybody may."""
    return {(one.who, one.action, one.thing.name) for node in NODES for one in model.rights(node)}


def changed(model: Model, **parts: object) -> Model:
    """The model with other facts; what was answered before is forgotten."""
    return replace(model, _found={}, **parts)  # type: ignore[arg-type]


@given(models)
def test_holders_and_rights_are_the_same_table_read_by_row_or_by_column(model: Model) -> None:
    columns = {right for thing in NAMED for right in model.holders(thing)}
    assert columns == {right for node in NODES for right in model.rights(node)}


@given(models)
def test_without_links_and_grants_a_person_has_no_table(model: Model) -> None:
    bare = changed(model, grants=())
    assert not [one for node in NODES for one in bare.rights(node) if one.thing.store == "warehouse"]


@given(models, links_)
def test_one_more_link_takes_nothing_away(model: Model, more: set[Link]) -> None:
    assert allowed(model) <= allowed(changed(model, links={*model.links, *more}))


@given(models, grants_)
def test_one_more_grant_takes_nothing_away(model: Model, more: set[Grant]) -> None:
    assert allowed(model) <= allowed(changed(model, grants={*model.grants, *more}))


@given(models)
def test_a_deny_of_everything_ends_what_documents_allow(model: Model) -> None:
    holders = {one.holder for one in model.statements} | {STAGE.holder}
    ends = [
        Statement(holder=holder, sid="No", effect="Deny", actions=("*",), resources=("*",))
        for holder in sorted(holders)
    ]
    after = changed(model, statements=[*model.statements, *ends])
    assert not [one for one in allowed(after) if one[2] == FOLDER.name]


@given(models)
def test_what_is_taken_from_all_grants_of_a_path_ends_it(model: Model) -> None:
    readers = [node for node in NODES if model.may(node, READ, TABLE)]
    grants = [one for one in model.grants if one.privilege not in ("SELECT", "OWNERSHIP") or one.kind != "TABLE"]
    after = changed(model, grants=grants)
    assert not [node for node in readers if after.may(node, READ, TABLE)]


@given(models)
def test_every_step_of_a_path_is_a_fact(model: Model) -> None:
    facts = {(one.source, one.target) for one in model.links}
    facts |= {(holder, secret) for holder in NODES for secret in model.secrets if holder.startswith("iam:")}
    for node in NODES:
        for path in model.reached(node).values():
            assert set(pairwise(path)) <= facts
            assert len(set(path)) == len(path)


@given(models)
def test_what_is_reached_is_the_transitive_closure(model: Model) -> None:
    closure = {(node, node) for node in NODES}
    while more := {(a, link.target) for a, b in closure for link in model.links if link.source == b} - closure:
        closure |= more
    for node in NODES:
        assert {b for a, b in closure if a == node} <= set(model.reached(node))


@given(models)
def test_a_table_is_reached_just_when_one_session_has_all_three_steps(model: Model) -> None:
    def naive(who: str) -> bool:
        links = [one for one in model.links if not one.target.startswith("user:")]
        by_login = changed(model, links=links)
        users = [node for node in model.reached(who) if node.startswith("user:")]
        sessions = [set(model.reached(user)) for user in users]
        sessions += [] if who.startswith("user:") else [set(by_login.reached(who))]
        return any(
            all(
                any(one.role in session and one.covers(kind, name) and one.privilege in wanted for one in model.grants)
                for kind, name, wanted in (
                    ("DATABASE", "MARTS", ("USAGE", "OWNERSHIP")),
                    ("SCHEMA", "MARTS.SALES", ("USAGE", "OWNERSHIP")),
                    ("TABLE", "MARTS.SALES.WEEKLY", ("SELECT", "OWNERSHIP")),
                )
            )
            for session in sessions
        )

    for node in NODES:
        assert bool(model.may(node, READ, TABLE)) == naive(node)


@given(models)
def test_the_same_facts_in_any_order_give_the_same_answers(model: Model) -> None:
    turned = changed(
        model,
        links=sorted(model.links, reverse=True),
        grants=sorted(model.grants, reverse=True),
        things=list(reversed(NAMED)),
    )
    for node in NODES:
        assert turned.rights(node) == model.rights(node)


@given(
    st.text(alphabet="ab/*?", max_size=8),
    st.text(alphabet="ab/", max_size=8),
)
def test_patterns_match_as_the_shell_does(pattern: str, text: str) -> None:
    assert allow(resource=pattern).about("s3:GetObject", text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text(max_size=30))
def test_whatever_somebody_types_finds_things_or_nothing(text: str) -> None:
    assert set(matching(NAMED, text)) <= set(NAMED)


@pytest.mark.parametrize("count", [1, 50, 400])
def test_a_chain_of_roles_of_any_length_is_followed(count: int) -> None:
    names: Callable[[int], str] = lambda number: "role:R" if number == count else f"role:{number:04d}"  # noqa: E731
    links = [Link(source=names(number), target=names(number + 1), how="has") for number in range(count)]
    first = Link(source="user:U", target=names(0), how="has")
    assert len(of_table(*WAY, SELECT, links=(first, *links)).may("user:U", READ, TABLE)) == count + 3
