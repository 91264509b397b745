"""docs/scaling.md: its Slurm script runs one shard per task."""

import os
import re
import subprocess
from pathlib import Path

from bench.harness.shards import Shard, parse_shard

PAGE = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def test_the_slurm_script_has_ten_lines() -> None:
    assert SCRIPT.count("\n") == 10
    assert SCRIPT.startswith("#!/bin/bash\n#SBATCH ")


def test_a_task_of_the_slurm_script_runs_its_shard(tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\nprintf "%s\\n" "$OMP_NUM_THREADS" "$@"\n')
    srun.chmod(0o755)
    task = {"SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}
    done = subprocess.run(
        ["bash", "-eu", "-c", SCRIPT],
        env={**os.environ, **task, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    threads, *words = done.stdout.split()
    assert (threads, words[:2]) == ("4", ["pytest", "bench"])
    assert parse_shard(words[words.index("--shard") + 1]) == Shard(3, 16)
    assert words[words.index("--results-dir") + 1].endswith("/3")
    assert "--resume" in words
