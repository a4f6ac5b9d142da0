from __future__ import annotations

import pytest

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.analysis import COMMON, Analyzer, QueryTerm, title_of
from mistral_agents.retrieval.marks import mark_words


def telling(terms: list[str]) -> list[str]:
    return [term for term in terms if not term.startswith(COMMON)]


def asked(language: str, text: str) -> set[str]:
    """Every term that could satisfy a question."""
    return {term for ways in Analyzer(language).query_terms(text) for way in ways for term in way.terms}


def found(language: str, text: str, question: str) -> bool:
    """Whether each thing a question asks for stands in the text, one way or another."""
    there = set(Analyzer(language).terms(text))
    wanted: list[QueryTerm] = Analyzer(language).query_terms(question)
    return bool(wanted) and all(any(set(way.terms) <= there for way in ways) for ways in wanted)


def test_english_words_are_stemmed_and_stop_words_left_out() -> None:
    assert telling(Analyzer().terms("The libraries are Retrieving DOCUMENTS")) == ["librari", "retriev", "document"]


def test_another_language_has_its_own_stems_and_stop_words() -> None:
    assert telling(Analyzer("french").terms("Les bibliothèques et la recherche")) == ["bibliothequ", "recherch"]
    assert telling(Analyzer("german").terms("die Bücher und das Buch"))[0] == Analyzer("german").terms("Bücher")[0]


def test_without_language_words_stay_as_they_are() -> None:
    assert Analyzer("none").terms("The Libraries") == ["the", "libraries"]


def test_text_without_spaces_becomes_characters_and_pairs() -> None:
    assert Analyzer("none").terms("図書館は") == ["図", "書", "館", "は", "図書", "書館", "館は"]
    assert asked("none", "図書館は") == {"図書", "書館", "館は"}
    assert asked("none", "本") == {"本"}


@pytest.mark.parametrize(
    ("language", "text", "question"),
    [
        ("hindi", "पानी की बोतल", "बोतल"),
        ("none", "ভাষা শিখুন", "ভাষা"),
        ("arabic", "مَدْرَسَةٌ كَبِيرَةٌ", "مدرسة"),
        ("arabic", "مــدرسة", "مدرسة"),
        ("none", "סֵפֶר טוֹב", "ספר"),
        ("none", "می‌خواهم", "میخواهم"),
        ("none", "ยินดีต้อนรับทุกคน", "ต้อนรับ"),
        ("none", "학교에 갔다", "학교"),
        ("none", "山に登る", "山"),
        ("none", "毎朝、東\n京へ行く", "東京"),
        ("none", "每月换\r\n  油", "换油"),
        ("none", "列奥纳多·达·芬奇", "芬奇"),
        ("none", "入力/出力", "出力"),
        ("english", "東京-大阪++", "大阪"),
        ("turkish", "IŞIK ve İZMİR", "ışık izmir"),
        ("english", "İzmir office", "izmir"),
        ("german", "Große Maße", "grosse masse"),
        ("german", "Schiff\u00adfahrt", "Schifffahrt"),
        ("english", "mainten-\nance plan", "maintenance"),
        ("german", "Wartungs\u00ad\r\n  arbeiten", "Wartungsarbeiten"),
        ("english", "written in C/C++.", "C"),
        ("english", "written in C/C++.", "C++"),
        ("english", "C/C++", "c/c++"),
        ("english", "Objective-C++", "objective"),
        ("greek", "ΟΔΟΣ", "οδός".replace("ό", "ο")),
        ("english", "snake_case_name", "case"),
        ("english", "parseHTTPReply", "http reply"),
        ("english", "parseHTTPReply", "parsehttpreply"),
        ("english", "order ZX-77/b", "ZX77b"),
        ("english", "order ZX77", "zx-77"),
        ("german", "alle PDFs", "pdf"),
        ("english", "the userIDs", "user id"),
        ("english", "Bosch™ drill", "bosch"),
        ("none", "M8×20", "M8x20"),
        ("english", "in 2019³ and 1½", "2019 1 1/2"),
        ("none", "葛\U000e0100城市", "葛城"),
        ("english", "sign in by OAuth2", "oauth"),
        ("none", "PostgreSQL16", "postgresql"),
        ("english", "*strong* and `code`", "strong code"),
        ("english", "data-base", "database"),
        ("english", "database", "data-base"),
        ("english", "written in C++ and C#", "C++"),
        ("english", "vitamin D", "vitamin d"),
        ("english", "the U.S. market", "US market"),
        ("english", "l'école d'été", "école"),
    ],
)
def test_a_word_finds_itself_however_it_is_written(language: str, text: str, question: str) -> None:
    assert found(language, text, question)


@pytest.mark.parametrize(
    ("text", "question"),
    [("written in C", "C++"), ("written in C++", "C"), ("written in C#", "c"), ("a cat", "AT"), ("kernel", "KX9")],
)
def test_another_word_does_not(text: str, question: str) -> None:
    assert not found("english", text, question)


def test_a_code_is_found_by_what_its_hyphens_part_and_by_its_words() -> None:
    key = "backup-9f3c-1a2b-77d0-4e5f.tar"
    for question in (key, "backups", "9F3C", "1a2b"):
        assert found("english", f"See {key}, please", question)


def test_a_question_of_stop_words_alone_is_searched_all_the_same() -> None:
    assert asked("english", "to be or not to be") == {COMMON + word for word in ("to", "be", "or", "not")}
    assert asked("english", "to be a pilot") == {"pilot"}


def test_stop_words_in_capitals_are_names_unless_all_is_shouted() -> None:
    assert asked("english", "the IT department") == {"IT", "depart"}
    assert asked("english", "IT") == {"IT"}
    assert asked("english", "WHAT IS THE RENT") == {"rent"}


def test_width_and_ligatures_make_no_difference() -> None:
    assert Analyzer().terms("ﬁnding Ｔｅｘｔ") == Analyzer().terms("finding text")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="klingon"):
        Analyzer("klingon")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("annual_report-2025.pdf", "It was a good year. More text.", "annual report 2025"),
        ("doc17.txt", "# Pump maintenance\nClose the valve.", "doc17\nPump maintenance"),
        ("notes", "only line", "notes"),
        ("v1.2 release notes.md", "Fixes:\nmany", "v1 2 release notes"),
    ],
)
def test_a_title_is_the_file_name_and_a_heading(name: str, text: str, expected: str) -> None:
    assert title_of(name, text) == expected


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Deploy 🚀 on Friday", "🚀"),
        ("Deploy🚀now", "🚀"),
        ("done ✅ 👍🏽", "👍"),
        ("a family 👨‍👩‍👧", "👨‍👩‍👧"),
        ("love ❤️", "❤"),
        ("from 🇩🇪🇫🇷", "🇫🇷"),
    ],
)
def test_a_pictograph_is_a_word(text: str, question: str) -> None:
    assert found("english", text, question)
    assert not found("english", "Deploy on Friday", question)


@pytest.mark.parametrize(
    ("language", "text", "question"),
    [
        ("none", "L'hôtel", "hotel"),
        ("none", "hotel", "hôtel"),
        ("french", "des œuvres", "oeuvres"),
        ("english", "a naïve façade", "naive facade"),
        ("none", "Ο ΆΝΘΡΩΠΟΣ και ο λόγος", "ΛΟΓΟΣ"),
        ("none", "Łódź i Đà Nẵng", "lodz"),
        ("none", "Đà Nẵng", "da nang"),
        ("none", "rødgrød på Ærø", "aero"),
        ("romanian", "ştiinţă", "știință"),
        ("none", "Ё-мобиль", "е"),
        ("russian", "Росси\u0301я", "Россия"),
        ("turkish", "Iğdır", "igdir"),
        ("none", "Guðmundur, Þingvellir", "gudmundur thingvellir"),
        ("none", "Bakı, Əliyev", "baki eliyev"),
        ("none", "ἡ ᾠδή", "ωδη"),
        ("none", "getÜbersicht", "Ubersicht"),
    ],
)
def test_a_word_is_found_with_its_accents_or_without(language: str, text: str, question: str) -> None:
    assert found(language, text, question)


def test_accents_tell_words_apart_where_the_question_has_them() -> None:
    [(first, *_)] = Analyzer("none").query_terms("schön")
    assert set(first.terms) & set(Analyzer("none").terms("schön"))
    assert not set(first.terms) & set(Analyzer("none").terms("schon"))
    assert not found("none", "мой", "мои")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("5,000 units", "5000"),
        ("5000 units", "5,000"),
        ("1.000,50 euros", "1000,50"),
        ("1,5 bar", "1,5"),
        ("1 000 000 euros", "1000000"),
        ("1\u202f000 euros", "1000"),
        ("1000 euros", "1\u00a0000"),
        ("1’000 Franken", "1000"),
        ("in 5 100 units", "100"),
        ("سنة ٢٠٢٤", "2024"),
        ("in 2024", "२०२४"),
        ("พ.ศ. ๒๕๖๗", "2567"),
        ("١٬٠٠٠ و ٣٫٥", "1000 3.5"),
    ],
)
def test_a_number_is_found_with_its_thousands_apart_or_not(text: str, question: str) -> None:
    assert found("english", text, question)
    assert not found("english", "units of one, two,three", question)


@pytest.mark.parametrize("mark", ["\u200b", "\u2060", "\ufe0f"])
def test_an_invisible_mark_within_a_word_does_not_cut_it(mark: str) -> None:
    assert Analyzer("english").terms(f"main{mark}tenance") == Analyzer("english").terms("maintenance")


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("arabic", "والكتاب", "كتاب"),
        ("arabic", "مدرسة", "بالمدرسة"),
        ("english", "الكتاب", "كتاب"),
        ("none", "للطلاب", "طلاب"),
        ("none", "ومصر", "مصر"),
        ("none", "الإدارة", "اداره"),
        ("none", "کتاب", "كتاب"),  # as Persian keyboards write it
        ("none", "והספר", "ספר"),
        ("english", "לבית", "בית"),
        ("none", "מישראל", "ישראל"),
        ("none", "ומהממשלה", "ממשלה"),
        ("none", "ٱلكتاب", "الكتاب"),
        ("none", "خانۀ", "خانه"),
        ("hindi", "हिन्दी", "हिंदी"),
        ("nepali", "सम्बन्ध", "संबंध"),
        ("hindi", "पाँच", "पांच"),
        ("none", "ज़मीन", "जमीन"),
        ("none", "അവൻ", "അവന്\u200d"),
        ("none", "צה״ל", "צהל"),
        ("none", 'צה"ל', "צהל"),
        ("german", "Müller", "Mueller"),
        ("english", "Übersicht", "Uebersicht"),
        ("none", "Århus", "Aarhus"),
        ("english", "Søren", "Soeren"),
        ("russian", "Ещё", "еще"),
        ("english", "ёлка", "елка"),
        ("none", "сім'я", "сімя"),
        ("none", "об’єкт", "об'єкт"),
        ("none", "ОБ’ЄКТ", "об'єкт"),
        ("none", "П’ЯТЬ", "п'ять"),
        ("none", "О’Брайен", "Обрайен"),
        ("none", "д’Артаньян", "Артаньян"),
        ("english", "O'Brien", "O’Brien"),
        ("english", "O´Brien", "obrien"),
        ("english", "OBrien", "O'Brien"),
        ("english", "O'BRIEN", "o'brien"),
        ("english", "O'Brien-Smith", "OBrien"),
        ("french", "D’Artagnan", "dartagnan"),
        ("none", "L'Oréal", "loreal"),
        ("english", "Qur'an", "Quran"),
        ("english", "al-Qur’an", "al-Quran"),
        ("english", "Xi'an", "xian"),
        ("english", "Hawaiʻi", "Hawaii"),
        ("english", "OAuth2", "OAuth 2"),
        ("english", "W.H.O.", "WHO"),
        ("english", "I.T. department", "IT department"),
        ("english", "iPhone15", "iphone 15"),
        ("english", "R&D", "R & D"),
        ("english", "β-carotene", "beta-carotene"),
        ("none", "λ", "lambda"),
        ("none", "Đoković", "Djokovic"),
        ("serbian", "Đoković", "Djokovic"),
        ("none", "ґанок", "ганок"),
        ("english", "GB29NWBK60161331926819", "GB29 NWBK 6016 1331 9268 19"),
        ("german", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("english", "5e7c91aa-04b2-4d1f-8e3a-77c0d2f1ab96", "5E7C91AA04B24D1F8E3A77C0D2F1AB96"),
    ],
)
def test_each_of_two_spellings_finds_the_other(language: str, one: str, other: str) -> None:
    assert found(language, f"{one}, x", other)
    assert found(language, f"x {other}.", one)


@pytest.mark.parametrize("language", ["french", "italian", "catalan", "english", "none"])
@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("l'homme", "homme"),
        ("dell’arte", "arte"),
        ("d´hivern", "hivern"),
        ("quell`uomo", "uomo"),
        ("L'Europe", "europe"),
    ],
)
def test_a_word_is_found_behind_an_elision(language: str, text: str, question: str) -> None:
    assert found(language, f"{text}.", question)
    assert found(language, text.replace("'", "’"), text)


@pytest.mark.parametrize(
    ("language", "text", "question"),
    [
        ("none", "وزارة", "رة"),
        ("none", "الله", "له"),
        ("none", "וילון", "ילו"),
        ("none", "לבן", "בן"),  # white, son
        ("none", "משרד", "שרד"),  # office, survived
        ("hindi", "जन्म", "जंम"),
        ("none", "וזיר وزیر", "زیر"),  # Persian, which writes no conjunction with a word
        ("turkish", "gün", "guen"),
        ("none", "сім'я", "сім"),  # family, seven
        ("english", "O'Brien", "o"),
        ("english", "It's", "its"),
        ("italian", "Dell'arte", "dellarte"),
        ("french", "Qu'elle", "quelle"),
        ("english", "We'll", "well"),
        ("none", "l'homme", "lhomme"),
        ("english", "a1b2c3d4e5f6a7, b7c6d5e4f3a2b1", "a7b6c5d4e3f2a1"),
        ("english", "5e7c91aa-04b2-4d1f-8e3a-77c0d2f1ab96", "91ee5c7a-b204-f14d-3a8e-96c0d2f1ab77"),
    ],
)
def test_a_part_of_a_word_does_not_find_it(language: str, text: str, question: str) -> None:
    assert not found(language, text, question)


@pytest.mark.parametrize(
    ("language", "text", "question", "marked"),
    [
        ("english", "The inlet valves, closed.", "valve", ["valves"]),
        ("hindi", "पानी की बोतल", "बोतल", ["बोतल"]),
        ("none", 'דובר צה"ל מסר', "צהל", ['צה"ל']),
        ("none", "סֵפֶר טוֹב", "ספר", ["סֵפֶר"]),
        ("none", "das Cafe\u0301 dort", "café", ["Cafe\u0301"]),
        ("english", "C++, not C#", "C++", ["C++"]),
        ("english", "by O´Brien.", "obrien", ["O´Brien"]),
        ("german", "die Schiff\u00adfahrt heute", "Schifffahrt", ["Schiff\u00adfahrt"]),
        ("english", "I ❤ it", "❤", ["❤"]),
        ("french", "soit 1\u202f000 euros", "1000", ["1\u202f000"]),
        ("english", "a Bosch™ drill", "bosch", ["Bosch™"]),
        ("english", "our R & D budget", "R&D", ["R & D"]),
        ("english", "to GB29 NWBK 6016 1331 9268 19.", "GB29NWBK60161331926819", ["GB29 NWBK 6016 1331 9268 19"]),
    ],
)
def test_words_found_are_marked_as_they_are_written(language: str, text: str, question: str, marked: list[str]) -> None:
    pieces = list(mark_words(text, frozenset(asked(language, question)), language))
    assert [piece for piece, is_found in pieces if is_found] == marked
    assert "".join(piece for piece, _ in pieces) == text
