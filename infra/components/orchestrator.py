"""The orchestrator: Airflow, its metadata in PostgreSQL, its secrets made once."""

from __future__ import annotations

import pulumi

from infra.components.manifest import ServiceManifest
from infra.components.service import Texts
from infra.components.stack import Stack


class Orchestrator(pulumi.ComponentResource):
    """Airflow with the DAGs under `dags` (a folder, from the root), each task given `settings`.

    `url` is where its pages are, `password_file` holds the password of the user `admin`.
    """

    url: pulumi.Output[str]
    password_file: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        stack: Stack,
        manifest: ServiceManifest,
        dags: str,
        database_identity: pulumi.Input[str],
        database_password: pulumi.Input[str],
        settings: Texts,
        code: Texts,
    ) -> None:
        super().__init__("leandata:index:Orchestrator", name)
        self.url, self.password_file = stack.implementation("orchestrator").make(
            self,
            stack=stack,
            manifest=manifest,
            dags=dags,
            database_identity=database_identity,
            database_password=database_password,
            settings=settings,
            code=code,
        )
        self.register_outputs({"url": self.url})
