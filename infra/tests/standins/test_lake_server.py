"""The S3 stand-in, asked by the clients that our programs use: obstore and Polars, and by plain HTTP where they hide."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import obstore
import polars as pl
import pyarrow as pa
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from infra.provider import health
from infra.testing import parts
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.settings import LakeAddress
from leandata.tables import schema
from tasks import features

pytestmark = pytest.mark.integration
ORDERS = dataset("shop.orders")
MONDAY = date(2026, 11, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running stand-in."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def address(self, bucket: str = "raw") -> str:
        return f"s3://{bucket}?endpoint={self.url}"

    def store(self, bucket: str = "raw", **more: Any) -> S3Store:
        options: Any = {**LakeAddress.parse(self.address(bucket)).options, **more}
        return S3Store.from_url(f"s3://{bucket}", config=options, client_options={"allow_http": True})

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=30, **more)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("s3")
    found = Server(port=parts.free_port(), folder=folder / "data")
    command = [
        *(sys.executable, "-m", "infra.standins.lake", "--port", str(found.port), "--data", str(found.folder)),
    ]
    asked = {"kind": "http", "url": f"{found.url}/healthz", "port": 0}
    with parts.running(command, ready=lambda: health.healthy(asked), log=folder / "log"):
        yield found


@pytest.fixture
def store(server: Server) -> S3Store:
    """The bucket `curated`, empty."""
    found = server.store("curated")
    for batch in found.list():
        found.delete([entry["path"] for entry in batch])
    return found


def names(store: S3Store, prefix: str | None = None, **more: Any) -> list[str]:
    return [entry["path"] for batch in store.list(prefix, **more) for entry in batch]


# -- objects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 255, 1_000_000])
def test_what_is_put_is_got(store: S3Store, size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    store.put("a/b", data)
    assert bytes(store.get("a/b").bytes()) == data


@pytest.mark.parametrize(
    "key",
    ["dt=2026-11-16/r.parquet", "with space/ü + %41 & <x>.txt", "a" * 255, "/".join("b" * 100 for _ in range(10))],
)
def test_a_key_comes_back_as_it_was_written(store: S3Store, key: str) -> None:
    store.put(key, b"x")
    assert names(store) == [key]
    assert bytes(store.get(key).bytes()) == b"x"
    store.delete(key)
    assert names(store) == []


def test_an_object_is_a_plain_file_that_the_warehouse_reads(server: Server, store: S3Store) -> None:
    store.put("shop/orders/dt=2026-11-16/r.parquet", b"rows")
    assert (server.folder / "curated" / "shop" / "orders" / "dt=2026-11-16" / "r.parquet").read_bytes() == b"rows"


def test_an_object_tells_its_size_its_time_and_a_tag_that_changes_with_it(store: S3Store) -> None:
    store.put("a", b"12345")
    first = store.head("a")
    assert (first["path"], first["size"]) == ("a", 5)
    assert abs((datetime.now(UTC) - first["last_modified"]).total_seconds()) < 600
    store.put("a", b"54321")
    assert store.head("a")["e_tag"] != first["e_tag"]


def test_the_listing_tells_the_same_tag_as_the_object(store: S3Store) -> None:
    store.put("a", b"x")
    [[entry]] = list(store.list())
    assert entry["e_tag"] == store.head("a")["e_tag"]


def test_an_object_that_is_not_there_is_said_to_be_missing(store: S3Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.get("nothing")
    with pytest.raises(FileNotFoundError):
        store.head("nothing")


def test_a_folder_is_no_object(store: S3Store) -> None:
    store.put("a/b", b"x")
    with pytest.raises(FileNotFoundError):
        store.get("a")


def test_a_folder_that_no_object_lies_in_is_none(store: S3Store) -> None:
    store.put("a/b/c/d", b"x")
    store.put("a/e", b"x")
    store.delete(["a/b/c/d", "a/e"])
    store.put("a", b"now an object", mode="create")
    assert bytes(store.get("a").bytes()) == b"now an object"


def test_deleting_what_is_not_there_is_no_error(server: Server, store: S3Store) -> None:
    store.put("a/b", b"x")
    for path in ("/curated/never/was", "/curated/a", "/curated/a/b/c"):
        assert server.ask("DELETE", path).status_code == 204
    assert names(store) == ["a/b"]


def test_a_copy_is_an_object_of_its_own(store: S3Store) -> None:
    store.put("one", b"first")
    store.copy("one", "deep/two")
    store.put("one", b"other")
    assert bytes(store.get("deep/two").bytes()) == b"first"


def test_a_rename_leaves_nothing_behind(store: S3Store) -> None:
    store.put("one", b"first")
    store.rename("one", "two")
    assert names(store) == ["two"]


# -- on a condition ----------------------------------------------------------------------------------------------------


def test_a_name_is_taken_once(store: S3Store) -> None:
    store.put("a", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("a", b"second", mode="create")
    assert bytes(store.get("a").bytes()) == b"first"


def test_of_many_who_want_a_name_at_a_time_one_gets_it(server: Server, store: S3Store) -> None:
    won: list[bytes] = []

    def take(number: int) -> None:
        data = str(number).encode() * 50_000
        try:
            server.store("curated").put("wanted", data, mode="create")
        except AlreadyExistsError:
            return
        won.append(data)

    threads = [threading.Thread(target=take, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bytes(store.get("wanted").bytes())] == won


def test_an_object_is_replaced_only_while_it_is_the_one_that_was_seen(store: S3Store) -> None:
    first = store.put("a", b"first")["e_tag"]
    second = store.put("a", b"second", mode={"e_tag": first})["e_tag"]
    with pytest.raises(PreconditionError):
        store.put("a", b"third", mode={"e_tag": first})
    assert bytes(store.get("a").bytes()) == b"second"
    assert store.head("a")["e_tag"] == second


def test_an_object_that_is_gone_is_not_replaced(store: S3Store) -> None:
    tag = store.put("a", b"first")["e_tag"]
    store.delete("a")
    with pytest.raises((FileNotFoundError, PreconditionError)):
        store.put("a", b"second", mode={"e_tag": tag})
    assert names(store) == []


def test_of_many_who_replace_an_object_at_a_time_one_does(server: Server, store: S3Store) -> None:
    tag = store.put("a", b"first")["e_tag"]
    won: list[bytes] = []

    def replace(number: int) -> None:
        data = str(number).encode() * 50_000
        with contextlib.suppress(PreconditionError):
            server.store("curated").put("a", data, mode={"e_tag": tag})
            won.append(data)

    threads = [threading.Thread(target=replace, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bytes(store.get("a").bytes())] == won


def test_what_is_not_understood_is_refused_not_ignored(server: Server) -> None:
    def status(method: str, path: str, **headers: str) -> int:
        return server.ask(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        ).status_code

    assert status("PUT", "/raw/a", if_match='"x"', x_amz_copy_source="/raw/b") == 501
    assert status("PUT", "/raw/a", x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER") == 501
    assert status("POST", "/raw/a") == 501
    assert status("POST", "/raw") == 501
    assert status("GET", "/raw?delimiter=x") == 501
    assert status("PUT", "/raw") == 405
    assert server.ask("GET", "/raw/a").status_code == 404


# -- parts of an object ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 10), (3, 7), (9, 10), (5, 500)])
def test_a_range_is_what_was_asked_for(store: S3Store, start: int, end: int) -> None:
    store.put("a", b"0123456789")
    assert bytes(store.get_range("a", start=start, end=end)) == b"0123456789"[start:end]


def test_the_end_of_an_object_is_read_without_knowing_its_size(server: Server, store: S3Store) -> None:
    store.put("a", b"0123456789")
    answer = server.ask("GET", "/curated/a", headers={"Range": "bytes=-3"})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, b"789", "bytes 7-9/10")
    answer = server.ask("GET", "/curated/a", headers={"Range": "bytes=4-"})
    assert (answer.content, answer.headers["content-length"]) == (b"456789", "6")


def test_a_range_beyond_the_end_is_refused_and_a_strange_one_ignored(server: Server, store: S3Store) -> None:
    store.put("a", b"0123456789")
    assert server.ask("GET", "/curated/a", headers={"Range": "bytes=10-"}).status_code == 416
    assert server.ask("GET", "/curated/a", headers={"Range": "bytes=-0"}).status_code == 416
    for strange in ("bytes=", "bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=a-b"):
        assert server.ask("GET", "/curated/a", headers={"Range": strange}).content == b"0123456789"


def test_a_head_has_no_body_and_the_size_of_one(server: Server, store: S3Store) -> None:
    store.put("a", b"0123456789")
    answer = server.ask("HEAD", "/curated/a")
    assert (answer.content, answer.headers["content-length"], answer.headers["accept-ranges"]) == (b"", "10", "bytes")


# -- several parts -----------------------------------------------------------------------------------------------------


def test_a_large_object_is_sent_in_parts(server: Server, store: S3Store) -> None:
    data = b"0123456789abcdef" * (12 * 2**16)
    obstore.put(store, "large", data, use_multipart=True, chunk_size=5 * 2**20)
    assert bytes(store.get("large").bytes()) == data
    assert list((server.folder / ".scratch").iterdir()) == []


def test_parts_are_put_together_in_the_order_that_is_named(server: Server) -> None:
    upload = _begin(server, "/raw/parts")
    for number, data in ((2, b"two"), (1, b"wrong"), (1, b"one ")):
        answer = server.ask("PUT", f"/raw/parts?uploadId={upload}&partNumber={number}", content=data)
        assert answer.status_code == 200
        assert answer.headers["etag"]
    assert server.ask("GET", "/raw/parts").status_code == 404
    assert _complete(server, f"/raw/parts?uploadId={upload}", 1, 2).status_code == 200
    assert server.ask("GET", "/raw/parts").content == b"one two"
    assert server.ask("DELETE", "/raw/parts").status_code == 204


def test_an_upload_that_is_given_up_leaves_nothing(server: Server) -> None:
    upload = _begin(server, "/raw/parts")
    server.ask("PUT", f"/raw/parts?uploadId={upload}&partNumber=1", content=b"x")
    assert server.ask("DELETE", f"/raw/parts?uploadId={upload}").status_code == 204
    assert list((server.folder / ".scratch").iterdir()) == []
    assert _complete(server, f"/raw/parts?uploadId={upload}", 1).status_code == 404


def test_an_upload_cannot_take_a_name_that_is_taken(server: Server) -> None:
    server.ask("PUT", "/raw/parts", content=b"there")
    upload = _begin(server, "/raw/parts")
    server.ask("PUT", f"/raw/parts?uploadId={upload}&partNumber=1", content=b"x")
    answer = _complete(server, f"/raw/parts?uploadId={upload}", 1, headers={"If-None-Match": "*"})
    assert answer.status_code == 412
    assert server.ask("GET", "/raw/parts").content == b"there"
    server.ask("DELETE", f"/raw/parts?uploadId={upload}")
    server.ask("DELETE", "/raw/parts")


@pytest.mark.parametrize(
    "query", ["uploadId=abc&partNumber=1", "uploadId=..&partNumber=1", "uploadId=%2e%2e%2fraw&partNumber=1"]
)
def test_an_upload_that_nobody_began_is_refused(server: Server, query: str) -> None:
    assert server.ask("PUT", f"/raw/parts?{query}", content=b"x").status_code == 404


def test_a_part_without_a_number_and_a_list_without_parts_are_refused(server: Server) -> None:
    upload = _begin(server, "/raw/parts")
    for number in ("", "0", "10001", "-1", "x"):
        assert server.ask("PUT", f"/raw/parts?uploadId={upload}&partNumber={number}", content=b"x").status_code == 400
    assert _complete(server, f"/raw/parts?uploadId={upload}").status_code == 400
    assert _complete(server, f"/raw/parts?uploadId={upload}", 7).status_code == 400
    server.ask("DELETE", f"/raw/parts?uploadId={upload}")


def _begin(server: Server, path: str) -> str:
    return server.ask("POST", f"{path}?uploads").text.partition("<UploadId>")[2].partition("<")[0]


def _complete(server: Server, path: str, *numbers: int, **more: Any) -> httpx.Response:
    text = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in numbers)
    return server.ask("POST", path, content=f"<CompleteMultipartUpload>{text}</CompleteMultipartUpload>", **more)


# -- listings ----------------------------------------------------------------------------------------------------------


def test_a_listing_is_in_order_of_bytes_whatever_the_folders(store: S3Store) -> None:
    keys = ["a-b", "a/b", "a.b", "c/d/e", "c/d!", "ü", "z"]
    for key in keys:
        store.put(key, b"x")
    assert names(store) == sorted(keys, key=str.encode)


def test_a_listing_is_of_what_starts_with_the_prefix(server: Server, store: S3Store) -> None:
    for key in ("shop/orders/1", "shop/orders_old/1", "shop/customers/1", "shopping"):
        store.put(key, b"x")
    assert names(store, "shop/orders") == ["shop/orders/1"]
    assert _listed(server, "prefix=shop/orders") == (["shop/orders/1", "shop/orders_old/1"], [])
    assert _listed(server, "prefix=shop") == (
        ["shop/customers/1", "shop/orders/1", "shop/orders_old/1", "shopping"],
        [],
    )
    assert _listed(server, "prefix=nothing/here") == ([], [])


def test_folders_are_summed_up(store: S3Store) -> None:
    for key in ("a", "b/1", "b/2", "c/1/x", "d"):
        store.put(key, b"x")
    found = store.list_with_delimiter()
    assert [entry["path"] for entry in found["objects"]] == ["a", "d"]
    assert list(found["common_prefixes"]) == ["b", "c"]
    assert list(store.list_with_delimiter("c")["common_prefixes"]) == ["c/1"]


def test_a_listing_goes_on_where_its_last_page_ended(server: Server, store: S3Store) -> None:
    keys = [f"{number:04d}" for number in range(7)]
    for key in keys:
        store.put(key, b"x")
    found, token = [], ""
    while True:
        more = f"&continuation-token={token}" if token else ""
        text = server.ask("GET", f"/curated?list-type=2&max-keys=3{more}").text
        found += _keys(text)
        token = text.partition("<NextContinuationToken>")[2].partition("<")[0]
        assert ("<IsTruncated>true" in text) == bool(token)
        if not token:
            break
    assert found == keys


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_pages_of_folders_repeat_and_lose_none(server: Server, store: S3Store, most: int) -> None:
    for key in ("a", "b/1", "b/2", "b/3", "c", "d/1", "e/1", "e/2"):
        store.put(key, b"x")
    objects: list[str] = []
    folders: list[str] = []
    token = ""
    while True:
        more = f"&continuation-token={token}" if token else ""
        text = server.ask("GET", f"/curated?list-type=2&delimiter=/&max-keys={most}{more}").text
        objects += _keys(text)
        folders += _folders(text)
        token = text.partition("<NextContinuationToken>")[2].partition("<")[0]
        if not token:
            break
    assert (objects, folders) == (["a", "c"], ["b/", "d/", "e/"])


def test_more_objects_than_fit_on_a_page_are_all_listed_and_deleted(server: Server, store: S3Store) -> None:
    folder = server.folder / "curated" / "many"
    folder.mkdir()
    for number in range(2_345):
        (folder / f"{number:05d}").touch()
    found = names(store)
    assert len(found) == len(set(found)) == 2_345
    assert names(store, offset="many/02342") == ["many/02343", "many/02344"]
    store.delete(found)
    assert names(store) == []


def test_a_listing_shows_no_work_in_progress(server: Server) -> None:
    upload = _begin(server, "/models/parts")
    server.ask("PUT", f"/models/parts?uploadId={upload}&partNumber=1", content=b"x")
    assert names(server.store("models")) == []
    server.ask("DELETE", f"/models/parts?uploadId={upload}")


def _keys(text: str) -> list[str]:
    return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]


def _folders(text: str) -> list[str]:
    return [part.partition("</Prefix>")[0] for part in text.split("<CommonPrefixes><Prefix>")[1:]]


def _listed(server: Server, query: str) -> tuple[list[str], list[str]]:
    text = server.ask("GET", f"/curated?list-type=2&{query}").text
    return _keys(text), _folders(text)


# -- strangers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/raw/..%2F..%2Fetc%2Fpasswd",
        "/raw/%2E%2E/secret",
        "/raw/a/%2E%2E/%2E%2E/b",
        "/raw/a/./b".replace(".", "%2E"),
        "/raw/a//b",
        "/raw//etc/passwd",
        "/raw/a%00b",
        "/raw/a%0Ab",
        "/raw/" + "a" * 256,
        "/raw/" + "/".join(["b" * 200] * 6),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_no_key_leads_out_of_its_bucket(server: Server, path: str, method: str) -> None:
    (server.folder / "secret").write_text("no object", encoding="utf-8")
    content = b"x" if method == "PUT" else None
    assert server.ask(method, path, content=content).status_code in (400, 404)
    assert (server.folder / "secret").read_text(encoding="utf-8") == "no object"


@pytest.mark.parametrize("bucket", ["strange", ".scratch", "..", "%2e%2e", "secret"])
def test_there_are_no_other_buckets(server: Server, bucket: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert server.ask(method, f"/{bucket.replace('..', '%2e%2e')}/key").status_code == 404
    assert server.ask("GET", f"/{bucket.replace('..', '%2e%2e')}?list-type=2").status_code == 404


@pytest.mark.parametrize("source", ["/strange/a", "/raw/../../etc/passwd", "..", "", "/raw/nothing"])
def test_no_copy_is_made_of_what_is_no_object(server: Server, source: str) -> None:
    answer = server.ask("PUT", "/raw/copy", headers={"x-amz-copy-source": source})
    assert answer.status_code in (400, 404)
    assert server.ask("GET", "/raw/copy").status_code == 404


@pytest.mark.parametrize("query", ["prefix=../", "prefix=/etc/", "prefix=a/../../", "prefix=%2e%2e/secret"])
def test_no_prefix_leads_out_of_its_bucket(server: Server, query: str) -> None:
    assert server.ask("GET", f"/raw?list-type=2&{query}").status_code == 400


def test_a_refusal_names_its_reason(server: Server) -> None:
    answer = server.ask("GET", "/raw/nothing")
    assert answer.headers["content-type"] == "application/xml"
    assert "<Code>NoSuchKey</Code>" in answer.text


def test_an_object_cannot_lie_where_a_folder_is(server: Server, store: S3Store) -> None:
    store.put("a/b", b"x")
    for create in ({}, {"If-None-Match": "*"}):
        assert server.ask("PUT", "/curated/a", content=b"y", headers=create).status_code == 409
        assert server.ask("PUT", "/curated/a/b/c", content=b"y", headers=create).status_code == 409
    assert names(store) == ["a/b"]


# -- our own clients ---------------------------------------------------------------------------------------------------


def orders(*amounts: str) -> pa.Table:
    rows = [
        {"customer_id": 1, "ordered_on": MONDAY, "quantity": 1, "amount_usd": Decimal(amount)} for amount in amounts
    ]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


@pytest.fixture
def lake(server: Server) -> Lake:
    found = server.store("raw")
    for batch in found.list():
        found.delete([entry["path"] for entry in batch])
    return Lake(server.address())


def test_what_is_published_in_the_lake_is_read_back_to_the_cent(lake: Lake) -> None:
    [manifest] = lake.publish(ORDERS, {MONDAY: orders("1.10", "2.20")}, run="r1")
    rows = lake.read(manifest, ORDERS).to_pylist()
    assert [row["amount_usd"] for row in rows] == [Decimal("1.10"), Decimal("2.20")]


def test_the_same_run_again_finds_its_own_work_and_another_adds_its_own(lake: Lake) -> None:
    first = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1")
    assert lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1") == first
    lake.publish(ORDERS, {MONDAY: orders("2.00")}, run="r2")
    assert lake.latest(ORDERS)[MONDAY].run == "r2"
    assert len(lake.manifests(ORDERS)) == 2


def test_the_tasks_of_the_compute_cluster_read_the_lake(server: Server, lake: Lake) -> None:
    [manifest] = lake.publish(ORDERS, {MONDAY: orders("1.10", "2.20")}, run="r1")
    found = features.days_of(manifest.files, lake_url=server.address(), as_of=MONDAY)
    assert found.rows() == [(1, MONDAY, 330)]


def test_polars_writes_and_reads_a_table(server: Server) -> None:
    address = LakeAddress.parse(server.address("models"))
    options = {**address.options, "allow_http": "true"}
    frame = pl.DataFrame({"n": list(range(1000))})
    frame.write_parquet(f"{address.place}/table.parquet", storage_options=options)
    assert (
        pl.scan_parquet(f"{address.place}/*.parquet", storage_options=options)
        .select(pl.col("n").sum())
        .collect()
        .item()
        == 499_500
    )
    server.ask("DELETE", "/models/table.parquet")
