"""Packages whose names are loaded when first used, so that importing one room does not import all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def offer_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    Args:
        package: Its name.
        homes: The module of the package that each public name stands in.
    """

    def load_name(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home}"), name)

    def list_names() -> list[str]:
        return sorted(homes)

    return load_name, list_names
