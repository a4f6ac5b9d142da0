"""Models of pydantic that make something of their fields, and make it anew where one of these changes.

LangChain's users copy such objects for another user (`model_copy(update=...)`), or set a field later; what was made of
the first settings would go on serving the first user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel
from typing_extensions import Self, override


class Remaking(BaseModel):
    """Its subclasses say what they make, and which fields are read each time instead."""

    _read_later: ClassVar[frozenset[str]] = frozenset()

    def _remake(self) -> None:
        """Make it of the fields as they are.

        Raises:
            ConfigurationError: They contradict one another.
        """
        raise NotImplementedError

    @override
    def __setattr__(self, name: str, value: object) -> None:
        before = self.__dict__.get(name)
        super().__setattr__(name, value)
        if name in type(self).model_fields and name not in self._read_later:
            try:
                self._remake()
            except BaseException:
                super().__setattr__(name, before)
                raise

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        if update is not None and not self._read_later.issuperset(update):
            copied._remake()
        return copied
