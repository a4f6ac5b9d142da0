"""Clients belong to a process: a forked child makes its own, and never touches its parent's connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .conftest import REPLY, whole

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CHILD = """
import asyncio, gc, json, os, sys, threading, warnings
warnings.simplefilter("ignore")  # forking with threads is what preloaded servers do
from mistral_agents import MistralAgents
from mistral_agents._border.turns import HEADS
from mistral_agents._http import sdk
url, given = sys.argv[1:]
library = sdk.http()
options = {
    "nothing": {},
    "http_client": {"http_client": library.Client()},
    "sdk": {"sdk": sdk.sdk_module().Mistral(api_key="k", server_url=url)},
    "async_http_client": {"async_http_client": library.AsyncClient()},
}[given]
client = MistralAgents(api_key="k", base_url=url, max_retries=0, **options)
def ask():
    if given == "async_http_client":
        return asyncio.run(client.conversations.astart("q", model="m")).text
    return client.conversations.start("q", model="m").text
try:
    ask()
    parents = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    client._clients._opened.lock.acquire()  # as another thread might at this moment
    claim, held, over = HEADS.claim(url, "conv_1"), threading.Event(), threading.Event()
    def hold():
        with HEADS._lock:
            held.set()
            over.wait()
    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            told = [ask(), ask()]
        except Exception as error:
            told = [type(error).__name__, str(error)]
        client.close()
        gc.collect()
        kept = parents <= set(os.listdir("/proc/self/fd")) if parents else True
        kept = kept and HEADS.claim(url, "conv_1") is not None
        os.write(writer, json.dumps([*told, kept]).encode())
        os._exit(0)
    os.close(writer)
    print(os.read(reader, 10000).decode())
    os.wait()
    client._clients._opened.lock.release()
    over.set()
    try:
        print(ask())
    except Exception as error:
        print(type(error).__name__)
finally:
    sys.stdout.flush()
    os._exit(0)
"""


def run(serve, given):
    ports = []

    def answer(connection, _):
        ports.append(connection.getpeername()[1])
        connection.sendall(whole(json.dumps(REPLY).encode(), "content-type: application/json"))

    server = serve(answer)
    command = [sys.executable, "-c", CHILD, server.url, given]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    child, parent = ran.stdout.splitlines()
    return json.loads(child), parent, ports


def test_a_child_has_connections_of_its_own_and_leaves_the_parents_open(serve):
    told, parent, ports = run(serve, "nothing")
    assert told == ["hi", "hi", True]
    assert parent == "hi"
    first, *childs, last = ports
    assert first == last
    assert len(childs) == 2
    assert len(set(childs)) == 1
    assert childs[0] != first


@pytest.mark.parametrize("given", ["http_client", "sdk", "async_http_client"])
def test_what_the_user_gave_to_the_parent_is_refused_in_the_child_by_name(serve, given):
    (kind, message, kept), parent, ports = run(serve, given)
    assert kind == "ConfigurationError"
    assert message.startswith(given)
    assert "fork" in message
    assert kept
    assert parent == ("ConfigurationError" if given == "async_http_client" else "hi")  # another loop than before
    assert len(ports) == 2


HELD = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
from mistral_agents._conversation.lock import Hold, lock_of
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.flight import SingleFlight
from mistral_agents.retrieval.postings import Numbering, Vocabulary
flight, lock, vocabulary = SingleFlight(), lock_of("document", "1"), Vocabulary()
busy, over = threading.Barrier(4), threading.Event()
def work():
    busy.wait()
    over.wait()
def number():
    with vocabulary._lock:  # as in the middle of a sync
        work()
def turn():
    with lock.held():
        work()
threads = [threading.Thread(target=one, daemon=True) for one in (lambda: flight.run(work), number, turn)]
for thread in threads:
    thread.start()
busy.wait()
if os.fork() == 0:
    lock.acquire(Hold())
    print(flight.run(lambda: "searched"), list(Numbering(Analyzer(), vocabulary).row("pump")), flush=True)
    os._exit(0)
os.wait()
print(lock.holder is not None, flush=True)
os._exit(0)
"""


def test_a_child_waits_for_no_thread_of_its_parent():
    """A search, a sync and a turn are at work in other threads while a server forks its workers."""
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["searched", "[0]", "True"], done.stderr
