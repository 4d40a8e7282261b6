"""On what each part is made, and where its processes listen: by the environment's file, the same question everywhere."""

from __future__ import annotations

import re

import pytest

from ci.testing import environment
from infra.components.stack import EVERYWHERE, LOOPBACK, Stack, folder
from infra.environment import names
from leandata.errors import SettingsError

CLOUD = ("dev", "prod", "staging")
PARTS = ("compute", "database", "lake", "mail", "orchestrator", "secret", "service", "warehouse")


@pytest.mark.parametrize("part", PARTS)
def test_on_one_machine_everything_is_made_on_it(part: str) -> None:
    with environment("local") as here:
        assert folder(here, part) == "machine"


@pytest.mark.parametrize("part", PARTS)
def test_a_stand_in_is_a_service_and_is_made_where_services_are(part: str) -> None:
    with environment("cluster") as here:
        assert folder(here, part) == "kubernetes"


@pytest.mark.parametrize("name", CLOUD)
@pytest.mark.parametrize(
    ("part", "made_on"),
    [
        ("compute", "kubernetes"),
        ("database", "aws"),
        ("lake", "aws"),
        ("mail", "aws"),
        ("orchestrator", "kubernetes"),
        ("secret", "aws"),
        ("service", "kubernetes"),
        ("warehouse", "snowflake"),
    ],
)
def test_in_the_cloud_each_part_is_made_by_who_runs_it(name: str, part: str, made_on: str) -> None:
    with environment(name) as here:
        assert folder(here, part) == made_on


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_every_environment_has_a_module_that_makes_it(name: str, part: str) -> None:
    with environment(name):
        found = Stack.begin("any").implementation(part)
        assert found.__doc__
        assert any(one.startswith("make") for one in dir(found))


def test_a_part_that_nobody_makes_is_told_with_its_place_in_the_file() -> None:
    with environment("local"):
        stack = Stack.begin("any")
        with pytest.raises((SettingsError, AttributeError), match="teleporter"):
            stack.implementation("teleporter")


@pytest.mark.parametrize("name", ["cluster", *CLOUD])
def test_in_a_pod_a_process_listens_on_every_address_of_the_pod(name: str) -> None:
    with environment(name) as here:
        listen = Stack.begin("api").listen("api")
        assert (listen.bind, listen.host) == (EVERYWHERE, "api.leandata-api.svc")
        assert listen.port == here.port("api")
        assert listen.url == f"http://api.leandata-api.svc:{here.port('api')}"


def test_on_one_machine_a_process_listens_on_loopback_only() -> None:
    with environment("local") as here:
        for process in here.file.ports.offsets:
            listen = Stack.begin("any").listen(process)
            assert listen.bind == listen.host == LOOPBACK


@pytest.mark.parametrize("name", CLOUD)
@pytest.mark.parametrize("process", ["airflow-api", "api", "dash"])
def test_in_the_cloud_people_come_by_a_name_and_over_tls(name: str, process: str) -> None:
    with environment(name):
        assert re.fullmatch(rf"https://{process}\.[a-z0-9.-]+", Stack.begin("any").page(process))


def test_where_there_is_no_such_process_there_is_no_page() -> None:
    with environment("prod"):
        assert Stack.begin("any").page("mail-web") == "", "mail goes to a relay, and nobody looks at it here"
    with environment("local"):
        assert Stack.begin("any").page("mail-web").startswith("http://127.0.0.1:")


@pytest.mark.parametrize("name", ["cluster", "prod"])
def test_in_a_pod_the_image_says_which_code_it_is(name: str) -> None:
    with environment(name):
        stack = Stack.begin("api")
        assert stack.code("services/api/serving") == {}
        assert stack.python == "python"
        assert stack.folder("mail") == "/var/lib/leandata/mail"


def test_on_one_machine_a_change_of_the_code_is_a_trigger() -> None:
    with environment("local"):
        stack = Stack.begin("api")
        (code,) = stack.code("services/api/serving").values()
        assert re.fullmatch(r"[0-9a-f]{16}", code)
        assert stack.code("services/api/serving") != stack.code("services/dash/dashboards")


@pytest.mark.parametrize("name", CLOUD)
def test_images_come_from_the_registry_of_the_environment_s_own_account(name: str) -> None:
    with environment(name) as here:
        assert here.file.aws is not None
        place = f"{here.file.aws.account}.dkr.ecr.{here.file.aws.region}.amazonaws.com/leandata/api@sha256:"
        assert Stack.begin("api").image("api").startswith(place)


def test_what_a_program_has_one_of_is_made_once() -> None:
    with environment("local"):
        stack, other, made = Stack.begin("any"), Stack.begin("any"), []
        for one in (stack, stack, other):
            one.once("it", lambda: made.append("made") or len(made))
        assert made == ["made", "made"], "once for each program"
