"""A trained flow as a model that edits faces: by the difference of two flows, or to noise and back."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from emogan.edit import checked, compiled, editor
from emogan.models import flow_edit, ode, unet
from emogan.util import images, types

LARGEST_BATCH = 32  # faces, each of which the network is asked about three times at once

_ASKED = 8  # frames of a sequence, about, whose source emotions are estimated
_ROUNDING = 1e-3  # how far from 1 the sum of a distribution may lie

# An emotion, or a distribution over them: floats [C], or [N, C] with one for each face.
Wanted = editor.Emotion | np.ndarray


class FlowEditor(editor.Editor):
    """A trained flow; `emogan.load` returns one.

    E and G are one network and its ODE (`ode`). A latent is noise [S, S, C]. Edits are those of
    `networks.flow_edit`; the network is told the surroundings of the face that is edited, and `encode` and `decode`
    tell it none. In addition to the emotions of `Editor` it takes distributions over them, such as 60 % happy
    and 40 % surprised: floats [C] or [N, C] whose sums are 1.
    """

    blends = True

    def _make_networks(self) -> None:
        """Makes the one network that the ODE asks, where the base has E and G."""
        self.warps, self._encoder_takes = False, ""
        settings = self.networks
        self._network = unet.make(settings.unet, len(self.class_names), settings.model.precision)
        self._guidances = settings.flow_edit.guidances(len(self.class_names))

    def encode(self, faces: np.ndarray | jax.Array, labels: Wanted | None = None) -> np.ndarray:
        """Returns the noise float32 [N, S, S, C] at which the ODE arrives from faces, under no label.

        The network is told no surroundings.

        Args:
          faces: see `Editor`.
          labels: not needed.

        Raises:
          ValueError: if the faces' shape, type or values are not as expected.
        """
        del labels
        faces = _floats(checked.faces(faces, self.spec))
        return self._solved(faces, 0.0, 1.0, np.zeros((len(faces), len(self.class_names)), np.float32), 1.0)

    def decode(self, latents: np.ndarray | jax.Array, emotion: Wanted | None) -> np.ndarray:
        """Returns the faces float32 [N, S, S, C] in [-1, 1] of noise [N, S, S, C].

        Under "all" they are [C, N, S, S, C]. Under None, no label, it inverts `encode`, up to the solver's error. The
        network is told no surroundings.

        Raises:
          ValueError: if the latents' shape or type, or the emotion, is not as expected.
        """
        latents = checked.latents(latents, self.spec.shape)
        guidance = 1.0 if emotion is None else self.networks.flow_edit.inversion_guidance
        return self._under_all(lambda x, labels: self._solved(x, 1.0, 0.0, labels, guidance), latents, emotion)

    def faces(
        self,
        faces: np.ndarray | jax.Array,
        emotion: Wanted,
        labels: Wanted | None = None,
        strength: float = 1.0,
    ) -> np.ndarray:
        """Returns the faces with another emotion, or [C, N, ...] with all of them under "all".

        Bytes give bytes and floats float32, with a last axis of 1 where the faces have one. The same face, emotion and
        `networks.flow_edit.seed` have the same noise, in any batch.

        Args:
          faces: see `Editor`.
          emotion: an emotion or a distribution, see the class.
          labels: the emotions, or distributions, of the unedited faces; estimated by `source` if not given.
          strength: from 0, the face itself under the method `difference`, to 1; above 1 exaggerates. The label and its
            guidance go from those of the source to those of the target.

        Raises:
          ValueError: if the faces, the emotion, the labels or the strength are not as expected.
        """
        return self._edited(faces, emotion, labels, strength, None)

    def sequence(
        self,
        faces: np.ndarray,
        emotion: editor.Emotion,
        strength: float = 1.0,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Returns the edits of one person's faces in successive frames: all with the same noise and source emotion."""
        faces = checked.faces(faces, self.spec)
        if not len(faces):
            return self.faces(faces, emotion, strength=strength)
        few = faces[:: max(1, len(faces) // _ASKED)]
        label = np.bincount(self.source(few), minlength=len(self.class_names)).argmax()
        if not isinstance(emotion, str | int) or editor.is_all(emotion):
            raise ValueError(f"expected an emotion's name or a label for a sequence, found {emotion!r:.50}")
        number, edits = flow_edit.seeds(faces[:1]), []
        for start in range(0, len(faces), LARGEST_BATCH):
            part = faces[start : start + LARGEST_BATCH]
            edits.append(self._edited(part, emotion, np.full(len(part), label), strength, number))
            if progress:
                progress(start + len(part))
        return np.concatenate(edits)

    def _edited(
        self, faces: np.ndarray, emotion: Wanted, labels: Wanted | None, strength: float, numbers: np.ndarray | None
    ) -> np.ndarray:
        """Returns the edits of `faces`, with the noise of these numbers [1] or [N], or each with its own."""
        faces = checked.faces(faces, self.spec)
        checked.strength(strength)
        if not editor.is_all(emotion):
            self._distributions(emotion, len(faces))  # a wrong one fails before the work
        if self.networks.flow_edit.method == "inversion":
            edits = self._under_all(functools.partial(self._by_inversion, strength), _floats(faces), emotion)
        else:
            own = self._distributions(self.source(faces) if labels is None else labels, len(faces))
            numbers = flow_edit.seeds(faces) if numbers is None else np.broadcast_to(numbers, len(faces))
            by = functools.partial(self._by_difference, own, numbers, strength)
            edits = self._under_all(by, _floats(faces), emotion)
        if faces.dtype == np.uint8:
            edits = np.asarray(images.to_bytes(jnp.asarray(edits)))
        return edits.reshape(*edits.shape[: 2 if editor.is_all(emotion) else 1], *faces.shape[1:])

    def source(self, faces: np.ndarray | jax.Array) -> np.ndarray:
        """Returns the emotions int32 [N] under which the flow explains faces best; see `flow_edit.errors`.

        Raises:
          ValueError: if the faces' shape, type or values are not as expected.
        """
        faces = checked.faces(faces, self.spec)
        numbers, floats = flow_edit.seeds(faces), _floats(faces)

        def errors(x: np.ndarray, own: np.ndarray) -> jax.Array:
            around = _around(self._network, x)
            found = [
                _errors(self._network, self.variables[0], x, t, i, own, self.networks.flow_edit.seed, around)
                for i, t in enumerate(np.float32(flow_edit.ESTIMATE_TIMES))
            ]
            return sum(found)

        found = compiled.in_batches(errors, floats, numbers, largest=LARGEST_BATCH)
        return found.argmin(axis=1).astype(np.int32)

    def sample(self, labels: Wanted, seed: int = 0) -> np.ndarray:
        """Returns faces uint8 [N, S, S(, 3)] that G draws for labels [N].

        Raises:
          ValueError: if a label is none of the model's.
        """
        count = np.size(labels)
        latents = np.asarray(jax.random.normal(jax.random.key(seed), (count, *self.spec.shape)))
        return np.asarray(images.to_bytes(jnp.asarray(self.decode(latents, np.reshape(labels, count)))))

    def edit(self, variables: Any, faces: types.ByteImages, labels: types.Labels) -> types.Images:
        """Raises ValueError: an edit by a flow is many calls of its network, of which files hold only `velocity`."""
        raise ValueError(
            "expected a model whose edit is G(E(x) | y), found a flow (phases=flow), which only --format=web exports; "
            "use emogan edit or emogan.load(workdir).faces"
        )

    def velocity(
        self,
        variables: tuple[types.Params, ...],
        faces: jax.Array,
        times: jax.Array,
        labels: jax.Array,
        originals: jax.Array,
    ) -> jax.Array:
        """Returns the velocities [B, S, S, C] of noisy faces: a pure function, to be compiled or exported.

        Args:
          variables: see `Editor`.
          faces: float32 [B, S, S, C]; times: float32 [B]; labels: float32 [B, C]. See `ode.Velocity`.
          originals: float32 [B, S, S, C] in [-1, 1], the faces that are edited, whose surroundings the network is told.
        """
        around = unet.around(self._network, originals)
        return unet.velocity_of(self._network, variables[0]["params"], around)(faces, times, labels)

    def _by_inversion(self, strength: float, faces: np.ndarray, target: np.ndarray) -> np.ndarray:
        settings = self.networks.flow_edit
        noise = self._solved(faces, 0.0, settings.inversion_t_max, np.zeros_like(target), 1.0, faces)
        return self._solved(noise, settings.inversion_t_max, 0.0, target, strength * settings.inversion_guidance, faces)

    def _by_difference(
        self, own: np.ndarray, numbers: np.ndarray, strength: float, faces: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        settings, times = self.networks.flow_edit, len(faces) // max(len(own), 1)
        own, numbers = np.tile(own, (max(times, 1), 1))[: len(faces)], np.tile(numbers, max(times, 1))[: len(faces)]
        guidances = target @ self._guidances  # of a blend, the mean
        least = settings.guidance_source
        guidances = np.float32(least + strength * (guidances - least))
        redraw_guidance = least + strength * (settings.redraw_guidance - least)
        target = own + np.float32(strength) * (target - own)
        path = ode.times(settings.t_max, 0.0, settings.steps)
        back = ode.times(settings.redraw_t, 0.0, settings.redraw_steps) if settings.redraw_t else np.zeros(0)

        def edited(
            x: np.ndarray, target: np.ndarray, guidances: np.ndarray, own: np.ndarray, numbers: np.ndarray
        ) -> jax.Array:
            conditions = (
                ode.Condition(jnp.asarray(target), jnp.asarray(guidances)),
                ode.condition(own, settings.guidance_source),
            )
            moved, around = jnp.zeros_like(x), _around(self._network, x)
            # A dispatch a step: XLA's convolutions in a loop run on one core of a CPU (docs/architecture.md).
            for i, (t, after) in enumerate(itertools.pairwise(path)):
                moved = _difference(
                    *(self._network, self.variables[0], x, moved, i, t, after, *conditions, numbers, settings.seed),
                    *(settings.guidance_t_min, around),
                    count=settings.noises,
                    solver=settings.solver,
                )
            edits = jnp.clip(x + moved, -1.0, 1.0)
            if not len(back):
                return edits
            noise, again, state = _begin_redraw(x, edits, back[0], numbers, settings.seed, settings.steps)
            condition = ode.condition(target, redraw_guidance)
            for t, after in itertools.pairwise(back):
                state = _redraw(
                    *(self._network, self.variables[0], state, edits, again, noise, t, after, condition),
                    *(settings.guidance_t_min, around),
                )
            return jnp.clip(state, -1.0, 1.0)

        return compiled.in_batches(edited, faces, target, guidances, own, numbers, largest=LARGEST_BATCH)

    def _solved(
        self,
        x: np.ndarray,
        begin: float,
        end: float,
        labels: np.ndarray,
        guidance: float,
        originals: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns what the ODE makes of x from one time to another; faces, at 0, lie in [-1, 1].

        The network is told the surroundings of `originals`, if they are given.
        """
        settings = self.networks.flow_edit
        path = ode.times(begin, end, settings.inversion_steps)

        def solved(x: np.ndarray, labels: np.ndarray, *known: np.ndarray) -> jax.Array:
            condition = ode.condition(labels, guidance)
            around = _around(self._network, *known) if known else None
            for t, after in itertools.pairwise(path):
                x = _step(
                    *(self._network, self.variables[0], x, t, after, condition, around),
                    solver=settings.inversion_solver,
                )
            return jnp.clip(x, -1.0, 1.0) if end == 0.0 else x

        known = [] if originals is None else [originals]
        return compiled.in_batches(solved, x, labels, *known, largest=LARGEST_BATCH)

    def _under_all(self, function: Any, rows: np.ndarray, emotion: Wanted | None) -> np.ndarray:
        """Returns function(rows, distributions), [N, ...], or for each emotion, [C, N, ...], under "all"."""
        count, classes = len(rows), len(self.class_names)
        if not editor.is_all(emotion):
            return function(rows, self._distributions(emotion, count))
        every = np.eye(classes, dtype=np.float32).repeat(count, axis=0)
        answer = function(np.tile(rows, (classes, 1, 1, 1)), every)
        return answer.reshape(classes, count, *answer.shape[1:])

    def _distributions(self, emotion: Wanted | None, count: int) -> np.ndarray:
        """Returns distributions float32 [count, C], checked; zeros for None, no label."""
        classes = len(self.class_names)
        if emotion is None:
            return np.zeros((count, classes), np.float32)
        given = np.asarray(0 if isinstance(emotion, str) else emotion)
        if not (given.size and jnp.issubdtype(given.dtype, jnp.floating)):
            return np.eye(classes, dtype=np.float32)[self._labels(emotion, count)]
        if given.shape not in ((classes,), (count, classes)):
            raise ValueError(
                f"expected a distribution [{classes}] or [{count}, {classes}], found floats {list(given.shape)}"
            )
        if not ((given >= 0).all() and (np.abs(given.sum(axis=-1) - 1.0) <= _ROUNDING).all()):
            raise ValueError(
                f"expected a distribution, of values from 0 on whose sum is 1, found {given.min():g} and more, with a "
                f"sum of {given.sum(axis=-1).flat[0]:g}"
            )
        return np.broadcast_to(given.astype(np.float32), (count, classes))


def _floats(faces: np.ndarray) -> np.ndarray:
    """Returns checked faces as float32 [N, S, S, C] in [-1, 1]."""
    if faces.dtype == np.uint8:
        return np.asarray(images.to_float(faces))
    return np.clip(faces[..., None] if faces.ndim == 3 else faces, -1.0, 1.0)


@functools.partial(jax.jit, static_argnums=0, static_argnames="solver")
def _step(
    module: unet.UNet,
    variables: types.Params,
    x: jax.Array,
    t: jax.Array,
    after: jax.Array,
    condition: ode.Condition,
    around: jax.Array | None,
    *,
    solver: str,
) -> jax.Array:
    return ode.step(unet.velocity_of(module, variables["params"], around), x, t, after, condition, solver)


@functools.partial(jax.jit, static_argnums=0, static_argnames=("count", "solver"))
def _difference(
    module: unet.UNet,
    variables: types.Params,
    faces: types.Images,
    moved: jax.Array,
    number: jax.Array,
    t: jax.Array,
    after: jax.Array,
    target: ode.Condition,
    source: ode.Condition,
    numbers: jax.Array,
    seed: jax.Array,
    t_min: jax.Array,
    around: jax.Array | None,
    *,
    count: int,
    solver: str,
) -> jax.Array:
    velocity = unet.velocity_of(module, variables["params"], around)
    noises = flow_edit.noise(seed, numbers, number, count, faces.shape[1:])
    target, source = (flow_edit.guided_from(t_min, t, condition) for condition in (target, source))
    return flow_edit.step(velocity, faces, moved, t, after, noises, target, source, solver)


_begin_redraw = jax.jit(flow_edit.begin_redraw)
_around = jax.jit(unet.around, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def _redraw(
    module: unet.UNet,
    variables: types.Params,
    state: types.Images,
    edits: types.Images,
    again: jax.Array,
    noise: jax.Array,
    t: jax.Array,
    after: jax.Array,
    target: ode.Condition,
    t_min: jax.Array,
    around: jax.Array | None,
) -> types.Images:
    velocity = unet.velocity_of(module, variables["params"], around)
    target = flow_edit.guided_from(t_min, t, target)
    return flow_edit.redraw_step(velocity, state, edits, again, noise, t, after, target)


@functools.partial(jax.jit, static_argnums=0)
def _errors(
    module: unet.UNet,
    variables: types.Params,
    faces: types.Images,
    t: jax.Array,
    number: jax.Array,
    numbers: jax.Array,
    seed: jax.Array,
    around: jax.Array | None,
) -> jax.Array:
    velocity = unet.velocity_of(module, variables["params"], around)
    noises = flow_edit.noise(seed, numbers, number, flow_edit.ESTIMATE_NOISES, faces.shape[1:])
    return flow_edit.errors(velocity, faces, t, noises, module.num_classes)
