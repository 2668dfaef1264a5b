"""Pictures of any size and kind as squares of one size, in gray or in colour."""

import io
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps

from emogan.data import dataset
from emogan.util import untrusted

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_MOST_BYTES = 1 << 24  # of a picture's file


def square(picture: PIL.Image.Image, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns a picture as uint8 [S, S] or [S, S, 3]: without its longer sides' ends, resized with antialiasing."""
    size = (spec.size, spec.size)
    picture = picture.convert("L" if spec.channels == 1 else "RGB")
    fits = picture.size == size
    return np.asarray(picture if fits else PIL.ImageOps.fit(picture, size, PIL.Image.Resampling.LANCZOS))


def converted(faces: np.ndarray, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns faces uint8 [N, S, S(, 3)] in the size and channels of `spec`, as `square` makes them; N may be 0."""
    if faces.shape[1:] == spec.byte_shape:
        return faces
    made = [square(PIL.Image.fromarray(face), spec) for face in faces]
    return np.stack(made) if made else np.zeros((0, *spec.byte_shape), np.uint8)


def decode(data: bytes, spec: dataset.ImageSpec) -> np.ndarray:
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
                return square(PIL.ImageOps.exif_transpose(picture), spec)
    except PIL.UnidentifiedImageError as error:
        raise ValueError("a file that is no image") from error
    except Exception as error:  # Pillow's decoders have each their own for damaged data
        raise ValueError(untrusted.reason(error)) from error
