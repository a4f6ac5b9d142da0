"""`client.embeddings`: batches, order, repetition, and replies that are not as they should be."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from mistral_agents.embeddings import EmbeddingModel
from mistral_agents.errors import ConfigurationError, InvalidRequestError, ResponseFormatError


def reply(*vectors: list[float], **more: Any) -> tuple[int, dict[str, Any]]:
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    return 200, {"object": "list", "model": "mistral-embed", "data": data, **more}


async def test_vectors_come_in_the_order_of_their_texts(make_client, wire):
    usage = {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    status, body = reply([1, 0], [0, 1], usage=usage)
    wire.answer((status, {**body, "data": body["data"][::-1]}))
    client = make_client()
    vectors = client.embeddings.create(["a", "b"])
    assert (vectors, vectors.model, vectors.usage) == ([[1.0, 0.0], [0.0, 1.0]], "mistral-embed", usage)
    assert await client.embeddings.acreate(["a", "b"]) == vectors
    assert wire.bodies == [{"model": "mistral-embed", "input": ["a", "b"]}] * 2


def test_one_text_and_options(make_client, wire):
    wire.answer(reply([1, 2]))
    assert make_client().embeddings.create("a", model="codestral-embed", output_dimension=2) == [[1.0, 2.0]]
    assert wire.bodies == [{"model": "codestral-embed", "input": ["a"], "output_dimension": 2}]


def test_nothing_to_do_sends_nothing(make_client, wire):
    assert make_client().embeddings.create([]) == []
    assert wire.requests == []


def test_many_texts_go_in_batches_by_number_and_length(make_client, wire):
    wire.answer(reply(*[[1.0]] * 64), reply(*[[2.0]] * 6), reply([3.0]), reply([4.0]))
    usage_less = make_client().embeddings.create([*["short"] * 70, "x" * 63_990, "y" * 70_000])
    assert usage_less == [*[[1.0]] * 64, *[[2.0]] * 6, [3.0], [4.0]]
    assert [len(body["input"]) for body in wire.bodies] == [64, 6, 1, 1]


@pytest.mark.parametrize("failure", [(503, b"busy"), (429, b"slow down"), (500, b"{}")])
def test_a_passing_failure_is_repeated(make_client, wire, failure):
    wire.answer(failure, reply([1.0]))
    assert make_client(max_retries=2).embeddings.create("a") == [[1.0]]
    assert len(wire.requests) == 2


def test_a_batch_that_is_too_much_is_halved(make_client, wire):
    wire.answer((400, {"message": "Too many tokens"}), reply([1.0]), reply([2.0], [3.0]))
    assert make_client().embeddings.create(["a", "b", "c"]) == [[1.0], [2.0], [3.0]]
    assert [body["input"] for body in wire.bodies] == [["a", "b", "c"], ["a"], ["b", "c"]]


def test_a_text_that_is_refused_alone_is_an_error(make_client, wire):
    wire.answer((400, {"message": "Invalid model"}))
    with pytest.raises(InvalidRequestError, match="Invalid model"):
        make_client().embeddings.create(["a", "b"], model="none-embed")
    assert len(wire.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": None},
        {"data": [{"embedding": [1.0]}]},
        {"data": [{"embedding": [1.0], "index": 0}, {"embedding": [2.0], "index": 0}]},
        {"data": [{"embedding": [1.0]}, {"embedding": []}]},
        {"data": [{"embedding": [1.0]}, {"embedding": ["x"]}]},
        {"data": [{"embedding": [1.0], "index": 0}, {"embedding": [2.0], "index": 7}]},
    ],
)
def test_a_text_without_a_vector_is_said(make_client, wire, body):
    wire.answer((200, body))
    with pytest.raises(ResponseFormatError, match="for 2 texts"):
        make_client().embeddings.create(["a", "b"])


@pytest.mark.parametrize(
    ("inputs", "options", "names"),
    [
        ("", {}, "inputs"),
        (["a", " "], {}, "number 1"),
        ([None], {}, "inputs"),
        ("a", {"model": " "}, "model"),
        ("a", {"output_dimension": 0}, "output_dimension"),
        ("a", {"output_dimension": True}, "output_dimension"),
    ],
)
def test_arguments_are_checked_before_a_request(make_client, wire, inputs, options, names):
    with pytest.raises(ConfigurationError, match=names):
        make_client().embeddings.create(inputs, **options)
    assert wire.requests == []


async def test_a_model_of_the_service_embeds_for_a_search(make_client, wire):
    wire.answer(reply([1.0]))
    embedder = EmbeddingModel(make_client().embeddings, "mistral-embed", batch_size=8)
    assert (embedder.name, embedder.batch_size) == ("mistral:mistral-embed", 8)
    assert embedder.query("a") == await embedder.aquery("a") == [1.0]
    assert embedder.texts(["a"]) == await embedder.atexts(["a"]) == [[1.0]]
    with pytest.raises(ConfigurationError, match="batch_size"):
        EmbeddingModel(make_client().embeddings, "mistral-embed", batch_size=0)


def test_it_survives_copies(make_client, wire):
    wire.answer(reply([1.0]))
    vectors = make_client().embeddings.create("a")
    assert pickle.loads(pickle.dumps(vectors)) == copy.deepcopy(vectors) == vectors
