"""Packages whose names are loaded when first used, so that importing one room does not import all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def load_modules(*names: str) -> None:
    """Load modules now that are needed later, so that processes forked from this one share them."""
    for name in names:
        import_module(name)


def offer_names(
    package: str, homes: Mapping[str, str], extras: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    Args:
        package: Its name.
        homes: The module of the package that each public name stands in.
        extras: The extra of this distribution that brings a package of others, by its import name.
    """

    def load_name(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(f"{package}.{home}"), name)
        except ModuleNotFoundError as error:
            lacking = (error.name or "").partition(".")[0]
            if extras is None or lacking not in extras:
                raise
            text = f"{package} needs {lacking}, which is not installed: pip install 'mistral-agents[{extras[lacking]}]'"
            raise ModuleNotFoundError(text, name=error.name) from error

    def list_names() -> list[str]:
        return sorted(homes)

    return load_name, list_names
