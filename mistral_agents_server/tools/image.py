"""Image generation: a simple picture that follows from the prompt alone."""

from __future__ import annotations

import colorsys
import hashlib
import io
import json
import random
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field

from mistral_agents_server.tools.calls import HostedFunction
from mistral_agents_server.tools.results import MadeFile, ToolResult

Wire = dict[str, Any]
Colour = tuple[int, int, int]

_SIDE = 512
_SHAPES = 7
_COLOURS: dict[str, Colour] = {
    "black": (20, 20, 20),
    "blue": (40, 90, 200),
    "brown": (120, 80, 50),
    "green": (40, 150, 80),
    "grey": (128, 128, 128),
    "gray": (128, 128, 128),
    "orange": (240, 140, 40),
    "pink": (240, 130, 170),
    "purple": (130, 70, 170),
    "red": (210, 40, 45),
    "white": (250, 250, 250),
    "yellow": (245, 205, 60),
}
_FORMS = {"circle": "ellipse", "ball": "ellipse", "sun": "ellipse", "square": "rectangle", "box": "rectangle"}


class Prompt(BaseModel):
    """Arguments of `generate_image`."""

    prompt: str = Field(min_length=1, description="What the picture shows.")


class ImageGeneration:
    """Draws a picture: colours and forms that the prompt names, else some that follow from its letters.

    The bytes are JPEG under the name `png`, as was seen on the service: look at the bytes.

    Args:
        url: gives the address at which a file can be had for an hour.
    """

    def __init__(self, url: Callable[[str], str]) -> None:
        self._url = url

    def functions(self) -> list[HostedFunction[Any]]:
        """The functions it offers."""
        return [HostedFunction("generate_image", "Draw a picture of what is described.", Prompt, self._run)]

    def _run(self, arguments: Prompt, _: Wire) -> ToolResult:
        file = MadeFile("image_generated_0", "png", draw(arguments.prompt))
        return ToolResult({"result": json.dumps({"url": self._url(file.file_id)})}, files=[file])


def draw(prompt: str) -> bytes:
    """A JPEG of 512 by 512 pixels, always the same for the same prompt."""
    from PIL import Image, ImageDraw

    chance = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311 (a picture, no secret)
    words = re.findall(r"[a-z]+", prompt.lower())
    named = [_COLOURS[word] for word in words if word in _COLOURS]
    form = next((_FORMS[word] for word in words if word in _FORMS), None)
    background = next((_COLOURS[c] for c in _backgrounds(prompt) if c in _COLOURS), (236, 236, 230))
    picture = Image.new("RGB", (_SIDE, _SIDE), background)
    pen = ImageDraw.Draw(picture)
    colours = [colour for colour in named if colour != background] or [_any_colour(chance) for _ in range(3)]
    if form is not None:
        _shape(pen, form, _SIDE // 2, _SIDE // 2, _SIDE // 4, colours[0])
    else:
        for _ in range(_SHAPES):
            x, y = chance.randrange(_SIDE), chance.randrange(_SIDE)
            _shape(
                pen, chance.choice(["ellipse", "rectangle"]), x, y, chance.randrange(30, 140), chance.choice(colours)
            )
    caption = " ".join(prompt.split())[:70].encode("ascii", "replace").decode()
    pen.text((10, _SIDE - 22), caption, fill=(90, 90, 90))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _backgrounds(prompt: str) -> list[str]:
    return re.findall(r"([a-z]+) background", prompt.lower()) + re.findall(
        r"background (?:of|in) ([a-z]+)", prompt.lower()
    )


def _any_colour(chance: random.Random) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(chance.random(), 0.5, 0.6)
    return int(red * 255), int(green * 255), int(blue * 255)


def _shape(pen: Any, form: str, x: int, y: int, radius: int, colour: Colour) -> None:
    getattr(pen, form)((x - radius, y - radius, x + radius, y + radius), fill=colour)
