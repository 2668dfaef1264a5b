"""What a run writes: lines, pictures, the clock."""

import io
import json
import resource
import struct
import sys
import threading
import time

import numpy as np
import PIL.Image
import pytest
from tensorboardX import proto

from emogan.train import writers
from emogan.util import images


def line(phase, step, **values):
    return json.dumps({"phase": phase, "step": step, **values})


def steps_of(path, phase, field="step"):
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    return [row[field] for row in rows if row["phase"] == phase and field in row]


def open_writer(workdir, first_step=0, phase="gan", **options):
    return writers.Writer(workdir, phase, first_step, 100, 4, options.get("tensorboard", False))


def test_rewind_takes_back_later_steps_of_its_phase_and_a_line_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    kept = [line("gan", 1), line("gan", 2), line("encoder", 5), '{"phase": "gan", "sampled_at": 2, "psnr": 1}']
    gone = [line("gan", 3), '{"phase": "gan", "sampled_at": 3, "psnr": 1}']
    path.write_text("\n".join([*kept[:2], *gone, *kept[2:], line("gan", 1)[:-5]]))
    writers.rewind(path, "gan", 2)
    assert path.read_text().splitlines() == kept
    assert [child.name for child in tmp_path.iterdir()] == ["metrics.jsonl"]
    writers.rewind(path, "gan", 2)
    assert path.read_text().splitlines() == kept


def test_rewind_without_a_file_makes_none(tmp_path):
    writers.rewind(tmp_path / "metrics.jsonl", "gan", 2)
    assert not list(tmp_path.iterdir())


def test_steps_are_written_once_after_a_rewind(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with open_writer(tmp_path) as writer:
        writer.sample(0, np.zeros((1, 1, 48, 48), np.uint8), {"psnr": 0.5})
        writer.steps(3, {"loss": np.array([1.0, 2.0, 3.0])})
        writer.sample(3, np.zeros((1, 1, 48, 48), np.uint8), {"psnr": 1.0})
        writer.steps(5, {"loss": np.array([4.0, 5.0])})
    with path.open("a") as file:  # the process was killed while it wrote
        file.write('{"phase": "gan", "st')
    with open_writer(tmp_path, phase="encoder") as writer:
        writer.steps(1, {"loss": np.array([9.0])})
    with open_writer(tmp_path, first_step=2) as writer:
        writer.steps(4, {"loss": np.array([3.5, 4.5])})
    assert steps_of(path, "gan") == [1, 2, 3, 4]
    assert steps_of(path, "gan", "sampled_at") == [0]
    assert steps_of(path, "encoder") == [1]
    np.testing.assert_array_equal(writers.read_metrics(path, "gan")["loss"], [1.0, 2.0, 3.5, 4.5])


def test_phase_that_begins_anew_takes_its_first_sample_back_too(tmp_path):
    for _ in range(2):
        with open_writer(tmp_path) as writer:
            writer.sample(0, np.zeros((1, 1, 48, 48), np.uint8), {"psnr": 0.5})
    assert steps_of(tmp_path / "metrics.jsonl", "gan", "sampled_at") == [0]


def test_lines_are_on_disk_after_each_chunk_and_sync(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.steps(2, {"loss": np.array([1.0, 2.0])})
        writer.sync()
        assert steps_of(tmp_path / "metrics.jsonl", "gan") == [1, 2]


def test_read_metrics_tells_phases_and_kinds_of_lines_apart(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert writers.read_metrics(path, "gan") == {}
    path.write_text(
        "\n".join(
            [line("gan", 1, loss=2.5), line("encoder", 1, loss=7), '{"phase": "gan", "sampled_at": 1, "psnr": 3}']
        )
    )
    found = writers.read_metrics(path, "gan")
    assert {name: values.tolist() for name, values in found.items()} == {"step": [1], "loss": [2.5]}
    found = writers.read_metrics(path, "gan", "sampled_at")
    assert {name: values.tolist() for name, values in found.items()} == {"sampled_at": [1], "psnr": [3]}
    assert writers.read_metrics(path, "classifier") == {}


def test_metrics_that_another_version_has_not_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join([line("gan", 1, loss=2.5, old=1), line("gan", 2, loss=2, new=3)]))
    found = writers.read_metrics(path, "gan")
    assert {name: values.tolist() for name, values in found.items()} == {"step": [1, 2], "loss": [2.5, 2]}


def test_sample_is_one_picture_of_the_grid(tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (2, 3, 48, 48), dtype=np.uint8)
    with open_writer(tmp_path) as writer:
        writer.sample(12, faces, {})
    picture = images.load_png(tmp_path / "figures" / "samples" / "gan_000012.png")
    np.testing.assert_array_equal(images.untile(picture, 48), faces)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_console_shows_a_line_a_chunk_with_means_and_time_left(tmp_path, capsys):
    with open_writer(tmp_path) as writer:
        writer.steps(2, {"loss": np.array([1.0, 2.0]), "collapsed_for": np.array([0, 1])})
    (shown,) = capsys.readouterr().out.splitlines()
    assert "2/100" in shown
    assert "loss 1.500" in shown
    assert "images/s" in shown
    assert shown.endswith("left")
    assert "collapsed_for" not in shown


def test_tensorboard_events_are_written_only_where_wanted(tmp_path):
    for wanted in (False, True):
        with open_writer(tmp_path, tensorboard=wanted) as writer:
            writer.steps(1, {"loss": np.array([1.0])})
            writer.sample(1, np.zeros((1, 1, 48, 48), np.uint8), {"psnr": 1.0})
        assert bool(list(tmp_path.glob("tensorboard/gan/events*"))) == wanted


def events_of(folder):
    """The events of TFRecord files: a length, its checksum, the event, its checksum."""
    (path,) = folder.glob("events*")
    content, place = path.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        yield proto.event_pb2.Event.FromString(content[place + 12 : place + 12 + length])
        place += length + 16


def test_tensorboard_is_told_where_it_goes_on_and_what_came(tmp_path):
    with open_writer(tmp_path, first_step=5, tensorboard=True) as writer:
        writer.steps(7, {"loss": np.array([1.0, 2.5])})
        writer.sample(7, np.full((1, 1, 48, 48), 9, np.uint8), {"psnr": 3.0})
    header, started, *told = events_of(tmp_path / "tensorboard" / "gan")
    assert header.file_version == "brain.Event:2"
    assert (started.step, started.session_log.status) == (6, proto.event_pb2.SessionLog.START)
    found = {(event.step, value.tag): value for event in told for value in event.summary.value}
    assert set(found) == {(6, "loss"), (7, "loss"), (7, "samples"), (7, "psnr")}
    assert found[7, "loss"].simple_value == 2.5
    picture = PIL.Image.open(io.BytesIO(found[7, "samples"].image.encoded_image_string))
    assert np.asarray(picture.convert("L")).tolist() == np.full((48, 48), 9).tolist()
    assert all(abs(event.wall_time - time.time()) < 60 for event in told)


def test_a_full_disk_is_told_by_the_events_too(tmp_path):
    before, threads = resource.getrlimit(resource.RLIMIT_FSIZE), threading.active_count()

    def write():
        with open_writer(tmp_path, tensorboard=True) as writer:
            assert threading.active_count() == threads  # another one's error would be nobody's
            for step in range(1, 1000):
                writer.steps(step, {"loss": np.array([1.0])})

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "metrics.jsonl").stat().st_size < 20_000  # lines are shorter than events


def test_one_byte_that_a_disk_changed_costs_a_line_and_not_the_run(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.steps(3, {"loss": np.array([1.0, 2.0, 3.0])})
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"step": 2', b'"step": \xb2'))
    np.testing.assert_array_equal(writers.read_metrics(path, "gan")["loss"], [1.0, 3.0])
    writers.rewind(path, "gan", 3)
    assert steps_of(path, "gan") == [1, 3]


def test_warning_goes_to_standard_error(capsys):
    writers.warn("hot")
    writers.say("cold")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("cold\n", "warning: hot\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (90061, "25:01:01")],
)
def test_clock(seconds, text):
    assert writers.clock(seconds) == text


def test_clock_of_an_unknown_time():
    assert writers.clock(float("inf")) == "?"


def test_describe_aligns_its_columns():
    assert writers.describe([("a", "one"), ("long", "two")]) == "a     one\nlong  two"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_how_much_is_done_and_the_time_left(terminal, monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(writers.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    progress = writers.Progress("editing")
    for done in range(101):
        now[0] = 100.0 + done
        progress(done, 100)
    progress(100, 100)
    shown = capsys.readouterr().err
    if terminal:
        assert "editing [###############...............]  50%  0:50 left" in shown
        assert "100%  0:00 left" in shown
        assert shown.count("\n") == 1
    else:
        assert shown.splitlines() == ["editing 30%  1:10 left", "editing 60%  0:40 left", "editing 90%  0:10 left"]


def test_progress_of_a_process_that_is_silent_is_not_shown(monkeypatch, capsys):
    monkeypatch.setattr(writers, "_silent", True)
    monkeypatch.setattr(writers, "_LINE_EACH", 0.0)
    writers.Progress("editing")(1, 2)
    assert capsys.readouterr().err == ""
