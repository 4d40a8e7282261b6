"""The orchestrator: Airflow with our pipelines."""

from __future__ import annotations

import json

from infra.components.connections import address_of
from infra.components.manifest import ServiceManifest
from infra.components.orchestrator import Orchestrator
from infra.components.settings import health_pages, service_settings
from infra.components.stack import Stack
from infra.stacks.database.outputs import DatabaseOutputs
from infra.stacks.lake.outputs import LakeOutputs
from infra.stacks.mail.outputs import MailOutputs
from infra.stacks.warehouse.outputs import WarehouseOutputs
from services.airflow.outputs import AirflowOutputs
from services.dask.outputs import DaskOutputs


def program() -> None:
    """Declare Airflow, and tell its pipelines where everything is."""
    stack = Stack.begin("airflow")
    database = DatabaseOutputs.of(stack)
    lake = LakeOutputs.of(stack)
    mail = stack.environment.file.mail
    parts = {
        "DASK": DaskOutputs.of(stack).scheduler,
        "EVENTS": database.events_reader,
        "HEALTH_PAGES": health_pages(stack, "airflow"),
        "LAKE_CURATED": lake.curated,
        "LAKE_MODELS": lake.models,
        "LAKE_RAW": lake.raw,
        "MAIL": MailOutputs.of(stack).mail,
        "OWNER_MAIL": mail.owner,
        "REPORT_RECIPIENTS": ",".join(mail.recipients),
        "SERVING": database.serving_writer,
        "SHOP": database.shop_replica,
        "SOURCE_NOTE": database.source_note,
        "WAREHOUSE": address_of(stack, "airflow", WarehouseOutputs.of(stack).address),
    }
    if stack.environment.file.sources:
        parts["SOURCES"] = json.dumps(stack.environment.file.sources, sort_keys=True)
    orchestrator = Orchestrator(
        "airflow",
        stack=stack,
        manifest=ServiceManifest.load("airflow"),
        dags="services/airflow/pipelines/dags",
        database_identity=database.airflow_identity,
        database_password=database.airflow_password,
        settings=service_settings(stack, "airflow", parts),
        code=stack.code("services/airflow/pipelines", "shared/leandata"),
    )
    AirflowOutputs(url=orchestrator.url, password_file=orchestrator.password_file).export()


if __name__ == "__main__":
    program()
