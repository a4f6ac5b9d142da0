"""The client: one object for agents, conversations, libraries, files and connectors, sync and async."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import Self

from mistral_agents._http.concealed import Concealed, conceal, conceal_fields, conceal_settings
from mistral_agents._lazy import load_modules
from mistral_agents.errors import ConfigurationError
from mistral_agents.security import Safeguards

if TYPE_CHECKING:
    from mistral_agents._http.clients import ApiKey
    from mistral_agents.agents import Agents
    from mistral_agents.batches import Batches
    from mistral_agents.connector_api import Connectors
    from mistral_agents.conversations import Conversations
    from mistral_agents.embeddings import Embeddings
    from mistral_agents.files import Files
    from mistral_agents.libraries import Libraries
    from mistral_agents.models import Models
    from mistral_agents.retrieval.search_indexes import SearchIndexes


class MistralAgents:
    """Client of Mistral's agents, conversations, document libraries and files.

    No request is made before a method is called. One object may be shared by threads and event loops, pickled and
    deep-copied; a pickle holds an `api_key` that was given explicitly, so prefer MISTRAL_API_KEY there.

    Args:
        api_key: The key, or a function that returns it (an asynchronous one serves asynchronous calls only); None
            reads MISTRAL_API_KEY at each request, else a service account's token as the SDK does.
        base_url: Address of the service without `/v1`; None reads MISTRAL_BASE_URL, else the service's own.
        timeout: Seconds that a call may take in all, from the first byte sent to the last one read, with its retries
            and pauses; of a stream, seconds until it begins. Transfers of files have no end but silence of this
            length. None takes the default, 300.
        max_retries: How often a request is sent again after a failure that makes this safe; 0 turns it off.
        retry_stateless: Whether a turn with `store=False` counts as safe after a 5xx, a timeout or a broken connection,
            where its tools have no effects; such a turn may be paid for twice. Effects have connectors, image
            generation, tools that this version does not know, and agents whose tools this client has not read.
        stream_idle_timeout: Seconds without a byte after which a stream is given up; None takes `timeout`.
        stream_event_timeout: Seconds without a whole event after which a stream is given up, although comments come;
            None takes the default, 600.
        max_body_bytes: The largest reply, event or file that is read, in bytes; None takes the default, 512 MiB.
        http_client: Your own HTTP client (proxies, certificates) of the library the SDK uses: `httpx2.Client` with
            mistralai 3, `httpx.Client` with 2. Never closed here.
        async_http_client: The same for asynchronous calls; it serves one event loop only.
        sdk: Your own `mistralai.client.Mistral`, whose settings are then used.
        headers: Headers to send with every request.
        safeguards: Which libraries may be used, and a redaction hook on inputs.

    Raises:
        ConfigurationError: A setting is wrong.

    Examples:
        >>> client = MistralAgents()
        >>> turn = client.conversations.start("Hello", model="mistral-small-latest")
        >>> turn.text, turn.conversation_id
    """

    def __init__(
        self,
        *,
        api_key: ApiKey = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        retry_stateless: bool = True,
        stream_idle_timeout: float | None = None,
        stream_event_timeout: float | None = None,
        max_body_bytes: int | None = None,
        http_client: object = None,
        async_http_client: object = None,
        sdk: object = None,
        headers: Mapping[str, str] | None = None,
        safeguards: Safeguards | None = None,
    ) -> None:
        from mistral_agents._api.planner import Planner
        from mistral_agents._http.clients import Clients
        from mistral_agents._http.transport import Transport
        from mistral_agents._tools.policy import PolicyBook

        load_modules("mistral_agents.conversations")
        # Rebound at once: an error tracker that keeps local variables shall not find them here.
        key, api_key = conceal(api_key), None
        address, base_url = conceal(base_url), None
        headers = conceal_fields(headers)
        self._clients = Clients(
            api_key=key,
            base_url=address,
            timeout=timeout,
            max_retries=max_retries,
            stream_idle_timeout=stream_idle_timeout,
            stream_event_timeout=stream_event_timeout,
            max_body_bytes=max_body_bytes,
            http_client=http_client,
            async_http_client=async_http_client,
            sdk=sdk,
            headers=headers,
        )
        self._transport = Transport(self._clients)
        given = safeguards if safeguards is not None else Safeguards()
        if not isinstance(given, Safeguards):
            raise ConfigurationError(f"safeguards must be Safeguards(...), or None, not {type(given).__name__}.")
        self._planner = Planner(PolicyBook(), given, retry_stateless=retry_stateless)

    # Rooms are loaded when they are first used: importing a wing shall not take what only a call needs.

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations: start, append, restart, history, list, delete."""
        from mistral_agents.conversations import Conversations

        return Conversations(self._transport, self._planner)

    @cached_property
    def agents(self) -> Agents:
        """Agents: create, ensure, update, versions, aliases."""
        from mistral_agents.agents import Agents

        return Agents(self._transport, self._planner)

    @cached_property
    def libraries(self) -> Libraries:
        """Document libraries: create, upload, wait until ready, texts, sharing."""
        from mistral_agents.libraries import Libraries

        return Libraries(self._transport)

    @cached_property
    def files(self) -> Files:
        """Files: what tools made, and uploads."""
        from mistral_agents.files import Files

        return Files(self._transport)

    @cached_property
    def embeddings(self) -> Embeddings:
        """Embeddings: vectors of texts."""
        from mistral_agents.embeddings import Embeddings

        return Embeddings(self._transport)

    @cached_property
    def search_indexes(self) -> SearchIndexes:
        """Search indexes: made, filled and searched; a preview of the service, experimental here."""
        from mistral_agents.retrieval.search_indexes import SearchIndexes

        return SearchIndexes(self._transport)

    @cached_property
    def models(self) -> Models:
        """Models: context, capabilities, and which go when."""
        from mistral_agents.models import Models

        return Models(self._transport, self._planner.notes)

    @cached_property
    def batches(self) -> Batches:
        """Batch jobs: many requests at once, results in their order."""
        from mistral_agents.batches import Batches

        return Batches(self._transport, self._planner)

    @cached_property
    def connectors(self) -> Connectors:
        """Connectors registered with the service: list, tools, call."""
        from mistral_agents.connector_api import Connectors

        return Connectors(self._transport)

    @property
    def beta(self) -> Self:
        """The client itself, so that scripts written for the SDK's `client.beta.…` run unchanged."""
        return self

    @property
    def base_url(self) -> str:
        """The service's address, without credentials it may have been given with."""
        return self._clients.base_url

    @property
    def timeout(self) -> float:
        """Seconds to wait for a reply."""
        return self._clients.timeout

    @property
    def sdk(self) -> Any:
        """The SDK's client with these settings, for the rest of the service; for synchronous calls."""
        return self._clients.sync_sdk()

    @property
    def async_sdk(self) -> Any:
        """The SDK's client of the running event loop, for asynchronous calls."""
        return self._clients.loop_sdk()

    def close(self) -> None:
        """Close the synchronous connections; the client can be used again afterwards."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the synchronous ones."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        clients = self.__dict__.get("_clients")  # None where the constructor failed
        return f"MistralAgents(base_url={clients.base_url!r})" if clients is not None else "MistralAgents()"


def choose_client(client: MistralAgents | None, **settings: Any) -> MistralAgents:
    """The client that was given, else one of the settings that were given.

    Args:
        client: The caller's own client.
        settings: As of `MistralAgents`; None counts as not given, and a key may be a pydantic `SecretStr`.

    Raises:
        ConfigurationError: Both were given.
    """
    settings = conceal_settings(settings)
    given = {name: value for name, value in settings.items() if value is not None}
    if client is None:
        return MistralAgents(api_key=_open_key(given.pop("api_key", None)), **given)
    if given:
        names = " and ".join(sorted(given))
        raise ConfigurationError(f"Give client, or {names}, not both: a client has its own settings.")
    return client


def share_client(
    *, api_key: object, base_url: str | None, headers: Mapping[str, str] | None, **settings: object
) -> MistralAgents:
    """One client for each set of settings, so that copies of a model share connections.

    Args:
        api_key: As of `MistralAgents`, or a pydantic `SecretStr`.
        base_url: The address; None is that of the environment as it is now.
        headers: Headers of every request.
        settings: Further settings, as of `MistralAgents`.
    """
    address, base_url = conceal(base_url if base_url is not None else os.environ.get("MISTRAL_BASE_URL")), None
    given = tuple(sorted(headers.items())) if headers else ()
    return _make_shared(api_key, address, given, tuple(settings.items()))


@lru_cache(maxsize=64)
def _make_shared(
    api_key: object,
    address: Concealed | None,
    headers: tuple[tuple[str, str], ...],
    settings: tuple[tuple[str, Any], ...],
) -> MistralAgents:
    return MistralAgents(
        api_key=_open_key(api_key),
        base_url=address.reveal() if address is not None else None,
        headers=dict(headers) or None,
        **dict(settings),
    )


def _open_key(key: object) -> ApiKey:
    opened: Any = key.get_secret_value() if hasattr(key, "get_secret_value") else key
    return cast("ApiKey", opened)
