"""The plot of throughput and latency against connections."""

import json
from pathlib import Path
from typing import Final

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

HERE: Final = Path(__file__).parent
CURVE: Final = HERE / "connections.json"
PLOT: Final = HERE / "predictions.svg"


def draw() -> None:
    """Draw what the last run of `predict` has left."""
    curve = json.loads(CURVE.read_text())
    # Without these the file would differ from run to run.
    matplotlib.rcParams["svg.hashsalt"] = "omega"
    figure, (rates, delays) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, points in curve.items():
        connections = [point["connections"] for point in points]
        style = {"linewidth": 2.5, "color": "black"} if name == "omega" else {"linewidth": 1.2}
        rates.plot(
            connections, [point["rate"] for point in points], marker="o", markersize=3, label=name, **style
        )
        line = delays.plot(connections, [point["p50"] for point in points], marker="o", markersize=3, **style)
        delays.plot(
            connections,
            [point["p99"] for point in points],
            linestyle=":",
            color=line[0].get_color(),
            linewidth=1,
        )
    for axes, title in ((rates, "predictions a second"), (delays, "milliseconds: p50, and p99 dotted")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(connections, [str(n) for n in connections])
        axes.set_xlabel("connections")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
    delays.set_yscale("log")
    rates.legend(fontsize=8, frameon=False)
    figure.suptitle("One-row predictions over HTTP, one process each", fontsize=11)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
