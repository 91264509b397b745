"""Several seeds of a model at once: what that could gain, as the benchmarks train one after the other.

Each seed takes its step on the same batch again and again, which is enough to time it.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.config import FIRST_SEED, Precision
from bench.costs.race import PROTOCOL
from bench.metrics import classification_loss
from bench.training.graphs import WARM_UP_STEPS, record
from bench.training.seeding import epoch_order
from fusion_models import ModelSpec
from tools.gpu.workload import Workload

REPEATS = 60


class Lane:
    """The step of one seed, on tensors that stay in place."""

    def __init__(self, work: Workload, spec: ModelSpec, seed: int, precision: Precision) -> None:
        self._eager = work.training(spec, precision, seed=seed).eager
        self._indices = epoch_order(seed, 1, len(work.train))[: PROTOCOL.batch_size].to(work.device)
        self._weights = {key: tensor.clone() for key, tensor in self._eager.model.state_dict().items()}
        self.loss = torch.zeros((), dtype=torch.float64, device=work.device)

    def step(self) -> None:
        """Train one step, and add the sum of its losses to ``loss``."""
        self.loss += self._eager.step(self._indices)

    def undo(self) -> None:
        """Go back to the first weights, and to a loss of 0."""
        self._eager.model.load_state_dict(self._weights)
        self._eager.optimizer.zero_grad(set_to_none=True)
        for state in self._eager.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        self.loss.zero_()


def together(work: Workload, spec: ModelSpec, seeds: int, precision: Precision) -> dict[str, Any]:
    """The time of one seed's recorded step; of all, each replayed on its own stream; and of all in one graph.

    "difference": by how much, relative to it, the first seed's loss in the one graph differs from that alone.
    """
    with work.settings(precision):
        lanes = [Lane(work, spec, FIRST_SEED + number, precision) for number in range(seeds)]
        replays = [record(lane.step, lane.undo, torch.device(work.device)) for lane in lanes]
        streams = [torch.cuda.Stream() for _ in lanes]

        def on_streams() -> None:
            for replay, stream in zip(replays, streams, strict=True):
                with torch.cuda.stream(stream):
                    replay()

        times = {
            "one_ms": work.milliseconds(replays[0], REPEATS),
            "streams_ms": work.milliseconds(on_streams, REPEATS),
        }
        alone = _loss_after(lanes, replays[0])
        again = [Lane(work, spec, FIRST_SEED + number, precision) for number in range(seeds)]
        graph = _one_graph(again)
        difference = abs(_loss_after(again, graph) - alone) / abs(alone)
        times["graph_ms"] = work.milliseconds(graph, REPEATS)
    return {"seeds": seeds} | {name: round(ms, 3) for name, ms in times.items()} | {"difference": difference}


def as_one_network(work: Workload, spec: ModelSpec, seeds: int, precision: Precision) -> dict[str, Any]:
    """The time of the step of one network of groups (torch.func.vmap: grouped convolutions, batched products)."""
    with work.settings(precision):
        networks = [
            work.network(spec, FIRST_SEED + number).to(memory_format=torch.contiguous_format)
            for number in range(seeds)
        ]
        parameters, _ = torch.func.stack_module_state(networks)
        shapes_alone = copy.deepcopy(networks[0]).to("meta")

        def loss_of(weights: dict[str, Tensor], inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
            return classification_loss(torch.func.functional_call(shapes_alone, weights, (inputs,)), labels)

        gradients_of = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, 0, 0))
        size = PROTOCOL.batch_size
        batch = work.train[: size * seeds]
        inputs = {m: v.contiguous().view(seeds, size, *v.shape[1:]) for m, v in batch.inputs.items()}
        labels = batch.labels.view(seeds, size)
        rate = torch.tensor(1e-3, device=work.device) if work.on_cuda else 1e-3
        optimizer = torch.optim.Adam(parameters.values(), lr=rate, fused=True, capturable=work.on_cuda)

        def step() -> None:
            gradients, _ = gradients_of(parameters, inputs, labels)
            for key, parameter in parameters.items():
                parameter.grad = gradients[key].contiguous()
            optimizer.step()

        replay = record(step, lambda: None, torch.device(work.device)) if work.on_cuda else step
        return {"seeds": seeds, "ms": round(work.milliseconds(replay, 40 if work.on_cuda else 1), 3)}


def _one_graph(lanes: Sequence[Lane]) -> Callable[[], None]:
    """A graph with a branch for each lane."""
    main, streams = torch.cuda.Stream(), [torch.cuda.Stream() for _ in lanes]
    for lane, stream in zip(lanes, streams, strict=True):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                lane.step()
                lane.undo()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=main):
        for lane, stream in zip(lanes, streams, strict=True):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                lane.step()
        for stream in streams:
            main.wait_stream(stream)
    return graph.replay


def _loss_after(lanes: Sequence[Lane], replay: Callable[[], None]) -> float:
    """The first lane's sum of losses over 20 replays from its first weights."""
    for lane in lanes:
        lane.undo()
    torch.cuda.synchronize()
    for _ in range(20):
        replay()
    torch.cuda.synchronize()
    return lanes[0].loss.item()
