"""Every import path that README, docs, examples and tests showed in 0.1 goes on working."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PATHS = {
    "langchain_mistral_agents": "ChatMistralAgent MistralAgentRunnable MistralConversationHistory MistralConversationMemory MistralConversationMiddleware MistralLibraryRetriever MistralMeterHandler MistralSessionHistories aload_connector_tools chat_models connectors history load_connector_tools memory metering middleware retriever runnable sessions to_portable_messages",
    "langchain_mistral_agents.chat_models": "ChatMistralAgent",
    "langchain_mistral_agents.handoffs": "handoff_command handoff_graph handoff_of",
    "langchain_mistral_agents.history": "MistralConversationHistory",
    "langchain_mistral_agents.memory": "MistralConversationMemory",
    "langchain_mistral_agents.retriever": "MistralLibraryRetriever",
    "langchain_mistral_agents.threads": "InMemoryConversations SqliteConversations StoreConversations",
    "llama_index_mistral_agents": "MistralAgentLLM MistralConversationMemory MistralLibraryIndex MistralLibraryReader MistralLibraryRetriever MistralMeterHandler MistralWorkflowAgent aload_connector_tools load_connector_tools",
    "llama_index_mistral_agents.agent_events": "ConfirmationRequest ConversationReset ServerHandoff ServerToolCall ServerToolResult",
    "llama_index_mistral_agents.auto": "metadata_schema",
    "llama_index_mistral_agents.memory": "ConversationHistoryBlock load_conversation_history",
    "llama_index_mistral_agents.postprocessor": "MistralNeighbourPostprocessor",
    "llama_index_mistral_agents.retrieval_events": "LibraryRetrievalEvent LibrarySyncEndEvent LibrarySyncStartEvent SnapshotStaleEvent",
    "llama_index_mistral_agents.tools": "MistralLibraryToolSpec",
    "llama_index_mistral_agents.turn_events": "ServerHandoffEvent ServerToolExecutionEvent TurnUsageEvent",
    "llama_index_mistral_agents.vector_store": "MistralSearchIndexVectorStore",
    "mistral_agents": "AgentSpec CodeInterpreter Connector Conversation DocumentLibrary ImageGeneration Meter MistralAgents MistralAgentsError Prices Safeguards Turn WebSearch errors function_result translate_tools turn",
    "mistral_agents.branches": "acompare compare family",
    "mistral_agents.cleanup": "acleanup cleanup",
    "mistral_agents.connector_api": "ConnectorToolError",
    "mistral_agents.connectors": "CodeInterpreter Connector DocumentLibrary HostedTool ImageGeneration MissingLibraryError TranslationWarning WebSearch hybrid_tools translate_tools",
    "mistral_agents.conversation": "Conversation",
    "mistral_agents.costs": "BudgetExceededError Meter Prices",
    "mistral_agents.entries": "FunctionResult MessageInput UnknownEntry function_result parse_entries parse_entry replayable",
    "mistral_agents.errors": "AuthenticationError ConfigurationError ConnectionFailedError ContextWindowExceededError InvalidRequestError MistralAgentsError NotFoundError PendingCallsError PermissionDeniedError RateLimitedError ResponseFormatError ServerFailureError StreamInterruptedError TimeoutExceededError ToolBudgetExceededError TurnFailedError UnknownOutcomeError",
    "mistral_agents.files": "ImageSizeWarning",
    "mistral_agents.graph": "HandoffGraph",
    "mistral_agents.history": "History",
    "mistral_agents.retrieval.analysis": "Analyzer title_of",
    "mistral_agents.retrieval.chunking": "Chunk Page PieceSplitter Splitter chunks_of",
    "mistral_agents.retrieval.engine": "LibraryEngine",
    "mistral_agents.retrieval.errors": "DocumentProcessingError IngestError LibraryEmptyError LibraryNotFoundError LibraryNotReadyError PassagesUnavailableError SnapshotError UnsupportedFilterError",
    "mistral_agents.retrieval.events": "DocumentSkipped SnapshotStale SyncEnded SyncProgress SyncStarted",
    "mistral_agents.retrieval.filters": "Condition Filter Group fields matches",
    "mistral_agents.retrieval.flight": "SingleFlight",
    "mistral_agents.retrieval.listing": "SyncReport",
    "mistral_agents.retrieval.passages": "find_passages",
    "mistral_agents.retrieval.search_indexes": "compile_filter",
    "mistral_agents.retrieval.settings": "Settings checked_library_ids",
    "mistral_agents.retrieval.snapshot": "Query",
    "mistral_agents.retrieval.vectors": "fuse",
    "mistral_agents.security": "LibraryNotAllowedError Safeguards",
    "mistral_agents.specs": "AgentSpec in_order load_specs",
    "mistral_agents.tools": "CodeInterpreter Connector DocumentLibrary HOSTED HostedTool ImageGeneration WebSearch hybrid_tools translate_tools",
    "mistral_agents.turn": "FileRef Turn",
}


@pytest.mark.parametrize("module", sorted(PATHS))
def test_an_import_path_goes_on_working(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in PATHS[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("module", "name", "package", "extra"),
    [
        ("langchain_mistral_agents", "ChatMistralAgent", "langchain_core", "[langchain]"),
        ("llama_index_mistral_agents", "MistralAgentLLM", "llama_index", "[llama-index]"),
        ("mistral_agents_server.testing", "Standin", "uvicorn", "[server]"),
    ],
)
def test_without_its_extra_a_name_says_what_to_install(module: str, name: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\ntry:\n    from {module} import {name}\nexcept ModuleNotFoundError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"pip install 'mistral-agents{extra}'" in done.stdout, done.stderr
