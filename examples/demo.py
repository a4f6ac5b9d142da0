"""The main job of mistral-agents, in one run: agents, memory and library retrieval on real documents.

Without MISTRAL_API_KEY it starts the local stand-in and works offline; with the key it runs on the live service and
deletes what it created there, unless told to keep it.

    python examples/demo.py [--docs FOLDER] [--question TEXT ...] [--out FOLDER] [--keep]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


def fill_library(client: MistralAgents, paths: list[Path]) -> tuple[str, list[str]]:
    """Create a library, upload the documents and wait until they can be searched."""
    library = client.libraries.create("mistral-agents demo")
    uploaded = [client.libraries.upload(library.id, path) for path in tqdm(paths, desc="   uploading", unit="file")]
    with tqdm(total=len(uploaded), desc="   processing", unit="file") as bar:

        def progress(done: int, _: int) -> None:
            bar.update(done - bar.n)

        outcomes = client.libraries.wait_until_ready(
            library.id, [document.id for document in uploaded], on_progress=progress
        )
    for document, outcome in zip(uploaded, outcomes, strict=True):
        if not outcome.ready:
            say(f"{document.name} could not be processed: {outcome.process_status}")
    ready = [outcome.document_id for outcome in outcomes if outcome.ready]
    if not ready:
        raise SystemExit("None of the documents could be processed.")
    return library.id, ready


def table_in(texts: dict[str, str]) -> tuple[str, list[float]] | None:
    """The longest run of table rows that end in a number, with the name of its document."""
    best: tuple[str, list[float]] | None = None
    for name, text in texts.items():
        run: list[float] = []
        for line in [*text.splitlines(), ""]:
            row = re.fullmatch(r"\|?\s*[A-Za-z][\w ]*?\s*[|\s]\s*([\d,]+(?:\.\d+)?)\b.*", line.strip())
            if row:
                run.append(float(row.group(1).replace(",", "")))
            elif line.strip() and not set(line) <= set("|-: "):
                run = []
            if len(run) >= 5 and (best is None or len(run) > len(best[1])):
                best = (name, list(run))
    return best


def chain(base_url: str | None, name: str, text: str) -> None:
    """1: a LangChain chain, prompt | model | parser, that streams."""
    title(f"1 · LangChain chain, streamed: what is {name} about?")
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer in two sentences, from the text only."), ("human", "Text:\n{text}\n\nQuestion: {question}")]
    )
    model = ChatMistralAgent(model=MODEL, base_url=base_url)
    print("   ", end="")
    for piece in (prompt | model | StrOutputParser()).stream({"text": text[:4000], "question": "What is this about?"}):
        print(piece.replace("\n", "\n   "), end="", flush=True)
    print()


def analyst(client: MistralAgents, base_url: str | None, library_id: str, texts: dict[str, str], out: Path) -> str:
    """2: an agent with all hosted tools computes over a document's table and saves a plot."""
    title("2 · An agent with all hosted tools: statistics and a plot of a document's table")
    agent = client.agents.create(
        model=MODEL,
        name="mistral-agents demo analyst",
        instructions="Compute with Python and plot what you compute. Say which document the numbers are from.",
        tools=[CodeInterpreter(), WebSearch(), ImageGeneration(), DocumentLibrary([library_id])],
    )
    found = table_in(texts)
    if found is None:
        say("No table with five or more numbers in these documents; nothing to compute.")
        return str(agent.id)
    name, numbers = found
    say(f"{len(numbers)} numbers from {name}: {', '.join(f'{number:g}' for number in numbers)}")
    asked = f"Calculate mean, median and standard deviation of these numbers, and plot them: {numbers}"
    answer = MistralAgentRunnable(agent_id=agent.id, base_url=base_url).invoke(asked)
    show_blocks(client, answer.content_blocks, out)
    return str(agent.id)


def show_blocks(client: MistralAgents, blocks: list[Any], out: Path) -> None:
    """Code, text and files of an answer, from LangChain's standard content blocks."""
    for block in blocks:
        if block["type"] == "server_tool_call":
            say(f"ran {block['name']}:")
            say(block["args"].get("code", str(block["args"])), indent="     | ")
        elif block["type"] == "text":
            say(block["text"])
        elif block["type"] in ("image", "file") and block.get("file_id"):
            name = block.get("extras", {}).get("name", "file")
            (saved,) = client.files.save([FileRef(block["file_id"], name)], out)
            say(f"saved {saved}")


def memory(client: MistralAgents, base_url: str | None) -> tuple[str, str]:
    """3: a conversation that a second process resumes by its id."""
    title("3 · A conversation on the server, resumed by another process")
    first = client.conversations.start(
        "My name is Ada and our project is called Lighthouse.", model=MODEL, metadata={"made_by": "demo"}
    )
    say(f"said: My name is Ada and our project is called Lighthouse. ({first.conversation_id})")
    assert first.conversation_id is not None
    command = [sys.executable, str(Path(__file__)), "--resume", first.conversation_id]
    environment = {**os.environ, **({"MISTRAL_BASE_URL": base_url} if base_url is not None else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    say(done.stdout)
    return first.conversation_id, str(first.last_entry_id)


def resume(conversation_id: str) -> None:
    """What the second process does."""
    turn = MistralAgents().conversations.append(conversation_id, "What is our project called, and what is my name?")
    print(f"process {os.getpid()} asked: What is our project called, and what is my name?\nanswer: {turn.text}")


def branches(client: MistralAgents, conversation_id: str) -> list[str]:
    """4: two branches of one conversation, compared."""
    title("4 · The conversation branched, and the branches compared")
    root = Conversation(client, conversation_id)
    made = []
    for choice in ("SQL", "NoSQL"):
        branch = root.branch()
        branch.append(f"We choose {choice} for the catalogue database.")
        turn = branch.append("Which database did we choose?")
        say(f"branch {branch.id}: {turn.text}")
        made.append(branch)
    print(textwrap.indent(str(compare(*made)), "   "))
    return [str(branch.id) for branch in made]


def questions(client: MistralAgents, base_url: str | None, library_id: str, asked: list[str]) -> None:
    """5: a LlamaIndex citation query engine over the library."""
    title("5 · LlamaIndex: questions to the library, with sources and pages")
    index = MistralLibraryIndex(library_id, client=client)
    engine = CitationQueryEngine.from_args(
        index,
        llm=MistralAgentLLM(model=MODEL, base_url=base_url),
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


def clean_up(client: MistralAgents, library_id: str, agent_id: str, conversations: list[str]) -> None:
    """Delete what the demo created on the live service."""
    client.libraries.delete(library_id)
    client.agents.delete(agent_id)
    for conversation_id in conversations:
        client.conversations.delete(conversation_id)
    say("Deleted the library, the agent and the conversations (--keep keeps them).")


def run(arguments: argparse.Namespace) -> None:
    """The whole demo."""
    out: Path = arguments.out
    paths = documents_in(arguments.docs)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        base_url = stack.enter_context(service(out))
        client = stack.enter_context(MistralAgents(base_url=base_url))
        title(f"0 · A document library from {arguments.docs} ({len(paths)} documents)")
        library_id, ready = fill_library(client, paths)
        names = {document.id: document.name for document in client.libraries.documents(library_id)}
        texts = {
            names[key]: client.libraries.text(library_id, key) for key in tqdm(ready, desc="   reading", unit="file")
        }
        first = max(texts, key=lambda name: len(texts[name]))
        chain(base_url, first, texts[first])
        agent_id = analyst(client, base_url, library_id, texts, out)
        conversation_id, _ = memory(client, base_url)
        made = branches(client, conversation_id)
        own = arguments.docs.resolve() == (HERE / "library").resolve()
        default = list(OWN_QUESTIONS) if own else [f"What does {name} say?" for name in list(texts)[:3]]
        questions(client, base_url, library_id, arguments.question or default)
        title("Done")
        say(f"Files: {out.resolve()}")
        say(f"Conversation: {conversation_id}" + (f" (stand-in data: {out / 'stand-in'})" if base_url else ""))
        if base_url is None and not arguments.keep:
            clean_up(client, library_id, agent_id, [conversation_id, *made])


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
