"""Trains the network that says where a face has its eyes and its nose: emogan/assets/landmarks.npz.

What it learns is what the detector of `emogan edit` finds on the faces of FER2013's `train`. It took a quarter
of an hour on two CPU cores beside other work.

pip install -e ".[train,photos]" && python experiments/lab/fit_landmarks.py --data_dir=PATH --output=landmarks.npz
"""

# isort: off
import beside  # noqa: F401

# isort: on
import flag_config
import found_faces
import jax
import jax.numpy as jnp
import numpy as np
import optax
import script
from absl import flags

from emogan import config as config_lib
from emogan.models import landmarks
from emogan.train import pipeline
from emogan.util import images, weights

DATA_DIR = script.define_path("data_dir", "", "folder of FER2013")
EPOCHS = flags.DEFINE_integer("epochs", 40, "passes over the faces", 1)
OUTPUT = script.define_path("output", "landmarks.npz", "the file to write")

_BATCH, _RATE, _SEED = 128, 2e-3, 0
_HUBER = 0.02  # of the side, from which on an error counts by its size and not by its square


def main(_) -> None:
    output = script.output(OUTPUT.value)
    config = config_lib.Config(data=config_lib.DataConfig(name="fer2013", dir=DATA_DIR.value))
    train, valid = (points_of(pipeline.load_data(config, split).images) for split in ("train", "valid"))
    params = fitted(*train, EPOCHS.value)
    faces, points = valid
    found = np.asarray(landmarks.of(weights.in_floats(weights.in_halves(params)), images.to_float(jnp.asarray(faces))))
    apart = 48 * np.linalg.norm(found - points, axis=-1)
    error = {"median": np.median(apart).item(), "of_95_in_100": np.percentile(apart, 95).item()}
    card = {
        "faces": len(train[0]),
        "epochs": EPOCHS.value,
        "pixels_from_the_detector": {name: round(value, 2) for name, value in error.items()},
    }
    weights.save(output, weights.in_halves(params), card)
    print(f"{len(faces)} faces of valid: {card['pixels_from_the_detector']} pixels of 48 from the detector's points")
    print(f"wrote {output}")


def points_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the faces uint8 [N, 48, 48] that the detector finds, and their points float32 [N, 3, 2]."""
    kept, points = [], []
    for face in faces:
        found = found_faces.of(face)
        if found:
            kept.append(face)
            points.append(found_faces.largest(found).landmarks[: landmarks.POINTS] / found_faces.FRAME - 1.0)
    return np.stack(kept), np.float32(points)


def fitted(faces: np.ndarray, points: np.ndarray, epochs: int) -> dict:
    """Returns the parameters after passes over faces uint8 [N, 48, 48] and their points [N, 3, 2]."""
    steps = epochs * (len(faces) // _BATCH)
    optimizer = optax.adam(optax.cosine_decay_schedule(_RATE, steps))
    params = landmarks.Landmarks().init(jax.random.key(_SEED), jnp.zeros((1, 48, 48, 1)))["params"]
    state, random = optimizer.init(params), np.random.default_rng(_SEED)

    @jax.jit
    def step(params, state, faces, points, key):
        faces, points = jax.vmap(found_faces.moved)(images.to_float(faces), points, jax.random.split(key, len(faces)))

        def loss(params):
            return jnp.mean(optax.huber_loss(landmarks.of(params, faces), points, delta=_HUBER)) / _HUBER**2

        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    for i in range(steps):
        chosen = random.integers(len(faces), size=_BATCH)
        key = jax.random.fold_in(jax.random.key(_SEED), i)
        params, state, value = step(params, state, faces[chosen], points[chosen], key)
        if (i + 1) % 500 == 0:
            print(f"step {i + 1} of {steps}: loss {value:.3f}", flush=True)
    return params


if __name__ == "__main__":
    flag_config.run(main)
