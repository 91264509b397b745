"""One model's training, an epoch a call, so that whoever turns the crank can time exactly the epochs.

``train_epoch`` is the work that is timed; ``finish_epoch`` does the rest (validation, checkpoint, report) outside
the clock.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bench.config import Protocol
from bench.evaluation import classification_loss, evaluate
from bench.seeding import epoch_order
from data_utils import Batch


class DivergedError(RuntimeError):
    """The loss is not a finite number any more."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        epochs: of how many.
        train_loss: mean over the training pairs the epoch used, each at the step that used it, in nats.
        valid: every metric over the validation pairs after the epoch.
        learning_rate: of the epoch's first step.
        seconds: the training alone, device synchronized.
        stage: what was trained, where it is not the model itself ("rgb expert").
        peak_memory_bytes: of one training step, as in the record; None where nobody has measured it.
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


Observer = Callable[[EpochResult], None]


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """The optimizer of every training: fused Adam over the parameters that are not frozen."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trainable, lr=learning_rate, fused=True)


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """One update of the weights; returns the detached mean loss of the batch, still on its device."""
    optimizer.zero_grad(set_to_none=True)
    loss = classification_loss(model(batch.inputs), batch.labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all work that was queued; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Trainer:
    """Trains a model under a protocol and remembers its best epoch.

    Args:
        model: on the device of the data; frozen parameters stay as they are.
        train: all training pairs, on the device.
        valid: all validation pairs, on the device.
        protocol: epochs, batch size and learning rates.
        seed: decides the order of each epoch.
        observe: called after every epoch.
        stage: what is trained, where it is not the model itself; for the observer.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Batch,
        valid: Batch,
        protocol: Protocol,
        seed: int,
        observe: Observer,
        stage: str = "",
    ) -> None:
        self.model = model
        self.history = History()
        self._train, self._valid = train, valid
        self._protocol, self._seed, self._observe, self._stage = protocol, seed, observe, stage
        self._device = train.labels.device
        self._optimizer = adam(model, protocol.learning_rate)
        self._used = len(train) - (len(train) % protocol.batch_size if protocol.drop_last else 0)
        self._schedule = _schedule(self._optimizer, protocol, math.ceil(self._used / protocol.batch_size))
        self._best_weights = _copy_weights(model)
        self._running: tuple[Tensor, float, float] | None = None

    def train_epoch(self) -> None:
        """Train one epoch; returns when the device has done the work."""
        start = time.perf_counter()
        learning_rate = float(self._schedule.get_last_lr()[0])
        self.model.train()
        order = epoch_order(self._seed, len(self.history.results) + 1, len(self._train))
        order = order[: self._used].to(self._device)
        # Summed on the device: reading each step's loss would make the host wait for every step.
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        for indices in order.split(self._protocol.batch_size):
            loss = training_step(self.model, self._optimizer, self._train[indices])
            loss_sum += loss * len(indices)
            if self._protocol.schedule == "cosine-step":
                self._schedule.step()
        if self._protocol.schedule == "cosine-epoch":
            self._schedule.step()
        synchronize(self._device)
        self._running = loss_sum, learning_rate, time.perf_counter() - start

    def finish_epoch(self) -> None:
        """Validate the epoch just trained, keep its weights if they are the best so far, and report it.

        Raises:
            DivergedError: if the training or the validation loss is not finite. The epoch is in the history.
        """
        if self._running is None:
            raise RuntimeError("finish_epoch follows train_epoch")
        (loss_sum, learning_rate, seconds), self._running = self._running, None
        result = EpochResult(
            epoch=len(self.history.results) + 1,
            epochs=self._protocol.epochs,
            train_loss=loss_sum.item() / self._used,
            valid=evaluate(self.model, self._valid),
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

    def restore_best(self) -> None:
        """Give the model the weights it had after its best epoch."""
        self.model.load_state_dict(self._best_weights)


def _schedule(
    optimizer: torch.optim.Optimizer, protocol: Protocol, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The protocol's learning rates; how often the schedule moves on is up to the trainer."""
    if protocol.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    moves = protocol.epochs * (steps_per_epoch if protocol.schedule == "cosine-step" else 1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=moves, eta_min=protocol.final_learning_rate)


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
