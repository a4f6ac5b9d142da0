"""HTML as browsers show it, texts in their encodings, PDF as viewers show it; what is none of these is refused."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mistral_agents_server.parsing import UnreadableError, parse
from mistral_agents_server.readers.html import html_text

# --- HTML ---


def page(source: str, encoding: str = "utf-8", name: str = "a.html") -> str:
    [text] = parse(name, source.encode(encoding))
    return text


@pytest.mark.parametrize(
    "declaration",
    [
        '<meta charset="{}">',
        "<meta charset={}>",
        "<META http-equiv='Content-Type' content='text/html; charset={}'>",
        "<!-- <meta charset=utf-8> --><meta charset='{}'>",
    ],
)
@pytest.mark.parametrize(
    ("encoding", "label", "text"),
    [
        ("cp932", "x-sjis", "①安全規則"),
        ("gb18030", "gb2312", "安全规则 ㈱"),
        ("cp949", "ks_c_5601-1987", "안전 규칙 똠"),
        ("big5hkscs", "big5", "安全規則"),
        ("cp1251", "windows-1251", "Правила"),
        ("iso-8859-2", "latin2", "Żółć"),
        ("cp1252", "iso-8859-1", "“Größe” – 20 €"),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_declares(
    declaration: str, encoding: str, label: str, text: str
) -> None:
    assert page(f"<html><head>{declaration.format(label)}<body><p>{text}", encoding) == text


def test_a_declaration_of_xml_counts_and_an_unknown_one_does_not() -> None:
    assert page('<?xml version="1.0" encoding="koi8-r"?><html><body>Правила', "koi8-r", "a.xhtml") == "Правила"
    for name in ("a.xml", "a.svg", "feed.rss"):
        source = '<?xml version="1.0" encoding="iso-8859-5"?><a>Київ</a>'
        assert page(source, "iso8859-5", name) == source
        assert page(source, "utf-8-sig", name) == source
    assert page("<meta charset=nonsense><p>Größe") == "Größe"
    assert page("<meta charset=utf-16><p>Größe") == "Größe", "who could read this declaration did not read UTF-16"
    assert page("<meta charset=iso-8859-1><p>Größe", "utf-8-sig") == "Größe", "the mark comes before the declaration"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<title>T</title><p>one<p>two", "# T\n\none\n\ntwo"),
        ("<head><title>Same</title><body><h1>Same</h1>x", "# Same\n\nx"),
        ("<table><tr><th>a<th>b<tr><td><p>1</p><p>one</p><td><tr><td>2", "a | b\n1 one |\n2"),
        ("<table><thead><tr><th rowspan=9>a<th>b</thead><tbody><tr><td>c<td>d</table>", "a | b\nc | d"),
        (
            "<table><tr><td rowspan=3>a<td>b<tr><td>c<tr><td>d<tr><td>e<td rowspan=2>f<tr><td>g<td>h</table>",
            "a | b\n| c\n| d\ne | f\ng | | h",
        ),
        (
            "<table><tr><th colspan=2>2025<th rowspan=2>Note<tr><th>H1<th>H2<tr><td>1<td>2<td>x<tr><td colspan=3>all</table>",
            "2025 | | Note\nH1 | H2\n1 | 2 | x\nall",
        ),
        ("<table><tr><th>a<th rowspan=2>b<tr><td>c<tr><td>d<td>e</table>", "a | b\nc\nd | e"),
        ("<table><tr><td colspan=2 rowspan=2>a<td>b<tr><td>c</table>", "a | | b\n| | c"),
        ("<table><tr><td colspan=999999999>a<td>b</table>", f"a{' |' * 50} b"),
        ("<ol reversed><li>x<li>y</ol><ol reversed start=9><li>z<li>w</ol>", "2. x\n1. y\n\n9. z\n8. w"),
        ("<table><tr><td><table><tr><td>in<td>ner</table><td><ul><li>item</ul></table>", "in | ner\n\n- item"),
        ("<ol><li>a<li value=7>b<li>c</ol><ul><li>d</ul>", "1. a\n7. b\n8. c\n\n- d"),
        ("<select><option>Red<option>Blue</select>", "Red\nBlue"),
        ("<p>a<pre>def f():\n    return 1\n\n    # end</pre>", "a\n\ndef f():\n    return 1\n\n    # end"),
        ("a<listing>b\n  c</listing>d<xmp><i>\n  e</xmp>", "a\n\nb\n  c\n\nd\n\n<i>\n  e"),
        ("a\n <b>b</b>c<i> d</i>\u00a0 e", "a bc d e"),
        ("<p hidden>x</p><p style='display: none'>y</p><dialog>z</dialog><template>t</template><p>shown", "shown"),
        (
            "<p><script>x</script><style>y</style><noscript>z</noscript><svg><title>t</title><text>seen</text></svg>",
            "seen",
        ),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby> <q>so</q>", "漢(かん) “so”"),
        ("<input value=Send type=submit><input type=hidden value=no><textarea> a\n b</textarea>", "Send\n a\n b"),
        ("line<br>two<hr>three", "line\ntwo\n\nthree"),
        ("a<span style='Display:Block'>b</span><a style='display: flex; color: red'>c</a>d<i>e</i>", "a\nb\nc\nde"),
        ("one<br>\n<br>two<br>three", "one\n\ntwo\nthree"),
        ("<nav><a>Home</a><a>Parts</a></nav><p>a<a>b</a>c", "Home Parts\n\nabc"),
        ("&lt;b&gt; &amp; &copy; &#8364;", "<b> & © €"),
        (
            "10<sup>3</sup> m<sup><a>2</a></sup> in 2019<sup>4</sup>, 1<sup>st</sup> <sup>[1]</sup>",
            "10³ m² in 2019⁴, 1st [1]",
        ),
        ("<ol type=a><li>x<li>y</ol><ol style='list-style: upper-roman' start=4><li>z</ol>", "a. x\nb. y\n\nIV. z"),
        ("<div style='color: red; white-space: pre'>if a:\n    b</div> <p>c\n d", "if a:\n    b\n\nc d"),
        ("<button>Go</button><button>Stop</button><svg><text>low</text><text>high</text></svg>", "Go Stop low high"),
        ("<math><mfrac><mi>a</mi><mrow><mn>2</mn><mo>+</mo><mi>b</mi></mrow></mfrac></math>", "a/(2+b)"),
        ("<math><semantics><msup><mi>x</mi><mn>2</mn></msup><annotation>x^2</annotation></semantics></math>", "x²"),
        ("<math><msqrt><mi>x</mi></msqrt><mo>&nbsp;</mo><b @=1>y</math>", "√(x) y"),
        ("<?xml version='1.0'?><html><head><title/><script src='a'/></head><body><a id='b'/>shown<br/>", "shown"),
    ],
)
def test_what_a_browser_shows(source: str, shown: str) -> None:
    assert html_text(source) == shown


def test_a_page_is_known_by_its_beginning_where_its_name_says_nothing() -> None:
    assert page("\n<!DOCTYPE html><p>An error", name="report.pdf") == "An error"
    assert page("<html> is a tag", name="notes.txt") == "<html> is a tag"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "tag", ["div", "ul><li", "b", "table><tr><td", "rt", "optgroup", "svg><g", "p", "li><dd", "div></x"]
)
def test_a_page_of_any_depth_is_read_in_bounded_time(tag: str) -> None:
    """The parser's own time grows with the square of the depth: 200,000 elements in one another took minutes."""
    assert "deep" in html_text(f"<{tag}>" * 50_000 + "deep" + "</div>" * 50_000)


@pytest.mark.timeout(60)
def test_styles_that_are_opened_again_are_bounded_too() -> None:
    source = "".join(f"<p><b id={number}>x</p>" for number in range(1_500))
    assert html_text(source).count("x") == 1_500


@pytest.mark.timeout(60)
def test_cells_that_reach_down_are_bounded_too() -> None:
    source = "<table><tr>" + "<td rowspan=99999>x" * 5_000 + "<tr><td>y" * 5_000
    assert html_text(source).count("y") == 5_000


def test_a_page_that_closes_nothing_keeps_its_items() -> None:
    assert html_text("<ul>" + "<li><p>one" * 2000).count("- one") == 2000
    assert html_text("<dl>" + "<dt>a<dd>b" * 2000).count("b") == 2000


def test_what_is_nested_deeper_than_browsers_nest_stands_side_by_side() -> None:
    assert (
        html_text("<div>" * 600 + "one<div>two</div>three" + "</div>" * 600 + "<h2>four</h2>")
        == "onetwothree\n\n## four"
    )
    assert html_text("<div>" * 500 + "one<div>two</div>three" + "</div>" * 500) == "one\n\ntwo\n\nthree"


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("<>/ap tdhrulioe=\"'!-&;\n\u00a0"), max_size=200))
def test_any_source_has_a_text(source: str) -> None:
    html_text(source)


# --- texts ---


@pytest.mark.parametrize("damage", [b"\xff", b"\xc3", b"\xe2\x82", b"\0", b"\x80"])
@pytest.mark.parametrize("text", ["Größe für Übung, naïve Café. ", "Правила безопасности. ", "安全規則。"])
def test_a_damaged_byte_damages_one_place(text: str, damage: bytes) -> None:
    whole = (text * 20).encode()
    [read] = parse("a.txt", whole + damage + b" end " + whole)
    assert read.count(text.strip()) >= 39
    assert read.replace("\ufffd", "").count(" end ") == 1


@pytest.mark.parametrize(
    "text", ["pump\0x", "pump\0xy", "a\0", "pump text here\0 more words", "one\0two\0three\0", "Größe\0ab"]
)
def test_zero_bytes_between_words_make_no_other_encoding(text: str) -> None:
    assert parse("a.txt", text.encode()) == [text.replace("\0", "")]


@pytest.mark.parametrize(
    "encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be", "utf-32", "utf-8-sig"]
)
@pytest.mark.parametrize(
    "text", ["Safety rules\n1. Größe", "Rules 安全規則 of work", "Правила безопасности", "安全规则在这里。"]
)
def test_wide_encodings_are_read_with_and_without_their_mark(encoding: str, text: str) -> None:
    assert parse("a.txt", text.encode(encoding)) == [text]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Der Fluß führt Hochwasser, die Brücke ist gesperrt."),
        ("cp1252", "caf\xe9"),
        ("cp1252", "Price: 20 € – “special”"),
        ("cp1252", "Größe: 5 m², Straße 12, Köln – „Gute Reise“ sagte er"),
        ("cp1252", "apples £3.20, pears £4.10, plums £2.00"),
        ("cp1252", "Copyright © 2023 Example"),
        ("cp1252", "più bella perché c’è il sole."),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
        ("cp1251", "Закройте впускной клапан перед ремонтом."),
        ("koi8-r", "Правила безопасности при работе с печью"),
        ("cp932", "バルブを閉じてから修理を始めます。"),
        ("gb18030", "维修前请关闭进水阀门。安全规则"),
        ("cp949", "수리하기 전에 밸브를 닫으십시오. 안전 규칙"),
        ("cp1253", "Κλείστε τη βαλβίδα πριν από τη συντήρηση"),
        ("iso8859-2", "Każdy pracownik musi nosić kask, rękawice i zgłaszać wszystkie usterki."),
        ("cp852", "Każdy pracownik musi nosić kask, rękawice i zgłaszać wszystkie usterki."),
        ("cp866", "Закройте впускной клапан перед ремонтом."),
        ("cp850", "Der Fluß führt Hochwasser, die Brücke über die Mühle ist gesperrt."),
        ("iso2022_jp", "安全規則 is read"),
        ("iso2022_jp_ext", "ﾎﾟﾝﾌﾟ is read"),
        ("iso2022_kr", "안전 규칙 is read"),
        ("cp1252", "La qualità è più alta e la velocità è già sufficiente."),
        ("cp1252", "Ça y est, le garçon a déjà mangé l'œuf à la coque."),
        ("cp1252", "Où étiez-vous hier soir ? J'ai reçu votre lettre."),
        ("cp1252", "He paid €5 for it, £3 for that."),
        ("cp1252", "Keep it below 25 °C ± 2 °C, 1 µm × 3"),
        ("cp1252", "A menu à la carte, pipes of Ø 12"),
        ("cp850", "Según el médico, la operación salió bien."),
        ("cp850", "Luk ventilen før vedligeholdelse, og kontrollér oliestanden."),
        ("mac_roman", "Le café est fermé à Noël, l'été prochain aussi."),
        ("mac_roman", "Die Größe der Tür beträgt zwei Meter."),
        ("mac_roman", "Feche a válvula antes da manutenção das máquinas."),
        ("mac_cyrillic", "Закройте клапан перед обслуживанием насоса."),
        ("iso8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
        ("iso8859-5", "В понедельник магазин не работает."),
        ("cp862", "סגור את השסתום לפני תחזוקה."),
        ("iso8859-6", "أغلق الصمام قبل الصيانة وتحقق من مستوى الزيت."),
        ("cp1251", "int count = 5; // количество элементов"),
        ("cp932", "int count = 5; // 個数を数える"),
    ],
)
def test_texts_of_older_encodings_are_guessed(encoding: str, text: str) -> None:
    assert parse("a.txt", text.encode(encoding)) == [text]


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        *("打开阀门之前，一定要关闭电源。", "一个人一台机器", "退出程序", "毎朝水を飲む。", "Закройте", "पढ़ें सुरक्षा"),
        *("أغلق", "Κλείστε", "안전 규칙", "กฎความ", "Rules: 一"),
        *("ポンプ", "ひらがなだけのぶん", "ポンプを交換する", "ポンプ\nバルブ"),
    ],
)
def test_wide_letters_are_told_from_their_bytes_turned_round(order: str, text: str) -> None:
    """Some of their letters have zero bytes where Latin ones have them in the other order (U+4E00), others have none."""
    assert parse("a.txt", text.encode(order)) == [text]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"Close valve\x1a", "Close valve"),
        (b"Pump KX-77\r\n\x1a\x1a\x1a", "Pump KX-77"),
        ("Größe für Übung\x1a".encode("cp1252"), "Größe für Übung"),
        ("Größe für Übung\x1a".encode("cp850"), "Größe für Übung"),
        ("Закройте клапан\x1a".encode("koi8-r"), "Закройте клапан"),
        (b"N\bNA\bAM\bME\bE", "N\bNA\bAM\bME\bE"),
        (b"\x1b[1;31mERROR\x1b[0m: no \x1b[4mpump\x1b[24m\x1b[K", "ERROR: no pump"),
        (b"\xef\xbb\xbf\xef\xbb\xbfpump", "pump"),
    ],
    ids=["DOS", "DOS padded", "Windows", "DOS umlauts", "KOI8", "struck over", "colours", "two marks"],
)
def test_controls_of_old_files_and_terminals_make_no_other_encoding(data: bytes, shown: str) -> None:
    assert parse("a.txt", data) == [shown]


@pytest.mark.parametrize(
    ("line", "older"), [("Größe für Übung", "cp1252"), ("Правила работы", "cp1251"), ("Größe für Übung", "cp850")]
)
def test_lines_of_an_older_encoding_in_utf8_are_read(line: str, older: str) -> None:
    whole, other = f"{line}\n".encode(), f"{line}\n".encode(older)
    assert parse("a.txt", whole * 5 + other * 2 + b"end") == [f"{line}\n" * 7 + "end"]
    assert parse("a.txt", whole * 5 + b"Done \xf0\x9f\x98") == [f"{line}\n" * 5 + "Done \ufffd"], "half an emoji"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("Größe \ufffdfür\ufffd Übung".encode().replace(b"\xef\xbf\xbd", b"\x93"), "Größe \ufffdfür\ufffd Übung"),
        ("Gr\ufffd\ufffde f\ufffdr \ufffdbung".encode(), "Gr\ufffd\ufffde f\ufffdr \ufffdbung"),
    ],
    ids=["damaged here", "damaged before"],
)
def test_a_short_text_with_some_damaged_letters_is_no_binary_file(data: bytes, shown: str) -> None:
    assert parse("a.txt", data) == [shown]


def test_emoji_that_are_written_in_halves_are_whole() -> None:
    assert parse("a.txt", b"Gr\xc3\xb6\xc3\x9fe \xed\xa0\xbd\xed\xb8\x80 ok \xed\xa0\xbd") == ["Größe 😀 ok \ufffd"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "作業の前に弁を閉めること。"),
        ("cp1250", "Żółta łódź płynie źle."),
        ("cp852", "Żółta łódź płynie źle. " * 2),
        ("cp1250", "Příliš žluťoučký kůň"),
        ("cp437", "Größe für Übung, Größe"),
        ("cp1252", "Volumen: 5 m³, 25 °C, § 5 – „Größe“"),
    ],
)
def test_short_texts_of_older_encodings_are_guessed_by_their_words(encoding: str, text: str) -> None:
    """Bytes of Japanese may form characters of UTF-8; signs in words are no signs."""
    assert parse("a.txt", text.encode(encoding)) == [text.rstrip()]


def test_json_has_its_letters_in_place_of_their_codes() -> None:
    source = r'{"a": "caf\u00e9 \ud83d\ude80", "b": "\\u00e9 \u0022 \ud83d"}'
    assert parse("a.json", source.encode()) == [r'{"a": "café 🚀", "b": "\\u00e9 \u0022 ' + "\ufffd" + '"}']
    assert parse("a.txt", source.encode()) == [source]


# --- mails and saved pages ---

ALTERNATIVES = (
    b"Content-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/plain\n\nplain\n"
    b'--in\nContent-Type: text/html; charset="utf-8"\nContent-Transfer-Encoding: quoted-printable\n\n'
    b"<p>Gr=C3=B6=C3=9Fe of the va=\nlve</p>\n--in--\n"
)
PICTURE = b'--out\nContent-Type: image/png; name="a.png"\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--out--\n'
SAVED = b'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="out"\n\n--out\n' + ALTERNATIVES + PICTURE


@pytest.mark.parametrize("name", ["a.mht", "a.mhtml", "export.doc"])
def test_a_page_saved_as_one_file_is_read_as_a_page(name: str) -> None:
    assert parse(name, SAVED) == ["Größe of the valve"]
    assert parse(name, b"From: <Saved by Blink>\nSubject: x\n" + SAVED) == ["Größe of the valve"]


def test_a_mail_is_read_with_its_headers_and_names_what_is_attached() -> None:
    mail = b"From: Ada <a@example.org>\nSubject: =?utf-8?B?R3LDtsOfZQ==?= =?none?Q?x?=\n" + SAVED.replace(
        b"related", b"mixed"
    )
    [text] = parse("a.eml", mail)
    assert text.startswith("From: Ada <a@example.org>\nSubject: ")
    assert text.endswith("\n\nGröße of the valve\n\n[Attached: a.png]")
    [forwarded] = parse(
        "a.eml", b"From: B\nSubject: Fw\nContent-Type: message/rfc822\n\n" + mail.replace(b" =?none?Q?x?=", b"")
    )
    assert "Subject: Größe\n" in forwarded
    assert "of the valve" in forwarded


@pytest.mark.parametrize(
    ("charset", "body", "shown"),
    [
        ("gb2312", "“龍”".encode("gbk"), "“龍”"),
        ("iso-8859-1", "„Größe“".encode("cp1252"), "„Größe“"),
        ("punycode", b"a-b", "a-b"),
        ("none", "Größe".encode(), "Größe"),
    ],
)
def test_encodings_of_mails_are_those_that_browsers_take_them_for(charset: str, body: bytes, shown: str) -> None:
    assert parse("a.eml", f"MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n\n".encode() + body) == [
        shown
    ]


ROOT = b"--b\nContent-Type: image/png\nContent-ID: <pic>\n\nxx\n--b\nContent-Type: text/html\nContent-ID: <r>\n\n<p>page</p>\n--b--\n"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            b"From: B\nSubject: Fw\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
            b"Content-Type: message/rfc822\nContent-Disposition: attachment\n\nFrom: A\nSubject: Pump\n\nClose it.\n--b--\n",
            "From: B\nSubject: Fw\n\nFrom: A\nSubject: Pump\n\nClose it.",
        ),
        (b"From: B\nContent-Type: multipart/mixed; boundary=zz\n\nClose it.\n", "From: B\n\nClose it."),
        (b"Date: today\nSubject: Pump\n\nClose it.\n", "Date: today\nSubject: Pump\n\nClose it."),
        (b'From: B\nContent-Type: multipart/related; boundary=b; start="<r>"\n\n' + ROOT, "From: B\n\npage"),
        (b"From: B\nContent-Type: multipart/related; boundary=b\n\n" + ROOT, "From: B\n\npage"),
        (b"29\nFrom: B\nSubject: X\n\nClose it.<?xml?><plist/>", "From: B\nSubject: X\n\nClose it."),
    ],
    ids=["forwarded", "no parts", "nobody's", "named root", "picture first", "Apple's"],
)
def test_what_a_mail_says_is_read_wherever_it_stands(source: bytes, shown: str) -> None:
    assert parse("a.emlx" if source[:1].isdigit() else "a.eml", source) == [shown]


@pytest.mark.parametrize("name", ["inbox.mbox", "Inbox"])
def test_a_mailbox_is_its_mails_a_page_each(name: str) -> None:
    first = b"From ada@example.org Mon Mar  2 10:00:00 2026\nFrom: ada@example.org\nSubject: Pump\nMIME-Version: 1.0\n"
    first += b"Content-Transfer-Encoding: base64\n\nQ2xvc2UgdGhlIHZhbHZlLg==\n\n"
    second = b"From bob@example.org Tue Mar  3 10:00:00 2026\nFrom: Bob\nSubject: Re: Pump\n\n>From 8 to 9.\n\nFrom 2024:\nit leaks.\n"
    assert parse(name, first + second) == [
        "From: ada@example.org\nSubject: Pump\n\nClose the valve.",
        "From: Bob\nSubject: Re: Pump\n\nFrom 8 to 9.\n\nFrom 2024:\nit leaks.",
    ]
    assert parse("a.txt", second) == [second.decode().strip()]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_headers_whose_letters_are_not_coded_are_read(encoding: str) -> None:
    mail = "From: Jürgen <j@example.org>\nSubject: Grüße\n\nHello"
    assert parse("a.eml", mail.encode(encoding)) == ["From: Jürgen <j@example.org>\nSubject: Grüße\n\nHello"]


def test_the_name_of_what_is_attached_is_decoded() -> None:
    part = b'MIME-Version: 1.0\nContent-Type: image/png; name="=?utf-8?B?R3LDtsOfZS5wbmc=?="\n\nx'
    assert parse("a.eml", part) == ["[Attached: Größe.png]"]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60), st.integers(0, len(SAVED)))
def test_a_damaged_mail_is_read_or_refused(noise: bytes, place: int) -> None:
    with suppress(UnreadableError):
        parse("a.eml", b"From: Ada\n" + SAVED[:place] + noise + SAVED[place:])


def archive(kind: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("mimetype", kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive("application/vnd.oasis.opendocument.text"), "OpenDocument text"),
        (archive("application/epub+zip"), "EPUB"),
        (archive("application/x-other"), "an archive"),
        (bytes(range(256)) * 4, "binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "picture"),
        (b"{\\rtf1\\ansi Text}", "RTF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (b" \n ", "no text"),
        (b"", "no text"),
    ],
)
def test_what_is_no_text_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse("a.txt", data)


# --- PDF ---


def pdf(*pages: str, picture_on: int | None = None, width: float = 0) -> bytes:
    made = FPDF()
    made.set_font("helvetica", size=12)
    for number, text in enumerate(pages, 1):
        made.add_page()
        made.multi_cell(width, 8, text)
        if number == picture_on:
            file = io.BytesIO()
            Image.new("RGB", (40, 60), (200, 200, 200)).save(file, "PNG")
            made.image(file, x=0, y=20, w=200, h=270)
    return bytes(made.output())


@pytest.mark.parametrize("stamp", ["", "2"])
def test_a_scanned_page_between_others_is_named(stamp: str) -> None:
    first, second, third = parse("a.pdf", pdf("First page.", stamp, "Third page.", picture_on=2))
    assert (first, third) == ("First page.", "Third page.")
    assert second.startswith(stamp)
    assert "Page 2 is a picture" in second


def test_a_page_with_a_picture_and_words_is_a_page_of_words() -> None:
    words = "Words about otters. " * 20
    [text] = parse("a.pdf", pdf(words, picture_on=1))
    assert "picture" not in text


def test_a_pdf_of_scans_alone_says_so() -> None:
    with pytest.raises(UnreadableError, match="scans"):
        parse("a.pdf", pdf("", picture_on=1))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("Each mainte-\nnance counts.", "Each maintenance counts."),
        ("A well-known rule is well-\nknown.", "A well-known rule is well-known."),
        ("From 1990-\n1995 and High-\nTech", "From 1990-\n1995 and High-Tech"),
        ("A range - or -\nnot", "A range - or -\nnot"),
    ],
)
def test_words_that_a_line_cuts_are_whole(lines: str, text: str) -> None:
    assert parse("a.pdf", pdf(lines)) == [text]


def objects(*bodies: bytes) -> bytes:
    """A PDF of these objects, without a table: viewers find them all the same."""
    numbered = b"".join(b"%d 0 obj%s\nendobj\n" % (number, body) for number, body in enumerate(bodies, 1))
    return b"%PDF-1.7\n" + numbered + b"trailer<</Root 1 0 R>>\n%%EOF\n"


def test_a_form_without_drawn_fields_is_read_with_its_values() -> None:
    catalog = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/NeedAppearances true/DA(/Helv 12 Tf 0 g)/DR<</Font<</Helv 5 0 R>>>>>>>>"
    data = objects(
        catalog,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Annots[4 0 R]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Bright)/F 4/DA(/Helv 12 Tf 0 g)/Rect[72 600 272 620]/P 3 0 R>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    assert parse("form.pdf", data) == ["Bright"]


@pytest.mark.parametrize(
    "before", [b"\n", b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n"]
)
@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "download"])
def test_a_pdf_behind_other_bytes_is_a_pdf(before: bytes, name: str) -> None:
    assert parse(name, before + pdf("Inside.")) == ["Inside."]


def test_a_pdf_by_its_name_may_begin_anywhere() -> None:
    """Some downloads keep all headers of the reply, cookies too: the file's source is no text of it."""
    headers = b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: session=%s\r\n" % (b"x" * 300) * 9 + b"\r\n"
    assert parse("a.PDF", headers + pdf("Inside.")) == ["Inside."]


def test_a_text_about_pdf_is_a_text() -> None:
    assert parse("a.txt", b"A file begins with %PDF-1.7 and a line end.") == [
        "A file begins with %PDF-1.7 and a line end."
    ]


HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
FONT_OF_SHAPES = (
    b"<</Type/Font/Subtype/Type1/BaseFont/X/FirstChar 1/LastChar 4/Widths[9 9 9 9]"
    b"/Encoding<</Differences[1/g1/g2/g3/g4]>>>>"
)


def pdf_of(pages: list[tuple[bytes, str]]) -> bytes:
    """A PDF with a line on each page, in a font of its own."""
    kids = " ".join(f"{3 + 3 * number} 0 R" for number in range(len(pages)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode()]
    for number, (font, text) in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {4 + 3 * number} 0 R"
        page += f"/Resources<</Font<</F1 {5 + 3 * number} 0 R>>>>>>"
        objects += [page.encode(), b"<</Length %d>>stream\n%s\nendstream" % (len(content), content), font]
    body = b"".join(b"%d 0 obj%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer<</Size %d/Root 1 0 R>>\n%%%%EOF\n" % (len(objects) + 1)


def test_a_page_whose_font_tells_no_letters_is_named() -> None:
    strange = pdf_of([(FONT_OF_SHAPES, r"\001\002\003\004")])
    with pytest.raises(UnreadableError, match="letters"):
        parse("a.pdf", strange)
    pages = parse("a.pdf", pdf_of([(FONT_OF_SHAPES, r"\001\002\003\004"), (HELVETICA, "Close the valve.")]))
    assert pages[0].startswith("[Page 1 can't be read")
    assert pages[1] == "Close the valve."


def test_a_damaged_pdf_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="no PDF"):
        parse("a.pdf", pdf("x")[:100])
