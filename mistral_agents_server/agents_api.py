"""The routes of /v1/agents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.agents import AgentStore, full_args
from mistral_agents_server.checks import check_tools
from mistral_agents_server.errors import invalid, model_not_in_use
from mistral_agents_server.models_api import Models
from mistral_agents_server.offers import HostedTools, check_configurations
from mistral_agents_server.paging import has_metadata, metadata_filter, number_of, offset_of, page_of, token_for
from mistral_agents_server.wire import CreateAgentRequest, UpdateAgentRequest, read_body, wire

Wire = dict[str, Any]

_ALIAS = re.compile(r"[a-z]([a-z0-9_-]*[a-z0-9])?")
_MAX_ALIAS = 64


class AgentsApi:
    """The routes of /v1/agents.

    Args:
        store: where agents are kept.
        sources: the hosted tools that agents may have.
        models: the models that they may have.
    """

    def __init__(self, store: AgentStore, sources: Sequence[HostedTools], models: Models) -> None:
        self._store = store
        self._sources = sources
        self._models = models

    def routes(self) -> list[Route]:
        """The routes; `pages` comes before the ids."""
        one = "/v1/agents/{agent_id}"
        return [
            Route("/v1/agents", self.create, methods=["POST"]),
            Route("/v1/agents", self.list_page, methods=["GET"]),
            Route("/v1/agents/pages", self.pages, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/version", self.switch, methods=["PATCH"]),
            Route(f"{one}/versions", self.versions, methods=["GET"]),
            Route(f"{one}/versions/{{version}}", self.version, methods=["GET"]),
            Route(f"{one}/aliases", self.aliases, methods=["GET"]),
            Route(f"{one}/aliases", self.set_alias, methods=["PUT"]),
            Route(f"{one}/aliases", self.delete_alias, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """A new agent; the service answers 200."""
        given = wire(await read_body(request, CreateAgentRequest))
        self._check(given)
        return JSONResponse(await run_in_threadpool(self._store.create, given))

    def _check(self, body: Wire) -> None:
        """Check an agent's model, and its tools together with its arguments.

        Raises:
            ApiError: 400 for an unknown model, 422.
        """
        if not self._models.knows(body["model"]):
            raise model_not_in_use(body["model"])
        tools = body.get("tools") or []
        check_tools(tools, full_args(body.get("completion_args")))
        check_configurations(tools, self._sources)

    async def list_page(self, request: Request) -> Response:
        """One page of agents as a bare list, newest first."""
        page, size = page_of(request, default_size=20, max_size=1000)
        found = await run_in_threadpool(self._filtered, request)
        return JSONResponse(found[page * size : (page + 1) * size])

    async def pages(self, request: Request) -> Response:
        """One page of agents with a token for the next."""
        start = offset_of(request.query_params.get("page_token"))
        end = start + number_of(request, "page_size", 20, 1, 1000)
        found = await run_in_threadpool(self._filtered, request)
        token = token_for(end) if end < len(found) else None
        return JSONResponse({"object": "list", "data": found[start:end], "next_page_token": token})

    def _filtered(self, request: Request) -> list[Wire]:
        query = request.query_params
        found = self._store.all()
        for name in ("name", "id"):
            if name in query:
                found = [agent for agent in found if agent[name] == query[name]]
        if "search" in query:
            wanted = query["search"].lower()
            found = [agent for agent in found if wanted in agent["name"].lower() or wanted in agent["id"]]
        if "deployment_chat" in query:
            wanted_chat = query["deployment_chat"].lower() == "true"
            found = [agent for agent in found if agent["deployment_chat"] is wanted_chat]
        sources = query.getlist("sources")
        if sources:
            found = [agent for agent in found if agent["source"] in sources]
        wanted_metadata = metadata_filter(request)
        return [agent for agent in found if has_metadata(agent, wanted_metadata)]

    async def get(self, request: Request) -> Response:
        """One agent, as the version switched on or as `agent_version`."""
        version = request.query_params.get("agent_version")
        return JSONResponse(await run_in_threadpool(self._store.get, request.path_params["agent_id"], version))

    async def update(self, request: Request) -> Response:
        """A changed agent, as a new version."""
        changes = wire(await read_body(request, UpdateAgentRequest))
        for name in ("model", "name"):
            if name in changes and changes[name] is None:
                del changes[name]
        agent_id = request.path_params["agent_id"]
        return JSONResponse(await run_in_threadpool(self._store.update, agent_id, changes, self._check))

    async def delete(self, request: Request) -> Response:
        """Forget an agent."""
        await run_in_threadpool(self._store.delete, request.path_params["agent_id"])
        return Response(status_code=204)

    async def switch(self, request: Request) -> Response:
        """Let the agent answer as another version."""
        version = _version(request)
        return JSONResponse(await run_in_threadpool(self._store.switch, request.path_params["agent_id"], version))

    async def versions(self, request: Request) -> Response:
        """One page of versions, newest first."""
        page, size = page_of(request, default_size=20, max_size=100)
        found = await run_in_threadpool(self._store.versions, request.path_params["agent_id"])
        return JSONResponse(found[page * size : (page + 1) * size])

    async def version(self, request: Request) -> Response:
        """One version, by number or alias."""
        path = request.path_params
        return JSONResponse(await run_in_threadpool(self._store.get, path["agent_id"], path["version"]))

    async def aliases(self, request: Request) -> Response:
        """All aliases."""
        return JSONResponse(await run_in_threadpool(self._store.aliases, request.path_params["agent_id"]))

    async def set_alias(self, request: Request) -> Response:
        """Give a version a name."""
        alias, version = _alias(request), _version(request)
        agent_id = request.path_params["agent_id"]
        return JSONResponse(await run_in_threadpool(self._store.set_alias, agent_id, alias, version))

    async def delete_alias(self, request: Request) -> Response:
        """Forget a name."""
        await run_in_threadpool(self._store.delete_alias, request.path_params["agent_id"], _alias(request))
        return Response(status_code=204)


def _version(request: Request) -> int:
    if "version" not in request.query_params:
        raise invalid(("query", "version"), "missing", "Field required")
    return number_of(request, "version", 0, 0)


def _alias(request: Request) -> str:
    alias = request.query_params.get("alias")
    if alias is None:
        raise invalid(("query", "alias"), "missing", "Field required")
    if len(alias) > _MAX_ALIAS or _ALIAS.fullmatch(alias) is None:
        pattern = f"String should match pattern '^{_ALIAS.pattern}$'"
        raise invalid(("query", "alias"), "string_pattern_mismatch", pattern, alias)
    return alias
