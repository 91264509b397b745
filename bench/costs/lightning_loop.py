"""The loop of PyTorch Lightning's Trainer, which users would take instead of ours; nothing else trains with it.

It gets the model, the DataLoader and the optimizer of the reference (``bench.costs.reference``), so the two differ
in the loop alone. The package is optional, and imported where it trains.
"""

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.config import BF16, Protocol
from bench.costs.reference import Sample, default_adam, loader_of, weights_of
from bench.metrics import classification_loss
from bench.training.seeding import deterministic, new_tensors_filled
from bench.training.steps import synchronize
from bench.training.trainer import schedule


class LightningLoop:
    """Trains a model with ``Trainer.fit``, an epoch per call; all epochs are one ``fit``, which waits in between.

    Args:
        model: On the CPU; trained in place.
        train: All training pairs, see ``reference.samples``.
        protocol: Epochs, batch size, learning rates and precision.
        seed: Decides the order of each epoch.
        device: To train on.
    """

    def __init__(
        self, model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
    ) -> None:
        from lightning.pytorch import Trainer

        on = torch.device(device)
        self._turns = _Turns(on)
        self._protocol = protocol
        self._loader = loader_of(train, protocol, seed)
        self._module = _module(model, protocol, len(self._loader), weights_of(train, protocol, device))
        # Whatever would write a file or a line is off, as it is in our loop.
        self._trainer = Trainer(
            accelerator="cpu" if on.type == "cpu" else "gpu",
            devices=1 if on.type == "cpu" else [on.index or 0],
            precision="bf16-mixed" if protocol.precision == BF16 else "32-true",
            max_epochs=protocol.epochs,
            callbacks=[self._turns.callback()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        self._epochs_left = protocol.epochs
        self._fitting = threading.Thread(target=self._fit, daemon=True)
        self._fitting.start()

    def train_epoch(self) -> tuple[float, float]:
        """Train one epoch; returns its mean training loss in nats, and the seconds of all steps but the first."""
        self._turns.begin.release()
        result = self._turns.results.get()
        if isinstance(result, BaseException):
            raise result
        self._epochs_left -= 1
        if not self._epochs_left:
            self._fitting.join()  # its settings must not end during a later training
        return result

    def _fit(self) -> None:
        try:
            with deterministic(self._protocol.precision), new_tensors_filled(True):
                self._trainer.fit(self._module, self._loader)
        except BaseException as error:
            self._turns.results.put(error)


class _Turns:
    """Lets ``fit`` wait before each epoch until ``begin`` is released, and puts the epoch's loss and seconds."""

    def __init__(self, device: torch.device) -> None:
        self.begin = threading.Semaphore(0)
        self.results: queue.Queue[tuple[float, float] | BaseException] = queue.Queue()
        self._device = device
        self._start = self._end = 0.0

    def callback(self) -> Any:
        """For Lightning's Trainer."""
        from lightning.pytorch.callbacks import LambdaCallback

        return LambdaCallback(
            on_train_epoch_start=lambda *_: self.begin.acquire(),
            on_train_batch_end=self._after_step,
            on_train_epoch_end=self._after_epoch,
        )

    def _after_step(self, trainer: Any, _: object, __: object, ___: object, step: int) -> None:
        if step in (0, trainer.num_training_batches - 1):
            synchronize(self._device)
            self._end = time.perf_counter()
            self._start = self._start if step else self._end

    def _after_epoch(self, trainer: Any, _: object) -> None:
        self.results.put((trainer.callback_metrics["loss"].item(), self._end - self._start))


def _module(model: nn.Module, protocol: Protocol, steps_per_epoch: int, weights: Tensor | None) -> Any:
    """The model as its users write it for Lightning."""
    from lightning.pytorch import LightningModule

    class Module(LightningModule):  # type: ignore[misc]  # not typed where it is not installed
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Sample, _: int) -> Tensor:
            inputs, labels = batch
            logits = self.model(inputs)
            logits = logits.float() if logits.dtype == torch.bfloat16 else logits
            loss = classification_loss(logits, labels, weights)
            self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
            return loss

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer = default_adam(self.model, protocol)
            interval = "step" if protocol.schedule == "cosine-step" else "epoch"
            moving = schedule(optimizer, protocol, steps_per_epoch)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": moving, "interval": interval}}

    return Module()
