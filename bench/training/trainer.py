"""One model's training, one epoch per call, so that the caller can time exactly the epochs.

``train_epoch`` is the work that is timed; ``finish_epoch`` does the rest (validation, weights, report) outside
the timed section.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor, nn

from bench.config import Protocol
from bench.training.augmentation import AugmentedPairs, is_augmented
from bench.training.evaluation import metrics_of, predict
from bench.training.graphs import fastest
from bench.training.methods import make_methods
from bench.training.pairs import Pairs, StoredPairs
from bench.training.seeding import epoch_order
from bench.training.steps import EagerSteps, make_optimizer, synchronize, trained_with
from fusiongauge import FusionGaugeError

TARGET_ACCURACY = 0.95
"""The validation accuracy that all trainings are timed to, declared beforehand.

Most models reach it on the simulated data, early enough to tell them apart and late enough not to be chance: it
takes 152 of 160 validation pairs. On harder data a model that never reaches it has no time to target.
"""


class DivergedError(FusionGaugeError, RuntimeError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class EpochResult:
    """The result of one epoch.

    Attributes:
        epoch: Counted from 1; ``epochs``: how many there are.
        train_loss: Mean over the training pairs that the epoch used, each at the step that used it, in nats.
        valid: The metrics over the validation pairs after the epoch, without those of the best epoch alone.
        learning_rate: Of the epoch's first step.
        seconds: The training alone, device synchronized.
        stage: What was trained, where it is not the model itself ("rgb expert").
        peak_memory_bytes: Of one training step, as in the record; None where it was not measured.
    """

    epoch: int
    epochs: int
    train_loss: float
    valid: dict[str, float]
    learning_rate: float
    seconds: float
    stage: str = ""
    peak_memory_bytes: int | None = None


@dataclass
class History:
    """The epochs so far."""

    results: list[EpochResult] = field(default_factory=list)

    @property
    def best(self) -> EpochResult:
        """The epoch with the lowest validation loss; the first of equals."""
        return min(self.results, key=lambda result: result.valid["loss"])

    @property
    def train_losses(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [result.train_loss for result in self.results]

    @property
    def epoch_seconds(self) -> list[float]:
        """Training time of each epoch."""
        return [result.seconds for result in self.results]

    def valid(self, metric: str) -> list[float]:
        """A validation metric after each epoch."""
        return [result.valid[metric] for result in self.results]

    def seconds_to_target(self, *, before: float) -> float | None:
        """Training time, with seconds that came before, until an epoch first ended with TARGET_ACCURACY."""
        times = zip(self.valid("accuracy"), accumulate(self.epoch_seconds), strict=True)
        return next((before + seconds for accuracy, seconds in times if accuracy >= TARGET_ACCURACY), None)


Observer = Callable[[EpochResult], None]


class Trainer:
    """Trains a model under a protocol and remembers its best epoch.

    On CUDA the step is recorded here, before anything is timed, with the settings that hold now: make the trainer
    and train under the same ``seeding.deterministic``, which has the protocol's precision.

    Attributes:
        model: The model, as far as it has been trained.
        history: The epochs so far.
        device: Where it is trained.
        best_logits: Of the validation pairs after the best epoch (N, L), on the CPU.

    Args:
        model: On the device of the data; frozen parameters stay as they are.
        train: All training pairs, on the device.
        valid: All validation pairs, on the device.
        protocol: Epochs, batch size, optimizer and learning rates.
        seed: Decides the order of each epoch, and what training methods draw.
        observe: Called after every epoch.
        stage: What is trained, where it is not the model itself; for the observer.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Pairs,
        valid: Pairs,
        protocol: Protocol,
        seed: int,
        observe: Observer,
        stage: str = "",
    ) -> None:
        self.model = model
        self.history = History()
        self.device = train.labels.device
        # What a model does not look at need not be made.
        train, valid = (p.seen_by(model) if isinstance(p, StoredPairs) else p for p in (train, valid))
        self._train, self._valid = train, valid
        self._valid_labels = valid.labels.cpu()
        self._protocol, self._seed, self._observe, self._stage = protocol, seed, observe, stage
        self._steps_per_epoch = steps_per_epoch(len(train), protocol)
        self._used = min(len(train), self._steps_per_epoch * protocol.batch_size)
        self._rates = learning_rates(protocol, self._steps_per_epoch)
        self._methods = make_methods(model, protocol, train, seed)
        self._augmented = None
        if is_augmented(protocol):
            if not isinstance(train, StoredPairs):
                raise TypeError("only pairs of a data set can be augmented: a batch does not tell what it holds")
            train = self._augmented = AugmentedPairs(train, protocol, seed)
        optimizer = make_optimizer(trained_with(model, self._methods), protocol)
        eager = EagerSteps(model, optimizer, train, protocol, self._methods)
        self._steps = fastest(eager, self._used)
        self._best_weights = _copy_weights(model)
        self._running: tuple[Tensor, float, float] | None = None

    def train_epoch(self) -> None:
        """Train one epoch; returns when the device has done the work."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[Tensor]:
        """Train one epoch, one step per iteration, for callers that time steps (``bench.costs``).

        After the last step the device has done the work. The epoch's seconds include what ran between steps.

        Yields:
            See ``EagerSteps.epoch``.
        """
        start = time.perf_counter()
        self.model.train()
        epoch = len(self.history.results)
        order = epoch_order(self._seed, epoch + 1, len(self._train))[: self._used].to(self.device)
        for drawn in (self._methods, self._augmented):
            if drawn is not None:
                drawn.begin(epoch + 1)
        rates = self._rates[epoch * self._steps_per_epoch :][: self._steps_per_epoch]
        for loss_sum in self._steps.epoch(order, rates):
            yield loss_sum
        synchronize(self.device)
        self._running = loss_sum, rates[0], time.perf_counter() - start

    def finish_epoch(self) -> None:
        """Validate the epoch just trained, keep its weights if they are the best so far, and report it.

        Raises:
            DivergedError: The training or the validation loss is not finite. The epoch is in the history.
        """
        if self._running is None:
            raise RuntimeError("finish_epoch follows train_epoch")
        (loss_sum, learning_rate, seconds), self._running = self._running, None
        logits = predict(self.model, self._valid, self._protocol.precision)
        result = EpochResult(
            epoch=len(self.history.results) + 1,
            epochs=self._protocol.epochs,
            train_loss=loss_sum.item() / self._used,
            valid=metrics_of(logits, self._valid_labels, every_epoch=True),
            learning_rate=learning_rate,
            seconds=seconds,
            stage=self._stage,
        )
        self.history.results.append(result)
        self._observe(result)
        if not math.isfinite(result.train_loss) or not math.isfinite(result.valid["loss"]):
            raise DivergedError(
                f"the loss is not finite after epoch {result.epoch} "
                f"(training {result.train_loss}, validation {result.valid['loss']})"
            )
        if self.history.best is result:
            self._best_weights = _copy_weights(self.model)
            self.best_logits = logits

    def restore_best(self) -> None:
        """Give the model the weights it had after its best epoch."""
        self.model.load_state_dict(self._best_weights)


def steps_per_epoch(pairs: int, protocol: Protocol) -> int:
    """Updates of the weights per epoch."""
    return pairs // protocol.batch_size if protocol.drop_last else math.ceil(pairs / protocol.batch_size)


def schedule(
    optimizer: torch.optim.Optimizer, protocol: Protocol, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The protocol's learning rates: call ``step`` after every step for "cosine-step", else after every epoch."""
    if protocol.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    moves = protocol.epochs * (steps_per_epoch if protocol.schedule == "cosine-step" else 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=moves, eta_min=protocol.final_learning_rate)


def learning_rates(protocol: Protocol, steps_per_epoch: int) -> list[float]:
    """The learning rate of every step of a training, known before the first."""
    optimizer = torch.optim.SGD([torch.zeros(())], lr=protocol.learning_rate)  # holds the rate, trains nothing
    moving = schedule(optimizer, protocol, steps_per_epoch)
    rates = []
    for step in range(1, protocol.epochs * steps_per_epoch + 1):
        rates.append(float(moving.get_last_lr()[0]))
        optimizer.step()
        if protocol.schedule == "cosine-step" or step % steps_per_epoch == 0:
            moving.step()
    return rates


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
