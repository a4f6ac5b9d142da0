"""One table of options: what each is called, where it goes, and what happens otherwise.

Both wings, `Conversation` and the docs read it (`docs/options.md` is written by `scripts/options_page.py`). An option
is known under its own name and its aliases; None always means that it was not given.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mistral_agents._border.tool_choices import check_tools
from mistral_agents._json import JsonDict
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError

Place = Literal["completion_args", "request", "client", "package", "refused"]
"""Where an option goes: the service's `completion_args`, other parts of a request, the HTTP client, this package."""
Where = Literal["constructor", "call", "conversation"]
"""Where an option may be given: to a model's constructor, to one call, to `Conversation`."""
_EVERYWHERE: frozenset[Where] = frozenset({"constructor", "call", "conversation"})
_MODEL: frozenset[Where] = frozenset({"constructor", "call"})


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table.

    Attributes:
        name: Its name here, which is the service's where the service has one.
        goes: Where it goes.
        note: What it does, or why it can't be had.
        aliases: Its names elsewhere.
        given: Where it may be given.
        beside_agent: What happens to it beside `agent_id`: it is sent, enforced by this package, or refused.
        fault: Says what is wrong with a value; None for a good one.
        empty_is_none: Whether an empty list or text asks for nothing.
        is_secret: Whether a value may hold a key or a password, so that errors name its type only.
    """

    name: str
    goes: Place
    note: str
    aliases: tuple[str, ...] = ()
    given: frozenset[Where] = _EVERYWHERE
    beside_agent: Literal["sent", "enforced", "refused"] = "sent"
    fault: Callable[[Any], str | None] | None = None
    empty_is_none: bool = False
    is_secret: bool = False

    def asks_nothing(self, value: object) -> bool:
        """Whether a value that is no fault asks for nothing all the same."""
        return self.empty_is_none and not value


def _sampling(
    name: str, note: str, *aliases: str, beside_agent: Literal["enforced", "refused"] = "refused", **more: Any
) -> Option:
    return Option(name, "completion_args", note, aliases, beside_agent=beside_agent, **more)


def _refused(name: str, note: str, *aliases: str) -> Option:
    return Option(name, "refused", note, aliases)


def _check_number(value: object) -> str | None:
    return None if isinstance(value, (int, float)) and not isinstance(value, bool) else "a number is wanted"


def _check_finite(value: object) -> str | None:
    good = _check_number(value) is None and -math.inf < value < math.inf  # type: ignore[operator]
    return None if good else "a number is wanted"


def _check_count(value: object) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if good else "a whole number from 0 is wanted"


def _check_mapping(value: object) -> str | None:
    return None if isinstance(value, Mapping) else "a dict is wanted"


def _check_list_of_dicts(value: object) -> str | None:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, Mapping) for v in value)
    return None if listed else "a list of dicts is wanted"


def _check_words(value: object) -> str | None:
    listed = isinstance(value, Sequence) and all(isinstance(word, str) for word in value)
    return None if listed else "a text or a list of texts is wanted"


def _check_text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "a text that is not empty is wanted"


def _check_words_of_any_length(value: object) -> str | None:
    return None if isinstance(value, str) else "a text is wanted"


def _check_flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false is wanted"


def _check_one(value: object) -> str | None:
    return None if value == 1 and not isinstance(value, bool) else "the service gives one answer per turn"


def _check_true(value: object) -> str | None:
    return None if value is True else "the usage always comes with the end of a stream; leave the option out"


def _check_handoffs(value: object) -> str | None:
    return None if value in ("server", "client") else "'server' or 'client' is wanted"


def _check_policy(value: object) -> str | None:
    return None if value in ("restart", "new", "raise") else "'restart', 'new' or 'raise' is wanted"


TABLE: tuple[Option, ...] = (
    _sampling("temperature", "Sampling temperature.", fault=_check_finite),
    _sampling("top_p", "Share of the probable words that are sampled from.", fault=_check_finite),
    _sampling(
        "max_tokens", "Longest answer, in tokens.", "max_completion_tokens", "max_output_tokens", fault=_check_count
    ),
    _sampling("random_seed", "For answers that can be repeated.", "seed", fault=_check_count),
    _sampling("presence_penalty", "Against words that came already.", fault=_check_finite),
    _sampling("frequency_penalty", "Against words that came often.", fault=_check_finite),
    _sampling(
        "stop",
        "Texts that end the answer. Beside `agent_id` both wings cut the answer themselves; `Conversation` refuses it "
        "there.",
        "stop_sequences",
        beside_agent="enforced",
        fault=_check_words,
        empty_is_none=True,
    ),
    _sampling("response_format", "The form of the answer, by the service's schema.", fault=_check_mapping),
    _sampling("prediction", "What the answer will probably be, to get it sooner.", fault=_check_mapping),
    _sampling(
        "reasoning_effort",
        "`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; other words are sent as they are.",
        fault=_check_text,
    ),
    _sampling(
        "tool_choice",
        "`auto`, `none`, `any` or `required` (or True), a function's name, or the dicts that name one: the service "
        "knows no named tool, so only that one is offered then, and must be called. A forced choice is refused beside "
        "hosted tools, as the service does, and where there is no tool. An agent decides itself: a forced choice gives "
        "a warning there.",
    ),
    Option(
        "parallel_tool_calls",
        "package",
        "False keeps the first function call of a turn; calls left out are answered with a note in the next turn of a "
        "stored conversation. The service has no such option.",
        given=_MODEL,
        beside_agent="enforced",
        fault=_check_flag,
    ),
    Option(
        "n", "package", "1 asks for nothing special and is accepted; the service gives one answer.", fault=_check_one
    ),
    Option(
        "stream_usage",
        "package",
        "True is what always happens: the usage stands at a stream's end.",
        fault=_check_true,
    ),
    Option(
        "strict",
        "package",
        "Whether the function tools of this call must be called exactly by their schema.",
        given=frozenset({"call"}),
        fault=_check_flag,
    ),
    Option(
        "completion_args",
        "completion_args",
        "Further completion options by the service's names; these win over the options of the same name. A name that "
        "this version does not know is sent with a warning.",
        ("model_kwargs", "additional_kwargs"),
        beside_agent="refused",
        fault=_check_mapping,
    ),
    Option("model", "request", "The model that answers.", ("model_name",), beside_agent="refused", fault=_check_text),
    Option(
        "agent_id",
        "request",
        "The agent that answers; it brings its own model, instructions, tools and options.",
        given=frozenset({"constructor", "conversation"}),
        fault=_check_text,
    ),
    Option(
        "agent_version",
        "request",
        "A version of the agent (they start at 0), or an alias.",
        given=frozenset({"constructor", "conversation"}),
    ),
    Option(
        "instructions",
        "request",
        "System prompt (LangChain and `Conversation`); in LlamaIndex it is a message or `system_prompt`.",
        given=frozenset({"constructor", "conversation"}),
        beside_agent="refused",
    ),
    Option(
        "tools",
        "request",
        "Hosted tools, and function tools that run here; `connectors` is LangChain's name in the constructor.",
        ("connectors",),
        beside_agent="refused",
        fault=check_tools,
        is_secret=True,
    ),
    Option(
        "store",
        "request",
        "Whether the service keeps the conversation.",
        fault=_check_flag,
    ),
    Option(
        "conversation_id",
        "request",
        "The stored conversation to go on with.",
        given=_MODEL,
        fault=_check_text,
    ),
    Option(
        "on_divergence",
        "package",
        "`restart`, `new` or `raise`: what to do where messages are no continuation of a stored conversation.",
        given=frozenset({"constructor"}),
        fault=_check_policy,
    ),
    Option(
        "handoff_execution",
        "request",
        "`server` or `client`: who runs an agent's handoffs. Refused where a model starts a conversation.",
        fault=_check_handoffs,
    ),
    Option(
        "guardrails",
        "request",
        "Moderation rules, as the service takes them. They go with the start of a conversation and with branches; the "
        "service takes none with a further turn. A block is a `GuardrailBlockedError`.",
        fault=_check_list_of_dicts,
    ),
    Option(
        "metadata",
        "request",
        "Your own keys, kept with a new stored conversation (in LangChain's constructor for traces too; what "
        '`config["metadata"]` holds is for traces and is never sent).',
        ("conversation_metadata",),
        fault=_check_mapping,
    ),
    Option(
        "name",
        "request",
        "A name for a new conversation.",
        given=frozenset({"call", "conversation"}),
        fault=_check_text,
    ),
    Option(
        "description",
        "request",
        "Its description.",
        given=frozenset({"call", "conversation"}),
        fault=_check_words_of_any_length,
    ),
    Option(
        "tool_confirmations",
        "request",
        "Decisions on hosted tools that wait: `tool_call_id` and `confirmation` (`allow` or `deny`) each.",
        given=frozenset({"call"}),
        fault=_check_list_of_dicts,
    ),
    Option(
        "timeout",
        "client",
        "Seconds for a whole call, retries included (a stream: until it begins).",
        ("request_timeout",),
        fault=_check_number,
    ),
    Option(
        "headers",
        "client",
        "Further HTTP headers.",
        ("default_headers",),
        fault=_check_mapping,
        is_secret=True,
    ),
    Option(
        "max_retries",
        "client",
        "How often a request is sent again when this is safe; 0 turns it off.",
        given=frozenset({"constructor"}),
        fault=_check_count,
    ),
    Option(
        "retry_stateless",
        "client",
        "Whether a turn that is not kept, with tools without effects, is sent again after a 5xx or a lost reply.",
        given=frozenset({"constructor"}),
        fault=_check_flag,
    ),
    Option(
        "api_key",
        "client",
        "The key, or a function that returns it; else MISTRAL_API_KEY. It is only ever in the request's header.",
        ("mistral_api_key",),
        given=frozenset({"constructor"}),
    ),
    Option(
        "base_url",
        "client",
        "Address of the service, without `/v1`; else MISTRAL_BASE_URL.",
        ("endpoint", "api_base", "server_url"),
        given=frozenset({"constructor"}),
        fault=_check_text,
        is_secret=True,
    ),
    Option(
        "http_client",
        "client",
        "Your own HTTP client (proxies, certificates), of the library the SDK uses.",
        given=frozenset({"constructor"}),
    ),
    Option("async_http_client", "client", "The same for asynchronous calls.", given=frozenset({"constructor"})),
    _refused("top_k", "The service samples by temperature and top_p only."),
    _refused("logprobs", "The service tells no probabilities.", "top_logprobs"),
    _refused("logit_bias", "The service has no such option."),
    _refused("safe_prompt", "The conversations API has no such option; see guardrails.", "safe_mode"),
    _refused("user", "The service has no such option; put it into metadata."),
    _refused("service_tier", "The conversations API has no such option.", "prompt_cache_key", "verbosity"),
    _refused("functions", "Give tools, and tool_choice.", "function_call"),
    _refused("built_in_tools", "Give hosted tools as connectors.", "builtin_tools"),
    _refused(
        "previous_response_id",
        "store=True keeps the conversation, and its id travels with the answers; conversation_id goes on with one.",
        "use_previous_response_id",
        "track_previous_responses",
    ),
)
_NEEDLESS = ("n", "stream_usage")
"""Options whose only good value is what happens anyway."""
_BY_NAME: dict[str, Option] = {name: option for option in TABLE for name in (option.name, *option.aliases)}
_COMPLETION = frozenset(
    option.name for option in TABLE if option.goes == "completion_args" and option.name != "completion_args"
)
COMPLETION_OPTIONS = tuple(option.name for option in TABLE if option.name in _COMPLETION)
"""Options of an answer, which a model may be set to and a call may give."""
MODEL_OPTIONS = (*COMPLETION_OPTIONS, "completion_args", "parallel_tool_calls", "guardrails")
"""Settings of a model that the options of the same name of a call win over."""
CLIENT_OPTIONS = tuple(option.name for option in TABLE if option.goes == "client")
"""Settings of a model that are its client's."""
_HINT = "All options, their other names and where they go: docs/options.md."
_FIXED: dict[Where, str] = {
    "constructor": "it is given per call",
    "call": "it is a setting of the model, not of a call",
    "conversation": "`Conversation` takes none",
}


def resolve_options(
    given: Mapping[str, Any], *, what: str, where: Where, others: Iterable[str] = (), without: Iterable[str] = ()
) -> JsonDict:
    """Options under their own names, without those that are None or ask for nothing; every value is checked.

    Args:
        given: Options as the caller wrote them.
        what: Who takes them, for errors.
        where: Where they were given.
        others: Names that are not in the table and that the caller knows; their values are not looked at.
        without: Options of the table that the caller can't take.

    Raises:
        ConfigurationError: A name is unknown, an option can't be honoured, is given twice, or has a wrong value.
    """
    passed, refused = frozenset(others), frozenset(without)
    found: JsonDict = {}
    spelt: dict[str, str] = {}
    for name, value in given.items():
        option = _BY_NAME.get(name)
        if name in passed and (option is None or where not in option.given):
            if value is not None:
                found[name] = value
            continue
        if option is None or option.name in refused:
            raise _explain_unknown_name(name, what, where, passed, refused)
        if value is None:
            continue
        _check_value(option, name, value, what, where)
        if option.asks_nothing(value):
            continue
        value = resolve_completion_args(value) if option.name == "completion_args" else value
        if option.name == "completion_args" and "completion_args" in found:
            found["completion_args"] = {**found["completion_args"], **value}
        elif option.name in found and found[option.name] != value:
            raise ConfigurationError(
                f"{what}: {spelt[option.name]} and {name} are one option and were given two values."
            )
        else:
            found[option.name], spelt[option.name] = value, name
    return {name: value for name, value in found.items() if name not in _NEEDLESS}


def _check_value(option: Option, name: str, value: object, what: str, where: Where) -> None:
    if option.goes == "refused":
        raise ConfigurationError(f"{what} takes no {name}: {option.note}", hint=_HINT)
    if where not in option.given:
        raise ConfigurationError(f"{what} takes no {name} here: {_FIXED[where]}.", hint=_HINT)
    fault = option.fault(value) if option.fault is not None else None
    if fault is not None:
        told = f" of type {type(value).__name__}" if option.is_secret else f"={value!r}"
        raise ConfigurationError(f"{what}: {name}{told} can't be honoured: {fault}.", hint=_HINT)


def _explain_unknown_name(
    name: str, what: str, where: Where, others: frozenset[str], refused: frozenset[str]
) -> ConfigurationError:
    known = [n for n, option in _BY_NAME.items() if where in option.given and option.name not in refused]
    return refuse_unknown(name, what, [n for n in known if _BY_NAME[n].goes != "refused"], others)


def refuse_unknown(name: str, what: str, known: Iterable[str], others: Iterable[str] = ()) -> ConfigurationError:
    """The error about a name that nobody knows: what was probably meant, else what there is.

    Args:
        name: The name.
        what: Who takes no such name.
        known: The names there are.
        others: More of them, which are not listed.
    """
    listed = sorted(known)
    meant = difflib.get_close_matches(name, [*listed, *others], n=1, cutoff=0.7)
    rest = f"did you mean {meant[0]}?" if meant else f"it takes {', '.join(listed)}."
    return ConfigurationError(f"{what} takes no {name}; {rest}", hint=_HINT)


def resolve_completion_args(given: Mapping[str, Any]) -> JsonDict:
    """The content of `completion_args`, under the service's names.

    Warns:
        UserWarning: A name is not known to this version; it is sent all the same, since the service may have learnt it.

    Raises:
        ConfigurationError: A name looks misspelt, or is an option that goes elsewhere; a value is wrong.
    """
    found: JsonDict = {}
    for name, value in given.items():
        option = _BY_NAME.get(name)
        if option is not None and option.name not in _COMPLETION:
            why = option.note if option.goes == "refused" else "give it by itself"
            raise ConfigurationError(f"{name} is no completion option: {why}", hint=_HINT)
        if option is None:
            _check_unheard_of(name)
        elif value is not None:
            _check_value(option, name, value, "completion_args", "call")
        if value is not None and not (option is not None and option.asks_nothing(value)):
            found[option.name if option is not None else name] = value
    return found


def _check_unheard_of(name: str) -> None:
    meant = difflib.get_close_matches(name, sorted(_BY_NAME), n=1, cutoff=0.7)
    if meant:
        raise ConfigurationError(f"completion_args has no {name}; did you mean {meant[0]}?", hint=_HINT)
    text = f"completion_args: {name} is not known to this version; it is sent as it is."
    warn_user(f"{text} If the service refuses it, leave it out.")


def take_completion(options: JsonDict) -> JsonDict:
    """Take the completion options out of resolved ones; what `completion_args` holds wins."""
    taken = {name: options.pop(name) for name in sorted(_COMPLETION & set(options))}
    return {**taken, **options.pop("completion_args", {})}


def check_agent_options(options: Mapping[str, Any], *, enforced: Iterable[str] = ()) -> None:
    """Refuse what an agent brings itself; the service refuses it in the request.

    Args:
        options: Everything that was set or given, by its own name; None and empty lists count as not given.
        enforced: Options that the caller enforces itself.

    Warns:
        UserWarning: A tool choice is to be forced, which can't be asked of an agent.

    Raises:
        ConfigurationError: It names them all.
    """
    able = frozenset(enforced)
    named = {name: value for name, value in options.items() if value is not None and value != [] and name not in able}
    choice = named.pop("tool_choice", None)
    if choice == "none":
        named["tool_choice"] = choice
    refused = sorted(name for name in named if name not in _BY_NAME or _BY_NAME[name].beside_agent != "sent")
    if refused:
        raise ConfigurationError(
            f"With agent_id, {', '.join(refused)} can't be given: the service refuses such a request (422).",
            hint="Set it on the agent (client.agents.update), or use model= instead of agent_id=.",
        )
    if choice not in (None, False, "auto", "none"):
        text = f"tool_choice={choice!r} can't be forced on an agent: it decides itself, by its own completion_args."
        warn_user(f"{text} Set it there (client.agents.update), or use model= instead of agent_id=.")


_TOO_LATE: dict[str, frozenset[str]] = {
    "start": frozenset(),
    "restart": frozenset({"name", "description"}),
    "append": frozenset({"name", "description", "metadata", "guardrails"}),
}
"""What a turn can't give a conversation any more, since only its beginning takes it."""


def fit_options(options: Mapping[str, Any], operation: Literal["start", "append", "restart"]) -> JsonDict:
    """Options of a call without those that this operation doesn't take.

    Guardrails are left out in silence: a conversation keeps those of its start, and other ones begin another (they are
    part of what a conversation is set up with, as its tools are).

    Warns:
        UserWarning: A name, a description or metadata comes too late.
    """
    late = [name for name in options if name in _TOO_LATE[operation]]
    named = [name for name in late if name != "guardrails"]
    if named:
        text = f"{', '.join(named)} can be given only where a conversation begins; this one goes on without."
        warn_user(f"{text} Leave them out, or begin a new one.")
    return {name: value for name, value in options.items() if name not in late}
