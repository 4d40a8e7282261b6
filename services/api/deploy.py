"""The API: events in, figures out."""

from __future__ import annotations

from infra.components.manifest import ServiceManifest
from infra.components.secret import Secret
from infra.components.service import Program, Service
from infra.components.settings import service_settings
from infra.components.stack import Stack
from infra.stacks.database.outputs import DatabaseOutputs
from services.api.outputs import ApiOutputs


def program() -> None:
    """Declare the API's process and the key its clients send."""
    stack = Stack.begin("api")
    database = DatabaseOutputs.of(stack)
    key = Secret("api-key", stack=stack, kind="urlsafe64")
    listen = stack.listen("api")
    settings = service_settings(stack, "api", {"EVENTS": database.events_writer, "SERVING": database.serving_reader})
    Service(
        "api",
        stack=stack,
        programs=[
            Program(
                manifest=ServiceManifest.load("api").one("api"),
                command=[stack.python, "-m", "serving", "--host", listen.bind, "--port", str(listen.port)],
                settings=settings,
                secret_files={"LEANDATA_API_KEY_FILE": key.path},
                triggers=stack.code("services/api/serving", "shared/leandata"),
            )
        ],
    )
    ApiOutputs(url=stack.page("api"), key_file=key.path).export()


if __name__ == "__main__":
    program()
