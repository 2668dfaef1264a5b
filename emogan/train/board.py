"""TensorBoard events of one phase, written where they are made."""

import pathlib
import time
from collections.abc import Mapping

import numpy as np
from tensorboardX import event_file_writer, proto, summary


class Board:
    """Writes TensorBoard events as they come.

    tensorboardX's SummaryWriter does it from a thread, which ends on a full disk; then a caller that adds more waits
    for ever. Here a full disk is the caller's OSError.

    Args:
      folder: of the events; made if missing.
      first_step: from where on TensorBoard forgets what an earlier, killed process wrote.
    """

    def __init__(self, folder: pathlib.Path, first_step: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = event_file_writer.EventsWriter(str(folder / "events"))
        started = proto.event_pb2.SessionLog(status=proto.event_pb2.SessionLog.START)
        self._write(proto.event_pb2.Event(step=first_step, session_log=started))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Adds numbers by their names."""
        for name, value in values.items():
            self._write(proto.event_pb2.Event(step=step, summary=summary.scalar(name, value)))

    def image(self, name: str, picture: np.ndarray, step: int) -> None:
        """Adds a picture uint8 [H, W] or [H, W, 3]."""
        self._write(
            proto.event_pb2.Event(
                step=step, summary=summary.image(name, picture, dataformats="HW" if picture.ndim == 2 else "HWC")
            )
        )

    def flush(self) -> None:
        """Gives all to the system."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _write(self, event: proto.event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._file.write_event(event)
