"""The dashboards: what marketing clicks."""

from __future__ import annotations

import pulumi

from infra.components.manifest import ServiceManifest
from infra.components.secret import Secret
from infra.components.service import Program, Service
from infra.components.settings import service_settings
from infra.components.stack import Stack
from infra.stacks.database.outputs import DatabaseOutputs
from services.dash.outputs import DashOutputs


def program() -> None:
    """Declare the dashboards' process, the passwords of analyst and editor, and the key that signs sessions."""
    stack = Stack.begin("dash")
    database = DatabaseOutputs.of(stack)
    password = Secret("dash-password", stack=stack)
    editor_password = Secret("dash-editor-password", stack=stack)
    session_key = Secret("dash-session-key", stack=stack, kind="hex")
    listen = stack.listen("dash")
    parts: dict[str, pulumi.Input[str]] = {"SERVING": database.serving_reader}
    if stack.environment.file.trusted_proxies:
        parts["TRUSTED_PROXIES"] = ",".join(stack.environment.file.trusted_proxies)
    Service(
        "dash",
        stack=stack,
        programs=[
            Program(
                manifest=ServiceManifest.load("dash").one("dash"),
                command=[stack.python, "-m", "dashboards", "--host", listen.bind, "--port", str(listen.port)],
                settings=service_settings(stack, "dash", parts),
                secret_files={
                    "LEANDATA_DASH_EDITOR_PASSWORD_FILE": editor_password.path,
                    "LEANDATA_DASH_PASSWORD_FILE": password.path,
                    "LEANDATA_DASH_SESSION_KEY_FILE": session_key.path,
                },
                triggers=stack.code("services/dash/dashboards", "shared/leandata"),
            )
        ],
    )
    outputs = DashOutputs(
        url=stack.page("dash"), password_file=password.path, editor_password_file=editor_password.path
    )
    outputs.export()


if __name__ == "__main__":
    program()
