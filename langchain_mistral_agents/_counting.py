"""How many tokens texts and messages have: by Mistral's own tokenizer where it is installed, else an estimate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import count_tokens_approximately

_CHARACTERS = 4  # of a token in common text
_BETWEEN = 3  # tokens around each message
_IMAGE = 85  # LangChain's own estimate


@lru_cache(maxsize=1)
def _find_encoder() -> Callable[[str], int] | None:
    """Mistral's newest tokenizer that `mistral-common` brings along; None without that package."""
    try:
        module = import_module("mistral_common.tokens.tokenizers.mistral")
        tokenizer = module.MistralTokenizer.v3(is_tekken=True).instruct_tokenizer.tokenizer
    except ImportError:
        return None
    return lambda text: len(tokenizer.encode(text, bos=False, eos=False))


Tokenize = Callable[[str], list[int]]


def _choose_encoder(own: Tokenize | None) -> Callable[[str], int] | None:
    return (lambda text: len(own(text))) if own is not None else _find_encoder()


def count_text(text: str, own: Tokenize | None = None) -> int:
    """Tokens of a text; `own` is the user's tokenizer."""
    encode = _choose_encoder(own)
    return encode(text) if encode is not None else math.ceil(len(text) / _CHARACTERS)


def count_messages(
    messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]] | None, own: Tokenize | None = None
) -> int:
    """Tokens of messages (calls, results and images among them) and of tools; `own` is the user's tokenizer.

    With a tokenizer the estimate of LangChain is corrected by what it says of the texts.
    """
    about = count_tokens_approximately(
        messages,
        chars_per_token=_CHARACTERS,
        extra_tokens_per_message=_BETWEEN,
        tokens_per_image=_IMAGE,
        tools=cast("Any", list(tools) if tools else None),
    )
    encode = _choose_encoder(own)
    if encode is None:
        return about
    texts = [text for message in messages if (text := str(message.text))]
    return about + sum(encode(text) - math.ceil(len(text) / _CHARACTERS) for text in texts)
