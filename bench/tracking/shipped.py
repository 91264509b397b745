"""The trackers that ship here; each is imported when it is requested."""

from pathlib import Path

from bench.tracking.tracker import Tracker, register_tracker


@register_tracker("wandb", package="wandb")
def _weights_and_biases(folder: Path) -> Tracker:
    from bench.tracking.weights_and_biases import WeightsAndBiases

    return WeightsAndBiases(folder)


@register_tracker("tensorboard", package="tensorboard", requirement="fusiongauge[tensorboard]")
def _tensorboard(folder: Path) -> Tracker:
    from bench.tracking.tensorboard import TensorBoard

    return TensorBoard(folder)
