"""What the SDK's requests take, and what is there for it here: `python -m scripts.sdk_fields [--sdk PATH ...]`.

Writes `docs/sdk-fields.md` from `scripts/sdk_surfaces.json`, which holds the requests of one SDK of each major. `--sdk`
reads another one into that file: a wheel, or a folder in which `mistralai` is installed (a virtual environment too).
Nothing of it is imported or run.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from mistral_agents import MistralAgents
from mistral_agents._border.options import TABLE
from scripts.sdk_table import ANYWHERE, FIELDS, LEFT_OUT, MAPPINGS, METHODS, RESOURCES

KEPT = Path(__file__).with_name("sdk_surfaces.json")
PAGE = Path(__file__).parents[1] / "docs" / "sdk-fields.md"
_OF_THE_CALL = frozenset(
    {"self", "retries", "server_url", "timeout_ms", "http_headers", "accept_header_override", "accept"}
)
_INTRO = """# SDK field → ours

Written by `python -m scripts.sdk_fields` from the SDK's requests; do not edit. A test compares the SDK that is
installed, so that what a new one takes shows in one line. What is left out can be had of `client.sdk`, the SDK's own
client with the same settings. An arrow names ours where it is called otherwise. Methods that the SDK calls deprecated
are not listed.
"""


@dataclass(frozen=True)
class Surface:
    """What the requests of an SDK take.

    Attributes:
        version: its version.
        methods: the parameters of each method, by resource and name.
        models: the fields of the models that stand in requests.
    """

    version: str
    methods: Mapping[str, list[str]]
    models: Mapping[str, list[str]]


def find_installed() -> Path:
    """The folder in which the SDK is installed here."""
    found = find_spec("mistralai")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("mistralai is not installed")
    return Path(next(iter(found.submodule_search_locations))).parent


def read_sdk(place: Path) -> Surface:
    """The requests of the SDK in a wheel, or below a folder.

    Raises:
        ValueError: There is none.
    """
    files = dict(_list_sources(place))
    if "client/_version.py" not in files:
        raise ValueError(f"{place} holds no mistralai of version 2 or later")
    said = ast.parse(files["client/_version.py"])
    version = next(
        str(node.value.value)
        for node in said.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and isinstance(node.value, ast.Constant)
        and ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]) == "__version__"
    )
    methods: dict[str, list[str]] = {}
    models: dict[str, list[str]] = {}
    for name, text in files.items():
        folder, _, module = name.removesuffix(".py").rpartition("/")
        if folder == "client" and module in RESOURCES:
            methods.update(_read_methods(RESOURCES[module], ast.parse(text)))
        elif folder == "client/models":
            models.update(_read_models(text))
    return Surface(version, dict(sorted(methods.items())), dict(sorted(models.items())))


def _list_sources(place: Path) -> Iterator[tuple[str, str]]:
    if place.suffix == ".whl":
        with zipfile.ZipFile(place) as wheel:
            for name in wheel.namelist():
                if name.startswith("mistralai/client/") and name.endswith(".py"):
                    yield name.removeprefix("mistralai/"), wheel.read(name).decode()
        return
    home = next(iter(sorted(place.glob("**/mistralai/client/_version.py"))), None)
    if home is not None:
        root = home.parent.parent
        for path in (*root.glob("client/*.py"), *root.glob("client/models/*.py")):
            yield path.relative_to(root).as_posix(), path.read_text("utf-8")


def _read_methods(resource: str, module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for owner in module.body:
        if isinstance(owner, ast.ClassDef):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not _is_old(node):
                    given = [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
                    yield f"{resource}.{node.name}", [name for name in given if name not in _OF_THE_CALL]


def _is_old(method: ast.FunctionDef) -> bool:
    return any("deprecated" in ast.unparse(one) for one in method.decorator_list)


def _read_models(text: str) -> Iterator[tuple[str, list[str]]]:
    for name in MAPPINGS:
        if f"class {name}(" in text:
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    yield name, [field for field in _list_fields(node) if not field.startswith("_")]


def _list_fields(owner: ast.ClassDef) -> Iterator[str]:
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


# ours ------------------------------------------------------------------------------------------------------------


def ours_of(method: str) -> str | None:
    """Our method for one of the SDK; None where there is none."""
    return METHODS.get(method)


def parameters_of(ours: str) -> set[str]:
    """What a method of our client takes, options included.

    Raises:
        AttributeError: There is no such method.
    """
    resource, _, name = ours.partition(".")
    method = getattr(getattr(MistralAgents(api_key="none"), resource), name)
    names: set[str] = set()
    for one in inspect.signature(method).parameters.values():
        if one.kind is one.VAR_KEYWORD:
            hint: Any = get_type_hints(method)[one.name]
            names |= set(hint.__args__[0].__annotations__)
        else:
            names.add(one.name)
    return names


def explain_field(method: str, field: str) -> str | None:
    """What there is for a parameter of the SDK: our name for it, or why there is none; None where it is news."""
    reason = LEFT_OUT.get(f"{method}.{field}", LEFT_OUT.get(method, ANYWHERE.get(field)))
    if reason is not None:
        return reason if reason.startswith("as ") else f"left out: {reason}"
    ours = ours_of(method)
    if ours is None:
        return None
    name = FIELDS.get(f"{method}.{field}", FIELDS.get(field, field))
    return name if name in parameters_of(ours) else None


def explain_model(model: str, field: str) -> str | None:
    """What there is for a field of a model of the SDK; None where it is news."""
    place = f"{model}.{field}"
    if place in LEFT_OUT:
        return f"left out: {LEFT_OUT[place]}"
    if model == "CompletionArgs":
        named = {option.name for option in TABLE if option.goes == "completion_args"}
        return field if FIELDS.get(place, field) in named else None
    how, known = MAPPINGS[model]
    return how if field in known else None


def describe_news(surface: Surface) -> str:
    """One line that names what an SDK takes and nothing here knows; empty where there is nothing."""
    parts = []
    for method, fields in surface.methods.items():
        if method not in METHODS and method not in LEFT_OUT:
            parts.append(f"the method {method}({', '.join(fields)})")
            continue
        new = [field for field in fields if explain_field(method, field) is None]
        parts += [f"{method} takes {', '.join(new)}"] if new else []
    for model, fields in surface.models.items():
        new = [field for field in fields if explain_model(model, field) is None]
        parts += [f"{model} has {', '.join(new)}"] if new else []
    return f"mistralai {surface.version} has news: {'; '.join(parts)}" if parts else ""


# the page --------------------------------------------------------------------------------------------------------


def read_kept() -> list[Surface]:
    """The SDKs of the page, the oldest first."""
    return [Surface(**found) for found in json.loads(KEPT.read_text("utf-8"))]


def keep(surface: Surface) -> None:
    """Put an SDK in the place of the one of its major."""
    others = [one for one in read_kept() if one.version.split(".")[0] != surface.version.split(".")[0]]
    rows = sorted([*others, surface], key=lambda one: int(one.version.split(".")[0]))
    KEPT.write_text(json.dumps([vars(one) for one in rows], indent=1) + "\n", "utf-8")


def render_page(surfaces: list[Surface]) -> str:
    """The page."""
    versions = [surface.version for surface in surfaces]
    parts = [_INTRO, f"Read of {' and '.join(versions)}.\n"]
    methods = sorted({name for surface in surfaces for name in surface.methods})
    for resource in dict.fromkeys(name.partition(".")[0] for name in methods):
        parts.append(f"## {resource}\n")
        parts += [_render_method(name, surfaces) for name in methods if name.partition(".")[0] == resource]
    parts.append("## Models in requests\n")
    for model in sorted({name for surface in surfaces for name in surface.models}):
        rows = _rows({surface.version: surface.models.get(model) for surface in surfaces})
        parts.append(f"### {model}\n\n{_table(rows, lambda field, model=model: explain_model(model, field))}")
    return "\n".join(parts)


def _render_method(method: str, surfaces: list[Surface]) -> str:
    ours = ours_of(method)
    if ours is None:
        return f"### {method}\n\nLeft out: {LEFT_OUT[method]}\n"
    rows = _rows({surface.version: surface.methods.get(method) for surface in surfaces})
    head = f"### {method} → client.{ours}\n"
    return head + (f"\n{_table(rows, lambda field: explain_field(method, field))}" if rows else "")


def _rows(by_version: Mapping[str, list[str] | None]) -> dict[str, list[str]]:
    """The versions that have each field; no version where all do."""
    fields = dict.fromkeys(field for found in by_version.values() for field in found or ())
    rows = {field: [v for v, found in by_version.items() if field in (found or ())] for field in fields}
    return {field: [] if len(found) == len(by_version) else found for field, found in rows.items()}


def _table(rows: Mapping[str, list[str]], explain: Any) -> str:
    lines = ["| SDK | only in | ours |", "|---|---|---|"]
    for field, versions in rows.items():
        said = explain(field)
        told = said if said.startswith(("left out", "as ")) else "the same" if said == field else f"→ `{said}`"
        lines.append(f"| `{field}` | {', '.join(versions)} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page; 1 where an SDK that was read has news."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sdk", type=Path, nargs="+", default=[], help="a wheel, or a folder that holds mistralai")
    chosen = parser.parse_args()
    for place in chosen.sdk:
        surface = read_sdk(place)
        if news := describe_news(surface):
            print(news, file=sys.stderr)
            return 1
        keep(surface)
    PAGE.write_text(render_page(read_kept()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
