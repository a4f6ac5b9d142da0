"""Search indexes, by the SDK's own methods where its version has them, and by HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from uuid import NAMESPACE_DNS, uuid4, uuid5

import httpx
import pytest

from mistral_agents_server.search_index.hashing import embed

BASE = "/v1/context/search-indexes"
CONFIG = {"embedding": {"type": "custom", "name": "mine", "dimensions": 3}}
SCHEMA = {
    "document_fields": {"year": {"type": "int"}, "seen": {"type": "timestamp"}, "tags": {"type": "keyword[]"}},
    "chunk_fields": {"page": {"type": "int", "required": True}, "lang": {"type": "keyword", "default": "en"}},
}


@pytest.fixture
def http(standin):
    with httpx.Client(base_url=standin.base_url, headers={"Authorization": "Bearer k"}, timeout=30) as client:
        yield client


def index(http, config=CONFIG, schema=SCHEMA):
    name = f"i{uuid4().hex}"
    made = http.post(BASE, json={"name": name, "config": config, "schema": schema})
    assert made.status_code == 202, made.text
    assert http.get(made.headers["location"]).json()["status"] == "ready"
    return f"{BASE}/{name}"


def document(source, *texts, vectors=None, **fields):
    vectors = vectors if vectors is not None else [[1.0, 0.0, 0.0]] * len(texts)
    chunks, place = [], 0
    for number, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        end = place + len(text)
        chunks.append(
            {
                "content": text,
                "locator": f"char:{place}-{end}",
                "start_offset": place,
                "end_offset": end,
                "content_embedding": vector,
                "page": number,
            }
        )
        place = end
    return {"source_id": source, "chunks": chunks, **fields}


@pytest.fixture
def filled(http):
    place = index(http)
    documents = [
        document(
            "otters",
            "Otters swim in rivers. ",
            "Otters eat fish.",
            vectors=[[1, 0, 0], [0, 1, 0]],
            year=2024,
            seen="2024-05-01T00:00:00Z",
            tags=["a", "b"],
        ),
        document("herons", "Herons wade in rivers.", vectors=[[0.8, 0.6, 0]], year=2025, tags=["b"]),
        document("owls", "Owls hunt mice at night.", vectors=[[0, 0, 1]], year=2026, seen="2026-01-01T00:00:00+01:00"),
    ]
    reply = http.post(f"{place}/documents", json={"documents": documents}).json()
    assert (reply["accepted"], reply["rejected"]) == (3, 0)
    return place


def search(http, place, **retriever):
    reply = http.post(f"{place}/search", json={"retriever": retriever})
    assert reply.status_code == 200, reply.text
    return reply.json()["hits"]


def contents(hits):
    return [hit["chunk"]["content"].strip() for hit in hits]


def test_the_life_of_an_index(http):
    name = f"i{uuid4().hex}"
    made = http.post(BASE, json={"name": name, "config": CONFIG, "schema": SCHEMA}).json()
    assert made["status"] == "provisioning"
    assert made["schema"]["chunk_fields"]["page"]["type"] == "int"
    assert http.post(f"{BASE}/{name}/documents", json={"documents": []}).status_code == 409
    assert http.post(BASE, json={"name": name, "config": CONFIG}).status_code == 409
    assert http.get(f"{BASE}/{name}").json()["status"] == "ready"
    listed = http.get(BASE, params={"name": name[:20].upper(), "status": "ready"}).json()
    assert [found["name"] for found in listed["data"]] == [name]
    more = {**SCHEMA, "document_fields": {**SCHEMA["document_fields"], "rate": {"type": "float"}}}
    assert http.put(f"{BASE}/{name}", json={"schema": more}).status_code == 202
    assert http.put(f"{BASE}/{name}", json={"schema": SCHEMA}).status_code == 422
    gone = http.delete(f"{BASE}/{name}")
    assert (gone.status_code, gone.json()["status"]) == (202, "deleting")
    assert http.get(f"{BASE}/{name}").json()["code"] == 3000
    assert http.delete(f"{BASE}/{name}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a/b", "config": CONFIG},
        {"name": "x" * 64, "config": CONFIG},
        {"name": "x", "config": {"embedding": {"type": "custom", "name": "m", "dimensions": 0}}},
        {"name": "x", "config": CONFIG, "schema": {"chunk_fields": {"f": {"type": "odd"}}}},
        {"name": "x"},
    ],
)
def test_wrong_indexes_are_422(http, body):
    assert http.post(BASE, json=body).status_code == 422


def test_ingestion_reports_each_document(http):
    place = index(http)
    wrong = [
        {"chunks": []},
        document("s", "a", year="2024"),
        document("s", "a", other=1),
        {"source_id": "s", "chunks": [{"content": "a", "locator": "l", "content_embedding": [1, 2], "page": 1}]},
        {"source_id": "s", "chunks": [{"content": "a", "locator": "l", "content_embedding": [1, 2, 3]}]},
        document("s", "a", seen="yesterday"),
        document("s", "", ""),
    ]
    reply = http.post(f"{place}/documents", json={"documents": [*wrong, document("good", "text")]}).json()
    assert (reply["accepted"], reply["rejected"]) == (1, len(wrong))
    places = [result["errors"][0]["location"] for result in reply["results"][:-1]]
    assert places[1:] == [
        ["year"],
        ["other"],
        ["chunks", 0, "content_embedding"],
        ["chunks", 0, "page"],
        ["seen"],
        ["chunks"],
    ]
    good = reply["results"][-1]
    assert (good["position"], good["status"], good["chunk_count"]) == (7, "accepted", 1)
    assert good["document_id"] == str(uuid5(NAMESPACE_DNS, "good"))


def test_a_document_is_replaced_and_deleted(http, filled):
    http.post(f"{filled}/documents", json={"documents": [document("otters", "Badgers dig.", year=2024)]})
    assert contents(search(http, filled, type="keyword", query="fish")) == []
    assert contents(search(http, filled, type="keyword", query="badger")) == ["Badgers dig."]
    known, unknown = str(uuid5(NAMESPACE_DNS, "owls")), str(uuid4())
    reply = http.request("DELETE", f"{filled}/documents", json={"document_ids": [known, unknown]}).json()
    assert reply == {"deleted_document_ids": [known], "missing": [unknown]}
    assert search(http, filled, type="keyword", query="owls") == []


def test_search_by_words(http, filled):
    hits = search(http, filled, type="keyword", query="river otter")
    assert contents(hits)[0] == "Otters swim in rivers."
    assert set(contents(hits)[1:]) == {"Otters eat fish.", "Herons wade in rivers."}
    assert hits[0]["score"] > hits[1]["score"]
    assert contents(search(http, filled, type="keyword", query="river otter", operator="and")) == [
        "Otters swim in rivers."
    ]
    chunk = hits[0]["chunk"]
    assert chunk["id"] == str(uuid5(NAMESPACE_DNS, "otters:char:0-23"))
    assert (chunk["year"], chunk["page"], chunk["lang"], chunk["tags"]) == (2024, 0, "en", ["a", "b"])
    assert hits[0]["distance"] is None
    assert len(search(http, filled, type="keyword", query="river otter", top_k=1)) == 1


def test_search_by_vectors(http, filled):
    hits = search(http, filled, type="nearest_neighbour", query_embedding=[1, 0, 0], top_k=2)
    assert contents(hits) == ["Otters swim in rivers.", "Herons wade in rivers."]
    assert [round(hit["distance"], 5) for hit in hits] == [0.0, 0.2]
    for wrong in ({"query_embedding": [1, 0]}, {"query": "otters"}):
        reply = http.post(f"{filled}/search", json={"retriever": {"type": "nearest_neighbour", **wrong}})
        assert reply.status_code == 400
    neither = http.post(f"{filled}/search", json={"retriever": {"type": "nearest_neighbour"}})
    assert neither.status_code == 422


@pytest.mark.parametrize("metric", ["inner_product", "l2"])
def test_other_distances(http, metric):
    place = index(http, {"embedding": {**CONFIG["embedding"], "distance_metric": metric}})
    texts = document("s", "far", "near", vectors=[[0, 0, 1], [0.9, 0.1, 0]])
    http.post(f"{place}/documents", json={"documents": [texts]})
    hits = search(http, place, type="nearest_neighbour", query_embedding=[1, 0, 0])
    assert contents(hits) == ["near", "far"]
    assert hits[0]["distance"] < hits[1]["distance"]


def test_an_index_with_vectors_of_the_services_makes_them(http):
    place = index(http, {"embedding": {"type": "mistral", "name": "mistral-embed", "dimensions": 256}}, {})
    chunks = [{"content": text, "locator": text} for text in ("Otters swim.", "Owls fly.")]
    reply = http.post(f"{place}/documents", json={"documents": [{"source_id": "s", "chunks": chunks}]}).json()
    assert reply["accepted"] == 1
    hits = search(http, place, type="nearest_neighbour", query="a swimming otter")
    assert contents(hits)[0] == "Otters swim."
    vector = http.post("/v1/embeddings", json={"model": "m", "input": ["Otters swim.", ""], "output_dimension": 256})
    data = vector.json()["data"]
    assert data[0]["embedding"] == embed("Otters swim.", 256)
    assert sum(value * value for value in data[0]["embedding"]) == pytest.approx(1)
    assert set(data[1]["embedding"]) == {0.0}


def test_rankings_are_joined(http, filled):
    words = {"type": "keyword", "query": "rivers herons"}
    vectors = {"type": "nearest_neighbour", "query_embedding": [1, 0, 0]}
    hits = search(http, filled, type="rrf", retrievers=[words, vectors], top_k=2)
    assert contents(hits) == ["Herons wade in rivers.", "Otters swim in rivers."]
    assert hits[0]["score"] == pytest.approx(1 / 61 + 1 / 62)
    weighted = search(http, filled, type="rrf", retrievers=[words, vectors], top_k=1, weights=[0, 1])
    assert contents(weighted) == ["Otters swim in rivers."]
    for wrong in ({"weights": [1]}, {"top_k": 50}, {"retrievers": []}):
        body = {"type": "rrf", "retrievers": [words, vectors], **wrong}
        assert http.post(f"{filled}/search", json={"retriever": body}).status_code == 422


def equal(field, value):
    return {"type": "equal", "field": field, "value": value}


@pytest.mark.parametrize(
    ("wanted", "sources"),
    [
        (equal("year", 2024), {"otters"}),
        (equal("source_id", "owls"), {"owls"}),
        (equal("tags", "b"), {"otters", "herons"}),
        ({"type": "in", "field": "year", "values": [2025, 2026]}, {"herons", "owls"}),
        ({"type": "range", "field": "year", "gt": 2024, "lte": 2025}, {"herons"}),
        ({"type": "range", "field": "seen", "lt": "2025-01-01T00:00:00Z"}, {"otters"}),
        ({"type": "range", "field": "seen", "gte": "2025-12-31T23:00:00Z"}, {"owls"}),
        ({"type": "not", "match": equal("year", 2024)}, {"herons", "owls"}),
        ({"type": "and", "matches": [equal("tags", "b"), equal("year", 2025)]}, {"herons"}),
        (
            {"type": "or", "matches": [equal("year", 2024), {"type": "and", "matches": []}]},
            {"otters", "herons", "owls"},
        ),
        (equal("year", 1), set()),
    ],
)
def test_filters(http, filled, wanted, sources):
    hits = search(http, filled, type="nearest_neighbour", query_embedding=[1, 1, 1], filter=wanted)
    assert {hit["chunk"]["source_id"] for hit in hits} == sources


@pytest.mark.parametrize("wanted", [equal("nothing", 1), equal("year", "x"), equal("seen", "x"), equal("tags", 3)])
def test_filters_that_make_no_sense_are_400(http, filled, wanted):
    body = {"type": "keyword", "query": "otters", "filter": wanted}
    assert http.post(f"{filled}/search", json={"retriever": body}).status_code == 400


def test_walking_through_a_source(http, filled):
    def walk(how, **body):
        reply = http.post(f"{filled}/{how}", json={"source_id": "otters", **body})
        return contents([{"chunk": chunk} for chunk in reply.json()["chunks"]])

    first, second = "Otters swim in rivers.", "Otters eat fish."
    assert walk("navigate", start_offset=0, end_offset=23, direction="next") == [second]
    assert walk("navigate", start_offset=23, end_offset=39, direction="previous") == [first]
    assert walk("navigate", start_offset=0, end_offset=23, direction="previous") == []
    assert walk("read") == [first, second]
    assert walk("read", start_offset=1) == [second]
    assert walk("read", end_offset=23) == [first]
    assert walk("grep", pattern="eat FISH") == [second]
    assert walk("grep", pattern="fish otters", mode="term") == [second]
    assert walk("grep", pattern="fish otters") == []
    assert http.post(f"{filled}/read", json={"source_id": "none"}).status_code == 404
    chunk_id = str(uuid5(NAMESPACE_DNS, "otters:char:0-23"))
    assert http.get(f"{filled}/chunks/{chunk_id}").json()["chunks"][0]["content"].strip() == first
    assert http.get(f"{filled}/chunks/x").status_code == 404


def test_many_writers_at_once(http):
    place = index(http)

    def one(number):
        documents = [document(f"s{number}", f"word{number} shared")]
        return http.post(f"{place}/documents", json={"documents": documents}).json()["accepted"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [1] * 40
    assert len(search(http, place, type="keyword", query="shared", top_k=100)) == 40


def test_the_sdks_own_methods(standin):
    """The lowest SDK that is supported has no such methods: there, that is all there is to check."""
    from mistralai.client import Mistral

    with Mistral(api_key="k", server_url=standin.base_url) as client:
        context = getattr(client.beta, "context", None)
        if context is None:
            assert version("mistralai").startswith("2.")
            return
        indexes = context.search_indexes
        name = f"i{uuid4().hex}"
        assert indexes.create(name=name, config=CONFIG, schema=SCHEMA).result.status == "provisioning"
        assert indexes.get(index_name=name).status == "ready"
        taken = indexes.ingest_documents(index_name=name, documents=[document("a", "Otters swim."), {}])
        assert (taken.accepted, taken.rejected) == (1, 1)
        hits = indexes.search(index_name=name, retriever={"type": "keyword", "query": "otter"}).hits
        assert [hit.chunk.content for hit in hits] == ["Otters swim."]
        assert indexes.read(index_name=name, source_id="a").chunks[0].locator == "char:0-12"
        assert any(found.name == name for found in indexes.list(name=name).result.data)
        assert indexes.delete(index_name=name).status == "deleting"
