"""Turns of a chat model as LangChain generations, whole or event by event.

What a call needs beyond the model's settings stands behind this module, which the first call loads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_mistral_agents._chunks import AnswerChunks, as_chunk, generation_of
from langchain_mistral_agents._errors import model_errors
from langchain_mistral_agents._events import ProtocolEvents, events_of_message
from langchain_mistral_agents._messages_in import make_answer
from langchain_mistral_agents._plan import Request, TurnPlan, read_fields
from langchain_mistral_agents._tools import as_tool
from langchain_mistral_agents._traces import atrace_runs, trace_runs
from mistral_agents._border.forms import (
    FORM_QUESTION,
    carrying,
    find_form,
    is_finished,
    join_form,
    list_tools,
    takes_two_turns,
    thinking_options,
    writing_options,
)
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.turn import Turn

if TYPE_CHECKING:
    from langchain_mistral_agents.chat_models import ChatMistralAgent

# Asking --------------------------------------------------------------------------------------------------------------


def plan_request(
    model: ChatMistralAgent, messages: list[BaseMessage], stop: list[str] | None, options: JsonDict
) -> Steps[Request]:
    """Read what must be known first (the agent's tools, where the conversation stands), then plan."""
    plan = TurnPlan(read_fields(model), messages, stop, options)
    with model_errors(stored=plan.is_stored):
        return (yield from plan.make(model.mistral))


def _find_form(model: ChatMistralAgent, options: JsonDict) -> JsonDict | None:
    """The form of the answer, where it takes a turn of its own; else None."""
    form: JsonDict | None = find_form(options, model._completion)
    if form is None:
        return None
    tools = [*model.connectors, *map(as_tool, list_tools(options))]
    return form if takes_two_turns(form, tools, is_agent=model.agent_id is not None) else None


def _take_turns(
    model: ChatMistralAgent, messages: list[BaseMessage], stop: list[str] | None, options: JsonDict
) -> Steps[tuple[Turn, Request]]:
    """Make the turn of a call, or the two turns of an answer in a given form with hosted tools."""
    form = _find_form(model, options)
    if form is None:
        request = yield from plan_request(model, messages, stop, options)
        return (yield from _send(model, request)), request
    thinker = model._without(response_format=None)
    request = yield from plan_request(thinker, messages, stop, thinking_options(options))
    turn = yield from _send(model, request)
    if not is_finished(turn):
        return turn, request
    with carrying(turn):
        said = [*messages, make_answer(turn, request.sent), HumanMessage(FORM_QUESTION)]
        writer = thinker._without(connectors=[], store=False, conversation_id=None)
        writing = yield from plan_request(writer, said, stop, writing_options(options, form))
        written = yield from _send(model, writing)
    return join_form(turn, written), replace(request, sent=replace(request.sent, draft=turn.text))


def _send(model: ChatMistralAgent, request: Request) -> Steps[Turn]:
    conversations = model.mistral.conversations
    with model_errors(stored=request.sent.stored):
        turn: Turn = yield Job(partial(conversations.send, request.turn), partial(conversations.asend, request.turn))
    return turn


# Whole ---------------------------------------------------------------------------------------------------------------


def generate(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    options: JsonDict,
) -> ChatResult:
    """The answer of a call; its hosted tools are shown as runs."""
    turn, request = run(_take_turns(model, messages, stop, options))
    trace_runs(turn, run_manager)
    return _make_result(turn, request)


async def agenerate(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    options: JsonDict,
) -> ChatResult:
    """As `generate`, without blocking."""
    turn, request = await arun(_take_turns(model, messages, stop, options))
    await atrace_runs(turn, run_manager)
    return _make_result(turn, request)


def _make_result(turn: Turn, request: Request) -> ChatResult:
    message = make_answer(turn, request.sent)
    facts = {"finish_reason": message.response_metadata.get("finish_reason")}
    generation = ChatGeneration(message=message, generation_info=facts)
    told = {k: v for k, v in message.response_metadata.items() if k in ("model_name", "token_usage")}
    return ChatResult(generations=[generation], llm_output=told)


# Event by event ------------------------------------------------------------------------------------------------------


def stream_chunks(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    options: JsonDict,
) -> Iterator[ChatGenerationChunk]:
    """The chunks of an answer as they come; the last ones say what only its end tells."""
    if _find_form(model, options) is not None:
        turn, request = run(_take_turns(model, messages, stop, options))
        trace_runs(turn, model._run)
        yield _tell(as_chunk(make_answer(turn, request.sent)), run_manager)
        return
    request = run(plan_request(model, messages, stop, options))
    chunks = AnswerChunks(request.sent)
    with model_errors(stored=request.sent.stored), model.mistral.conversations.open(request.turn) as stream:
        for _ in stream:
            message = chunks.feed(stream.records)
            if message is not None:
                yield _tell(message, run_manager)
            if chunks.is_over:
                break
        turn = stream.turn
    trace_runs(turn, model._run)
    for last in chunks.end(turn):
        yield _tell(last, run_manager)


async def astream_chunks(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    options: JsonDict,
) -> AsyncIterator[ChatGenerationChunk]:
    """As `stream_chunks`, without blocking."""
    if _find_form(model, options) is not None:
        turn, request = await arun(_take_turns(model, messages, stop, options))
        await atrace_runs(turn, model._run)
        yield await _atell(as_chunk(make_answer(turn, request.sent)), run_manager)
        return
    request = await arun(plan_request(model, messages, stop, options))
    chunks = AnswerChunks(request.sent)
    with model_errors(stored=request.sent.stored):
        async with model.mistral.conversations.aopen(request.turn) as stream:
            async for _ in stream:
                message = chunks.feed(stream.records)
                if message is not None:
                    yield await _atell(message, run_manager)
                if chunks.is_over:
                    break
            turn = stream.turn
    await atrace_runs(turn, model._run)
    for last in chunks.end(turn):
        yield await _atell(last, run_manager)


def _tell(message: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    """The generation of a chunk, shown to handlers of tokens."""
    chunk = generation_of(message)
    if run_manager is not None:
        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk


async def _atell(message: AIMessageChunk, run_manager: AsyncCallbackManagerForLLMRun | None) -> ChatGenerationChunk:
    chunk = generation_of(message)
    if run_manager is not None:
        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk


# LangChain's event protocol (v3) -------------------------------------------------------------------------------------


def stream_events(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: CallbackManagerForLLMRun | None,
    options: JsonDict,
) -> Iterator[JsonDict]:
    """The protocol's events of an answer as it comes."""
    if _find_form(model, options) is not None:
        turn, request = run(_take_turns(model, messages, stop, options))
        trace_runs(turn, run_manager)
        yield from events_of_message(make_answer(turn, request.sent))
        return
    request = run(plan_request(model, messages, stop, options))
    protocol = ProtocolEvents(request.sent)
    with model_errors(stored=request.sent.stored), model.mistral.conversations.open(request.turn) as stream:
        for _ in stream:
            chunk, made = protocol.feed(stream.records)
            if run_manager is not None and chunk is not None:
                run_manager.on_llm_new_token(str(chunk.text), chunk=ChatGenerationChunk(message=chunk))
            yield from made
            if protocol.is_over:
                break
        turn = stream.turn
    trace_runs(turn, run_manager)
    yield from protocol.end(turn)[1]


async def astream_events(
    model: ChatMistralAgent,
    messages: list[BaseMessage],
    stop: list[str] | None,
    run_manager: AsyncCallbackManagerForLLMRun | None,
    options: JsonDict,
) -> AsyncIterator[dict[str, Any]]:
    """As `stream_events`, without blocking."""
    if _find_form(model, options) is not None:
        turn, request = await arun(_take_turns(model, messages, stop, options))
        await atrace_runs(turn, run_manager)
        for each in events_of_message(make_answer(turn, request.sent)):
            yield each
        return
    request = await arun(plan_request(model, messages, stop, options))
    protocol = ProtocolEvents(request.sent)
    with model_errors(stored=request.sent.stored):
        async with model.mistral.conversations.aopen(request.turn) as stream:
            async for _ in stream:
                chunk, made = protocol.feed(stream.records)
                if run_manager is not None and chunk is not None:
                    await run_manager.on_llm_new_token(str(chunk.text), chunk=ChatGenerationChunk(message=chunk))
                for each in made:
                    yield each
                if protocol.is_over:
                    break
            turn = stream.turn
    await atrace_runs(turn, run_manager)
    for each in protocol.end(turn)[1]:
        yield each
