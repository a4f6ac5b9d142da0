"""Hits and passages as LlamaIndex nodes: one contract for every mode."""

from __future__ import annotations

from llama_index.core.schema import BaseNode, NodeRelationship, NodeWithScore, ObjectType, RelatedNodeInfo, TextNode

from mistral_agents.retrieval.chunking import Chunk
from mistral_agents.retrieval.documents import (
    HIDDEN_FROM_EMBEDDING,
    HIDDEN_FROM_MODEL,
    KEPT_BACK,
    LibraryDocument,
    flat,
)
from mistral_agents.retrieval.passages import Passage
from mistral_agents.retrieval.snapshot import Hit, StoredText, Unit

TEMPLATES = ("text_template", "metadata_template", "metadata_separator")
"""How LlamaIndex's documents and nodes write a text with its metadata."""
_OF_0_14_0 = {"metadata_separator": "metadata_seperator"}
"""The name that its text nodes had then."""


def node_of(stored: StoredText, place: int) -> TextNode:
    """A chunk as a new node, with its document as SOURCE and its neighbours as PREVIOUS and NEXT."""
    chunk = stored.chunks[place]
    source = _make_source(stored.document, stored.document.ref_id)
    node = _make_node(chunk.id, stored.chunk_text(place), stored.document.metadata(chunk.page), source)
    dress(node, stored.document)
    node.start_char_idx, node.end_char_idx = chunk.start, chunk.end
    for relation, neighbour in (
        (NodeRelationship.PREVIOUS, stored.chunks[place - 1] if place > 0 else None),
        (NodeRelationship.NEXT, stored.chunks[place + 1] if place + 1 < len(stored.chunks) else None),
    ):
        if neighbour is not None:
            node.relationships[relation] = _make_related(neighbour)
    return node


def dress(node: BaseNode, document: LibraryDocument) -> None:
    """Let a node or document show of its metadata what the user's own did, and as that wrote it."""
    node.excluded_llm_metadata_keys = document.list_hidden(HIDDEN_FROM_MODEL)
    node.excluded_embed_metadata_keys = document.list_hidden(HIDDEN_FROM_EMBEDDING)
    for name, text in document.templates.items():
        for field in (name, _OF_0_14_0.get(name)) if name in TEMPLATES else ():
            if field in type(node).model_fields:
                setattr(node, field, text)


def store_node_of(stored: StoredText, place: int, *, is_flat: bool) -> TextNode:
    """A chunk for a vector store: by the library's own document id, since a store deletes by it; flat where it must."""
    node = node_of(stored, place)
    document = stored.document
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(
        node_id=document.document_id, node_type=ObjectType.DOCUMENT, hash=_read_state(document)
    )
    if is_flat:
        node.metadata = flat(node.metadata)
    return node


def _read_state(document: LibraryDocument) -> str:
    return f"{document.text_key} {document.metadata_key}"


def is_of(node: BaseNode, document: LibraryDocument) -> bool:
    """Whether a store's node was made of the document as it is now; 0.1.0 noted the text's state only."""
    source = node.source_node
    return source is None or source.hash in (None, _read_state(document), document.text_key)


def restored(node: BaseNode, document: LibraryDocument) -> BaseNode:
    """A copy of a store's node with metadata and source as the library's document has them now."""
    page = node.metadata.get("page_label") if "page_label" not in document.attributes else None
    copy = node.model_copy(deep=True)
    copy.metadata = document.metadata(page)
    dress(copy, document)
    copy.relationships[NodeRelationship.SOURCE] = _make_source(document, document.ref_id)
    return copy


def node_of_passage(passage: Passage) -> TextNode:
    """A passage that the service gave as a new node; it has no offsets."""
    known = {
        "document_id": passage.document_id,
        "file_name": passage.file_name,
        "library_id": passage.library_id,
        "page_label": passage.page,
    }
    source = RelatedNodeInfo(node_id=passage.document_id, node_type=ObjectType.DOCUMENT)
    return _make_node(
        passage.id, passage.text, {key: value for key, value in known.items() if value is not None}, source
    )


def nodes_of(hits: list[Hit], unit: Unit) -> list[NodeWithScore]:
    """Hits as new nodes with their scores: their passages, or the whole documents."""
    made = (node_of(hit.stored, hit.place) if unit == "passages" else _make_whole(hit.stored) for hit in hits)
    return [NodeWithScore(node=node, score=hit.score) for node, hit in zip(made, hits, strict=True)]


def _make_whole(stored: StoredText) -> TextNode:
    document = stored.document
    node = _make_node(document.document_id, stored.text, document.metadata(), _make_source(document, document.ref_id))
    dress(node, document)
    node.start_char_idx, node.end_char_idx = 0, len(stored.text)
    return node


def _make_node(key: str, text: str, metadata: dict[str, object], source: RelatedNodeInfo) -> TextNode:
    return TextNode(
        id_=key,
        text=text,
        metadata=metadata,
        excluded_embed_metadata_keys=list(KEPT_BACK),
        excluded_llm_metadata_keys=list(KEPT_BACK),
        relationships={NodeRelationship.SOURCE: source},
    )


def _make_source(document: LibraryDocument, key: str) -> RelatedNodeInfo:
    return RelatedNodeInfo(node_id=key, node_type=ObjectType.DOCUMENT, hash=document.text_key)


def _make_related(chunk: Chunk) -> RelatedNodeInfo:
    return RelatedNodeInfo(node_id=chunk.id, node_type=ObjectType.TEXT)
