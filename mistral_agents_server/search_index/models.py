"""The request bodies, after the SDK's models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

INDEX_NAME = r"^[a-zA-Z_][a-zA-Z0-9_]{0,62}$"
_One = Literal["text", "keyword", "int", "long", "float", "bool", "timestamp", "json", "dense_vector"]
_Many = Literal["text[]", "keyword[]", "int[]", "long[]", "float[]", "bool[]", "timestamp[]"]
Scalar = bool | int | float | str
Moment = int | float | datetime


class EmbeddingModel(BaseModel):
    """Whose vectors the index holds: `custom` ones of the client's, or those of a model of the service."""

    type: Literal["custom", "mistral"]
    name: str
    dimensions: int = Field(ge=1, le=8192)
    dtype: Literal["float16", "float32"] = "float32"
    distance_metric: Literal["cosine", "inner_product", "l2"] = "cosine"


class Config(BaseModel):
    """What is fixed when an index is made."""

    embedding: EmbeddingModel


class FieldDefinition(BaseModel):
    """A field of the user's own."""

    type: _One | _Many
    indexed: bool | None = None
    required: bool = False
    system: bool = False
    default: Any = None


class Fields(BaseModel):
    """The user's own fields."""

    document_fields: dict[str, FieldDefinition] = Field(default_factory=dict)
    chunk_fields: dict[str, FieldDefinition] = Field(default_factory=dict)


class CreateIndex(BaseModel):
    """POST /v1/context/search-indexes."""

    name: str = Field(pattern=INDEX_NAME)
    config: Config
    fields: Fields = Field(default_factory=Fields, alias="schema")


class UpdateIndex(BaseModel):
    """PUT /v1/context/search-indexes/{name}."""

    fields: Fields = Field(alias="schema")


class Ingest(BaseModel):
    """POST /v1/context/search-indexes/{name}/documents."""

    documents: list[dict[str, Any]]


class DeleteDocuments(BaseModel):
    """DELETE /v1/context/search-indexes/{name}/documents."""

    document_ids: list[str]


class And(BaseModel):
    """All of the filters hold."""

    type: Literal["and"]
    matches: list[Filter]


class Or(BaseModel):
    """One of the filters holds."""

    type: Literal["or"]
    matches: list[Filter]


class Not(BaseModel):
    """The filter does not hold."""

    type: Literal["not"]
    match: Filter


class Equal(BaseModel):
    """A field has a value."""

    type: Literal["equal"]
    field: str
    value: Scalar


class In(BaseModel):
    """A field has one of some values."""

    type: Literal["in"]
    field: str
    values: list[Scalar]


class Range(BaseModel):
    """A field lies in a range."""

    type: Literal["range"]
    field: str
    gt: Moment | None = None
    gte: Moment | None = None
    lt: Moment | None = None
    lte: Moment | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Range:
        if all(bound is None for bound in (self.gt, self.gte, self.lt, self.lte)):
            raise ValueError("a range needs at least one bound")
        return self


Filter = Annotated[And | Or | Not | Equal | In | Range, Field(discriminator="type")]


class _Retriever(BaseModel):
    top_k: int = Field(20, ge=1, le=100)
    filter_: Filter | None = Field(None, alias="filter")


class Keyword(_Retriever):
    """Shared words."""

    type: Literal["keyword"]
    query: str
    operator: Literal["or", "and"] = "or"
    field: str | None = None


class NearestNeighbour(_Retriever):
    """Near vectors."""

    type: Literal["nearest_neighbour"]
    query: str | None = None
    query_embedding: list[float] | None = None
    field: str | None = None
    max_candidates: int | None = Field(None, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_query(self) -> NearestNeighbour:
        if (self.query is None) == (self.query_embedding is None):
            raise ValueError("give query or query_embedding, and only one of them")
        if self.max_candidates is not None and self.max_candidates < self.top_k:
            raise ValueError("max_candidates must be at least top_k")
        return self


class Rrf(_Retriever):
    """Rankings joined by reciprocal ranks."""

    type: Literal["rrf"]
    retrievers: list[Annotated[Keyword | NearestNeighbour, Field(discriminator="type")]] = Field(min_length=1)
    weights: list[float] | None = None
    rank_constant: int = Field(60, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> Rrf:
        if self.weights is not None and len(self.weights) != len(self.retrievers):
            raise ValueError("weights must be as many as retrievers")
        if any(retriever.top_k < self.top_k for retriever in self.retrievers):
            raise ValueError("top_k of each retriever must be at least that of the whole")
        return self


Retriever = Annotated[Keyword | NearestNeighbour | Rrf, Field(discriminator="type")]


class Search(BaseModel):
    """POST …/search."""

    retriever: Retriever


class SetSummary(BaseModel):
    """PUT …/summary_field/{language}."""

    content: str
    status: Literal["handwritten", "generated_confirmed"]
    translated: bool


class _Walk(BaseModel):
    source_id: str
    content_type: str = "content"


class Navigate(_Walk):
    """POST …/navigate."""

    start_offset: int
    end_offset: int
    direction: Literal["next", "previous"]
    top_k: int = Field(1, ge=1, le=100)


class Read(_Walk):
    """POST …/read."""

    start_offset: int | None = None
    end_offset: int | None = None
    top_k: int = Field(20, ge=1, le=100)


class Grep(_Walk):
    """POST …/grep."""

    pattern: str = Field(min_length=1)
    mode: Literal["phrase", "term"] = "phrase"
    top_k: int = Field(5, ge=1, le=100)


And.model_rebuild()
Or.model_rebuild()
Not.model_rebuild()
