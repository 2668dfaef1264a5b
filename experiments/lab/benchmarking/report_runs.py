"""The report's part on what surrounds the steps."""

from typing import Any

from benchmarking import markdown, race


def parts(result: dict[str, Any]) -> list[str]:
    """Returns headings and tables of the sections that were measured."""
    found = []
    if result.get("compile"):
        found += ["## From a new process to the first step", _starts(result["compile"])]
    for width, own in result.get("transfer", {}).items():
        found += [f"## Transfer, width {width}", _transfers(own)]
    if result.get("data"):
        head = ("data", "faces", "the first time", "again, in a new process")
        rows = [(k, v["faces"], f"{v['first']:.2f} s", f"{v['again']:.2f} s") for k, v in result["data"].items()]
        found += ["## Reading data", markdown.table(head, rows)]
    if result.get("epoch"):
        found += ["## Training with all that it writes", _training(result["epoch"])]
    if result.get("schedule"):
        head = ("width", "faces", "steps", "seconds, compilation included", "peak memory on the device, MiB")
        rows = [
            (k, v["faces"], v["steps"], f"{v['seconds']:.1f}", f"{memory:.0f}" if memory else "n/a")
            for k, v in result["schedule"].items()
            for memory in [v["memory"].get("device_peak_mib")]
        ]
        found += ["## The whole phase gan", markdown.table(head, rows)]
    return found


def _starts(found: dict[str, Any]) -> str:
    head = ("width", "start", "process and imports", "all drawn faces", "weights", "first step", "total")
    rows = []
    for width, own in found.items():
        for name, times in own.items():
            rows.append((width, name, *(f"{times[k]:.1f} s" for k in ("imports", "data", "state", "step", "total"))))
    return markdown.table(head, rows) + "\n\nThe first start finds no compiled code, the second that of the first."


def _transfers(found: dict[str, Any]) -> str:
    rows, text = [], ""
    for what in ("one", "many"):
        own = found[what]
        for name, one in own["implementations"].items():
            ratio, series = own["ratios"][name], one["seconds"]
            rate = f"{own['faces'] / series['median']:.0f}"
            times = f"{ratio['of_medians']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
            peak = f"{one['memory']['peak_mib']:.0f}"
            rows.append((own["faces"], name, markdown.seconds(series), rate, times, series["n"], peak))
        text += markdown.left_out(own)
    head = (
        "faces",
        "implementation",
        "median (range)",
        "faces/s",
        "time, in emogan's (range)",
        "rounds",
        "peak memory, MiB",
    )
    for name, levels in found["largest_difference_in_bytes"].items():
        text += f"\n\n{name}, padded alike, gives emogan's pictures to within {levels} of 255 gray levels."
    return markdown.table(head, rows) + text


def _training(found: dict[str, Any]) -> str:
    head = ("width", "steps", "samples", "checkpoints", "a step in training", "a bare step", "outside the device step")
    rows = []
    for width, own in found.items():
        bare = markdown.seconds(own["bare_seconds_a_step"])
        share = f"{100 * own['share_outside']:.1f} %"
        in_training = race.show(own["seconds_a_step"])
        rows.append((width, own["steps"], own["samples"], own["checkpoints"], in_training, bare, share))
    return markdown.table(head, rows)
