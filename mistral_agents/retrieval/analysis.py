"""Text to search terms: words of any script, joined and split names, stop words and stems of a language."""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval._extras import load

VERSION = 12
"""Of the analysis; a kept snapshot made by another one is analysed anew."""
_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼʻ´`′"), "'")
"""What is typed for an apostrophe."""
_JOINTS = r"_\-‐‑/.·'&@"
_PLAIN = re.compile(r"[a-z]+|[A-Z][a-z]+|[0-9]+")
_RUN = re.compile(r"[^\W\d_]+|\d+")
_CONTRACTED = frozenset({"s", "t", "d", "m", "ll", "re", "ve"})
"""What English leaves of a word behind an apostrophe."""
_JOINT = re.compile(rf"[{_JOINTS},]")
_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_INVISIBLE = dict.fromkeys(
    [*map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\u0640\u200e\u200f\u061c™℠"), *_SELECTORS], ""
)
"""Soft hyphens, places to break, joiners, direction marks, selectors of a look (of Japanese names, too), the Arabic
lengthening stroke and the marks of a brand change how a word looks, not which it is."""
_ZEROS = "٠۰߀०০੦૦୦௦౦೦൦๐໐༠၀០᠐"
_DIGITS = {ord(zero) + value: str(value) for zero in _ZEROS for value in range(10)}
"""A number is one in whichever digits it is written."""
_SIGNS = {ord("×"): "x", ord("٫"): ".", ord("٬"): ",", ord("ٱ"): "ا"}
"""What is typed for a sign of sizes, for the points and commas of Arabic numbers, and for the alif of the Quran."""
_LOOKS = _INVISIBLE | _APOSTROPHES | _DIGITS | _SIGNS
_SOFT_BREAK = re.compile(r"\u00ad[ \t]*\r?\n[ \t]*")
"""Where a word was cut at a line's end, and says so."""
_GROUPS = re.compile(r"(?<![\w.,])[0-9]{1,3}(?:[ '][0-9]{3})+(?!\w)")
"""A number whose thousands stand apart, by a space or, in Switzerland, an apostrophe."""
_INITIALS = r"(?<!\w)([A-Z]) & (?=[A-Z](?!\w))"
"""`R & D` is `R&D`."""
_IBAN = r"(?<!\w)[A-Z]{2}[0-9]{2}(?: [0-9A-Z]{4}){2,7}(?: [0-9A-Z]{1,3})?(?!\w)"
"""A bank account's number as it is printed; elsewhere it has no spaces."""
_RAISED = re.compile(r"(?<=[0-9])(?=[⁰¹²³⁴-⁹¼-¾⅐-⅞])")
"""Where a number ends and that of a note, a power or a fraction begins."""
_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]")
"""Vowel points of Hebrew and Arabic, which most texts leave out (Unicode blocks 0590 and 0600)."""
_ACCENTS = re.compile("(?!(?<=и)\u0306)[\u0300-\u036f\u0653-\u0655]")
"""Accents of Latin, Greek and Cyrillic (Unicode block 0300), and the Arabic hamza; the Cyrillic й is a letter of its
own, и with a stress is not."""
_NASALS = re.compile("ङ्(?=[क-घ])|ञ्(?=[च-झ])|ण्(?=[ट-ढ])|न्(?=[त-ध])|म्(?=[प-भ])|ँ")
"""What Hindi also writes as a point above the letter (`हिंदी`)."""
_NUKTA = "\u093c"
"""The point below a letter of Devanagari, which is often left out."""
_SUBSCRIBED_IOTA = "\u0345"
_STROKES = str.maketrans(
    {"ł": "l", "ø": "o", "ґ": "г", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "œ": "oe", "æ": "ae", "ı": "i", "ə": "e"}
    | {"ی": "ي", "ک": "ك", "ى": "ي", "ة": "ه", "ە": "ه", "ہ": "ه"}
    | {"ൺ": "ണ്", "ൻ": "ന്", "ർ": "ര്", "ൽ": "ല്", "ൾ": "ള്", "ൿ": "ക്"}  # as Malayalam was written before 2008
)
"""Letters that are typed as these where a keyboard lacks them, and that Unicode does not take apart."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "đ": "dj"})
_WITH_UMLAUTS = frozenset({"english", "german", "danish", "norwegian", "serbian", "none"})
"""Languages in whose texts `Mueller` and `Müller` are one name, as `Aarhus` and `Århus`, `Djokovic` and `Đoković`;
elsewhere they are not."""
_ARABIC_PREFIX = re.compile("(?:[وف]?[بك]?ال(?!له$)|[وف]?لل)(?=[ء-ي]{2,}$)|و(?=[ء-ي]{3,}$)")
"""And, in, as, the, to: which Arabic writes with the word. The lengths are those of Larkey et al. (2007, light10)."""
_HEBREW_PREFIX = re.compile("ו?(?:[משכ]ה|כש|[הבל])(?=[א-ת]{3,}$)|ו?[משכ](?=[א-ת]{4,}$)|ו(?=[א-ת]{3,}$)")
"""And, the, in, to, from, that, as: which Hebrew writes with the word."""
_GREEK = "GREEK SMALL LETTER "
_TURKISH = str.maketrans({"İ": "i", "I": "ı"})
COMMON = "\0"
"""Begins the term of a stop word, so that an index can keep it apart from terms that tell documents apart."""
_LONGEST_JOINED = 40  # characters; longer joined names are addresses and paths, found by their parts
_MOST_PARTS = 6
_LEAST_PART = 3  # characters, on average: words have more, the letters and numbers of a hash or an id fewer


LANGUAGES = (
    *("arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "finnish", "french", "german"),
    *("greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian"),
    *("portuguese", "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish", "none"),
)
"""Languages with a Snowball stemmer; those without a list in `stop_words.json` go without stop words."""


def check_language(language: str) -> None:
    """Refuse a language that has no stemmer.

    Raises:
        ConfigurationError: It is unknown.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(f"language must be one of {', '.join(LANGUAGES)}, not {language!r}.")


@dataclass(frozen=True, slots=True)
class _Patterns:
    """What needs Unicode properties, which `re` does not know; `written` is a token as it stands in a text."""

    token: Any
    written: Any
    grouped: Any
    initials: Any
    account: Any
    cut: Any
    wrapped: Any
    silent: Any
    part: Any
    unspaced: Any
    character: Any


@lru_cache(maxsize=1)
def _compile_patterns() -> _Patterns:
    compile_ = load("regex").compile
    words = r"[\p{L}\p{M}\p{N}]+"
    picture = r"\p{Extended_Pictographic}|\p{Regional_Indicator}{2}"
    seen = rf"[\p{{L}}\p{{M}}\p{{N}}{''.join(map(chr, _INVISIBLE))}]+"
    plural = r"s(?![\p{Ll}\p{M}])"  # PDFs
    lines = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々ー"  # end anywhere, without a hyphen
    scripts = rf"{lines}\p{{Hangul}}\p{{Tibetan}}"
    return _Patterns(
        token=compile_(rf"{words}(?:(?:[{_JOINTS}]|(?<=\p{{N}}),(?=\p{{N}})){words})*(?:\+\+|#)?|{picture}"),
        written=compile_(
            rf"(?<![\w.,])\p{{Nd}}{{1,3}}(?:[ '’\u00a0\u2009\u202f]\p{{Nd}}{{3}})+(?!\w)"
            rf"|(?<!\w)[A-Z](?: & [A-Z])+(?!\w)|{_IBAN}|{seen}"
            rf"(?:(?:[{_JOINTS}’‘´`′]|(?<=\p{{N}})[,٬٫](?=\p{{N}})|(?<=\p{{Hebrew}})[\"״׳](?=\p{{Hebrew}})){seen})*"
            rf"(?:\+\+|#)?|{picture}"
        ),
        initials=compile_(_INITIALS),
        account=compile_(_IBAN),
        grouped=compile_("[0-9][ '][0-9]{3}"),  # which no text of words has: far faster than `_GROUPS`
        # an apostrophe within a Cyrillic word (but О'Брайен's), marks of Hebrew abbreviations and foreign sounds
        silent=compile_(
            r"(?<=\p{Cyrillic})'(?=\p{Cyrillic})(?<!\b\p{L}'(?=\p{Lu}))|(?<=\p{Hebrew})[\"״'׳](?=\p{Hebrew})"
        ),
        cut=compile_(r"(?<=\w)[-‐‑]\s*\n\s*(?=\p{Ll})"),
        wrapped=compile_(rf"(?<=[{lines}])[ \t]*\r?\n[ \t]*(?=[{lines}])"),
        part=compile_(
            rf"\p{{Lu}}{{2,}}(?={plural})|\p{{Lu}}+(?![\p{{Ll}}\p{{M}}])"
            rf"|(?!(?<=\p{{Lu}}{{2}}){plural})\p{{Lu}}?(?:[\p{{Ll}}\p{{Lo}}\p{{Lm}}\p{{Lt}}]\p{{M}}*)+"
            rf"|[\p{{Lu}}\p{{Lt}}]\p{{M}}*|\p{{N}}+|\p{{M}}+|{picture}"
        ),
        unspaced=compile_(rf"(?:[{scripts}]\p{{M}}*)+"),
        character=compile_(r"\X"),
    )


@dataclass(frozen=True, slots=True)
class Way:
    """One way to satisfy what a question asks for in one place.

    Attributes:
        terms: Whose scores add up.
        together: Whether all must stand in a passage (the parts of `AB1234`), or each counts by itself.
    """

    terms: tuple[str, ...]
    together: bool = False


QueryTerm = tuple[Way, ...]
"""What a question asks for in one place; its best way counts."""


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Makes terms of a text: words of any script in one case, stems, and the parts of joined names.

    - A name that is joined (`max_tokens`, `getUserName`, `AB-1234/x`, `KX9`) is its parts and the whole without joints.
    - Scripts that are written without spaces (Chinese, Japanese, Thai, ...) become characters and pairs of them, over
      the end of a line too.
    - A letter of Greek by itself is its name too (`β-carotene`).
    - A hash, a key or an id (of many letters and numbers in turn) is asked for as a whole, or by what its hyphens part.
    - A pictograph (an emoji) is a word of its own.
    - A number is one with its thousands apart (`5,000`, `5 000`, `5'000`) or not, and in the digits of any script; the
      raised number of a note is not part of it.
    - What there is several of is found with it (`PDFs`).
    - A word is found with its accents (`hôtel`) or without (`hotel`); with them, what is written so comes first.
    - An umlaut may be written out (`Mueller`), and an apostrophe left out of a name (`OBrien`, `Quran`).
    - The words of a name that holds a number are words too (`OAuth2`).
    - A word is found without what Arabic and Hebrew write with it (and, the, in, to), and with it.
    - Soft hyphens, joiners and vowel points of Arabic and Hebrew make no difference; a word cut at a line's end is one.
    - Stop words are terms of documents, and of a question only where it has no others; in capitals they are names
      (`IT`, `WHO`).

    Args:
        language: An English language name that Snowball stems (`english`, `french`, ...), or `none` for no stemming
            and no stop words.

    Raises:
        ConfigurationError: The language is unknown.
    """

    language: str = "english"

    def __post_init__(self) -> None:
        check_language(self.language)
        _stop_words(self.language)

    @property
    def stop_words(self) -> frozenset[str]:
        """The words that a question is not searched for."""
        return _stop_words(self.language)

    def terms(self, text: str) -> list[str]:
        """The terms of a document's text, in order, repeats included."""
        return [term for token in _find_tokens(text) for term in self.token_terms(token)]

    def tokens(self, text: str) -> list[str]:
        """The parts of a text that give terms independently of one another, in order."""
        return _find_tokens(text)

    def token_terms(self, token: str) -> tuple[str, ...]:
        """The terms that a token gives a document."""
        return _analyse_token(self.language, token).terms

    def query_terms(self, text: str) -> list[QueryTerm]:
        """The terms to search a question for: no stop words, unless there is nothing else."""
        found = [_analyse_token(self.language, token) for token in _find_tokens(text)]
        shouted = len(found) > 2 and text.isupper()
        telling = [
            term
            for token in found
            for term in token.asked
            if not term[0].terms[0].startswith(COMMON) and not (token.is_name and shouted)
        ]
        return telling if telling else [term for token in found for term in token.asked]


def find_words(text: str) -> Iterator[tuple[int, int]]:
    """Where the words of a text begin and end, each with its marks, joints and what is not seen of it."""
    return (found.span() for found in _compile_patterns().written.finditer(text))


@dataclass(frozen=True, slots=True)
class _Token:
    """What a token of a text gives: its terms, what a question asks for, and whether it is a stop word in capitals."""

    terms: tuple[str, ...]
    asked: tuple[QueryTerm, ...]
    is_name: bool = False


def _find_tokens(text: str) -> list[str]:
    if text.isascii():
        text = text.replace("`", "'")
    else:
        text = _SOFT_BREAK.sub("", text)
        text = unicodedata.normalize("NFKC", _RAISED.sub("·", text.translate(_LOOKS)))
        text = _compile_patterns().silent.sub("", text)
        if "\n" in text:
            text = _compile_patterns().wrapped.sub("", text)
    if _compile_patterns().grouped.search(text) is not None:
        text = _GROUPS.sub(lambda found: found[0].replace(" ", ",").replace("'", ","), text)
    if _compile_patterns().account.search(text) is not None:
        text = _compile_patterns().account.sub(lambda found: found[0].replace(" ", "-"), text)
    if " & " in text:
        text = _compile_patterns().initials.sub(r"\1&", text)
    if "\n" in text:
        text = _compile_patterns().cut.sub("-", text)
    found: list[str] = _compile_patterns().token.findall(text)
    return found


@lru_cache(maxsize=200_000)
def _analyse_token(language: str, token: str) -> _Token:
    """What one token gives; most tokens of a text repeat, so they are remembered."""
    if _PLAIN.fullmatch(token):
        return _analyse_word(language, token)
    found = list(_analyse_pieces(language, token.split("'")))
    if len(found) == 1:
        return found[0]
    return _Token(
        tuple(term for one in found for term in one.terms), tuple(term for one in found for term in one.asked)
    )


def _analyse_pieces(language: str, pieces: list[str]) -> Iterator[_Token]:
    """The words of a token at its apostrophes; single letters there are elisions (`l'eau`, `it's`), not words."""
    names = dict(_find_names(language, pieces))
    for place, piece in enumerate(pieces):
        if len(piece) == 1 and len(pieces) > 1 and piece.isalpha():
            continue
        for word in _split_scripts(piece):
            is_run = _compile_patterns().unspaced.fullmatch(word)
            one = _pair_characters(word) if is_run else _analyse_name(language, word)
            yield _add_whole(language, names.pop(place), one) if place in names else one


def _find_names(language: str, pieces: list[str]) -> Iterator[tuple[int, str]]:
    """Names that are written without their apostrophe too (`O'Brien`, `Qur'an`), by the piece that is a word."""
    for place, (before, after) in enumerate(pairwise(pieces)):
        left, right = _JOINT.split(before)[-1], _JOINT.split(after)[0]
        if len(left) == 1 < len(right) and left.isalpha() and right[0].isupper():
            yield place + 1, left + right
        elif len(left) > 1 and left[0].isupper() and right[:1].islower() and right not in _CONTRACTED:
            is_common = _fold_case(language, left) in _stop_words(language)
            if not is_common:
                yield place, left + right


def _add_whole(language: str, name: str, found: _Token) -> _Token:
    wholes = _stem_spellings(language, _fold_case(language, name))
    first, *others = found.asked
    return _Token((*wholes, *found.terms), ((*(Way((whole,)) for whole in wholes), *first), *others))


def _analyse_word(language: str, word: str) -> _Token:
    folded = _fold_case(language, word)
    if folded not in _stop_words(language):
        spellings = _stem_spellings(language, folded)
        return _Token(spellings, (tuple(Way((stem,)) for stem in spellings),))
    common = COMMON + folded
    if len(word) > 1 and word.isupper():
        return _Token((common, word), ((Way((word,)),),), is_name=True)
    return _Token((common,), ((Way((common,)),),))


def _analyse_name(language: str, name: str) -> _Token:
    """A name's parts, and the whole without its joints; a question is satisfied by either."""
    suffix = "++" if name.endswith("++") else "#" if name.endswith("#") else ""
    pieces = [piece for piece in _JOINT.split(name.removesuffix(suffix)) if piece]
    if suffix and len(pieces) > 1:  # C/C++
        head, tail = name[: -len(pieces[-1] + suffix)], pieces[-1] + suffix
        both = _analyse_name(language, head), _analyse_name(language, tail)
        return _Token(
            tuple(term for one in both for term in one.terms), tuple(ask for one in both for ask in one.asked)
        )
    parts = [part for piece in pieces for part in _compile_patterns().part.findall(piece)]
    if len(parts) == 1 and parts == pieces and not suffix:
        return _analyse_word(language, parts[0])
    joined = "".join(pieces)
    wholes = _stem_spellings(language, _fold_case(language, joined))
    if suffix:  # C++ is not C
        wholes = tuple(whole + suffix for whole in wholes)
    by_whole = tuple(Way((whole,)) for whole in wholes)
    if "/" not in name and all(len(part) == 1 and part.isalpha() for part in parts):  # e.g., U.S., C++
        is_common = not suffix and _fold_case(language, joined) in _stop_words(language)  # W.H.O.
        return _analyse_word(language, joined.upper()) if is_common else _Token(wholes, (by_whole,))
    found = [_analyse_word(language, part) for part in parts]
    runs = [_analyse_word(language, run) for run in _join_letters(pieces)]
    terms = [term for one in found for term in one.terms]
    terms += [term for one in runs for term in one.terms if term not in terms]
    if suffix:
        return _Token((*terms, *wholes), (by_whole,))
    together = len(pieces) == 1
    by_parts = _ask_parts([one.asked[0] for one in found], together)
    by_parts += _ask_parts([one.asked[0] for one in runs], together) if runs else ()
    is_mixed = any(not piece.isalpha() and not piece.isdigit() for piece in pieces)
    if len(parts) > _MOST_PARTS and is_mixed and sum(map(len, parts)) < _LEAST_PART * len(parts):
        return _add_pieces(language, pieces, _Token((*terms, *wholes), (by_whole,)))
    if (len(parts) > _MOST_PARTS and not is_mixed) or len(wholes[0]) > _LONGEST_JOINED:
        return _Token(tuple(terms), (by_parts,))
    return _Token((*terms, *wholes), ((*by_whole, *by_parts),))


def _add_pieces(language: str, pieces: list[str], code: _Token) -> _Token:
    """A hash, a key or an id is asked for by what its joints part, too, not by letters and numbers that all have."""
    words = [_analyse_word(language, piece) for piece in pieces]
    others = (term for one in words for term in one.terms if term not in code.terms)
    by_pieces = _ask_parts([one.asked[0] for one in words], together=False)
    return _Token((*code.terms, *others), ((*code.asked[0], *by_pieces),))


def _join_letters(pieces: list[str]) -> list[str]:
    """The words and numbers of a name whose words have capitals within: who asks for `OAuth` means `OAuth2` too."""
    runs = [run for piece in pieces for run in _RUN.findall(piece)]
    has_capitals = any(len(_compile_patterns().part.findall(run)) > 1 for run in runs)
    return runs if len(runs) > 1 and has_capitals else []


def _ask_parts(parts: list[QueryTerm], together: bool) -> tuple[Way, ...]:
    """A name's parts that are no stop words, if any is none: as they are written, and in their other spellings."""
    ways: dict[Way, None] = {}
    for spelling in range(max(map(len, parts))):
        terms = tuple(part[min(spelling, len(part) - 1)].terms[0] for part in parts)
        telling = tuple(term for term in terms if not term.startswith(COMMON))
        ways[Way(telling if telling else terms, together)] = None
    return tuple(ways)


def _split_scripts(word: str) -> Iterator[str]:
    """Runs of characters written without spaces, and the words between them (not the joints of `列奥纳多·达·芬奇`)."""
    at, patterns = 0, _compile_patterns()
    for found in patterns.unspaced.finditer(word):
        if patterns.part.search(word, at, found.start()):
            yield word[at : found.start()]
        yield found.group()
        at = found.end()
    if patterns.part.search(word, at):
        yield word[at:]


def _pair_characters(run: str) -> _Token:
    """A run's characters and pairs of them; a question of several characters asks for the pairs."""
    characters = _compile_patterns().character.findall(run)
    pairs = ["".join(characters[place : place + 2]) for place in range(len(characters) - 1)]
    return _Token((*characters, *pairs), tuple((Way((term,)),) for term in (pairs if pairs else characters)))


def _fold_case(language: str, word: str) -> str:
    if word.isascii():
        return word.translate(_TURKISH).lower() if language == "turkish" else word.lower()
    cased = word.translate(_TURKISH) if language == "turkish" else word
    cased = unicodedata.normalize("NFD", cased).replace(_SUBSCRIBED_IOTA, "")  # which would become a letter
    folded = _POINTS.sub("", unicodedata.normalize("NFC", cased.casefold()))
    return folded.replace("i\u0307", "i").replace("ё", "е")


def _stem_spellings(language: str, folded: str) -> tuple[str, ...]:
    """The stem of a word, and the stems of its other spellings."""
    stem = _stem_word(language, folded)
    if folded.isascii():
        return (stem,)
    return tuple(dict.fromkeys([stem, *(_stem_word(language, other) for other in _list_spellings(language, folded))]))


def _list_spellings(language: str, folded: str) -> Iterator[str]:
    """A word without accents, with its umlauts written out, and without what Arabic and Hebrew put before it.

    A letter of Greek that stands for itself, as in `β-carotene`, is its name too.
    """
    if len(folded) == 1 and language != "greek" and (name := unicodedata.name(folded, "")).startswith(_GREEK):
        yield name.removeprefix(_GREEK).lower().replace("lamda", "lambda")
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", folded)).translate(_STROKES)
    plain = _NASALS.sub("ं", unicodedata.normalize("NFC", bare.replace(_NUKTA, "")))
    yield plain
    if language in _WITH_UMLAUTS:
        yield unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded.translate(_UMLAUTS))))
    prefix = _ARABIC_PREFIX.match(folded) or (_HEBREW_PREFIX.match(folded) if language != "yiddish" else None)
    if prefix is not None and (rest := plain[prefix.end() :]) not in _stop_words(language):
        yield rest


_stemmers = threading.local()


def _stem_word(language: str, word: str) -> str:
    if language == "none":
        return word
    stemmer: Any = getattr(_stemmers, language, None)
    if stemmer is None:
        stemmer = load("Stemmer").Stemmer(language)  # one per thread: a stemmer is not safe to share
        setattr(_stemmers, language, stemmer)
    return str(stemmer.stemWord(word))


@cache
def _stop_words(language: str) -> frozenset[str]:
    return frozenset(_fold_case(language, word) for word in _read_stop_words().get(language, ()))


@cache
def _read_stop_words() -> dict[str, list[str]]:
    """The lists of bm25s, with its licence beside them (`stop_words.LICENSE`)."""
    found: dict[str, list[str]] = json.loads(Path(__file__).with_name("stop_words.json").read_text(encoding="utf-8"))
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
