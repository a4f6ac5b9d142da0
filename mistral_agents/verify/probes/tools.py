"""Probes of hosted tools and connectors."""

from __future__ import annotations

from mistral_agents._json import JsonDict
from mistral_agents.errors import MistralAgentsError
from mistral_agents.tools import CodeInterpreter, ImageGeneration, WebSearch
from mistral_agents.turn import Turn
from mistral_agents.verify.plan import Finding, Probe, judge, skip, tell_refusal
from mistral_agents.verify.workbench import Workbench

_CODE = """Run this Python code and show me its output:

```python
import importlib.util, os, platform, shutil, socket
print("python", platform.python_version())
names = ("numpy", "pandas", "matplotlib", "scipy", "sklearn")
print("packages", " ".join(name for name in names if importlib.util.find_spec(name)))
print("disk_gb", shutil.disk_usage(".").free // 10**9, "cores", os.cpu_count())
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2).close()
    print("network yes")
except OSError:
    print("network no")
with open("seven.txt", "w") as file:
    file.write("7")
```"""
_MADE_UP = "no_such_function"


def _code(bench: Workbench) -> Finding:
    turn = bench.start(_CODE, tools=[CodeInterpreter()])
    output = next((run.output for run in turn.code_runs if run.output), None)
    if output is None:
        return skip("the model ran no code, or its output is not told")
    told = ("python ", "packages ", "network ")
    lines = dict(line.split(" ", 1) for line in output.splitlines() if line.startswith(told))
    seen = "; ".join(f"{name}: {value}" for name, value in lines.items())
    return judge("python" in lines, seen or "no lines of the program", files=len(turn.files), **lines)


def _image(bench: Workbench) -> Finding:
    with bench.stream("Generate an image of a red circle.", tools=[ImageGeneration()]) as stream:
        turn = stream.read()
    if not turn.files:
        return skip("the model made no image")
    bench.wait()
    data = bench.client.files.read(turn.files[0])
    return judge(len(data.data) > 0, f"{len(data.data)} bytes of {data.media_type}")


_SEARCH = "Search the web for the height of the Eiffel Tower and name the source."


def _searched_turn(bench: Workbench, premium: bool) -> Turn:
    return bench.share(f"searched {premium}", lambda: bench.start(_SEARCH, tools=[WebSearch(premium)]))


def _restart_from_run(bench: Workbench) -> Finding:
    turn = _searched_turn(bench, premium=False)
    entry = next((run.id for run in turn.tool_executions if run.id), None)
    if entry is None:
        return skip("the model searched nothing")
    try:
        branch = bench.restart(turn, entry, "In one word?")
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(branch.conversation_id != turn.conversation_id, "a branch with an id of its own was made")


def _excluded(bench: Workbench) -> Finding:
    """A search whose only function is taken away; nothing is billed where that works."""
    turn = bench.start(_SEARCH, tools=[WebSearch(exclude=["web_search"])])
    runs = [run.function for run in turn.tool_executions]
    return judge("web_search" not in runs, f"{len(runs)} runs, {runs.count('web_search')} of what was excluded")


def _searched(bench: Workbench, premium: bool) -> Finding:
    turn = _searched_turn(bench, premium)
    if not turn.tool_executions:
        return skip("the model searched nothing")
    hits = sum(len(search.hits) for search in turn.searches)
    cited = len(turn.citations)
    return judge(hits > 0, f"{len(turn.tool_executions)} runs, {hits} hits, {cited} citations", hits=hits, cited=cited)


def _search(bench: Workbench) -> Finding:
    return _searched(bench, premium=False)


def _search_premium(bench: Workbench) -> Finding:
    return _searched(bench, premium=True)


def _refuses(bench: Workbench, tool: JsonDict) -> Finding:
    """Whether a tool is refused; sent as it stands, since the client would not send it."""
    bench.wait()
    try:
        turn = bench.start_unchecked("Say seven.", [tool])
    except MistralAgentsError as error:
        return judge(True, tell_refusal(error))
    bench.keep_conversation(turn.conversation_id)
    return judge(False, "a turn was made")


def _wrong_names(place: str) -> JsonDict:
    return {"type": "web_search", "tool_configuration": {place: [_MADE_UP]}}


def _wrong_guard(bench: Workbench) -> Finding:
    return _refuses(bench, _wrong_names("requires_confirmation"))


def _wrong_include(bench: Workbench) -> Finding:
    return _refuses(bench, _wrong_names("include"))


def _unknown_connector(bench: Workbench) -> Finding:
    found = _refuses(bench, {"type": "connector", "connector_id": f"none-{bench.run_id}"})
    return judge(found.verdict != "holds", found.seen)


def _connector_names(bench: Workbench) -> Finding:
    if bench.connector is None:
        return skip("no --connector was given")
    bench.wait()
    names = [str(tool.get("name")) for tool in bench.client.connectors.tools(bench.connector)]
    if not names:
        return skip("the connector shows no tools")
    spellings = {"bare": names[0], "prefixed": f"{bench.connector}_{names[0]}"}
    told = {}
    for spelling, name in spellings.items():
        configuration = {"requires_confirmation": [name]}
        tool = {"type": "connector", "connector_id": bench.connector, "tool_configuration": configuration}
        told[spelling] = "refused" if _refuses(bench, tool).verdict == "holds" else "taken"
    return judge(told["bare"] == "taken", f"bare: {told['bare']}; prefixed: {told['prefixed']}", **told)


def _connector_pages(bench: Workbench) -> Finding:
    if bench.connector is None:
        return skip("no --connector was given")
    bench.wait()
    whole = bench.client.connectors.tools(bench.connector)
    if len(whole) < 2:
        return skip(f"the connector shows {len(whole)} tools, which is no list with pages")
    bench.wait()
    single = bench.client.connectors.tools(bench.connector, page_size=1)
    seen = f"{len(whole)} tools in one page, {len(single)} by pages of one"
    return judge(len(whole) == len(single), seen, whole=len(whole), single=len(single))


def _format_with_tools(bench: Workbench) -> Finding:
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    try:
        turn = bench.start("Give the number 7.", tools=[CodeInterpreter()], completion_args={"response_format": wanted})
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(turn.text.strip().startswith("{"), "the answer is JSON" if "{" in turn.text else "the answer is text")


_CONFIGURED = "a turn with a made-up function name in "
TOOLS = (
    Probe(
        "wrong-guard",
        _CONFIGURED + "requires_confirmation",
        "whether it is refused",
        "The service refuses an unknown name in requires_confirmation.",
        _wrong_guard,
    ),
    Probe(
        "wrong-include",
        _CONFIGURED + "include",
        "whether it is refused",
        "The service refuses an unknown name in include.",
        _wrong_include,
    ),
    Probe(
        "excluded-function",
        'a web search with exclude=["web_search"]',
        "whether it runs",
        "A function of a hosted tool that is excluded does not run.",
        _excluded,
        costs={"searches": 1},
    ),
    Probe(
        "unknown-connector",
        "a turn with a connector that there is not",
        "whether a turn is made",
        "The service ignores a connector that it does not know.",
        _unknown_connector,
    ),
    Probe(
        "connector-names",
        "two turns with a connector's tool in requires_confirmation, bare and prefixed",
        "which spelling is taken",
        "A configuration takes the connector's own names.",
        _connector_names,
    ),
    Probe(
        "connector-pages",
        "a connector's tools in one page, and in pages of one",
        "whether all come",
        "The list of a connector's tools has pages.",
        _connector_pages,
    ),
    Probe(
        "format-with-tools",
        "a turn with response_format and a hosted tool",
        "whether it is taken, and the answer is JSON",
        "response_format goes together with hosted tools.",
        _format_with_tools,
        costs={"code_runs": 1},
    ),
    Probe(
        "code",
        "one code run that reports packages, network and files",
        "its output",
        "A code run tells its output.",
        _code,
        costs={"code_runs": 1},
    ),
    Probe(
        "image",
        "one image, streamed and downloaded",
        "its bytes",
        "An image made in a stream can be downloaded by its id.",
        _image,
        costs={"images": 1},
    ),
    Probe(
        "web-search",
        "one web search",
        "hits and citations",
        "A search tells its hits.",
        _search,
        costs={"searches": 2},
    ),
    Probe(
        "web-search-premium",
        "one premium search",
        "hits and citations",
        "A premium search tells its hits.",
        _search_premium,
        costs={"searches": 2},
    ),
    Probe(
        "restart-from-tool-run",
        "POST /v1/conversations/{id}/restart from the run of a search",
        "whether a branch is made",
        "A conversation restarts from the run of a hosted tool.",
        _restart_from_run,
        costs={"searches": 1},
    ),
)
