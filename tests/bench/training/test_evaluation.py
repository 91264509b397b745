import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.registry import METRICS, register_metric
from bench.training.evaluation import EVALUATION_BATCH_SIZE, evaluate, evaluation_batch, predict
from data_utils import Batch
from fusiongauge import PluginError
from tests.bench.toys import Echo, toy, toy_batch

LOG_3 = math.log(3.0)  # the logit of 3 to 1, a probability of 3/4


def test_every_metric_is_computed_once_over_all_samples() -> None:
    # One batch of certain rights, then one pair that is wrong: a mean of the batches' means would be 1/2.
    pairs = EVALUATION_BATCH_SIZE + 1
    labels = torch.ones(pairs, dtype=torch.int64)
    logits = torch.full((pairs, 1), LOG_3)
    logits[-1] = -LOG_3
    values = evaluate(Echo(), Batch({"logits": logits}, labels))
    assert list(values) == list(METRICS)
    assert values["accuracy"] == values["balanced_accuracy"] == pytest.approx((pairs - 1) / pairs)
    loss = -((pairs - 1) * math.log(3 / 4) + math.log(1 / 4)) / pairs
    assert values["loss"] == pytest.approx(loss, rel=1e-6)


def test_predictions_of_several_batches_come_in_order() -> None:
    logits = torch.arange(2.0 * EVALUATION_BATCH_SIZE + 3)[:, None]
    batch = Batch({"logits": logits}, torch.zeros(len(logits), dtype=torch.int64))
    assert torch.equal(predict(Echo(), batch), logits)


@pytest.mark.parametrize(
    ("size", "pairs"), [((16, 16), 256), ((128, 128), 256), ((256, 128), 128), ((480, 640), 13), ((4096, 4096), 1)]
)
def test_large_images_are_evaluated_a_few_at_a_time(size: tuple[int, int], pairs: int) -> None:
    assert evaluation_batch(size) == pairs
    seen = []

    class Watched(Echo):
        def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
            seen.append(len(inputs["logits"]))
            return inputs["logits"][:, 0, 0, :1]

    images = torch.arange(300.0)[:, None, None, None].expand(300, 1, *size)
    batch = Batch({"logits": images}, torch.zeros(300, dtype=torch.int64))
    if size[0] < 4096:
        assert torch.equal(predict(Watched(), batch)[:, 0], torch.arange(300.0))
        assert max(seen) == pairs


def test_dropout_is_off_while_predicting() -> None:
    model, batch = nn.Sequential(toy(), nn.Dropout(0.5)), toy_batch(64)
    model.train()
    assert torch.equal(predict(model, batch), predict(model, batch))
    assert torch.equal(predict(model, batch), predict(model[0], batch))


def test_predicting_keeps_no_graph() -> None:
    assert not predict(toy(), toy_batch(4)).requires_grad


TWO = Batch({"logits": torch.tensor([[LOG_3], [-LOG_3]])}, torch.tensor([1, 1]))


@pytest.mark.usefixtures("registries")
def test_a_registered_metric_is_evaluated_too() -> None:
    @register_metric("brier", higher_is_better=False)
    def brier(logits: Tensor, labels: Tensor) -> float:
        tensor: Any = (logits[:, 0].sigmoid() - labels).square().mean()  # one number, as metrics often return it
        return tensor  # type: ignore[no-any-return]

    @register_metric("undefined", higher_is_better=False)
    def undefined(_: Tensor, __: Tensor) -> float:
        return math.nan

    values = evaluate(Echo(), TWO)
    assert values["brier"] == pytest.approx((1 / 16 + 9 / 16) / 2)
    assert math.isnan(values["undefined"])


@pytest.mark.usefixtures("registries")
def test_a_faulty_metric_ends_in_a_sentence_with_its_file() -> None:
    @register_metric("broken", higher_is_better=True)
    def broken(logits: Tensor, labels: Tensor) -> float:  # noqa: ARG001
        raise KeyError("pairs")

    with pytest.raises(PluginError, match=r"test_evaluation\.py: the metric 'broken' raises KeyError: 'pairs'"):
        evaluate(Echo(), TWO)
    # Where logits are not numbers any more, the loss reports it.
    values = evaluate(Echo(), Batch({"logits": torch.full((2, 1), math.nan)}, TWO.labels))
    assert math.isnan(values["loss"])
    assert math.isnan(values["broken"])


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("value", "kind"), [(None, "NoneType"), ("0.5", "str"), (torch.ones(2), "Tensor")])
def test_a_metric_that_returns_no_number_ends_in_a_sentence_too(value: object, kind: str) -> None:
    register_metric("odd", higher_is_better=True)(lambda _, __: value)  # type: ignore[arg-type, return-value]
    with pytest.raises(PluginError, match=rf"test_evaluation\.py: the metric 'odd' returns a {kind}; it must"):
        evaluate(Echo(), TWO)


@pytest.mark.usefixtures("registries")
def test_a_metric_that_writes_into_what_it_is_given_changes_nothing_else() -> None:
    @register_metric("writing", higher_is_better=True)
    def writing(logits: Tensor, labels: Tensor) -> float:
        return float(logits.zero_().sum() + labels.fill_(1).sum())

    register_metric("later", higher_is_better=True)(lambda logits, labels: float(logits.sum() + labels.sum()))
    labels = TWO.labels.clone()
    values = evaluate(Echo(), TWO)
    assert values["later"] == float(TWO.inputs["logits"].sum() + labels.sum())
    assert torch.equal(TWO.labels, labels)
