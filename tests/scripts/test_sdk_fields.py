"""What the SDK's requests take is there here, or left out with a reason; a new SDK shows its news in one line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from scripts.sdk_fields import (
    PAGE,
    Surface,
    describe_news,
    explain_field,
    explain_model,
    find_installed,
    parameters_of,
    read_kept,
    read_sdk,
    render_page,
)
from scripts.sdk_table import FIELDS, LEFT_OUT, MAPPINGS, METHODS


def test_the_sdk_that_is_installed_has_no_news() -> None:
    assert describe_news(read_sdk(find_installed())) == ""


@pytest.mark.parametrize("surface", read_kept(), ids=lambda surface: surface.version)
def test_the_kept_sdks_of_both_majors_have_no_news(surface: Surface) -> None:
    assert describe_news(surface) == ""
    assert len(surface.methods) > 60
    assert set(surface.models) >= {"CompletionArgs", "GuardrailConfig", "ToolConfiguration", "FunctionResultEntry"}


def test_both_majors_are_kept_and_the_page_is_current() -> None:
    assert [surface.version.split(".")[0] for surface in read_kept()] == ["2", "3"]
    assert PAGE.read_text("utf-8") == render_page(read_kept())


def test_what_is_kept_of_the_installed_version_is_what_it_has() -> None:
    installed = read_sdk(find_installed())
    same = [surface for surface in read_kept() if surface.version == installed.version]
    assert same in ([], [installed])


def test_every_field_of_the_page_is_explained() -> None:
    for surface in read_kept():
        for method, fields in surface.methods.items():
            assert method in METHODS or method in LEFT_OUT
            assert [field for field in fields if method in METHODS and not explain_field(method, field)] == []
        for model, fields in surface.models.items():
            assert [field for field in fields if not explain_model(model, field)] == []


def test_the_table_names_what_is_there() -> None:
    for ours in METHODS.values():
        assert parameters_of(ours) is not None
    known = {
        f"{name}.{field}" for surface in read_kept() for name, fields in surface.methods.items() for field in fields
    }
    known |= {
        f"{name}.{field}" for surface in read_kept() for name, fields in surface.models.items() for field in fields
    }
    known |= {name for surface in read_kept() for name in surface.methods}
    assert set(LEFT_OUT) - known == set()
    assert {name for name in FIELDS if "." in name} - known == set()
    assert set(METHODS) - known == set()
    assert set(MAPPINGS) == {name for surface in read_kept() for name in surface.models}


SOURCES = {
    "mistralai/client/_version.py": '__version__: str = "9.1.0"\n',
    "mistralai/client/conversations.py": (
        "class Conversations:\n"
        "    def start(self, *, inputs, model=None, mood=None, retries=None): ...\n"
        "    @deprecated('x')\n    def old(self, *, anything): ...\n"
        "    def fold(self, *, conversation_id): ...\n"
    ),
    "mistralai/client/models/completionargs.py": "class CompletionArgs(BaseModel):\n    stop: int\n    warmth: int\n",
}


def test_news_stand_in_one_line_that_names_the_fields(tmp_path: Path) -> None:
    wheel = tmp_path / "mistralai-9.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        for name, text in SOURCES.items():
            made.writestr(name, text)
            path = tmp_path / "venv" / "lib" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    wanted = (
        "mistralai 9.1.0 has news: the method conversations.fold(conversation_id); conversations.start takes mood; "
        "CompletionArgs has warmth"
    )
    assert describe_news(read_sdk(wheel)) == wanted
    assert describe_news(read_sdk(tmp_path / "venv")) == wanted


def test_a_folder_without_the_sdk_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no mistralai"):
        read_sdk(tmp_path)
