"""The PostgreSQL server: Airflow's metadata, serving, the event inbox; and the shop that sales are read from."""

from __future__ import annotations

from infra.components.database import DatabaseServer
from infra.components.shop import Shop
from infra.components.stack import Stack
from infra.stacks.database.outputs import DatabaseOutputs


def program() -> None:
    """Declare the server, its databases and the roles that may use them."""
    stack = Stack.begin("database")
    server = DatabaseServer("postgres", stack=stack)
    airflow = server.database("airflow", owner="airflow")
    serving = server.database("serving", owner="serving_writer")
    events = server.database("events", owner="events_writer")
    shop = Shop("shop", stack=stack, server=server)
    DatabaseOutputs(
        airflow_identity=airflow.made.identity,
        airflow_password=airflow.password,
        serving_writer=serving.address,
        serving_reader=serving.reader("serving_reader", schema="serving"),
        events_writer=events.address,
        events_reader=events.reader("events_reader", schema="events"),
        shop_replica=shop.replica,
        source_note=shop.note,
    ).export()


if __name__ == "__main__":
    program()
