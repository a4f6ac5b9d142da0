"""Builders and the guide's vocabulary: what is sent, enforced, hinted and impossible, key by key."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_agents._tools.policy import POLICY_KEY, Policy, PolicyBook
from mistral_agents.errors import ConfigurationError
from mistral_agents.tools import (
    CodeInterpreter,
    Connector,
    DocumentLibrary,
    ImageGeneration,
    MissingLibraryError,
    TranslationWarning,
    WebSearch,
    hybrid_tools,
    translate_tools,
)

LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
OTHER = "01a07bff-b1ed-70bd-b7d4-34b652c070bc"


def quiet(tools: list[Any], **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranslationWarning)
        return translate_tools(tools, **options)


GUIDE = [
    {"type": "code_interpreter", "config": {"timeout": 30, "max_iterations": 5}},
    {
        "type": "image_generation",
        "config": {"model": "flux-1.1-pro-ultra", "default_size": "1024x1024", "quality": "high"},
    },
    {"type": "web_search", "config": {"enable_premium_sources": True, "max_results": 10, "recency_bias": True}},
    {"type": "document_retrieval", "config": {"library_id": LIBRARY, "max_documents": 5, "similarity_threshold": 0.7}},
]


def test_the_guides_tools_key_by_key() -> None:
    done = quiet(GUIDE)
    assert done.tools == [
        {"type": "code_interpreter"},
        {"type": "image_generation"},
        {"type": "web_search_premium"},
        {"type": "document_library", "library_ids": [LIBRARY]},
    ]
    assert [(row.tool, row.key, row.value, row.status) for row in done.report] == [
        ("code_interpreter", "timeout", 30, "enforced"),
        ("code_interpreter", "max_iterations", 5, "enforced"),
        ("image_generation", "model", "flux-1.1-pro-ultra", "impossible"),
        ("image_generation", "default_size", "1024x1024", "hinted"),
        ("image_generation", "quality", "high", "hinted"),
        ("web_search", "enable_premium_sources", True, "enforced"),
        ("web_search", "max_results", 10, "enforced"),
        ("web_search", "recency_bias", True, "hinted"),
        ("document_retrieval", "type", "document_retrieval", "enforced"),
        ("document_retrieval", "library_id", LIBRARY, "enforced"),
        ("document_retrieval", "max_documents", 5, "hinted"),
        ("document_retrieval", "similarity_threshold", 0.7, "hinted"),
    ]
    assert all(row.note for row in done.report)
    assert done.policy == Policy(
        tool_seconds={"code_interpreter": 30},
        tool_runs={"code_interpreter": 5},
        max_citations=10,
        max_documents=5,
        similarity_threshold=0.7,
        image_size=(1024, 1024),
    )
    for words in ("at most 5 times", "1024x1024", "high image quality", "recent web sources", "at most 5 library"):
        assert words in done.instructions


def test_each_key_that_is_not_enforced_warns_and_names_itself() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = translate_tools(GUIDE)
    said = [str(warning.message) for warning in caught if warning.category is TranslationWarning]
    loose = [row for row in done.report if row.status != "enforced"]
    assert len(said) == len(loose) == 6
    for row, text in zip(loose, said, strict=True):
        assert row.key in text
        assert row.status in text


def test_strict_raises_for_what_is_only_hinted_and_names_every_key() -> None:
    with pytest.raises(ConfigurationError, match=r"strict=True.*model=.*default_size=.*recency_bias=") as caught:
        translate_tools(GUIDE, strict=True)
    assert "timeout" not in str(caught.value)
    assert translate_tools([{"type": "code_interpreter", "config": {"timeout": 9}}], strict=True).policy.tool_seconds


def test_the_builders_give_the_same_as_the_guides_dicts() -> None:
    built = [
        CodeInterpreter(timeout=30, max_iterations=5),
        ImageGeneration(size="1024x1024", quality="high"),
        WebSearch(premium=True, max_results=10, recency_bias=True),
        DocumentLibrary(LIBRARY, max_documents=5, similarity_threshold=0.7),
    ]
    guide, ours = quiet(GUIDE), quiet(built)
    assert ours.tools == guide.tools
    assert ours.policy == guide.policy
    assert ours.instructions == guide.instructions


def test_plain_tools_pass_unchanged_and_without_a_word() -> None:
    tools = [
        WebSearch(),
        CodeInterpreter(requires_confirmation=True),
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        Connector("gmail", requires_confirmation=["gmail_search"]),
    ]
    before = copy.deepcopy(tools)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = translate_tools(tools)
    assert done.tools == [dict(tool) for tool in before]
    assert tools == before, "the caller's dicts are not changed"
    assert (done.instructions, done.report, bool(done.policy)) == ("", [], False)
    assert done.tools[1]["tool_configuration"] == {"requires_confirmation": ["code_interpreter"]}


@pytest.mark.parametrize(
    ("tools", "error", "words"),
    [
        ([{"type": "telepathy"}], ConfigurationError, r"tools\[0\] has the unknown type 'telepathy'"),
        ([{}], ConfigurationError, "unknown type None"),
        (["web_search"], ConfigurationError, "takes a dict"),
        ([{"type": "web_search", "config": 3}], ConfigurationError, "config must be a dict"),
        ([{"type": "document_retrieval"}], MissingLibraryError, "names no library"),
        ([{"type": "document_retrieval", "config": {"library_id": None}}], MissingLibraryError, "library_id is None"),
        ([{"type": "document_library", "library_ids": []}], MissingLibraryError, "names no library"),
        ([{"type": "document_library", "library_ids": ["lib_xxx"]}], ConfigurationError, "must be a UUID"),
        ([WebSearch(), WebSearch(premium=True)], ConfigurationError, "can't be given together"),
        ([{"type": "code_interpreter", "config": {"timeout": "soon"}}], ConfigurationError, "timeout='soon'"),
        ([{"type": "code_interpreter", "config": {"timeout": 0}}], ConfigurationError, "timeout=0"),
        ([{"type": "code_interpreter", "config": {"max_iterations": 0}}], ConfigurationError, "max_iterations=0"),
        ([{"type": "code_interpreter", "config": {"max_iterations": True}}], ConfigurationError, "whole number"),
        ([{"type": "web_search", "config": {"max_results": 2.5}}], ConfigurationError, "max_results=2.5"),
        ([ImageGeneration(size="huge")], ConfigurationError, "1024x1024"),
        ([DocumentLibrary(LIBRARY, similarity_threshold=1.5)], ConfigurationError, "similarity_threshold=1.5"),
        ([{"type": "function", "function": {}}] * 129, ConfigurationError, "at most 128"),
    ],
)
def test_wrong_tools_are_refused_by_name(tools: list[Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        quiet(tools)


def test_an_unknown_key_is_impossible_not_dropped() -> None:
    [row] = quiet([{"type": "web_search", "config": {"country": "fr"}}]).report
    assert (row.key, row.value, row.status) == ("country", "fr", "impossible")


def test_asking_for_nothing_is_enforced_by_doing_nothing() -> None:
    config = {"enable_premium_sources": False, "recency_bias": False, "prefer_premium": False}
    done = translate_tools([{"type": "web_search", "config": config}], strict=True)
    assert done.tools == [{"type": "web_search"}]
    assert done.instructions == ""


def test_several_libraries_are_joined_once_each() -> None:
    tool = {"type": "document_library", "library_ids": [LIBRARY], "config": {"library_id": [OTHER, LIBRARY]}}
    assert quiet([tool]).tools == [{"type": "document_library", "library_ids": [LIBRARY, OTHER]}]
    assert [tool["type"] for tool in hybrid_tools([LIBRARY, OTHER], premium=True)] == [
        "document_library",
        "web_search_premium",
    ]


def test_hints_are_added_once() -> None:
    done = quiet([{"type": "web_search", "config": {"recency_bias": True}}])
    once = done.added_to("Be kind.")
    assert once is not None
    assert once.startswith("Be kind.\n\nPrefer recent")
    assert done.added_to(once) == once
    assert done.added_to(None) == done.instructions
    assert translate_tools([]).added_to("Be kind.") == "Be kind."


def test_a_secret_shows_in_no_text_form_and_travels_by_pickle() -> None:
    tool = Connector("gmail", authorization={"type": "api-key", "value": "s3cret"})
    for text in (repr(tool), str(tool), f"{tool}", repr([tool])):
        assert "s3cret" not in text
        assert "gmail" in text
    again = pickle.loads(pickle.dumps(tool))
    assert (type(again), again) == (Connector, tool)
    assert json.loads(json.dumps(copy.deepcopy(tool)))["authorization"]["value"] == "s3cret"


def test_names_of_functions_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="needs the names"):
        Connector("gmail", requires_confirmation=True)
    with pytest.raises(ConfigurationError, match="not the text"):
        WebSearch(exclude="news_search")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="connector_id"):
        Connector("")


policies = st.builds(
    Policy,
    tool_seconds=st.dictionaries(st.sampled_from(["code_interpreter", "web_search"]), st.floats(0.01, 1e6)),
    tool_runs=st.dictionaries(st.sampled_from(["code_interpreter", "x"]), st.integers(1, 99)),
    max_citations=st.none() | st.integers(1, 99),
    max_documents=st.none() | st.integers(1, 99),
    similarity_threshold=st.none() | st.floats(0, 1),
    image_size=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
)


@given(policies, policies)
def test_a_policy_survives_metadata_and_joining(one: Policy, two: Policy) -> None:
    assert Policy.from_metadata(one.to_metadata()) == one
    joined = one.joined(two)
    assert joined.joined(two) == joined
    assert one.joined(Policy()) == one
    assert Policy().joined(two) == two


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"unknown": 1}', '{"max_citations": "many"}', 7])
def test_metadata_that_is_no_policy_is_an_error(text: Any) -> None:
    with pytest.raises(ConfigurationError):
        Policy.from_metadata({POLICY_KEY: text})


def test_the_book_forgets_the_oldest_conversation_and_survives_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mistral_agents._tools.policy._KEPT", 2)
    book, policy = PolicyBook(), Policy(max_citations=1)
    for name in ("a", "b", "a", "c"):
        book.set_conversation(name, policy)
    assert [bool(book.of_conversation(name)) for name in "abc"] == [True, False, True]
    book.set_agent("ag", policy)
    again = pickle.loads(pickle.dumps(book))
    assert again.of_agent("ag") == policy
    again.set_agent("ag", Policy())
    assert not again.of_agent("ag")
