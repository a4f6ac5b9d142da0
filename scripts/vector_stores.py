"""Takes vector stores of LlamaIndex through sync, filter, update, delete and restart, and prints what works.

    pip install llama-index-vector-stores-qdrant llama-index-vector-stores-chroma llama-index-vector-stores-lancedb \
        llama-index-vector-stores-faiss faiss-cpu
    python -m scripts.vector_stores

Runs against a service of the tests' own on loopback; stores that are not installed are named and left out.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llama_index.core import Document
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryRetriever
from mistral_agents.errors import ConfigurationError
from tests.retrieval.service import LIBRARY, LibraryService

_LENGTH = 8
_WORDS = {True: "works", False: "FAILS"}
Open = Callable[[], Any]


def open_qdrant(folder: Path) -> Open:
    """Qdrant in a folder, opened anew each time."""
    stores, client = _module("llama_index.vector_stores.qdrant"), _module("qdrant_client")
    known: list[Any] = []

    def make() -> Any:
        while known:
            known.pop().close()
        known.append(client.QdrantClient(path=str(folder)))
        return stores.QdrantVectorStore("library", client=known[0])

    return make


def open_chroma(folder: Path) -> Open:
    """Chroma in a folder."""
    stores, chromadb = _module("llama_index.vector_stores.chroma"), _module("chromadb")
    client = chromadb.PersistentClient(str(folder))
    return lambda: stores.ChromaVectorStore(chroma_collection=client.get_or_create_collection("library"))


def open_lancedb(folder: Path) -> Open:
    """LanceDB in a folder, opened anew each time."""
    stores = _module("llama_index.vector_stores.lancedb")
    return lambda: stores.LanceDBVectorStore(uri=str(folder), table_name="library")


def open_simple(_: Path) -> Open:
    """LlamaIndex's own store, in memory."""
    store = SimpleVectorStore()
    return lambda: store


def open_faiss(_: Path) -> Open:
    """Faiss, which can't filter."""
    stores, faiss = _module("llama_index.vector_stores.faiss"), _module("faiss")
    return lambda: stores.FaissVectorStore(faiss_index=faiss.IndexFlatL2(_LENGTH))


STORES = {
    "Qdrant": open_qdrant,
    "Chroma": open_chroma,
    "LanceDB": open_lancedb,
    "SimpleVectorStore": open_simple,
    "Faiss": open_faiss,
}


def _module(name: str) -> Any:
    return importlib.import_module(name)


def check_store(make: Open, *, with_docstore: bool) -> Iterator[tuple[str, bool]]:
    """Each step and whether the search afterwards finds what the library holds."""
    service = LibraryService(knows_bytes=True)
    docstore = {"docstore": SimpleDocumentStore()} if with_docstore else {}
    with service.client() as client:
        index = MistralLibraryIndex(LIBRARY, client=client)

        def find(top_k: int = 10, **options: Any) -> list[Any]:
            """As a program would that has just started."""
            model: dict[str, Any] = {"strategy": "vector", "embed_model": MockEmbedding(embed_dim=_LENGTH)}
            known = {**model, **docstore, "similarity_top_k": top_k, "refresh": "always", **options}
            return MistralLibraryRetriever(LIBRARY, client=client, vector_store=make(), **known).retrieve("pump")

        def texts(**options: Any) -> list[str]:
            return sorted(node.text for node in find(**options))

        for year, text in enumerate(["pump", "valve", "boiler"], 2020):
            metadata = {"year": year, "tags": ["a", "b"], "done": True}
            index.insert(Document(text=text, id_=text, metadata=metadata))
        yield "sync", texts() == ["boiler", "pump", "valve"]
        node = find()[0]
        yield "metadata", node.metadata["tags"] == ["a", "b"] and node.node.ref_doc_id == node.text
        year = MetadataFilters(filters=[MetadataFilter(key="year", value=2021)])
        yield "filter", texts(filters=year) == ["valve"]
        index.update_ref_doc(Document(text="new valve", id_="valve", metadata={"year": 2021}))
        yield "update", texts() == ["boiler", "new valve", "pump"]
        index.delete_ref_doc("pump")
        yield "delete", texts() == ["boiler", "new valve"]
        yield "restart", texts() == ["boiler", "new valve"] and len(find(top_k=2)) == 2
    service.stop()


def main() -> int:
    """Print a table; 1 where something does not work."""
    failed = False
    for name, opener in STORES.items():
        for with_docstore in (True, False):
            title = f"{name} {'with' if with_docstore else 'without'} docstore"
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = dict(check_store(opener(Path(folder)), with_docstore=with_docstore))
                except ImportError as error:
                    print(f"{title}: not installed ({error.name})")
                    continue
                except ConfigurationError as error:
                    print(f"{title}: refused ({error.message})")
                    continue
            failed = failed or not all(found.values())
            print(f"{title}: {', '.join(f'{step} {_WORDS[works]}' for step, works in found.items())}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
