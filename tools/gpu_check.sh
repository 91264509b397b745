#!/usr/bin/env bash
# Everything that depends on a GPU, once, in under nine minutes, with one JSON summary at the end.
#
#     bash tools/gpu_check.sh                            # on a machine with a GPU
#     DEVICE=cpu BUDGET=300 bash tools/gpu_check.sh      # a rehearsal without one
#
# It needs the repository and the packages of pyproject.toml; nothing is installed into them and the checkout is not
# written to. Variables: PY (the Python, default .venv/bin/python or python3), DEVICE (cuda or cpu, default cuda), BUDGET
# (seconds, default 520), OUT (folder of the results, default results/runs/gpu_check), KEEP=1 (keep the folder it
# worked in), STEPS (names of the steps to run, such as "env tests cell"; default all). Of several GPUs, the first one is
# checked that CUDA_VISIBLE_DEVICES names.
#
# For a machine without network, put the wheels of missing packages into .whl/ in the repository first. These are the
# ones that machines with torch usually lack or have in an older version; msgspec is compiled, so that the version of
# Python and the platform must be those of the machine:
#     pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl pytest==9.2.0 pytest-benchmark==5.3.1 \
#         py-cpuinfo2==10.1.1 pluggy==1.7.0 iniconfig==2.3.1 msgspec==0.22.0 lazy_loader==0.6
# Every cell also needs scikit-learn; where it may be missing, add:
#         scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 narwhals==2.29.0
#
# Each step has a limit, and none ends the script: the environment; the tests that need CUDA; one cell as a user runs
# it, in each precision; benchmarks in profile smoke; probes of a trained model; the race of our loop against the
# reference and, where it is installed, PyTorch Lightning; measurements (graphs against eager steps, also with
# augmentation and training methods, time per step, layouts and precisions, decoding, several seeds at once, fixed
# costs per cell, memory); the study downsampling-wide in full, seed after seed, for the time that is left. The Python
# programs of these steps are the modules of tools/gpu/.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${PY:-}" ]; then
  PY=python3
  [ -x "$ROOT/.venv/bin/python" ] && PY=$ROOT/.venv/bin/python
fi
BUDGET=${BUDGET:-520}
DEVICE=${DEVICE:-cuda}
case $DEVICE in
cpu | cuda) ;;
*)
  echo "DEVICE=$DEVICE: give cpu or cuda; CUDA_VISIBLE_DEVICES=1 chooses the second GPU" >&2
  exit 2
  ;;
esac
OUT=${OUT:-$ROOT/results/runs/gpu_check}
BEGAN=$(date +%s)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/gpu_check.XXXXXX")
[ "${KEEP:-}" ] || trap 'rm -rf "$WORK"' EXIT
LOGS=$WORK/logs
mkdir -p "$OUT" "$LOGS" "$WORK/main"
OUT=$(cd "$OUT" && pwd)
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

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

# ------------------------------------------------------------------------------------------------------ the steps
SHORT=quick FULL=full STUDY=downsampling-wide PRECISIONS="tf32 bf16" RACE="--set precision=tf32" FEWER=""
if [ "${DEVICE#cuda}" = "$DEVICE" ]; then # a rehearsal trains less
  SHORT=smoke FULL=smoke STUDY=downsampling-compact PRECISIONS=bf16 RACE=""
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # several threads are slow where others use the cores too
  FEWER=" and (compact-late or test_other_seed or test_resident or (test_scaling and batch))"
fi
command -v nvidia-smi >/dev/null && nvidia-smi >"$LOGS/nvidia-smi.log" 2>&1
step env 60 420 $PY -m tools.gpu.environment "$WORK/env.json"

# 1. The tests that need CUDA, where every warning is an error. Only their files are loaded, as those of other tests
# may need packages that are not there. With pytest-xdist, four processes share the GPU.
WORKERS=$($PY -c 'import xdist' 2>/dev/null && echo "-n 4 --dist worksteal")
step tests 120 390 $PYTEST $WORKERS $(grep -rl --include='test_*.py' mark.needs_cuda tests) -m needs_cuda --slow -rA \
  --tb=short --durations=6
# 2. One cell exactly as a user runs it, then one benchmark of every kind.
step cell 40 360 $BENCH --profile smoke -k "test_training and compact-late-concat-strided" -rA --tb=short \
  --results-dir "$WORK/cell"
for precision in $PRECISIONS; do
  step "cell-$precision" 30 345 $BENCH --profile smoke -k "test_training and compact-late-concat-strided" -rA --tb=short \
    --set "precision=$precision" --results-dir "$WORK/cell-$precision"
done
step smoke 130 270 $BENCH --profile smoke -rfEw --tb=line --durations=5 \
  -k "(test_training or test_other_seed or (test_alone and (compact or experts)) or ((test_same_cell or test_latency) and strided and (late-concat or late-logits or deep)) or (test_scaling and wide and strided) or test_resident)$FEWER" \
  --results-dir "$WORK/smoke"
step probes 50 245 $BENCH --profile smoke --study robustness -rfEw --tb=short \
  -k "(test_robustness or test_features) and wide-late-concat-strided" --results-dir "$WORK/probes"
# 3. The race: one model per family and embedder, the loops in processes of their own; on a GPU in TF32, the
# precision that docs/speed.md has an aim for.
step race 140 165 $BENCH --profile "$SHORT" $RACE -rfEw --tb=short -k test_engine_against_reference \
  --results-dir "$WORK/race"
# 4. The measurements.
step measure 165 40 $PY -m tools.gpu.measure "$DEVICE" "$WORK"
# 5. A study in full, one seed after the other, for the time that is left; each cell is on the disk when it ends.
step study 400 12 $BENCH --profile "$FULL" --study "$STUDY" --seeds 8 -k test_training --tb=line \
  --results-dir "$WORK/study"

# ------------------------------------------------------------------------------------------------------ the summary
for file in records costs probes; do
  cat "$WORK"/{cell,cell-tf32,cell-bf16,smoke,probes,race,study}/$file.jsonl 2>/dev/null | gzip >"$OUT/$file.jsonl.gz"
done
for file in env measure; do
  [ -f "$WORK/$file.json" ] && cp "$WORK/$file.json" "$OUT/"
done
mkdir -p "$WORK/keep" && cp -r "$LOGS" "$WORK/keep/"
for run in smoke probes race study; do
  [ -d "$WORK/$run/tables" ] && cp -r "$WORK/$run/tables" "$WORK/keep/$run-tables"
done
tar -C "$WORK/keep" -czf "$OUT/logs.tgz" . 2>/dev/null
[ -f "$WORK/measure.json" ] && $PY -m tools.gpu.tables "$WORK/measure.json" "$WORK/env.json" >"$OUT/tables.md"
$PY -m tools.gpu.summary "$WORK" "$OUT"
