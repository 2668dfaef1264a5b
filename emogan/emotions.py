"""The seven emotions of FER2013, in its fixed order: a label is an index into `EMOTIONS`."""

EMOTIONS = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")

# FER2013 travels as folders under two namings: the paper's adjectives, and the competition's nouns.
ALIASES = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}


def usual(name: str) -> str:
    """Returns the name of a class in lower case, and that of an emotion in the paper's naming."""
    word = name.strip().lower()
    return ALIASES.get(word, word)


def label(name: str) -> int:
    """Returns the label of an emotion's name, in either naming and any case.

    Raises:
      ValueError: if the name is no emotion.
    """
    word = usual(name)
    if word not in EMOTIONS:
        raise ValueError(f"expected an emotion out of {', '.join(EMOTIONS)}, found {name!r:.60}")
    return EMOTIONS.index(word)
