"""What Snowflake's connector needs before several threads use it."""

from __future__ import annotations

import functools
import io
import threading

_ALONE = threading.Lock()


def ready() -> None:
    """Let the connector's reader of results set itself up, once a process and in one thread.

    Its parts in C++ do so at the first result: under `std::call_once`, and asking for Python's lock inside. Of two
    threads whose first results come together each may hold what the other waits for, and the process stands still for
    ever (snowflake-connector-python 4.7, logging.cpp). So a result of our own is read first.
    """
    with _ALONE:
        _read_one()


@functools.cache
def _read_one() -> int:
    import pyarrow as pa
    from snowflake.connector.arrow_context import ArrowConverterContext
    from snowflake.connector.nanoarrow_arrow_iterator import (  # pyright: ignore[reportMissingModuleSource]
        PyArrowRowIterator,
    )

    number = pa.field("one", pa.int64(), metadata={"logicalType": "FIXED", "scale": "0", "precision": "9"})
    schema = pa.schema([number])
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, schema) as writer:
        writer.write_table(pa.table({"one": [1]}, schema=schema))
    rows = PyArrowRowIterator(None, stream.getvalue(), ArrowConverterContext({}), False, False, False, False)
    return sum(1 for _ in rows)
