"""Hits and passages as LlamaIndex nodes: one contract for every mode."""

from __future__ import annotations

from llama_index.core.schema import NodeRelationship, NodeWithScore, ObjectType, RelatedNodeInfo, TextNode

from mistral_agents.retrieval.chunking import Chunk
from mistral_agents.retrieval.documents import HIDDEN, LibraryDocument
from mistral_agents.retrieval.passages import Passage
from mistral_agents.retrieval.snapshot import Hit, StoredText

EXCLUDED = [*HIDDEN, "file_type"]
"""Metadata keys that go neither into prompts nor into embeddings."""


def node_of(stored: StoredText, place: int) -> TextNode:
    """A chunk as a new node, with its document as SOURCE and its neighbours as PREVIOUS and NEXT."""
    chunk = stored.chunks[place]
    node = _node(chunk.id, stored.chunk_text(place), stored.document.metadata(chunk.page), _source(stored.document))
    node.start_char_idx, node.end_char_idx = chunk.start, chunk.end
    for relation, neighbour in (
        (NodeRelationship.PREVIOUS, stored.chunks[place - 1] if place > 0 else None),
        (NodeRelationship.NEXT, stored.chunks[place + 1] if place + 1 < len(stored.chunks) else None),
    ):
        if neighbour is not None:
            node.relationships[relation] = _related(neighbour)
    return node


def node_of_passage(passage: Passage) -> TextNode:
    """A passage that the service gave as a new node; it has no offsets."""
    known = {
        "document_id": passage.document_id,
        "file_name": passage.file_name,
        "library_id": passage.library_id,
        "page_label": passage.page,
    }
    source = RelatedNodeInfo(node_id=passage.document_id, node_type=ObjectType.DOCUMENT)
    return _node(passage.id, passage.text, {key: value for key, value in known.items() if value is not None}, source)


def nodes_of(hits: list[Hit]) -> list[NodeWithScore]:
    """Hits as new nodes with their scores."""
    return [NodeWithScore(node=node_of(hit.stored, hit.place), score=hit.score) for hit in hits]


def _node(key: str, text: str, metadata: dict[str, object], source: RelatedNodeInfo) -> TextNode:
    return TextNode(
        id_=key,
        text=text,
        metadata=metadata,
        excluded_embed_metadata_keys=list(EXCLUDED),
        excluded_llm_metadata_keys=list(EXCLUDED),
        relationships={NodeRelationship.SOURCE: source},
    )


def _source(document: LibraryDocument) -> RelatedNodeInfo:
    return RelatedNodeInfo(node_id=document.document_id, node_type=ObjectType.DOCUMENT, hash=document.text_key)


def _related(chunk: Chunk) -> RelatedNodeInfo:
    return RelatedNodeInfo(node_id=chunk.id, node_type=ObjectType.TEXT)
