"""A trace of some steps of a training, for TensorBoard or Perfetto."""

import pathlib

import jax

from emogan.train import writers

STEPS = 5


class Profile:
    """Traces `STEPS` steps after the first chunk, which compiles.

    Args:
      folder: where the trace goes: plugins/profile/TIME/, with a file for TensorBoard and one for Perfetto. None
        traces nothing.
    """

    def __init__(self, folder: pathlib.Path | None):
        self._folder = folder
        self._left = STEPS if folder else 0
        self._running = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._running:  # the training ended before the trace
            self._stop()

    def limit(self, count: int) -> int:
        """Returns how many of `count` steps to make in one chunk: no more than are left to trace."""
        return min(count, self._left) if self._left else count

    def after(self, steps: int) -> None:
        """Starts the trace after the first chunk, and ends it after the chunk that makes it full."""
        if self._running:
            self._left -= steps
            if not self._left:
                self._stop()
        elif self._left:
            self._folder.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)
            self._running = True

    def _stop(self) -> None:
        self._left, self._running = 0, False
        jax.profiler.stop_trace()
        writers.say(f"wrote {self._folder}: open it in TensorBoard, or its perfetto_trace.json.gz in ui.perfetto.dev")
