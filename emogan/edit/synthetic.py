"""A picture of an edited face that says so in the metadata of every file in which it is saved."""

import os
import pathlib
from typing import Any

import PIL.Image
import PIL.PngImagePlugin

from emogan.util import images


class SyntheticImage(PIL.Image.Image):
    """A PIL image whose `save` adds `images.SYNTHETIC`: text in PNG; comment and EXIF in JPEG; EXIF in WebP and AVIF.

    Copies and conversions of it are plain images.
    """

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """Saves the picture; arguments and errors as of `PIL.Image.Image.save`, and what they give is kept."""
        if format is None and isinstance(fp, str | os.PathLike):
            format = PIL.Image.registered_extensions().get(pathlib.Path(fp).suffix.lower())
        if format and format.upper() == "PNG":
            text = PIL.PngImagePlugin.PngInfo()
            for key, value in images.SYNTHETIC.items():
                text.add_text(key, value)
            params = {"pnginfo": text, **params}
        elif format and format.upper() in ("JPEG", "WEBP", "AVIF"):
            note, exif = images.described(images.SYNTHETIC)
            params = {"exif": exif.tobytes(), **({"comment": note} if format.upper() == "JPEG" else {}), **params}
        super().save(fp, format, **params)


def of(image: PIL.Image.Image) -> SyntheticImage:
    """Returns an image as one that is synthetic."""
    made = SyntheticImage()
    made.__dict__.update(image.__dict__)
    made.info = {**image.info, **images.SYNTHETIC}
    return made
