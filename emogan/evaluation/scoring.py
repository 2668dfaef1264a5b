"""One table: every method before every evaluator, with the references that keep it honest."""

import dataclasses
import math
import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import jax

from emogan.evaluation import edit_accuracy, identity, judge, scores, tables
from emogan.evaluation import methods as methods_lib
from emogan.evaluation import real_faces as faces_lib


def score(
    title: str,
    methods: Sequence[methods_lib.Method],
    evaluators: Sequence[scores.Evaluator],
    faces: faces_lib.Faces,
    key: jax.Array,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns the scores of all methods as plain data for metrics.json (docs/evaluation.md describes its fields).

    Args:
      title: of the report.
      methods: the columns; the references are added by the caller.
      evaluators: the groups of scores.
      faces: what they are compared with.
      key: for what is random in an evaluator; each has its own by its name's place.
      say: called with a line for each method that is done.

    Raises:
      ValueError: if the held-out data are empty, or a method's pictures are not as they must be.
    """
    data = faces.held_out
    if not len(data):
        raise ValueError(f"{data.name} {data.split}: expected held-out faces, found none")
    found = []
    for method in methods:
        values: dict[str, Any] = {}
        for i, evaluator in enumerate(evaluators):
            values |= evaluator.run(method, faces, jax.random.fold_in(key, i))
        entry = {"name": method.name, "kind": method.kind, "about": method.about}
        entry["scores"] = {name: dataclasses.asdict(value) for name, value in values.items()}
        found.append(entry)
        say(f"scored {method.name}: {_headline(values)}")
    shown = [method for method in methods if method.kind != "reference"]
    return {
        "format": tables.FORMAT,
        "title": title,
        "split": data.split,
        "faces": len(data),
        "leaked": int(faces.leaked.sum()),
        "classes": list(data.class_names),
        "data": _about_data(faces),
        "judge": _about_judge(faces),
        "identity": _about_identity(faces),
        "methods": found,
        "verdicts": {
            one.name: counts.tolist() for one in shown if (counts := edit_accuracy.verdicts(one, faces)) is not None
        },
        "config": None,
        "environment": environment(),
    }


def environment() -> dict[str, str]:
    """Returns versions and device."""
    names = ("emogan", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-image")
    versions = {name: _version(name) for name in names}
    device = jax.devices()[0]
    return {"python": platform.python_version(), **versions, "device": f"{device.platform}: {device.device_kind}"}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # a clone on PYTHONPATH that was not installed
        return "not installed"


def _about_data(faces: faces_lib.Faces) -> dict[str, Any]:
    data = faces.held_out
    counts = ", ".join(f"{name} {n}" for name, n in zip(data.class_names, data.class_counts(), strict=True))
    return {
        "name": data.name,
        "split": data.split,
        "faces": len(data),
        "faces of each class": counts,
        "also in the training faces, exactly or nearly": int(faces.leaked.sum()),
        "training faces": len(faces.train),
        "fingerprint": data.fingerprint(),
    }


def _about_judge(faces: faces_lib.Faces) -> dict[str, Any]:
    here = judge.accuracy(faces.opinion.verdicts, faces.held_out.labels, len(faces.held_out.class_names))
    card = faces.judge.card
    about = {"name": card.get("name", "of a run"), "checksum": faces.judge.checksum}
    about |= {"accuracy": here["accuracy"], "balanced_accuracy": here["balanced_accuracy"]}
    about |= {
        "trained on": f"{card.get('faces', '?')} faces of {card.get('data', '?')} {card.get('split', '')}".strip()
    }
    return about


def _about_identity(faces: faces_lib.Faces) -> dict[str, Any]:
    found = identity.calibrate(faces.descriptor, faces.held_out.images)
    return {
        "descriptor": faces.descriptor.name,
        "rank1_of_changed_copies": found["rank1"],
        "rank 1 of faces blurred by 4 pixels": found["rank1_blurred"],
        "cosine of a changed copy": found["own"],
        "cosine to other faces": found["others"],
    }


def _headline(values: dict[str, scores.Score]) -> str:
    parts = []
    for name in ("edit_accuracy", "identity_rank1", "reconstruction_psnr", "frechet", "sample_accuracy"):
        if name in values and math.isfinite(values[name].value):
            metric = scores.METRICS[name]
            parts.append(f"{metric.title} {metric.scale * values[name].value:.{metric.digits}f} {metric.unit}".strip())
    return ", ".join(parts)
