"""Names that look unused and are not: `scripts.dead_code` reads this file as if it used them. One line for each reason.

A test holds that each of them is still defined; what is gone from the code goes from here.
"""

# Public names that nothing here calls, not even a test: async twins, what a tool spec of LlamaIndex lists.
_.acreate_agent, _.adocument, _.afetch_file, _.aget_last_messages, _.alist_accesses, _.areprocess, _.arestart
_.arestart_stream, _.ashare, _.async_sdk, _.aunshare, _.restart_stream, _.sync_dir, _.async_dir, _.async_folder
_.search_library, _.asearch_library, _.read_document, _.aread_document, _.alist_documents

# Public through `Conversation`, `StoreEngine` and both wings' models, though their classes stand in private modules.
_.context_tokens, _.aappend, _.confirm_calls, _.score_kind, _.snapshot_id, _.batch_job, _.abatch_job

# Read by LlamaIndex of a reader; given to its chat engines, which then answer always; read by its contexts.
_.is_remote, _.__class__, _.from_dict

# Fields of typed dicts and records that users write or read, and keys of LangGraph's state.
_.version_message, _.previous_agent_id, _.answered_in
_.api_base, _.endpoint, _.max_completion_tokens, _.max_output_tokens, _.mistral_api_key, _.model_kwargs, _.n
_.callbacks, _.completion_to_prompt, _.custom_get_token_ids, _.disable_streaming, _.messages_to_prompt
_.output_parser, _.output_version, _.profile, _.query_wrapper_prompt, _.rate_limiter, _.system_prompt, _.tags
_.request_timeout, _.seed, _.server_url, _.stop_sequences, _.stream_usage, _.conversation_metadata, _.default_headers
_.can_handoff_to, _.early_stopping_method, _.initial_state, _.state_prompt, _.structured_output_fn, _.tool_retriever
_.parallel_tool_calls

# Fields of the stand-in's requests: pydantic checks them, whether or not the stand-in does something about them.
_.auth_methods, _.block_on_error, _.custom_category_thresholds, _.icon_url, _.ignore_other_categories, _.method_type
(
    _.moderation_llm_v1,
    _.moderation_llm_v2,
    _.output_dtype,
    _.system_prompt,
    _.deployment_chat,
    _.document_name,
    _.document_url,
    _.dtype,
    _.favicon,
    _.file_type,
)
_.frequency_penalty, _.indexed, _.json_schema, _.org_id, _.prediction, _.presence_penalty, _.random_seed
_.reasoning_effort, _.reference_ids, _.schema_, _.tool_configuration, _.top_p

# Commands of the command line, under other names.
_.list_agents, _.list_jobs, _.pull, _.list_conversations, _.list_libraries, _.show_agent, _.show_conversation
_.delete_agents, _.delete_conversations, _.delete_library, _.run_verify, _.tell_status, _.tell_processing

# Filled in by a model; read or called by LlamaIndex.
_.country, _.__class__, _.is_remote, _._get_query_embedding, _._aget_query_embedding, _._get_text_embedding
_._aget_text_embedding, _._get_text_embeddings, _._aget_text_embeddings

# Read or called by matplotlib and fpdf.
_.FigureCanvas, _.manager_class, _.pyplot_show, _.show, _.created, _.modified

# Hooks of pydantic's schema generator, and what it reads of a typed dict.
_.field_title_should_be_set, _.__optional_keys__

# Options that a user gives by name; read by their name in a table.
_.app_return_url, _.sort_by, _.sort_order, _.created_after, _.created_by_me, _.order_by, _.expiry

# Asynchronous twins of a public resource.
_.asummary, _.aset_summary, _.agenerate_summary, _.ausage

# Dead; they go when the modules that hold them are written anew.
_.parsed_output

# Fields of the service's records, declared for type checkers: users read them.
_.authentication_type, _.capabilities, _.completed_requests, _.default_model_temperature
_.deprecation_replacement_model, _.error_file, _.execution_config, _.failed_requests, _.has_default_credentials
_.inputSchema, _.is_authenticated, _.mimetype, _.modified_at, _.num_lines, _.output_file, _.owned_by, _.owner_id
_.private_tool_execution, _.processing_status, _.started_at, _.supported_auth_methods
_.tokens_processing_main_content, _.tokens_processing_summary, _.tokens_processing_total, _.uploaded_by_id
_.uploaded_by_type, _.user_id, _.archived
_.updated_at, _.generated_name, _.generated_description, _.emoji, _.nb_documents, _.total_size
_.explicit_user_members_count, _.explicit_workspace_members_count, _.org_sharing_role, _.number_of_pages
_.last_processed_at

# A judge of deepeval, which calls these.
_.load_model, _.a_generate, _.get_model_name
