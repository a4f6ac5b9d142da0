"""No request freezes the stand-in, and what is no proper request is refused: issue 11, point 11."""

from __future__ import annotations

import json
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from mistral_agents_server.planner import Planner, arithmetic, schemas
from mistral_agents_server.signing import Signer
from mistral_agents_server.strict_json import MAX_DEPTH, mend_text, read_json
from mistral_agents_server.thinking import CallPart, ChatRequest, Text, count_tokens

from ..conftest import API_KEY
from ..support.scripted import say

HEADERS = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
N = 100_000
HOSTILE = {
    "newlines": "x" + "\n" * N + "y",
    "blank lines": "x" + "   \n" * (N // 4) + "y",
    "blanks": "x" + " " * N + "y 1",
    "tabs": "x" + "\t" * N + "y",
    "digits": "1" * N,
    "a sum": "1+" * N + "1",
    "open parentheses": "(" * N + "1 + 1",
    "minus signs": "-" * N + "1 + 1",
    "powers": "2**" * (N // 3) + "2",
    "backticks": "`" * N,
    "open quotation marks": "“" * N,
    "braces": '{"properties": ' * (N // 10),
    "labels": "question:\n" * (N // 10),
    "a source label": "source 1" + " " * N + "x",
    "an answer label": "\nanswer" + " " * N + "x",
    "a local part": "a" * N,
    "a value": "name: x" + " " * N + "y",
    "a call": "lookup(" + "-" * N + "1)",
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("code_interpreter", "library_search", "web_search", "open_url", "generate_image")
]
LOOKUP = {
    "name": "lookup",
    "description": "x y",
    "parameters": {
        "type": "object",
        "required": ["name", "mail", "code"],
        "properties": {
            "name": {"type": "string"},
            "mail": {"type": "string", "format": "email"},
            "code": {"type": "string", "pattern": "^(a+)+$"},
        },
    },
}


def think(text, tools=(), choice="auto", **args):
    """What the planner says; a text that takes more than linear time here runs into the suite's time limit."""
    parts = list(Planner().think(ChatRequest("m", [{"role": "user", "content": text}], list(tools), choice, args)))
    assert all(isinstance(part, (Text, CallPart)) for part in parts)
    assert parts
    return "".join(part.text for part in parts if isinstance(part, Text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_reading_takes_time_in_proportion(text):
    think(text)
    think(text, TOOLS)
    think(f"What is the mean? {text}", TOOLS)
    think(text, [{"type": "function", "function": LOOKUP}], "required")
    think(text, max_tokens=10**6, response_format={"type": "json_schema", "json_schema": {"schema": LOOKUP}})


def test_long_arithmetic_is_still_right():
    assert arithmetic.evaluate("1+" * 8000 + "1") == 8001
    assert think("1+" * 8000 + "1").endswith(" = 8001")
    assert arithmetic.evaluate("(" * 5000 + "7" + ")" * 5000) == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("2 ** -1", 0.5),
        ("7 % 4 - 1", 2),
        ("(1 + 2) * -(3 - 5)", 6),
        ("10 - 4 - 3", 3),
        ("1 +", None),
        ("(1 + 2", None),
        ("1 2", None),
        ("(-8) ** 0.5", None),
        ("9" * 400, None),
        ("1 % 0", None),
    ],
)
def test_arithmetic_keeps_its_precedence(text, value):
    assert arithmetic.evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [("(see 3 + 4)", "3 + 4"), ("it is (3 + 4) * 2.", "(3 + 4) * 2"), ("a1 + 2", None), ("1) 2 + 3", "2 + 3")],
)
def test_arithmetic_is_found_within_words(text, found):
    assert arithmetic.expression(text) == found


def test_schemas_that_contain_themselves_many_times_end():
    names = [f"p{place}" for place in range(40)]
    node = {"type": "object", "properties": {name: {"$ref": "#/$defs/node"} for name in names}, "required": names}
    assert schemas.fill({"$ref": "#/$defs/node", "$defs": {"node": node}}, "x").keys() == set(names)
    assert schemas.fill({"allOf": [{"$ref": "#"}] * 5}, "x") == "x"
    assert len(schemas.fill({"type": "array", "minItems": 10**9, "items": {"type": "integer"}}, "x")) == 100


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*b", "(a*)*b", r"(a)\1", "a?" * 30 + "a" * 30, "(a+){9}b", "("])
def test_a_pattern_that_may_take_for_ever_is_not_looked_for(pattern):
    assert isinstance(schemas.fill({"type": "string", "pattern": pattern}, "a" * 5000), str)


def test_a_plain_pattern_is_looked_for():
    assert schemas.fill({"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, "Take AB-12 along") == "AB-12"


def test_tokens_are_counted_in_stretches_alike():
    assert count_tokens("ab, " * 40_000) == 80_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "range"),
        ("9" * 5000, "digits"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        (b'"\xed\xa0\x80"', "decode"),
        (b"\xff", "decode"),
        ("", "Expecting"),
    ],
)
def test_what_json_can_not_say_is_no_json(text, why):
    with pytest.raises(ValueError, match=why):
        read_json(text)


def test_good_json_is_read_as_it_stands():
    text = '{"a": [1, 2.5, null, true, "\\ud83d\\ude00", "é"], "b": ' + "[" * 100 + "]" * 100 + "}"
    assert read_json(text) == json.loads(text)
    assert read_json(text.encode()) == json.loads(text)


def test_ill_formed_text_is_mended():
    assert mend_text("a\ud83d\ude00b\ud800c") == "a\U0001f600b\ufffdc"


ODD = [
    b'{"model":"m","inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"model":"m","inputs":"x","metadata":{"a":1e999}}',
    b'{"model":"m","inputs":"x","metadata":{"a":-Infinity}}',
    b'{"model":"m","inputs":"x\\udc00"}',
    b'{"model":"m","inputs":"' + b"x" * 100_000 + b'\\ud800"}',
]


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/agents", "/v1/libraries"])
@pytest.mark.parametrize("body", ODD)
def test_odd_bodies_are_refused_everywhere(standin, path, body):
    reply = httpx.post(standin.base_url + path, content=body, headers=HEADERS, timeout=60)
    assert (reply.status_code, reply.json()["detail"][0]["type"]) == (422, "json_invalid")


@pytest.mark.parametrize(
    "query",
    [
        *("conversations?page=" + "9" * 5000, "conversations?page=%C2%B2", "conversations?metadata=" + "[" * 20_000),
        *(
            "conversations?metadata=NaN",
            "conversations?page_size=99999999999999999999",
            "agents/pages?page_token=bzk5OTk",
        ),
    ],
)
def test_odd_queries_are_no_crash(standin, query):
    reply = httpx.get(f"{standin.base_url}/v1/{query}", headers=HEADERS)
    assert reply.status_code in (200, 422), reply.text


@pytest.mark.parametrize("end", ["9" * 5000, "²", "-1", "x"])
def test_the_end_of_a_signed_address_is_a_time(standin, end):
    reply = httpx.get(f"{standin.base_url}/signed/files/x", params={"se": end, "sig": "s"})
    assert reply.status_code == 422
    assert Signer(clock=lambda: 0).sign("x", 5).startswith("/signed/x?se=5&sig=")


def test_a_version_beyond_all_numbers_is_not_found(api):
    agent = api.ok("POST", "/agents", {"model": "m", "name": "a"})
    for version in ("9" * 30, "²", str(2**63)):
        assert api.send("GET", f"/agents/{agent['id']}/versions/{version}").status_code == 404
    body = {"inputs": "x", "agent_id": agent["id"], "agent_version": 2**70}
    assert api.send("POST", "/conversations", body).status_code == 404


def test_a_file_that_would_live_for_ever_is_refused(standin):
    for hours in ("9" * 30, "²", "0"):
        reply = httpx.post(
            f"{standin.base_url}/v1/files",
            headers={"Authorization": f"Bearer {API_KEY}"},
            files={"file": ("a.txt", b"a")},
            data={"expiry": hours},
        )
        assert reply.status_code == 422


def test_output_nested_without_end_is_text(thinking, scripted):
    api = thinking(allow_code=True)
    scripted.script(lambda _: _code("print('[' * 50000)"), say("done"))
    turn = api.start("go", tools=[{"type": "code_interpreter"}])
    assert turn["outputs"][-1]["content"] == "done"


def _code(source):
    from ..support.scripted import call

    return call("code_interpreter", {"code": source})


def _raw(standin, head, body=b""):
    place = urlsplit(standin.base_url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


BODY = json.dumps({"model": "m", "inputs": "hello", "metadata": {"mark": "short body"}}).encode()
HEAD = "POST /v1/conversations HTTP/1.1\nHost: {host}\nAuthorization: Bearer k\nContent-Type: application/json\n"


def test_two_lengths_are_refused_and_the_connection_is_closed(standin):
    chunk = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    answer = _raw(standin, HEAD.format(host="localhost") + "Transfer-Encoding: chunked\nContent-Length: 5", chunk)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_shorter_than_declared_is_no_turn(standin):
    answer = _raw(standin, HEAD.format(host="localhost") + f"Content-Length: {len(BODY) + 50}", BODY)
    assert not answer.startswith(b"HTTP/1.1 200")
    kept = httpx.get(f"{standin.base_url}/v1/conversations", headers={"Authorization": "Bearer k"}).json()
    assert not [one for one in kept if one["metadata"] == {"mark": "short body"}]


async def test_a_server_that_passes_on_less_than_declared_is_noticed():
    from mistral_agents_server.app import create_app

    sent = []

    async def receive():
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {**HEADERS, "Host": "localhost", "Content-Length": str(len(BODY) + 1)}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/conversations",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "root_path": "",
        "raw_path": b"/v1/conversations",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await create_app()(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize(
    "host", ["[::1].evil.test", "[::1]evil.test", "[::1", "::1", "a@127.0.0.1", "127.0.0.1:1:2", ":80"]
)
def test_a_host_is_read_by_the_letter(standin, host):
    assert httpx.get(f"{standin.base_url}/v1/agents", headers={**HEADERS, "Host": host}).status_code == 403


def test_the_turn_too_many_is_sent_away_and_may_come_again(standin_factory, scripted, api_of):
    """Two turns hold the two places; the third gets a 429 with a time, other requests are served, and later it fits."""
    entered, free = threading.Semaphore(0), threading.Event()

    def hold(_):
        entered.release()
        free.wait(60)
        return say("here")

    scripted.always(hold)
    api = api_of(standin_factory(model_url=scripted.url, max_turns=2).base_url)
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(api.start("x"))) for _ in range(2)]
    for thread in waiting:
        thread.start()
    try:
        assert entered.acquire(timeout=60)  # the scripted endpoint takes one request at a time; the other one waits
        reply = _until_refused(api)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
        assert reply.json()["type"] == "rate_limited"
        assert api.ok("GET", "/agents") == []
    finally:
        free.set()
        for thread in waiting:
            thread.join(60)
    assert len(answers) == 2
    assert api.start("x")["outputs"]


def _until_refused(api):
    """Ask until both places are taken: the second turn may still be on its way."""
    until = time.monotonic() + 60
    while (reply := api.send("POST", "/conversations/conv_unknown", {"inputs": "x"})).status_code == 404:
        assert time.monotonic() < until
    return reply


ASKS = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
IMPROPER = [
    {"stop": 5},
    {"stop": ["x", None]},
    {"max_tokens": "many"},
    {"max_tokens": -1},
    {"response_format": "json"},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"anyOf": 5}}}},
    {"tool_choice": {"function": 5}},
    {"messages": [{"role": "user", "content": [{}]}]},
    {"messages": [{"role": "system", "content": [{"type": "text", "text": None}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
]


@pytest.mark.parametrize("improper", IMPROPER, ids=json.dumps)
@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_with_an_argument_of_a_wrong_form_is_refused(standin, improper, stream):
    body = {**ASKS, **improper, "stream": stream}
    reply = httpx.post(f"{standin.base_url}/v1/chat/completions", json=body, headers=HEADERS)
    assert reply.status_code == 422, reply.text


NO_SCHEMAS = [
    {"properties": [1]},
    {"properties": {"a": 5}},
    {"items": 5},
    {"anyOf": 5},
    {"allOf": [5]},
    {"type": "string", "format": []},
    {"properties": None},
    {"properties": {"a": {"items": [True, "x"]}}},
]


@pytest.mark.parametrize("schema", NO_SCHEMAS, ids=json.dumps)
@pytest.mark.parametrize("place", ["answer", "function"])
def test_what_is_no_schema_is_refused(standin, schema, place):
    body = {"model": "m", "inputs": "call f"}
    if place == "answer":
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        body["completion_args"] = {"response_format": form}
    else:
        body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    reply = httpx.post(f"{standin.base_url}/v1/conversations", json=body, headers=HEADERS)
    assert reply.status_code == 422, reply.text
    assert "must be" in reply.text


@pytest.mark.parametrize("schema", [{}, {"items": True}, {"items": [{}, False]}])
def test_a_schema_that_says_little_is_one(standin, schema):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", **schema}}}]
    body = {"model": "m", "inputs": "call f", "tools": tools}
    assert httpx.post(f"{standin.base_url}/v1/conversations", json=body, headers=HEADERS).status_code == 200
