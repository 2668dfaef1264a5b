"""A scaling study as tables in Markdown and as a picture."""

import io
from typing import Any

from benchmarking import markdown

_COLORS = {"jit": "#1f6fb4", "pmap": "#d1491a"}
_MARKERS = "os^Dv"
_IDEAL = "#7a828e"
_VIRTUAL = (
    "Virtual devices of one CPU share its cores: no speed-up is possible, and ideal is the throughput of one device. "
    "This shows that the result is the same and what sharing a step costs, not how fast more hardware would be."
)


def to_markdown(result: dict[str, Any]) -> str:
    """Returns the whole report."""
    about, options = result["about"], result["options"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    parts = [
        "# Scaling study",
        f"{about['date']}, commit {about['commit']}; {about['processor']}, {about['cores']} cores, "
        f"load before {about['load_before'][0]}; JAX on {about['jax']['device']}.\n"
        f"Python {about['python']}, {versions}.",
        f"Phase gan at width {options['width']}; medians of {options['rounds']} rounds of {options['steps']} steps, "
        "with their range. One device is jit, for all modes.",
        *([f"**{_VIRTUAL}**"] if result["virtual_devices"] else []),
        "## Throughput and efficiency",
        _curves(result),
        "Efficiency is faces/s in those of the curve's single device, "
        + ("" if result["virtual_devices"] else "divided by the number of devices")
        + ("whose cores all of them share." if result["virtual_devices"] else "."),
        "## Computing and communication",
        _points(result),
        "Compute: the same step on the same devices without its averages. Communication: what the whole step takes "
        "longer, round by round; all-reduces, waiting, and what the compiler does otherwise around them "
        "(lab/benchmarking/scaling_runs.py). All-reduces are counted in the program of the step: bytes that "
        "a device puts in, rounds that wait for one another, and those of them in which batch norm waits. Losses: the "
        "largest relative difference from one device with the same batch, in the first step and in the two after it.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def to_png(result: dict[str, Any]) -> bytes:
    """Returns the picture: throughput and efficiency by devices, or throughput by batch size on a single device."""
    import matplotlib.figure

    kinds = list(dict.fromkeys(curve["scaling"] for curve in result["curves"]))
    several = max(point["devices"] for point in result["points"]) > 1
    figure = matplotlib.figure.Figure(figsize=(15, 4.4 * len(kinds) + 0.9) if several else (7, 5), layout="constrained")
    options, device = result["options"], result["about"]["jax"]["device"]
    place = "virtual devices of a CPU" if result["virtual_devices"] else device
    title = f"Phase gan at width {options['width']} on {place}"
    if result["virtual_devices"]:
        half = _VIRTUAL.index("This shows")
        title += f"\n{_VIRTUAL[:half]}\n{_VIRTUAL[half:]}"
    figure.suptitle(title, fontsize=11)
    if several:
        for row, kind in zip(figure.subplots(len(kinds), 3, squeeze=False), kinds, strict=True):
            _draw_throughput(row[0], result, kind)
            _draw_efficiency(row[1], result, kind)
            _draw_parts(row[2], result, kind)
    else:
        _draw_batches(figure.subplots(), result)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=110)
    return written.getvalue()


def _curves(result: dict[str, Any]) -> str:
    rows = [
        (
            curve["scaling"],
            point["mode"],
            point["devices"],
            point["batch_size"] // point["devices"],
            point["batch_size"],
            f"{point['faces_per_second']:,.0f}",
            f"{point['ideal_faces_per_second']:,.0f}",
            f"{point['speedup']:.2f}",
            f"{100 * point['efficiency']:.0f} %",
        )
        for curve in result["curves"]
        for point in curve["points"]
    ]
    head = (
        "scaling",
        "mode",
        "devices",
        "faces a device",
        "faces a step",
        "faces/s",
        "ideal",
        "speed-up",
        "efficiency",
    )
    return markdown.table(head, list(dict.fromkeys(rows)))


def _points(result: dict[str, Any]) -> str:
    rows = []
    for point in result["points"]:
        traffic, apart = point["traffic"], point["against_one_device"]
        several = point["devices"] > 1
        rows.append(
            (
                f"{point['mode']}, {point['devices']} x {point['batch_size'] // point['devices']}",
                markdown.seconds(point["seconds"]),
                markdown.seconds(point["compute"]) if several else "",
                _difference(point["communication"]) if several else "",
                f"{traffic['bytes'] / 1e6:.2f} MB" if several else "",
                f"{traffic['rounds']} ({traffic['batch_norm_rounds']})" if several else "",
                f"{apart['first']:.0e}, {apart['later']:.0e}" if several else "",
            )
        )
    head = (
        "devices x faces", "a step", "compute", "communication", "all-reduced", "rounds (of batch norm)",
        "losses apart",
    )  # fmt: skip
    return markdown.table(head, rows)


def _difference(series: dict[str, Any]) -> str:
    return "{} ({} to {})".format(*(f"{1e3 * series[name]:.3g}" for name in ("median", "min", "max"))) + " ms"


def _curves_of(result: dict[str, Any], kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns the curves of a kind, each with how it is drawn."""
    sizes = result["options"]["batch_sizes"]
    drawn = []
    for curve in result["curves"]:
        if curve["scaling"] != kind:
            continue
        marker = _MARKERS[list(sizes).index(curve["batch_size"]) % len(_MARKERS)]
        label = f"{curve['mode']}, {curve['batch_size']} faces " + ("a step" if kind == "strong" else "a device")
        drawn.append((curve, {"color": _COLORS[curve["mode"]], "marker": marker, "label": label}))
    return drawn


def _draw_throughput(axes: Any, result: dict[str, Any], kind: str) -> None:
    by_point = {(p["mode"], p["devices"], p["batch_size"]): p for p in result["points"]}
    for i, (curve, style) in enumerate(_curves_of(result, kind)):
        points = curve["points"]
        devices = [point["devices"] for point in points]
        values = [point["faces_per_second"] for point in points]
        seconds = [by_point[p["mode"], p["devices"], p["batch_size"]]["seconds"] for p in points]
        low = [value - p["batch_size"] / s["max"] for value, p, s in zip(values, points, seconds, strict=True)]
        high = [p["batch_size"] / s["min"] - value for value, p, s in zip(values, points, seconds, strict=True)]
        ideal = [point["ideal_faces_per_second"] for point in points]
        axes.plot(devices, ideal, "--", color=_IDEAL, linewidth=1.2, label="" if i else "ideal")
        axes.errorbar(devices, values, [low, high], capsize=3, linewidth=1.8, **style)
    _finish(axes, result, f"{kind} scaling: throughput", "faces/s")
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])


def _draw_efficiency(axes: Any, result: dict[str, Any], kind: str) -> None:
    axes.axhline(100, linestyle="--", color=_IDEAL, linewidth=1.2, label="ideal")
    for curve, style in _curves_of(result, kind):
        points = curve["points"]
        axes.plot(
            [point["devices"] for point in points], [100 * p["efficiency"] for p in points], linewidth=1.8, **style
        )
    _finish(axes, result, f"{kind} scaling: efficiency", "% of ideal")
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])


def _draw_parts(axes: Any, result: dict[str, Any], kind: str) -> None:
    """Draws the step without its averages next to the whole one, a pair of bars a point with several devices."""
    by_point = {(p["mode"], p["devices"], p["batch_size"]): p for p in result["points"]}
    chosen = [
        by_point[point["mode"], point["devices"], point["batch_size"]]
        for curve, _ in _curves_of(result, kind)
        for point in curve["points"]
        if point["devices"] > 1
    ]
    bars = (("compute", "#c8d6e8", "without averages: compute"), ("seconds", "#e8a07f", "whole: and communication"))
    for i, (part, color, label) in enumerate(bars):
        middle = [1e3 * point[part]["median"] for point in chosen]
        reach = [
            [value - 1e3 * point[part]["min"] for value, point in zip(middle, chosen, strict=True)],
            [1e3 * point[part]["max"] - value for value, point in zip(middle, chosen, strict=True)],
        ]
        places = [place + 0.4 * i - 0.2 for place in range(len(chosen))]
        axes.bar(places, middle, 0.38, yerr=reach, capsize=3, color=color, label=label)
    names = [f"{p['mode']}\n{p['devices']} x {p['batch_size'] // p['devices']}" for p in chosen]
    axes.set_xticks(range(len(chosen)), names, fontsize=9)
    axes.set_xlim(-0.8, len(chosen) - 0.2)
    axes.set_title(f"{kind} scaling: parts of a step", fontsize=11)
    axes.set_xlabel("devices x faces of each")
    axes.set_ylabel("ms a step")
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])  # the legend has the room above
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    axes.legend(fontsize=9, loc="upper left")


def _draw_batches(axes: Any, result: dict[str, Any]) -> None:
    points = sorted(result["points"], key=lambda point: point["batch_size"])
    axes.plot(
        [p["batch_size"] for p in points], [p["faces_per_second"] for p in points], "o-", color=_COLORS["jit"],
        linewidth=1.8,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_title("one device: throughput by batch size", fontsize=11)
    axes.set_xlabel("faces a step")
    axes.set_ylabel("faces/s")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _finish(axes: Any, result: dict[str, Any], title: str, unit: str) -> None:
    counts = sorted({1, *result["options"]["devices"]})
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, map(str, counts))
    axes.minorticks_off()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("devices")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="lower left")
