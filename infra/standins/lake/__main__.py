"""Run the S3 stand-in: `python -m infra.standins.lake --port 16415 --data FOLDER [--host 0.0.0.0]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from infra.standins.lake.application import application
from infra.standins.lake.store import Store

BUCKETS = ("curated", "models", "raw")


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.standins.lake", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: loopback)")
    parser.add_argument("--port", type=int, required=True, help="listen at this port")
    parser.add_argument("--data", type=Path, required=True, help="keep buckets and objects in this folder")
    options = parser.parse_args()
    served = application(Store(options.data, buckets=BUCKETS))
    uvicorn.run(served, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
