#!/usr/bin/env bash
# Everything that depends on a GPU, once, in under nine minutes, with one JSON summary at the end.
#
#     bash tools/gpu_check.sh                            # on a machine with a GPU
#     DEVICE=cpu BUDGET=300 bash tools/gpu_check.sh      # a rehearsal without one
#
# It needs the repository and the packages of pyproject.toml; nothing is installed into them and the checkout is not
# written to. Variables: PY (the Python, default .venv/bin/python or python3), DEVICE (default cuda), BUDGET (seconds,
# default 520), OUT (folder of the results, default results/runs/gpu_check), KEEP=1 (keep the folder it worked in),
# STEPS (names of the steps to run, such as "env tests cell"; default all).
#
# For a machine without network, put the wheels of missing packages into .whl/ in the repository first. These are the
# ones that machines with torch usually lack or have in an older version; msgspec is compiled, so that the version of
# Python and the platform must be those of the machine:
#     pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl pytest==9.2.0 pytest-benchmark==5.3.1 \
#         py-cpuinfo2==10.1.1 pluggy==1.7.0 iniconfig==2.3.1 msgspec==0.22.0 lazy_loader==0.6
#
# Each step has a limit, and none ends the script: the environment; the tests that need CUDA; one cell as a user runs
# it, in each precision; benchmarks in profile smoke; probes of a trained model; the race of our loop against the
# reference and, where it is installed, PyTorch Lightning; measurements (graphs against eager steps, time per step,
# layouts and precisions, several seeds at once, fixed costs per cell, memory); the study downsampling-wide in full,
# seed after seed, for the time that is left.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${PY:-}" ]; then
  PY=python3
  [ -x "$ROOT/.venv/bin/python" ] && PY=$ROOT/.venv/bin/python
fi
BUDGET=${BUDGET:-520}
DEVICE=${DEVICE:-cuda}
OUT=${OUT:-$ROOT/results/runs/gpu_check}
BEGAN=$(date +%s)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/gpu_check.XXXXXX")
[ "${KEEP:-}" ] || trap 'rm -rf "$WORK"' EXIT
LOGS=$WORK/logs
mkdir -p "$OUT" "$LOGS" "$WORK/main"
OUT=$(cd "$OUT" && pwd)
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEVICE WORK LOGS OUT

# A copy, so that runs, caches and histories of the checkout stay as they are.
tar -C "$ROOT" --exclude=./.git --exclude=./.venv --exclude=./.whl --exclude=./.cache --exclude=./results/runs \
  --exclude=__pycache__ -cf - . | tar -xf - -C "$WORK/main"
if ls "$ROOT"/.whl/*.whl >/dev/null 2>&1; then
  if $PY -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$WORK/site" \
    "$ROOT"/.whl/*.whl >"$LOGS/pip.log" 2>&1; then
    export PYTHONPATH="$WORK/site${PYTHONPATH:+:$PYTHONPATH}"
  else
    echo "the wheels were not installed, see pip.log"
  fi
fi
export PYTHONPATH="$WORK/main${PYTHONPATH:+:$PYTHONPATH}"
cd "$WORK/main" || exit 1

elapsed() { echo $(($(date +%s) - BEGAN)); }

# step NAME MOST RESERVE COMMAND...: run the command for at most MOST seconds and leave RESERVE seconds for the steps
# after it; both are for a budget of 520 seconds and grow with it.
step() {
  local name=$1 most=$(($2 * BUDGET / 520)) reserve=$(($3 * BUDGET / 520)) limit start rc=null seconds=0 note=""
  shift 3
  case " ${STEPS:-$name} " in *" $name "*) ;; *) return ;; esac
  limit=$((BUDGET - $(elapsed) - reserve))
  [ "$limit" -gt "$most" ] && limit=$most
  if [ "$limit" -lt 12 ]; then
    note="not run: no time left"
  else
    start=$(date +%s)
    # In the foreground, the command alone is interrupted, and once; it then ends the processes it has started.
    LIMIT=$limit timeout --foreground -s INT -k 15 "$limit" env --default-signal=INT "$@" >"$LOGS/$name.log" 2>&1
    rc=$?
    seconds=$(($(date +%s) - start))
    case $rc in 124 | 137) note="stopped at its limit" ;; esac
  fi
  echo "{\"step\": \"$name\", \"rc\": $rc, \"seconds\": $seconds, \"limit\": $limit, \"note\": \"$note\"}" \
    >>"$WORK/steps.jsonl"
  echo "[$(elapsed) s] $name: rc $rc${note:+, $note}"
}

# An older pytest may do where the newest cannot be had.
PYTEST="$PY -m pytest -o minversion=6.0 -p no:cacheprovider -q"
BENCH="$PYTEST bench --device $DEVICE"

# ------------------------------------------------------------------------------------------------------ environment
cat >"$WORK/env.py" <<'EOF'
"""Versions of everything that the package requires, and the device."""
import importlib.metadata
import json
import os
import platform
import re
import tomllib
from pathlib import Path

import torch

facts = {
    "python": platform.python_version(),
    "cuda": torch.version.cuda,
    "cudnn": torch.backends.cudnn.version(),
    "cpus": os.cpu_count(),
    "threads": torch.get_num_threads(),
}
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for requirement in project["dependencies"]:
    name = re.match(r"[\w-]+", requirement).group()
    try:
        facts[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        facts[name] = "missing"
if torch.cuda.is_available():
    device = torch.cuda.get_device_properties(0)
    facts |= {"gpu": device.name, "memory_gb": round(device.total_memory / 1e9), "sms": device.multi_processor_count}
Path(os.environ["WORK"], "env.json").write_text(json.dumps(facts))
EOF

# ------------------------------------------------------------------------------------------------------ measurements
cat >"$WORK/measure.py" <<'EOF'
"""Are graphs the eager steps? How long does a step take, in which layout and precision, and what is fixed per cell?

The letters are the order of the parts. What has no time left, needs CUDA or fails is noted in the result.
"""
import copy
import gc
import json
import os
import statistics
import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

BEGAN = time.time()
LIMIT = float(os.environ.get("LIMIT", 120)) - 6  # to write the result before the step is stopped
DEV, WORK = os.environ["DEVICE"], Path(os.environ["WORK"])

import torch

from bench.config import BF16, FP32, STANDARD, TF32, RunConfig
from bench.costs.race import PROTOCOL, models
from bench.costs.reference import ReferenceLoop, as_published, samples
from bench.metrics import classification_loss
from bench.training.ceiling import ceiling
from bench.training.evaluation import evaluate
from bench.training.graphs import GraphSteps, fastest, record
from bench.training.layout import LAYOUTS, layout_of
from bench.training.measurement import training_flops, training_memory
from bench.training.preparation import predict_part, prepare
from bench.training.runs import _save_weights, build_seeded, silent
from bench.training.samples import save_samples
from bench.training.seeding import deterministic, epoch_order, new_tensors_filled
from bench.training.steps import EagerSteps, make_optimizer, synchronize, timed
from bench.training.trainer import Trainer
from data_utils import load
from fusion_models import find_model

CUDA = DEV.startswith("cuda")
PAIRS, CELL_PAIRS = (PROTOCOL.pairs, 2000) if CUDA else (160, 400)  # a rehearsal takes few steps
PRECISIONS = (FP32, TF32, BF16) if CUDA else (FP32, BF16)
device = torch.device(DEV)
result = {
    "ceiling": {}, "kernels": {}, "variants": {}, "joint": {}, "stacked": {}, "fixed_ms": {}, "memory": {},
    "models": {}, "mean_ratio": {},
    "skipped": {}, "errors": {},
}


def time_for(name, share, *, needs_cuda=False):
    """Whether to begin a part: on its device, and with more than this share of the time left for it and the rest."""
    if needs_cuda and not CUDA:
        result["skipped"][name] = "needs CUDA"
    elif LIMIT - (time.time() - BEGAN) < LIMIT * share:
        result["skipped"][name] = "no time left"
    return name not in result["skipped"]


@contextmanager
def part(name):
    """One measurement: an error in it is noted and ends nothing else."""
    try:
        yield
    except Exception as error:
        result["errors"][name] = f"{type(error).__name__}: {error}"[:300]
        traceback.print_exc()
    finally:
        save()


def save():
    result["seconds"] = round(time.time() - BEGAN, 1)
    (WORK / "measure.json").write_text(json.dumps(result))


def milliseconds(work, repeats):
    work()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronize(device)
    return 1e3 * (time.perf_counter() - start) / repeats


def steps_of(spec, data, seed=51, precision=FP32):
    network = build_seeded(spec, dataset.info, seed, DEV)
    protocol = replace(PROTOCOL, precision=precision)
    return EagerSteps(network, make_optimizer(network, protocol), data.seen_by(network), protocol)


def losses(steps, orders, rates):
    return torch.stack([loss.clone() for order in orders for loss in steps.epoch(order, rates)])


def ms_per_step(steps, order, rates, epochs):
    def epoch():
        for _ in steps.epoch(order, rates):
            pass

    return milliseconds(epoch, epochs) / len(rates)


@contextmanager
def settings(precision, benchmark=False, layout=None):
    """A precision of trainings, cuDNN's choice by timing, which they leave off, and another layout than theirs."""
    usual = layout_of(device)
    LAYOUTS[device.type] = layout or usual
    try:
        with deterministic(precision):
            torch.backends.cudnn.benchmark = benchmark
            yield
    finally:
        LAYOUTS[device.type] = usual


def kernels_of(spec, precision):
    """Where the time of an eager step goes: microseconds and launches per step, of the ten costliest kernels."""
    from torch.profiler import ProfilerActivity, profile

    eager = steps_of(spec, data, precision=precision)
    ms_per_step(eager, orders[0], rates, 1)
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiled:
        ms_per_step(eager, orders[0], rates, 1)
    steps = 2 * len(rates)  # an epoch to warm up, and one
    events = [event for event in profiled.key_averages() if event.device_time_total]
    events.sort(key=lambda event: -event.device_time_total)
    return {
        "us": round(sum(event.device_time_total for event in events) / steps),
        "launches": round(sum(event.count for event in events) / steps),
        "costliest": [
            [event.key[:90], round(event.count / steps, 1), round(event.device_time_total / steps)]
            for event in events[:10]
        ],
    }


def compare_loops(spec, precision):
    """One model: are recorded steps the eager ones, and how do recorded, eager and reference steps compare?"""
    eager, other = (steps_of(spec, data, precision=precision) for _ in range(2))
    recorded = fastest(other, len(data))
    expected, actual = losses(eager, orders, rates), losses(recorded, orders, rates)
    facts = {
        "graph": isinstance(recorded, GraphSteps),
        "equal_bits": bool(torch.equal(expected, actual)),
        "difference": float(((actual - expected).abs() / expected.abs()).max()),
        "equal_weights": all(map(torch.equal, eager.model.parameters(), other.model.parameters())),
        "ours_ms": round(ms_per_step(recorded, orders[0], rates, 4), 3),
        "eager_ms": round(ms_per_step(eager, orders[0], rates, 1), 3),
    }
    published, protocol = as_published(build_seeded(spec, dataset.info, 51, DEV)), replace(PROTOCOL, precision=precision)
    loop = ReferenceLoop(published, in_memory, protocol, 51, DEV)
    with new_tensors_filled(True):
        timed(loop.steps(), device)
        seconds = min(timed(loop.steps(), device)[1] for _ in range(2))
    facts["reference_ms"] = round(1e3 * seconds / (len(rates) - 1), 3)
    facts["ratio"] = round(facts["reference_ms"] / facts["ours_ms"], 2)
    facts["TFLOPs"] = round(training_flops(other.model, data[: PROTOCOL.batch_size]) / facts["ours_ms"] / 1e9, 3)
    return facts


class Lane:
    """The step of one seed, on tensors that stay in place."""

    def __init__(self, spec, seed, precision):
        self.eager = steps_of(spec, data, seed, precision)
        self.indices = epoch_order(seed, 1, len(data))[: PROTOCOL.batch_size].to(device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.weights = {key: tensor.clone() for key, tensor in self.eager.model.state_dict().items()}

    def work(self):
        self.loss += self.eager.step(self.indices)

    def undo(self):
        self.eager.model.load_state_dict(self.weights)
        self.eager.optimizer.zero_grad(set_to_none=True)
        for state in self.eager.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        self.loss.zero_()


def one_graph(lanes):
    """A graph with a branch for each lane."""
    main, streams = torch.cuda.Stream(), [torch.cuda.Stream() for _ in lanes]
    for lane, stream in zip(lanes, streams):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                lane.work()
                lane.undo()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=main):
        for lane, stream in zip(lanes, streams):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                lane.work()
        for stream in streams:
            main.wait_stream(stream)
    return graph.replay


def joint(spec, seeds, precision):
    """Several seeds: one recorded step after the other, each on its own stream, and all in one graph.

    The benchmarks train one seed after the other; this is what training several at once could gain.
    """
    lanes = [Lane(spec, 51 + number, precision) for number in range(seeds)]
    replays = [record(lane.work, lane.undo, device) for lane in lanes]
    streams = [torch.cuda.Stream() for _ in lanes]

    def on_streams():
        for replay, stream in zip(replays, streams):
            with torch.cuda.stream(stream):
                replay()

    facts = {"seeds": seeds, "one_ms": milliseconds(replays[0], 60), "streams_ms": milliseconds(on_streams, 60)}
    alone = loss_after(lanes, replays[0])
    del replays
    again = [Lane(spec, 51 + number, precision) for number in range(seeds)]
    replay = one_graph(again)
    difference = abs(loss_after(again, replay) - alone) / abs(alone)
    facts["graph_ms"] = milliseconds(replay, 60)
    return {key: round(value, 3) for key, value in facts.items()} | {"difference": difference}


def loss_after(lanes, replay):
    """The first lane's sum of losses over 20 replays from its first weights."""
    for lane in lanes:
        lane.undo()
    synchronize(device)
    for _ in range(20):
        replay()
    synchronize(device)
    return lanes[0].loss.item()


def stacked(spec, seeds):
    """Several seeds as one network of groups (torch.func.vmap: grouped convolutions, batched products)."""
    built = [build_seeded(spec, dataset.info, 51 + number, DEV) for number in range(seeds)]
    networks = [network.to(memory_format=torch.contiguous_format) for network in built]
    parameters, _ = torch.func.stack_module_state(networks)
    shapes_alone = copy.deepcopy(networks[0]).to("meta")

    def loss_of(weights, inputs, labels):
        return classification_loss(torch.func.functional_call(shapes_alone, weights, (inputs,)), labels)

    gradients_of = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, 0, 0))
    size = PROTOCOL.batch_size
    chosen = data[: size * seeds]
    inputs = {m: v.contiguous().view(seeds, size, *v.shape[1:]) for m, v in chosen.inputs.items()}
    labels = chosen.labels.view(seeds, size)
    options = {"capturable": True, "lr": torch.tensor(1e-3, device=device)} if CUDA else {"lr": 1e-3}
    optimizer = torch.optim.Adam(list(parameters.values()), fused=True, **options)

    def work():
        gradients, _ = gradients_of(parameters, inputs, labels)
        for key, parameter in parameters.items():
            parameter.grad = gradients[key].contiguous()
        optimizer.step()

    replay = record(work, lambda: None, device) if CUDA else work
    return {"seeds": seeds, "ms": round(milliseconds(replay, 40 if CUDA else 1), 3)}


def fixed_costs():
    """What a cell costs besides its epochs, each part once, in the order of a run."""
    small = load("shapes", pairs=CELL_PAIRS)
    protocol = replace(STANDARD, pairs=CELL_PAIRS)
    config = RunConfig(protocol, DEV, WORK / "fixed", dataset="shapes")
    spec = find_model("compact-late-concat-strided")

    def taken(label, work):
        synchronize(device)
        start = time.perf_counter()
        made = work()
        synchronize(device)
        result["fixed_ms"][label] = round(1e3 * (time.perf_counter() - start), 1)
        return made

    def build():
        return build_seeded(spec, small.info, 51, DEV)

    ready = taken(f"prepare {CELL_PAIRS} pairs", lambda: prepare(small, protocol, 51, DEV))
    batch = ready.train[: protocol.batch_size]
    network = taken("build", build)
    taken("peak memory", lambda: training_memory(build, batch, protocol))
    taken("flops", lambda: training_flops(network, batch))
    trainer = taken("trainer, recording", lambda: Trainer(network, ready.train, ready.valid, protocol, 51, silent))
    taken("epoch, first", trainer.train_epoch)
    trainer.finish_epoch()
    taken("epoch", trainer.train_epoch)
    taken("validation", lambda: evaluate(network, ready.valid))
    saved = taken("checkpoint", lambda: _save_weights(network, config, spec, 51, silent))
    path = WORK / "fixed" / "samples.jsonl"
    shown = ready.world.reported
    logits = taken("test", lambda: predict_part(network, ready, shown))
    taken("sample predictions", lambda: save_samples(path, logits, shown, saved["weights_sha256"]))


def memory():
    """Whether the measured memory of a step depends on what the allocator has been through."""
    spec, peaks, hoard = find_model("wide-intermediate-concat-strided"), [], []
    for i in range(4):
        peaks.append(training_memory(lambda: build_seeded(spec, dataset.info, 51, DEV), data[:32], PROTOCOL))
        hoard += [torch.empty(int(1e6 * (i + 1) + 12345 * j), device=device) for j in range(7)]
        del hoard[::2]
    return {"peak": [peak.peak_bytes for peak in peaks], "reserved": [peak.reserved_bytes for peak in peaks]}


dataset = load("shapes", pairs=PAIRS)
data = prepare(dataset, PROTOCOL, 51, DEV).train
in_memory = samples(data)
whole = len(data) // PROTOCOL.batch_size
orders = [epoch_order(51, epoch, len(data))[: whole * PROTOCOL.batch_size].to(device) for epoch in (1, 2)]
rates = [1e-3 * (1 - step / (2 * whole)) for step in range(whole)]

SMALL, LARGE = "compact-late-concat-strided", "wide-intermediate-concat-maxpool"
SEEDS = 8 if CUDA else 2

with deterministic():
    with part("ceiling"):
        for precision in PRECISIONS:
            result["ceiling"][precision] = {
                name: round(limit / 1e12, 3) for name, limit in ceiling(DEV, precision).items()
            }

    # A: where the time of a step goes.
    layouts = {"nhwc": torch.channels_last, "nchw": torch.contiguous_format}
    for name in (SMALL, LARGE):
        for precision, layout in (("fp32", "nhwc"), ("fp32", "nchw"), ("tf32", "nhwc"), ("tf32", "nchw")):
            label = f"{name} {layout}+{precision}"
            if time_for(f"A {label}", 0.8, needs_cuda=True):
                with part(f"A {label}"), settings(precision, layout=layouts[layout]):
                    result["kernels"][label] = kernels_of(find_model(name), precision)

    # B: the same step in other layouts and precisions.
    for name in (SMALL, LARGE, "compact-intermediate-concat-maxpool", "wide-intermediate-concat-strided"):
        if time_for(f"B {name}", 0.6, needs_cuda=True):
            facts = result["variants"][name] = {}
            for benchmark in (False, True):
                for precision in PRECISIONS:
                    for layout, memory_format in layouts.items():
                        label = f"{layout}+{precision}" + "+benchmark" * benchmark
                        with part(f"B {name} {label}"), settings(precision, benchmark, memory_format):
                            eager = steps_of(find_model(name), data, precision=precision)
                            steps = fastest(eager, len(data))
                            facts[label] = round(ms_per_step(steps, orders[0], rates, 3), 3)
                            del eager, steps

    # C: several seeds at once, on streams and in one graph.
    for precision in PRECISIONS[:2]:
        for name in (SMALL, LARGE, "wide-intermediate-concat-strided"):
            label = f"{name}+{precision}"
            if time_for(f"C {label}", 0.4, needs_cuda=True):
                with part(f"C {label}"), settings(precision):
                    result["joint"][label] = joint(find_model(name), SEEDS, precision)
                gc.collect()

    # D: several seeds as one network.
    for precision in (FP32, TF32) if CUDA else (FP32,):
        for name in (SMALL, LARGE):
            label = f"{name}+{precision}"
            if time_for(f"D {label}", 0.35):
                with part(f"D {label}"), settings(precision):
                    result["stacked"][label] = stacked(find_model(name), SEEDS)
                gc.collect()

    # E: fixed costs; F: the allocator.
    with part("E fixed costs"):
        fixed_costs()
    if time_for("F memory", 0.0, needs_cuda=True):
        with part("F memory"):
            result["memory"] = memory()

    # G: every model by both loops; on a CPU, two. In an order that mixes the families, should time run out.
    specs = models()
    for spec in sorted(specs, key=lambda spec: specs.index(spec) % 4) if CUDA else specs[-2:]:
        for precision in (TF32, FP32) if CUDA else (FP32,):
            label = f"{spec.name}+{precision}"
            if time_for(f"G {label}", 0.03):
                with part(f"G {label}"), settings(precision):
                    result["models"][label] = compare_loops(spec, precision)
                    gc.collect()
    for precision in PRECISIONS:
        ratios = [facts["ratio"] for label, facts in result["models"].items() if label.endswith(precision)]
        if ratios:
            result["mean_ratio"][precision] = round(statistics.geometric_mean(ratios), 2)
save()
sys.exit(bool(result["errors"]))
EOF

# ------------------------------------------------------------------------------------------------------ the steps
SHORT=quick FULL=full STUDY=downsampling-wide PRECISIONS="tf32 bf16" FEWER=""
if [ "${DEVICE#cuda}" = "$DEVICE" ]; then # a rehearsal trains less
  SHORT=smoke FULL=smoke STUDY=downsampling-compact PRECISIONS=bf16
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # several threads are slow where others use the cores too
  FEWER=" and (compact-late or test_other_seed or test_resident or (test_scaling and batch))"
fi
command -v nvidia-smi >/dev/null && nvidia-smi >"$LOGS/nvidia-smi.log" 2>&1
step env 60 400 $PY "$WORK/env.py"

# 1. The tests that need CUDA, where every warning is an error, and those of graphs that do not.
step tests 120 330 $PYTEST tests/bench/training/test_graphs.py tests/bench/costs/test_race.py \
  -k "test_graphs or cuda" -rA --tb=short --durations=6
# 2. One cell exactly as a user runs it, then one benchmark of every kind.
step cell 40 285 $BENCH --profile smoke -k "test_training and compact-late-concat-strided" -rA --tb=short \
  --results-dir "$WORK/cell"
for precision in $PRECISIONS; do
  step "cell-$precision" 30 260 $BENCH --profile smoke -k "test_training and compact-late-concat-strided" -rA --tb=short \
    --set "precision=$precision" --results-dir "$WORK/cell-$precision"
done
step smoke 100 235 $BENCH --profile smoke -rfEw --tb=line --durations=5 \
  -k "(test_training or test_other_seed or test_alone or (test_same_cell and strided and (late or deep)) or (test_latency and strided) or (test_scaling and wide and strided) or test_resident)$FEWER" \
  --results-dir "$WORK/smoke"
step probes 40 210 $BENCH --profile smoke --study robustness -rfEw --tb=short \
  -k "(test_robustness or test_features) and wide-late-concat-strided" --results-dir "$WORK/probes"
# 3. The race: one model per family and embedder, both loops in processes of their own.
step race 110 165 $BENCH --profile "$SHORT" -rfEw --tb=short -k test_engine_against_reference \
  --results-dir "$WORK/race"
# 4. The measurements above.
step measure 165 70 $PY "$WORK/measure.py"
# 5. A study in full, one seed after the other, for the time that is left; each cell is on the disk when it ends.
step study 400 12 $BENCH --profile "$FULL" --study "$STUDY" --seeds 8 -k test_training --tb=line \
  --results-dir "$WORK/study"

# ------------------------------------------------------------------------------------------------------ the summary
cat >"$WORK/summary.py" <<'EOF'
"""The summary; imports nothing of the package, so that it is written whatever is missing."""
import json
import os
import re
import statistics
from pathlib import Path

work, logs, out = (Path(os.environ[name]) for name in ("WORK", "LOGS", "OUT"))


def read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def lines(path):
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError):
        return []


def pytest_log(name):
    path = logs / f"{name}.log"
    if not path.is_file():
        return None
    text = path.read_text(errors="replace")
    ends = re.findall(r"^.*\d+ (?:passed|failed|error|skipped|deselected).*$", text, re.M)
    failed = re.findall(r"^(?:FAILED|ERROR) .*$", text, re.M)
    warned = sorted({line.strip()[:150] for line in re.findall(r"^\s*\S*\w+Warning: .*", text, re.M)})
    raised = dict.fromkeys(line[:200] for line in re.findall(r"^E\s+(\S*(?:Error|Warning|assert)\b.*)", text, re.M))
    return {
        "end": (ends[-1] if ends else text[-200:]).strip("= ")[:160],
        "n_failed": len(failed),
        "failed": [line[:180] for line in failed[:12]],
        "raised": list(raised)[:4],
        "warnings": warned[:6],
    }


def counts(values):
    values = list(values)
    return {value: values.count(value) for value in dict.fromkeys(values)}


def ratio(record, other):
    """How many times longer another loop took than ours; None where it was not raced."""
    seconds = record[f"{other}_seconds"]
    return seconds and statistics.median(a / b for a, b in zip(seconds, record["engine_seconds"]))


def race(record):
    reference, ours = record["reference_losses"][0], record["engine_losses"][0]
    return [
        round(ratio(record, "reference"), 2),
        round(ratio(record, "lightning") or 0, 2),
        round(1e3 * statistics.median(record["reference_seconds"]) / record["steps"], 3),
        round(1e3 * statistics.median(record["engine_seconds"]) / record["steps"], 3),
        float(f"{record['exact_difference']:.1e}"),
        float(f"{abs(ours - reference) / abs(reference):.1e}"),
    ]


def cell(record):
    efficiency = None
    if record["status"] == "completed":
        size, pairs = record["protocol"]["batch_size"], record["train_pairs"]
        used = pairs - pairs % size if record["protocol"]["drop_last"] else pairs
        flops = record["flops_per_step"] * used / size / statistics.median(record["epoch_seconds"])
        efficiency = round(flops / record["ceiling"]["flops_per_second"], 3)
    accuracy, loss, seconds = record["valid_accuracy"], record["best_valid_loss"], record["train_seconds"]
    return [
        record["seed"],
        record["status"][:4],
        accuracy and round(accuracy, 4),
        loss and float(f"{loss:.4g}"),
        seconds and round(seconds, 2),
        round((record["peak_memory_bytes"] or 0) / 1e6),
        efficiency,
    ]


summary = {"env": read(work / "env.json"), "steps": lines(work / "steps.jsonl")}
for name in ("tests", "cell", "cell-tf32", "cell-bf16", "smoke", "probes", "race", "study"):
    summary[name] = pytest_log(name)
summary["smoke_status"] = counts(record["status"] for record in lines(work / "smoke" / "records.jsonl"))
summary["smoke_costs"] = counts(record["kind"] for record in lines(work / "smoke" / "costs.jsonl"))
summary["probes_kept"] = counts(record["benchmark"] for record in lines(work / "probes" / "probes.jsonl"))
races = {}
for record in lines(work / "race" / "costs.jsonl"):
    races.setdefault(record["precision"], {})[record["model"]] = race(record)
summary["race_ratio_lightningratio_refms_oursms_exact_first"] = races
summary["race_mean_ratio"] = {
    precision: round(statistics.geometric_mean(facts[0] for facts in of_models.values()), 2)
    for precision, of_models in races.items()
}
summary["measure"] = read(work / "measure.json")
cells = {}
for record in lines(work / "study" / "records.jsonl"):
    cells.setdefault(record["model"], []).append(cell(record))
summary["study_seed_status_acc_loss_s_MB_eff"] = cells
(out / "summary.json").write_text(json.dumps(summary, indent=1))

# What is printed stays below 11,000 characters, as some consoles keep no more; summary.json has everything.
text = json.dumps(summary, separators=(",", ":"))
if len(text) > 10500 and summary["measure"]:
    shown = ("equal_bits", "difference", "ours_ms", "eager_ms", "reference_ms", "ratio")
    models = summary["measure"]["models"]
    summary["measure"]["models"] = {name: [facts[key] for key in shown] for name, facts in models.items()}
    text = json.dumps(summary, separators=(",", ":"))
print(text[:11000])
EOF
for file in records costs probes; do
  cat "$WORK"/{cell,cell-tf32,cell-bf16,smoke,probes,race,study}/$file.jsonl 2>/dev/null | gzip >"$OUT/$file.jsonl.gz"
done
cp "$WORK/measure.json" "$OUT/" 2>/dev/null
mkdir -p "$WORK/keep" && cp -r "$LOGS" "$WORK/keep/"
for run in smoke probes race study; do
  [ -d "$WORK/$run/tables" ] && cp -r "$WORK/$run/tables" "$WORK/keep/$run-tables"
done
tar -C "$WORK/keep" -czf "$OUT/logs.tgz" . 2>/dev/null
[ -f "$WORK/measure.json" ] && $PY tools/gpu_tables.py "$WORK/measure.json" "$WORK/env.json" >"$OUT/tables.md"
$PY "$WORK/summary.py"
