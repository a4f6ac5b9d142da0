"""Looking into XML by local names: the same element has one namespace in strict and one in transitional documents."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

_OFF = ("0", "false", "off")


def name_of(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child_of(element: Element | None, name: str) -> Element | None:
    """The first child of a name."""
    return next(children_of(element, name), None)


def children_of(element: Element | None, name: str) -> Iterator[Element]:
    """The children of a name."""
    return (child for child in (element if element is not None else ()) if name_of(child) == name)


def attribute_of(element: Element, name: str) -> str | None:
    """An attribute's value; None without it."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return None


def text_value(element: Element | None) -> str | None:
    """What `w:val` says."""
    return attribute_of(element, "val") if element is not None else None


def is_on(element: Element | None) -> bool:
    """Whether a switch is there and not off."""
    return element is not None and text_value(element) not in _OFF
