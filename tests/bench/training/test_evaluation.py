import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.training.evaluation import (
    EVALUATION_BATCH_SIZE,
    METRICS,
    accuracy,
    balanced_accuracy,
    classification_loss,
    evaluate,
    predict,
    predicted_classes,
)
from data_utils import Batch
from tests.bench.toys import toy, toy_batch

LOG_3 = math.log(3.0)  # the logit of 3 to 1, a probability of 3/4

# Four samples: sure of class 1, undecided but for a hair, sure of class 0 twice.
ONE_LOGIT = torch.tensor([[LOG_3], [1e-6], [-LOG_3], [-LOG_3]])
LABELS = torch.tensor([1, 0, 0, 1])  # right, wrong, right, wrong


def two_logits(one: Tensor) -> Tensor:
    """The pair of logits (0, z) that says what one logit z says."""
    return torch.cat([torch.zeros_like(one), one], dim=1)


class Echo(nn.Module):
    """Returns its input as logits."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["logits"]


@pytest.mark.parametrize("logits", [ONE_LOGIT, two_logits(ONE_LOGIT)], ids=["one logit", "two logits"])
def test_hand_made_logits(logits: Tensor) -> None:
    assert predicted_classes(logits).tolist() == [1, 1, 0, 0]
    assert accuracy(logits, LABELS) == 0.5
    # The probabilities of the right classes are 3/4, 1/2, 3/4 and 1/4.
    expected = -(2 * math.log(3 / 4) + math.log(1 / 2) + math.log(1 / 4)) / 4
    assert classification_loss(logits, LABELS).item() == pytest.approx(expected, abs=1e-6)


def test_ten_even_logits_cost_the_logarithm_of_ten() -> None:
    assert classification_loss(torch.zeros(2, 10), torch.tensor([0, 9])).item() == pytest.approx(math.log(10))


def test_binary_cross_entropy_of_one_logit_is_cross_entropy_of_two() -> None:
    one, labels = torch.linspace(-20, 20, 41).double()[:, None], torch.arange(41) % 2
    torch.testing.assert_close(classification_loss(one, labels), F.cross_entropy(two_logits(one), labels))


def test_a_logit_of_zero_is_class_0_as_an_even_pair_is() -> None:
    undecided = torch.zeros(1, 1)
    assert predicted_classes(undecided).tolist() == predicted_classes(two_logits(undecided)).tolist() == [0]


def test_balanced_accuracy_weighs_classes_and_not_samples() -> None:
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 2, 2])
    predictions = torch.tensor([0, 0, 0, 0, 0, 0, 0, 1, 2, 0])
    logits = F.one_hot(predictions, num_classes=3).float()
    assert accuracy(logits, labels) == pytest.approx(8 / 10)
    assert balanced_accuracy(logits, labels) == pytest.approx((7 / 8 + 1 / 2) / 2)  # class 1 is not there


def test_every_metric_is_computed_once_over_all_samples() -> None:
    # One batch of certain rights, then one pair that is wrong: a mean of the batches' means would be 1/2.
    pairs = EVALUATION_BATCH_SIZE + 1
    labels = torch.ones(pairs, dtype=torch.int64)
    logits = torch.full((pairs, 1), LOG_3)
    logits[-1] = -LOG_3
    values = evaluate(Echo(), Batch({"logits": logits}, labels))
    assert list(values) == [metric.name for metric in METRICS]
    assert values["accuracy"] == values["balanced_accuracy"] == pytest.approx((pairs - 1) / pairs)
    loss = -((pairs - 1) * math.log(3 / 4) + math.log(1 / 4)) / pairs
    assert values["loss"] == pytest.approx(loss, rel=1e-6)


def test_predictions_of_several_batches_come_in_order() -> None:
    logits = torch.arange(2.0 * EVALUATION_BATCH_SIZE + 3)[:, None]
    batch = Batch({"logits": logits}, torch.zeros(len(logits), dtype=torch.int64))
    assert torch.equal(predict(Echo(), batch), logits)


def test_dropout_is_off_while_predicting() -> None:
    model, batch = nn.Sequential(toy(), nn.Dropout(0.5)), toy_batch(64)
    model.train()
    assert torch.equal(predict(model, batch), predict(model, batch))
    assert torch.equal(predict(model, batch), predict(model[0], batch))


def test_predicting_keeps_no_graph() -> None:
    assert not predict(toy(), toy_batch(4)).requires_grad


def test_metrics_say_which_direction_is_better() -> None:
    good, bad = torch.tensor([[9.0], [-9.0]]), torch.tensor([[-9.0], [9.0]])
    labels = torch.tensor([1, 0])
    assert METRICS
    for metric in METRICS:
        is_higher = metric.function(good, labels) > metric.function(bad, labels)
        assert is_higher is metric.higher_is_better, metric.name
