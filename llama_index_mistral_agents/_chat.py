"""Chat engines whose model answers also where nothing was found: a "thank you" is no question to a library."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.response_synthesizers import BaseSynthesizer, CompactAndRefine
from llama_index.core.response_synthesizers.base import QueryTextType
from llama_index.core.schema import NodeWithScore, TextNode

Synthesizer = TypeVar("Synthesizer", bound=BaseSynthesizer)

NOTHING = "(No passage of the library fits this message.)"
"""What the model reads in place of passages."""


@cache
def _make_answering_class(kind: type[BaseSynthesizer]) -> type[BaseSynthesizer]:
    """The class of a response synthesizer that asks the model where LlamaIndex's own says "Empty Response"."""

    def synthesize(
        self: BaseSynthesizer, query: QueryTextType, nodes: list[NodeWithScore], *args: Any, **options: Any
    ) -> RESPONSE_TYPE:
        if nodes:
            return kind.synthesize(self, query, nodes, *args, **options)
        return _drop_sources(kind.synthesize(self, query, [_make_note()], *args, **options))

    async def asynthesize(
        self: BaseSynthesizer, query: QueryTextType, nodes: list[NodeWithScore], *args: Any, **options: Any
    ) -> RESPONSE_TYPE:
        if nodes:
            return await kind.asynthesize(self, query, nodes, *args, **options)
        return _drop_sources(await kind.asynthesize(self, query, [_make_note()], *args, **options))

    return type(f"Answering{kind.__name__}", (kind,), {"synthesize": synthesize, "asynthesize": asynthesize})


def _answer_always(synthesizer: Synthesizer) -> Synthesizer:
    """The same synthesizer, which LlamaIndex's engines make anew for every message."""
    synthesizer.__class__ = cast("type[Synthesizer]", _make_answering_class(type(synthesizer)))
    return synthesizer


def _make_note() -> NodeWithScore:
    return NodeWithScore(node=TextNode(text=NOTHING))


def _drop_sources(response: RESPONSE_TYPE) -> RESPONSE_TYPE:
    response.source_nodes = []
    return response


class _ContextChat(ContextChatEngine):
    def _get_response_synthesizer(self, chat_history: list[ChatMessage], streaming: bool = False) -> CompactAndRefine:
        return _answer_always(super()._get_response_synthesizer(chat_history, streaming))


class _CondensePlusContextChat(CondensePlusContextChatEngine):
    def _get_response_synthesizer(self, chat_history: list[ChatMessage], streaming: bool = False) -> CompactAndRefine:
        return _answer_always(super()._get_response_synthesizer(chat_history, streaming))


def answering(engine: BaseChatEngine) -> BaseChatEngine:
    """The engine, whose model is asked also where nothing was found."""
    if type(engine) is ContextChatEngine:
        engine.__class__ = _ContextChat
    elif type(engine) is CondensePlusContextChatEngine:
        engine.__class__ = _CondensePlusContextChat
    elif type(engine) is CondenseQuestionChatEngine:
        inner: Any = engine._query_engine
        _answer_always(inner._response_synthesizer)
    return engine
