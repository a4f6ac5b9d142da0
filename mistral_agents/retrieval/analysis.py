"""Text to search terms: words, stop words and stems of a language."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval._extras import load

_WORDS = re.compile(r"\w\w+|\d|[\u3040-\u30ff\u3400-\u9fff]")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_STOP_WORDS = {
    "danish": "STOPWORDS_DANISH",
    "dutch": "STOPWORDS_DUTCH",
    "english": "STOPWORDS_EN_PLUS",
    "french": "STOPWORDS_FRENCH",
    "german": "STOPWORDS_GERMAN",
    "italian": "STOPWORDS_ITALIAN",
    "norwegian": "STOPWORDS_NORWEGIAN",
    "portuguese": "STOPWORDS_PORTUGUESE",
    "russian": "STOPWORDS_RUSSIAN",
    "spanish": "STOPWORDS_SPANISH",
    "swedish": "STOPWORDS_SWEDISH",
    "turkish": "STOPWORDS_TURKISH",
}


LANGUAGES = (
    *("arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "finnish", "french", "german"),
    *("greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian"),
    *("portuguese", "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish", "none"),
)
"""Languages with a Snowball stemmer; those without a list of stop words in the installed bm25s go without one."""


def check_language(language: str) -> None:
    """Refuse a language that has no stemmer.

    Raises:
        ConfigurationError: It is unknown.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(f"language must be one of {', '.join(LANGUAGES)}, not {language!r}.")


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Makes terms of a text: lower case, words of two letters or more, no stop words, stems.

    Words of Chinese and Japanese characters, which are written without spaces, become pairs of characters.

    Args:
        language: An English language name that Snowball stems (`english`, `french`, ...), or `none` for no stemming
            and no stop words.

    Raises:
        ConfigurationError: The language is unknown, or bm25s is not installed.
    """

    language: str = "english"
    _stop_words: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_language(self.language)
        name = _STOP_WORDS.get(self.language)
        words = getattr(load("bm25s.stopwords"), name, ()) if name is not None else ()
        object.__setattr__(self, "_stop_words", frozenset(words))

    @property
    def stop_words(self) -> frozenset[str]:
        """The words that are no terms."""
        return self._stop_words

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order, repeats included."""
        clean = text if text.isascii() else unicodedata.normalize("NFKC", text)
        words = [word for word in _WORDS.findall(clean.lower()) if word not in self._stop_words]
        if not clean.isascii():
            words = [part for word in words for part in _pairs(word)]
        if self.language == "none":
            return words
        stemmer: Any = load("Stemmer").Stemmer(self.language)  # made per call: a stemmer is not safe in threads
        return list(stemmer.stemWords(words))


def _pairs(word: str) -> list[str]:
    if _IDEOGRAPHS.search(word) is None:
        return [word]
    found: list[str] = [rest for rest in _IDEOGRAPHS.split(word) if rest]
    for run in _IDEOGRAPHS.findall(word):
        found += [run[place : place + 2] for place in range(max(1, len(run) - 1))]
    return found


_HEADING = re.compile(r"\s*(?:#{1,6}\s+)?(\S[^\n]{0,200})(?:\n|$)")


def title_of(name: str, text: str) -> str:
    """What a document is called: its file name as words, and its first line where that looks like a heading."""
    stem = name.rpartition(".")[0] if re.search(r"\.\w{1,5}$", name) else name
    words = re.sub(r"[_\-./\\]+", " ", stem)
    heading = _HEADING.match(text[:600])
    first = heading.group(1).strip() if heading is not None else ""
    plain = not first.endswith((".", ",", ";", ":")) and len(first) < len(text.strip())
    return f"{words}\n{first}" if first and plain else words
