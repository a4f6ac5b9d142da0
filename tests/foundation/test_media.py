"""What files really are, and names that cannot do harm."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mistral_agents._turn import media as _media
from mistral_agents._turn.media import FileData
from mistral_agents.errors import ConfigurationError


def image(kind: str, size: tuple[int, int] = (37, 21), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "navy").save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "extension", "media_type"),
    [
        ("PNG", "png", "image/png"),
        ("JPEG", "jpg", "image/jpeg"),
        ("GIF", "gif", "image/gif"),
        ("WEBP", "webp", "image/webp"),
    ],
)
def test_images_are_known_by_their_bytes_and_measured(kind: str, extension: str, media_type: str) -> None:
    data = image(kind)
    found = FileData.of("image_generated_0", data)
    assert (found.name, found.media_type, found.size) == (f"image_generated_0.{extension}", media_type, (37, 21))


def test_a_lossless_webp_is_measured() -> None:
    assert _media.image_size(image("WEBP", lossless=True)) == (37, 21)


def test_a_jpeg_called_png_gets_its_true_extension() -> None:
    assert FileData.of("plot.png", image("JPEG")).name == "plot.jpg"


@pytest.mark.parametrize("cut", [0, 3, 9, 17, 25])
def test_a_broken_image_has_no_size_and_does_no_harm(cut: int) -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        _media.image_size(image(kind)[:cut])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\temp\\a.csv", "a.csv"),
        ("/abs/report.csv", "report.csv"),
        ("", "file"),
        ("..", "file"),
        (".", "file"),
        ("a\x00b\n.csv", "ab_.csv"),
        ("CON", "file_CON"),
        ("nul.txt", "file_nul.txt"),
        (".bashrc", "bashrc"),
        ("v1.2 results.csv", "v1.2 results.csv"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert _media.safe_name(name, b"a,b\n1,2\n") == safe


@given(st.text(max_size=300), st.sampled_from([b"", b"x,y\n", b"\x89PNG\r\n\x1a\n", b"\x00\x01", b"PK\x03\x04"]))
def test_no_name_ever_leaves_the_folder(name: str, data: bytes) -> None:
    safe = _media.safe_name(name, data)
    assert safe
    assert Path(safe).name == safe
    assert len(safe) <= 250
    assert not set(safe) & set('/\\\x00:"|?*<>')
    assert safe not in (".", "..")


def test_saving_overwrites_nothing_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("keep")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.csv").symlink_to(outside)
    file = FileData.of("a.csv", b"1,2\n")
    assert [file.save(folder).name, file.save(folder).name] == ["a-2.csv", "a-3.csv"]
    assert outside.read_text() == "keep"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        FileData.of("a.csv", b"1").save(place)
