"""Training methods that a protocol can add to the plain training step.

Class weights act on all models. Modality dropout, losses of single modalities, and OGM-GE act on models that fuse
modalities; models of one modality are trained as without them, so that baselines and fusions can share a protocol.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.config import BALANCED, Protocol
from bench.metrics import classification_loss
from bench.training.pairs import Pairs
from bench.training.precision import forward
from bench.training.seeding import seeded, stream
from data_utils import Batch
from fusion_models import FusionNet, ModelError
from fusion_models.building import decides
from fusion_models.operators.base import averaged


def present(seed: int, epoch: int, pairs: int, modalities: int, dropout: float) -> Tensor:
    """Which modalities of which pairs are kept in one epoch, bool (pairs, modalities) on the CPU.

    Each modality of each pair is dropped by itself with probability ``dropout`` (Neverova et al. 2015, arXiv
    1501.00102), so a pair can lose all. Depends on its arguments alone: not on the order of the epoch.
    """
    generator = torch.Generator().manual_seed(stream(seed, f"modality-dropout/{epoch}"))
    return torch.rand(pairs, modalities, generator=generator) >= dropout


def class_weights(labels: Tensor) -> Tensor:
    """Balanced weights of classes, float32 (largest label + 1,) on the device of the labels.

    n / (K * n_k) for n labels of K classes, n_k of them of class k, as scikit-learn's
    ``compute_class_weight("balanced")`` (King and Zeng 2001, Logistic regression in rare events data): all classes
    have the same part in the loss, and the mean weight of the labels is 1. A class without labels has weight 0.
    """
    counts = labels.cpu().bincount().double()
    weights = len(labels) / ((counts > 0).sum() * counts)
    return weights.where(counts > 0, 0.0).float().to(labels.device)


def modulation(scores: Tensor, alpha: float) -> Tensor:
    """How much of its gradient each modality keeps in OGM-GE, (modalities,).

    Peng et al. 2022, arXiv 2203.15332, equation 10: 1 - tanh(alpha * rho) where rho > 1, else 1; rho is a
    modality's score over that of the other, here over the mean of the others.

    Args:
        scores: Sums over a batch of the probabilities that each modality alone gives to the right class.
        alpha: The method's strength.
    """
    ratios = scores / ((scores.sum() - scores) / (len(scores) - 1))
    return torch.where(ratios > 1, 1 - torch.tanh(alpha * ratios), torch.ones_like(ratios))


def scores(model: FusionNet, features: Sequence[Tensor], labels: Tensor) -> Tensor:
    """The sums over the batch of the probabilities that each modality alone gives to the right class.

    Alone are features of which the others are zero, and of the response to zeros every modality has its share.
    For a linear layer on concatenated features, these are the logits W_i x_i + b / n of the paper.
    """
    zeros = [torch.zeros_like(x) for x in features]
    with _evaluating(model):
        nothing = model.head(model.trunk(model.operator(zeros)))
        sums = []
        for i, x in enumerate(features):
            logits = model.head(model.trunk(model.operator([*zeros[:i], x, *zeros[i + 1 :]])))
            sums.append(_right(logits - (1 - 1 / len(features)) * nothing, labels).sum())
    return torch.stack(sums)


class Methods:
    """The training methods of a protocol, for one model and its training pairs.

    Attributes:
        heads: A linear classifier of each modality's averaged features, for the losses of single modalities;
            trained with the model, and no part of it. Where the operator combines logits, these are the single
            modalities' already. Empty without these losses.

    Args:
        model: On the device of the pairs.
        protocol: Names the methods.
        train: All training pairs; class weights are of them.
        seed: Of which pairs lose which modality, and of the heads.

    Raises:
        ModelError: A method needs the stems of a ``FusionNet``, and the model is none.
    """

    def __init__(self, model: nn.Module, protocol: Protocol, train: Pairs, seed: int) -> None:
        self._model, self._protocol, self._seed = model, protocol, seed
        needs_stems = [name for name in ("unimodal_loss", "ogm_ge") if getattr(protocol, name)]
        if needs_stems and not isinstance(model, FusionNet):
            raise ModelError(
                f"{needs_stems[0]}={getattr(protocol, needs_stems[0])} needs a FusionNet, a model with a stem for "
                f"each modality, not a {type(model).__name__}; leave it out, or select other models"
            )
        self._modalities = model.modalities if isinstance(model, FusionNet) else tuple(train[:1].inputs)
        fuses = len(self._modalities) > 1
        self._drops = fuses and protocol.modality_dropout > 0
        self._weights = class_weights(train.labels) if protocol.class_weights == BALANCED else None
        # The network, if it has stems that can be trained for their modality.
        stems = fuses and isinstance(model, FusionNet) and any(True for _ in model.stems.parameters())
        self._fusion = model if stems and isinstance(model, FusionNet) else None
        self._present = torch.ones(len(train), len(self._modalities), dtype=torch.bool, device=train.labels.device)
        self.heads = nn.ModuleDict()
        if self._fusion is not None and protocol.unimodal_loss:
            self.heads.update(self._make_heads(self._fusion.operator, train[:2]))

    def begin(self, epoch: int) -> None:
        """Draw which modalities are dropped in an epoch, counted from 1."""
        if self._drops:
            dropout = self._protocol.modality_dropout
            pairs, modalities = self._present.shape
            self._present.copy_(present(self._seed, epoch, pairs, modalities, dropout))

    def dropped(self, batch: Batch, indices: Tensor) -> Batch:
        """A batch of these training pairs with zeros for the modalities that are dropped."""
        if not self._drops:
            return batch
        kept = self._present.index_select(0, indices)
        inputs = {
            modality: values * kept[:, self._modalities.index(modality)].view(-1, *[1] * (values.dim() - 1))
            if modality in self._modalities
            else values
            for modality, values in batch.inputs.items()
        }
        return Batch(inputs, batch.labels)

    def backward(self, batch: Batch) -> Tensor:
        """Compute the gradients of a step; returns the mean loss of the fused predictions alone, weighted."""
        labels, protocol = batch.labels, self._protocol
        with self._watched() as features:
            logits = forward(self._model, batch.inputs, protocol.precision)
        loss = classification_loss(logits, labels, self._weights)
        total = loss
        for modality, head in self.heads.items():
            alone = head(averaged(features[self._modalities.index(modality)].float()))
            total = total + protocol.unimodal_loss * classification_loss(alone, labels, self._weights)
        total.backward()
        if self._fusion is not None and protocol.ogm_ge:
            self._modulate(self._fusion, [x.detach().float() for x in features], labels)
        return loss

    def _make_heads(self, operator: nn.Module, pairs: Batch) -> dict[str, nn.Module]:
        with torch.no_grad(), self._watched() as features, _evaluating(self._model):
            outputs = self._model(pairs.inputs).shape[1]
        heads: dict[str, nn.Module] = {}
        with seeded(self._seed, "heads of single modalities"):
            for modality, x in zip(self._modalities, features, strict=True):
                head = nn.Identity() if decides(operator) else nn.Linear(x.shape[1], outputs)
                heads[modality] = head.to(x.device)
        return heads

    @contextmanager
    def _watched(self) -> Iterator[list[Tensor]]:
        """The features that the operator combines, one per modality, when the model has been called."""
        features: list[Tensor] = []
        if self._fusion is None:
            yield features
            return
        hook = self._fusion.operator.register_forward_pre_hook(lambda _, inputs: features.extend(inputs[0]))
        try:
            yield features
        finally:
            hook.remove()

    @torch.no_grad()
    def _modulate(self, model: FusionNet, features: Sequence[Tensor], labels: Tensor) -> None:
        """Scale the gradients of the stems' convolutions, and add noise as large as they are."""
        kept = modulation(scores(model, features, labels), self._protocol.ogm_ge)
        for share, stem in zip(kept, model.stems.values(), strict=True):
            for parameter in stem.parameters():
                if parameter.grad is not None and parameter.dim() == 4:
                    noise = torch.randn_like(parameter.grad) * (parameter.grad.std() + 1e-8)
                    parameter.grad.mul_(share).add_(noise)


def make_methods(model: nn.Module, protocol: Protocol, train: Pairs, seed: int) -> Methods | None:
    """The training methods of a protocol; None if it has none. See ``Methods``."""
    uses_any = protocol.modality_dropout or protocol.unimodal_loss or protocol.ogm_ge
    weighted = protocol.class_weights == BALANCED
    return Methods(model, protocol, train, seed) if uses_any or weighted else None


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """The probability of the right class, (B,)."""
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    probabilities = logits.softmax(dim=1)
    return (probabilities * (labels[:, None] == torch.arange(logits.shape[1], device=labels.device))).sum(dim=1)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Run the body with the model in evaluation mode: running statistics stay, and nothing is drawn."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
