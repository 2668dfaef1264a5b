"""Pictures of any size and kind as gray squares of 48x48."""

import io
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps

from emogan.data import dataset
from emogan.util import untrusted

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_MOST_BYTES = 1 << 24  # of a picture's file


def square(picture: PIL.Image.Image) -> np.ndarray:
    """Returns a picture as gray uint8 [48, 48]: without its longer sides' ends, resized with antialiasing."""
    size = (dataset.IMAGE_SIZE, dataset.IMAGE_SIZE)
    gray = picture.convert("L")
    return np.asarray(gray if gray.size == size else PIL.ImageOps.fit(gray, size, PIL.Image.Resampling.LANCZOS))


def decode(data: bytes) -> np.ndarray:
    """Returns the bytes of a picture's file, upright, as `square` does; of an animation the first frame.

    Raises:
      ValueError: saying what was found where a picture was expected.
    """
    if len(data) > _MOST_BYTES:
        raise ValueError(f"a file of more than {_MOST_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            with PIL.Image.open(io.BytesIO(data), formats=untrusted.readable()) as picture:
                if not 0 < picture.width * picture.height <= untrusted.MOST_PIXELS:
                    raise ValueError(f"{picture.width}x{picture.height} pixels")
                return square(PIL.ImageOps.exif_transpose(picture))
    except PIL.UnidentifiedImageError as error:
        raise ValueError("a file that is no image") from error
    except Exception as error:  # Pillow's decoders have each their own for damaged data
        raise ValueError(untrusted.reason(error)) from error
