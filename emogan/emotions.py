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


def label(name: str) -> int:
    """Returns the label of an emotion's name, in either naming and any case.

    Raises:
      ValueError: if the name is no emotion.
    """
    word = name.strip().lower()
    word = ALIASES.get(word, word)
    if word not in EMOTIONS:
        raise ValueError(f"expected an emotion out of {', '.join(EMOTIONS)}, found {name!r:.60}")
    return EMOTIONS.index(word)
