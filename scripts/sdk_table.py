"""What there is here for the SDK's requests: names of ours, and reasons for what is left out."""

from __future__ import annotations

RESOURCES = {
    "conversations": "conversations",
    "beta_agents": "agents",
    "libraries": "libraries",
    "documents": "documents",
    "accesses": "accesses",
    "files": "files",
    "models_": "models",
    "connectors": "connectors",
    "jobs": "jobs",
    "embeddings": "embeddings",
    "managed_indexes": "search_indexes",
    "context_search_indexes": "search_indexes",
}
"""Modules of the SDK, by its majors, and what their methods are called here."""

_SAME = {
    "conversations": (
        "start", "start_stream", "append", "append_stream", "restart", "restart_stream", "get", "get_history",
        "get_messages", "delete", "list",
    ),
    "agents": ("create", "get", "update", "delete", "get_version"),
    "libraries": ("create", "get", "update", "delete", "list"),
    "files": ("upload", "list", "delete", "download"),
    "models": ("list",),
    "connectors": ("create", "list", "get", "update", "delete", "share", "unshare"),
    "embeddings": ("create",),
    "search_indexes": ("create", "get", "delete", "list", "delete_documents", "search"),
}  # fmt: skip
METHODS = {
    **{f"{resource}.{name}": f"{resource}.{name}" for resource, names in _SAME.items() for name in names},
    **{f"jobs.{name}": f"batches.{name}" for name in ("create", "get", "list", "cancel", "delete")},
    "agents.list_pages": "agents.list",
    "agents.list_versions": "agents.versions",
    "agents.update_version": "agents.switch_version",
    "agents.create_version_alias": "agents.set_alias",
    "agents.list_version_aliases": "agents.aliases",
    "agents.delete_version_alias": "agents.delete_alias",
    "documents.list": "libraries.documents",
    "documents.upload": "libraries.upload",
    "documents.get": "libraries.document",
    "documents.update": "libraries.update_document",
    "documents.delete": "libraries.delete_document",
    "documents.text_content": "libraries.text",
    "documents.status": "libraries.status",
    "documents.get_signed_url": "libraries.signed_url",
    "documents.extracted_text_signed_url": "libraries.signed_url",
    "documents.reprocess": "libraries.reprocess",
    "accesses.list": "libraries.list_accesses",
    "accesses.update_or_create": "libraries.share",
    "accesses.delete": "libraries.unshare",
    "files.retrieve": "files.get",
    "files.get_signed_url": "files.signed_url",
    "models.retrieve": "models.get",
    "connectors.list_tools": "connectors.tools",
    "connectors.call_tool": "connectors.call",
    "connectors.get_authentication_methods": "connectors.auth_methods",
    "connectors.get_auth_url": "connectors.auth_url",
    "connectors.share_to_organization": "connectors.share",
    "connectors.unshare_from_organization": "connectors.unshare",
    "connectors.activate_for_consumer": "connectors.activate",
    "connectors.deactivate_for_consumer": "connectors.deactivate",
    "connectors.list_user_credentials": "connectors.credentials",
    "connectors.list_workspace_credentials": "connectors.credentials",
    "connectors.list_organization_credentials": "connectors.credentials",
    "connectors.create_credentials": "connectors.set_credentials",
    "connectors.update_credentials": "connectors.set_credentials",
    "connectors.delete_credentials": "connectors.delete_credentials",
    "connectors.delete_user_credentials": "connectors.delete_credentials",
    "connectors.delete_workspace_credentials": "connectors.delete_credentials",
    "connectors.delete_organization_credentials": "connectors.delete_credentials",
    "search_indexes.ingest_documents": "search_indexes.ingest",
    "search_indexes.get_index_summary": "search_indexes.summary",
    "search_indexes.set_index_summary": "search_indexes.set_summary",
    "search_indexes.generate_index_summary": "search_indexes.generate_summary",
}
"""Methods of the SDK, and ours for them."""

FIELDS = {
    "connector_id_or_name": "connector",
    "consumer_scope": "scope",
    "credentials_name": "credentials",
    "index_name": "name",
    "model_id": "model",
    "share_with_uuid": "share_with",
    "agents.list_pages.id": "agent_id",
    "documents.list.filters_attributes": "attributes",
    "libraries.list.filter_owned_by_me": "owned_by_me",
    "files.get_signed_url.expiry": "hours",
    "jobs.create.input_files": "requests",
    "connectors.call_tool.tool_name": "tool",
    "connectors.delete_credentials.credentials_name": "name",
    "connectors.delete_user_credentials.credentials_name": "name",
    "connectors.delete_workspace_credentials.credentials_name": "name",
    "connectors.delete_organization_credentials.credentials_name": "name",
    "connectors.get_auth_url.credentials_title": "title",
    "search_indexes.delete_documents.document_ids": "source_ids",
    "search_indexes.create.config": "embedding",
    "search_indexes.set_index_summary.status": "confirmed",
}
"""Parameters with another name here; a name alone holds for every method."""

_WALKED = "lists are read to their end"
ANYWHERE = {"page": _WALKED, "page_token": _WALKED, "cursor": _WALKED}
"""Parameters that no method of ours takes, and why."""

_MODELS_ADMIN = "it changes models of one's own (fine-tuning), which is no part of agents and conversations"
_INDEX_EXPERT = "a preview; the stand-in takes it, `client.sdk.beta.context.search_indexes` calls it"
_GATEWAY = "the connector gateway hands out a client of another package; the service runs the tools here"
_PASSED = "in a mapping, as the service takes it"
LEFT_OUT = {
    "models.delete": _MODELS_ADMIN,
    "models.update": _MODELS_ADMIN,
    "models.archive": _MODELS_ADMIN,
    "models.unarchive": _MODELS_ADMIN,
    "models.list.provider": "choose from the rows",
    "models.list.model": "choose from the rows",
    "embeddings.create.metadata": "nothing here looks for vectors by it",
    "embeddings.create.output_dtype": "vectors are numbers here; other forms are for stores of one's own",
    "embeddings.create.encoding_format": "vectors are numbers here; other forms are for stores of one's own",
    "accesses.update_or_create.org_id": "the service knows the organisation of the key",
    "accesses.delete.org_id": "the service knows the organisation of the key",
    "files.list.include_total": "the rows are counted by whoever reads them",
    "jobs.get.inline": "`batches.results` reads them, in order and with errors in place",
    "connectors.mcp_client": _GATEWAY,
    "connectors.http_client": _GATEWAY,
    "connectors.create.request": "as the fields of CreateConnectorRequest, below",
    "connectors.update.request_body": "as keywords, see `ConnectorChanges`",
    "connectors.list.query_filters": "choose from the rows, which tell the protocol",
    "connectors.get.fetch_user_data": "credentials are listed by `connectors.credentials`",
    "connectors.get.fetch_customer_data": "credentials are listed by `connectors.credentials`",
    "connectors.list_tools.pretty": "it is a form for people; the tools come as data",
    "connectors.list_user_credentials.fetch_default": "the rows tell which is the default",
    "connectors.list_workspace_credentials.fetch_default": "the rows tell which is the default",
    "connectors.list_organization_credentials.fetch_default": "the rows tell which is the default",
    "connectors.get_auth_url.github_installation_link": "it is for one vendor's installation page",
    "connectors.create_credentials.credentials": "as bearer_token or headers",
    "connectors.update_credentials.credentials": "as bearer_token or headers",
    "connectors.delete_all_user_credentials": "too easy to regret; `delete_credentials` deletes one by its name",
    "search_indexes.update": _INDEX_EXPERT,
    "search_indexes.get_chunk": _INDEX_EXPERT,
    "search_indexes.grep": _INDEX_EXPERT,
    "search_indexes.navigate": _INDEX_EXPERT,
    "search_indexes.read": _INDEX_EXPERT,
    "CreateConnectorRequest.protocol": "the service finds it out",
    "CreateConnectorRequest.auth_methods": "given to `connectors.update` once the connector is there",
}
"""Methods, parameters and fields that have nothing here, and why."""

_ENTRY = "as an entry in `inputs`"
_TOOL = "as an option of `mistral_agents.tools`"
_CREATE = "as an argument of `connectors.create`"
_GUARD = "as a mapping in `guardrails`"
_QUERY = "as a mapping in `search`"
_CATEGORIES = (
    "sexual",
    "hate_and_discrimination",
    "violence_and_threats",
    "selfharm",
    "health",
    "financial",
    "law",
    "pii",
)
_MODERATION = {"model_name", "custom_category_thresholds", "ignore_other_categories", "action"}
_OF_ENTRY = {"object", "type", "created_at", "completed_at", "id"}
_OF_SPEAKER = {*_OF_ENTRY, "agent_id", "model"}
MAPPINGS: dict[str, tuple[str, set[str]]] = {
    "CompletionArgs": ("as an option", set()),
    "ToolConfiguration": (_TOOL, {"exclude", "include", "requires_confirmation"}),
    "WebSearchTool": (_TOOL, {"tool_configuration", "type"}),
    "WebSearchPremiumTool": (_TOOL, {"tool_configuration", "type"}),
    "CodeInterpreterTool": (_TOOL, {"tool_configuration", "type"}),
    "ImageGenerationTool": (_TOOL, {"tool_configuration", "type"}),
    "DocumentLibraryTool": (_TOOL, {"library_ids", "tool_configuration", "type"}),
    "CustomConnector": (_TOOL, {"connector_id", "type", "authorization", "tool_configuration"}),
    "FunctionTool": ("as a tool", {"function", "type"}),
    "Function": ("as a tool", {"name", "parameters", "description", "strict"}),
    "GuardrailConfig": (_GUARD, {"block_on_error", "moderation_llm_v1", "moderation_llm_v2"}),
    "ModerationLlmv1Config": (_GUARD, _MODERATION),
    "ModerationLlmv2Config": (_GUARD, _MODERATION),
    "ModerationLlmv1CategoryThresholds": (_GUARD, {*_CATEGORIES, "dangerous_and_criminal_content"}),
    "ModerationLlmv2CategoryThresholds": (_GUARD, {*_CATEGORIES, "dangerous", "criminal", "jailbreaking"}),
    "ToolCallConfirmation": ("as a mapping in `tool_confirmations`", {"tool_call_id", "confirmation"}),
    "ResponseFormat": ("as the option `response_format`", {"type", "json_schema"}),
    "JSONSchema": ("as the option `response_format`", {"name", "schema_definition", "description", "strict"}),
    "Prediction": ("as the option `prediction`", {"type", "content"}),
    "MessageInputEntry": (_ENTRY, {*_OF_ENTRY, "role", "content", "prefix"}),
    "MessageOutputEntry": (_ENTRY, {*_OF_SPEAKER, "role", "content"}),
    "FunctionResultEntry": (_ENTRY, {*_OF_ENTRY, "tool_call_id", "result"}),
    "FunctionCallEntry": (_ENTRY, {*_OF_SPEAKER, "tool_call_id", "name", "arguments", "confirmation_status"}),
    "ToolExecutionEntry": (_ENTRY, {*_OF_SPEAKER, "name", "arguments", "info"}),
    "AgentHandoffEntry": (
        _ENTRY,
        {*_OF_ENTRY, "previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name"},
    ),
    "CreateConnectorRequest": (
        _CREATE,
        {
            "name", "description", "server", "headers", "global_headers", "auth_data", "oauth2_server_metadata",
            "oauth2_server_metadata_url", "title", "icon_url", "visibility", "system_prompt",
        },
    ),
    "AuthData": ("as a mapping in `auth_data`", {"client_id", "client_secret", "client_scopes"}),
    "KeywordRetriever": (_QUERY, {"query", "top_k", "type", "operator", "filter_", "field"}),
    "NearestNeighbourRetriever": (
        _QUERY,
        {"top_k", "type", "query", "query_embedding", "field", "filter_", "max_candidates"},
    ),
}  # fmt: skip
"""Models of the SDK that stand in requests: how they are given here, and the fields that are known."""
