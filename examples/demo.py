"""The main job of mistral-agents, in one run: agents, memory and library retrieval on real documents.

Without MISTRAL_API_KEY it starts the local stand-in and works offline; with the key it runs on the live service and
deletes what it created there, unless told to keep it.

    python examples/demo.py [--docs FOLDER] [--question TEXT ...] [--out FOLDER] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from llama_index.core.query_engine import CitationQueryEngine
from tqdm import tqdm

from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable
from llama_index_mistral_agents import MistralAgentLLM, MistralLibraryIndex
from mistral_agents import CodeInterpreter, Conversation, DocumentLibrary, ImageGeneration, MistralAgents, WebSearch
from mistral_agents.branches import compare
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.turn import FileRef

MODEL = os.environ.get("MISTRAL_MODEL", "mistral-medium-latest")
HERE = Path(__file__).parent
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
WORDS = re.compile(r"[\W\d_]+")
ROW = re.compile(rf"\|?\s*([^\W\d][^\d|:;.!?]*)((?:[\s|]+{NUMBER.pattern})+)\s*\|?")
RULER = re.compile(r"[|\-+=: ]+")
TYPES = (".md", ".txt", ".pdf", ".docx", ".html")
OWN_QUESTIONS = (
    "When was the school array built, and how many kilowatts does it have?",
    "Why is the October value too low?",
    "What should be read before a turn is sent again?",
)


def title(text: str) -> None:
    """A heading in the output."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def say(text: str, indent: str = "   ") -> None:
    """A paragraph in the output."""
    for paragraph in text.strip().splitlines():
        print(textwrap.fill(paragraph, 100, initial_indent=indent, subsequent_indent=indent))


@dataclass(frozen=True)
class Work:
    """What every part of the demo works with.

    Attributes:
        client: The client.
        base_url: The stand-in's address; None means the live service.
        out: Where files go.
        stack: Undoes at the end, however it ends.
        keep: Whether what is made stays.
    """

    client: MistralAgents
    base_url: str | None
    out: Path
    stack: ExitStack
    keep: bool

    def made(self, delete: Callable[[str], object], key: str) -> None:
        """Note something that must go at the end unless it is kept."""
        if not self.keep:
            self.stack.callback(delete, key)


@contextmanager
def service(folder: Path) -> Iterator[str | None]:
    """The address to work with: None means the live service."""
    if os.environ.get("MISTRAL_API_KEY"):
        print("Live service (MISTRAL_API_KEY is set).")
        yield None
        return
    command = [sys.executable, "-m", "mistral_agents_server", "--port", "0", "--data", str(folder / "stand-in")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout is not None else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit("The stand-in did not start; run `python -m mistral_agents_server` to see why.")
        print(f"No MISTRAL_API_KEY: the local stand-in answers, at {found.group()}.")
        print("Its planner only extracts, computes and searches; a real model answers better.")
        yield found.group().rstrip(".,")
    finally:
        server.terminate()
        server.wait()


def documents_in(folder: Path) -> list[Path]:
    """The documents of a folder, or one sentence that says what is missing."""
    if not folder.is_dir():
        raise SystemExit(f"--docs {folder}: there is no such folder.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TYPES and path.name != "README.md")
    if not found:
        raise SystemExit(f"--docs {folder}: no document there; the demo reads {', '.join(TYPES)}.")
    return found


def fill_library(work: Work, paths: list[Path]) -> tuple[str, dict[str, str]]:
    """Create a library, upload the documents and wait until they can be searched; returns its id and the texts."""
    client = work.client
    library = client.libraries.create("mistral-agents demo")
    work.made(client.libraries.delete, library.id)
    uploaded = [client.libraries.upload(library.id, path) for path in tqdm(paths, desc="   uploading", unit="file")]
    with tqdm(total=len(uploaded), desc="   processing", unit="file") as bar:

        def progress(done: int, _: int) -> None:
            bar.update(done - bar.n)

        outcomes = client.libraries.wait_until_ready(
            library.id, [document.id for document in uploaded], on_progress=progress
        )
    for document, outcome in zip(uploaded, outcomes, strict=True):
        if not outcome.ready:
            reason = client.libraries.document(library.id, document.id).summary  # the stand-in's way to tell it
            say(f"{document.name} could not be processed: {reason or outcome.process_status}")
    ready = [document for document, outcome in zip(uploaded, outcomes, strict=True) if outcome.ready]
    if not ready:
        raise SystemExit("None of the documents could be processed.")
    reading = tqdm(ready, desc="   reading", unit="file")
    texts = {document.name: client.libraries.text(library.id, document.id) for document in reading}
    for name, text in texts.items():
        for note in re.findall(r"\[(Page \d+ is a picture .*?)\]", text):  # the stand-in's note on a scanned page
            say(f"{name}: {note}")
    return library.id, texts


@dataclass
class Table:
    """A table of numbers in a document: its heading line, the labels of its rows, and how many numbers it has."""

    name: str
    head: str
    labels: list[str]
    numbers: int = 0


def table_in(texts: dict[str, str]) -> Table | None:
    """The largest table of numbers; None without one of five numbers or more."""
    found: list[Table] = []
    for name, text in texts.items():
        before, table = "", None
        for line in map(str.strip, text.splitlines()):
            row = ROW.fullmatch(line)
            if row:
                if table is None:
                    table = Table(name, WORDS.sub(" ", before).strip(), [])
                    found.append(table)
                table.labels.append(row[1].strip())
                table.numbers += len(NUMBER.findall(row[2]))
            elif not RULER.fullmatch(line):
                before, table = line, None
    large = [table for table in found if table.numbers >= 5 and table.head]
    return max(large, key=lambda table: table.numbers, default=None)


def chain(work: Work, name: str, text: str) -> None:
    """1: a LangChain chain, prompt | model | parser, that streams."""
    title(f"1 · LangChain chain, streamed: what is {name} about?")
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer in two sentences, from the text only."), ("human", "Text:\n{text}\n\nQuestion: {question}")]
    )
    model = ChatMistralAgent(model=MODEL, base_url=work.base_url)
    print("   ", end="")
    for piece in (prompt | model | StrOutputParser()).stream({"text": text[:4000], "question": "What is this about?"}):
        print(piece.replace("\n", "\n   "), end="", flush=True)
    print()


def analyst(work: Work, library_id: str, texts: dict[str, str]) -> None:
    """2: an agent with all hosted tools computes over a document's table and saves a plot."""
    title("2 · An agent with all hosted tools: statistics and a plot of a document's table")
    agent = work.client.agents.create(
        model=MODEL,
        name="mistral-agents demo analyst",
        instructions="Compute with Python and plot what you compute. Say which document the numbers are from.",
        tools=[CodeInterpreter(), WebSearch(), ImageGeneration(), DocumentLibrary([library_id])],
    )
    work.made(work.client.agents.delete, agent.id)
    table = table_in(texts)
    if table is None:
        say("These documents hold no table with five or more numbers; nothing to compute.")
        return
    asked = (
        f"The library has a table {table.head} of {', '.join(table.labels[:12])}. "
        "Calculate mean, median and standard deviation of it with Python, and plot it."
    )
    say(f"Q: {asked}")
    answer = MistralAgentRunnable(agent_id=agent.id, base_url=work.base_url).invoke(asked)
    show_blocks(work.client, answer.content_blocks, work.out)


def show_blocks(client: MistralAgents, blocks: list[Any], out: Path) -> None:
    """Code, text and files of an answer, from LangChain's standard content blocks."""
    for block in blocks:
        if block["type"] == "server_tool_call":
            say(f"ran {block['name']}:")
            print(textwrap.indent(block["args"].get("code", json.dumps(block["args"])), "     | ", lambda _: True))
        elif block["type"] == "text":
            say(block["text"])
        elif block["type"] in ("image", "file") and block.get("file_id"):
            name = block.get("extras", {}).get("name", "file")
            (saved,) = client.files.save([FileRef(block["file_id"], name)], out)
            print(f"   saved {saved}")


def memory(work: Work) -> str:
    """3: a conversation that a second process resumes by its id."""
    title("3 · A conversation on the server, resumed by another process")
    told = "My name is Ada and our project is called Lighthouse."
    first = work.client.conversations.start(told, model=MODEL, metadata={"made_by": "demo"})
    conversation_id = str(first.conversation_id)
    work.made(work.client.conversations.delete, conversation_id)
    say(f"process {os.getpid()} said: {told} ({conversation_id})")
    command = [sys.executable, str(Path(__file__)), "--resume", conversation_id]
    environment = {**os.environ, **({"MISTRAL_BASE_URL": work.base_url} if work.base_url is not None else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    say(done.stdout)
    return conversation_id


def resume(conversation_id: str) -> None:
    """What the second process does."""
    turn = MistralAgents().conversations.append(conversation_id, "What is our project called, and what is my name?")
    print(f"process {os.getpid()} asked: What is our project called, and what is my name?\nanswer: {turn.text}")


def branches(work: Work, conversation_id: str) -> None:
    """4: two branches of one conversation, compared."""
    title("4 · The conversation branched, and the branches compared")
    root = Conversation(work.client, conversation_id)
    made = []
    for choice in ("SQL", "NoSQL"):
        branch = root.branch()
        branch.append(f"We choose {choice} for the catalogue database.")
        work.made(work.client.conversations.delete, str(branch.id))
        turn = branch.append("Which database did we choose?")
        say(f"branch {branch.id}: {turn.text}")
        made.append(branch)
    print(textwrap.indent(str(compare(*made)), "   "))


def questions(work: Work, library_id: str, asked: list[str]) -> None:
    """5: a LlamaIndex citation query engine over the library."""
    title("5 · LlamaIndex: questions to the library, with sources and pages")
    index = MistralLibraryIndex(library_id, client=work.client)
    engine = CitationQueryEngine.from_args(
        index,
        llm=MistralAgentLLM(model=MODEL, base_url=work.base_url),
        retriever=index.as_retriever(similarity_top_k=3, pages="exact"),
        citation_chunk_size=1024,
    )
    for question in asked:
        response = engine.query(question)
        say(f"Q: {question}")
        say(f"A: {response}")
        for number, source in enumerate(response.source_nodes, 1):
            page = source.node.metadata.get("page_label")
            where = f", page {page}" if page else ""
            say(f"[{number}] {source.node.metadata['file_name']}{where} (score {source.score:.2f})", indent="      ")


def run(arguments: argparse.Namespace) -> None:
    """The whole demo."""
    out: Path = arguments.out.resolve()
    paths = documents_in(arguments.docs)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        base_url = stack.enter_context(service(out))
        client = stack.enter_context(MistralAgents(base_url=base_url))
        work = Work(client, base_url, out, stack, keep=arguments.keep or base_url is not None)
        title(f"0 · A document library from {arguments.docs} ({len(paths)} documents)")
        library_id, texts = fill_library(work, paths)
        longest = max(texts, key=lambda name: len(texts[name]))
        chain(work, longest, texts[longest])
        analyst(work, library_id, texts)
        conversation_id = memory(work)
        branches(work, conversation_id)
        own = arguments.docs.resolve() == (HERE / "library").resolve()
        default = list(OWN_QUESTIONS) if own else [f"What does {name} say?" for name in list(texts)[:3]]
        questions(work, library_id, arguments.question or default)
        title("Done")
        print(f"   Files: {out}")
        where = f"in {out / 'stand-in'}" if base_url is not None else "on the live service"
        print(f"   Conversation: {conversation_id}, {where}")
        if not work.keep:
            print("   The library, the agent and the conversations are deleted now; --keep keeps them.")


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=HERE / "library", help="folder of documents")
    parser.add_argument("--question", action="append", help="ask this of the documents; may be given several times")
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), help="folder for plots and the stand-in's data"
    )
    parser.add_argument("--keep", action="store_true", help="keep what was created on the live service")
    parser.add_argument("--resume", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        resume(arguments.resume) if arguments.resume else run(arguments)
    except (ConfigurationError, MistralAgentsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
