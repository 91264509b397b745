"""Workers as actors of Ray (https://docs.ray.io), on this machine or on a cluster.

Ray is imported here alone, and only where ``--executor ray`` is given. Every worker has a device to itself: one
GPU, or as many CPUs as it has threads. Ray restarts nothing by itself, as ``pool`` decides that.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Hashable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.config import OptionError
from bench.harness.executors.pool import ExecutorError
from bench.harness.executors.staging import stage
from bench.harness.executors.tasks import Gone, Message, Task, Versions
from data_utils import Source

OLDEST = (2, 60)

_LOCAL_OBJECT_STORE_BYTES = 2**30
"""Of a Ray on this machine: for weights on their way back, and data that a worker lacks. More goes to the disk."""

_GPU_WORKER_CPUS = 1

_LONGEST_PARENT = 20
"""Characters of the folder of temporary files."""


def require_ray(option: str) -> None:
    """Check that Ray is installed, without importing it.

    Raises:
        OptionError: It is not, or too old.
    """
    oldest = ".".join(map(str, OLDEST))
    remedy = "install it with: pip install 'fusiongauge[ray]'"
    if importlib.util.find_spec("ray") is None:
        raise OptionError(f"{option}: the package ray is not installed; {remedy}")
    installed = version("ray")
    if tuple(int(part) for part in installed.split(".")[:2]) < OLDEST:
        raise OptionError(f"{option}: ray {installed} is older than {oldest}; {remedy}")


class RayEngine:
    """An ``Engine``; see there.

    Args:
        address: As in ``ray.init``: "host:port", or "auto" for the cluster that this machine belongs to; "" for a
            Ray of this session alone, on this machine.
        device: "cpu" or "cuda".
        threads: Of torch in every worker.
        versions: That workers must have.
        cache: The folder of simulated data, for workers that have it too.

    Raises:
        ExecutorError: There is no Ray at the address, or no room for any worker on this machine.
    """

    def __init__(self, address: str, *, device: str, threads: int, versions: Versions, cache: Path) -> None:
        # Short, as the names of sockets in it have at most 107 characters, of which Ray needs about 70.
        parent = None if len(tempfile.gettempdir()) <= _LONGEST_PARENT else "/tmp"  # noqa: S108
        self._folder = Path(tempfile.mkdtemp(prefix="fg-", dir=parent))
        self._local = not address
        self._needs = (
            {"num_gpus": 1, "num_cpus": _GPU_WORKER_CPUS}
            if device == "cuda"
            else {"num_gpus": 0, "num_cpus": threads}
        )
        self._versions, self._threads, self._cache = versions, threads, cache
        code = self._folder / "code"
        code.mkdir()
        self._plugins, self._installed = stage(code)
        self._workers: dict[Hashable, Any] = {}
        self._answers: dict[Any, Hashable] = {}  # by the reference of the message that is waited for
        self._data: dict[str, Any] = {}  # references by hash
        self._count = 0
        try:
            self._ray = _ray()
            self._connect(address, code)
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str, code: Path) -> None:
        environment = {"working_dir": str(code), "env_vars": {"OMP_NUM_THREADS": str(self._threads)}}
        words: dict[str, Any] = {"address": address}
        if self._local:
            words = {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": _LOCAL_OBJECT_STORE_BYTES,
                "_temp_dir": str(self._folder / "ray"),
            }
        terminated = signal.getsignal(signal.SIGTERM)  # Ray's handler would end the session in the middle
        try:
            self._ray.init(
                **words,
                runtime_env=environment,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except Exception as error:
            where = f"at {address}" if address else "on this machine"
            raise ExecutorError(
                f"--executor ray: no Ray {where} ({_first_line(error)}); see docs/scaling.md for how to start one"
            ) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, terminated)
        if self._local and not self.nodes():
            wanted = f"{self._needs['num_cpus']} CPUs" + (" and a GPU" if self._needs["num_gpus"] else "")
            raise ExecutorError(
                f"--executor ray: a worker needs {wanted}, and Ray finds fewer on this machine; "
                "set OMP_NUM_THREADS to the number of threads per cell"
            )
        self._board = self._ray.remote(_Board).options(num_cpus=0).remote()

    def start(self, avoid: frozenset[str]) -> Hashable:
        """Request an actor."""
        from bench.harness.executors.worker import Worker

        self._count += 1
        where = {}
        if refused := [node["NodeID"] for node in self._ray.nodes() if _name(node) in avoid]:
            where = {"label_selector": {"ray.io/node-id": f"!in({','.join(refused)})"}}
        actor = (
            self._ray.remote(_Process)
            .options(**self._needs, **where, max_restarts=0, max_task_retries=0)
            .remote(Worker, self._board, self._cache)
        )
        self._workers[self._count] = actor
        prepared = actor.prepare.remote(self._versions, self._threads, self._plugins, installed=self._installed)
        self._answers[prepared] = self._count
        return self._count

    def train(self, worker: Hashable, task: Task, data: Source | None) -> None:
        """Call the actor; data go through the object store, once."""
        reference = None
        if data is not None:
            if task.data_sha256 not in self._data:
                self._data[task.data_sha256] = self._ray.put(data)
            reference = self._data[task.data_sha256]
        self._answers[self._workers[worker].train.remote(task, reference)] = worker

    def stop(self, worker: Hashable) -> None:
        """Kill the actor's process."""
        actor = self._workers.pop(worker)
        self._answers = {answer: whose for answer, whose in self._answers.items() if whose != worker}
        self._ray.kill(actor, no_restart=True)

    def messages(self, seconds: float) -> list[tuple[Hashable, Message]]:
        """The messages of actors, and how they ended."""
        ready, _ = self._ray.wait(list(self._answers), timeout=seconds)
        return [(self._answers.pop(answer), self._message(answer)) for answer in ready]

    def _message(self, answer: Any) -> Message:
        try:
            message: Message = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return Gone(_reason(error))
        return message

    def nodes(self) -> frozenset[str]:
        """The nodes that are large enough."""
        wanted = {"CPU": self._needs["num_cpus"], "GPU": self._needs["num_gpus"]}
        return frozenset(
            _name(node)
            for node in self._ray.nodes()
            if node["Alive"] and all(node["Resources"].get(what, 0) >= count for what, count in wanted.items())
        )

    def progress(self) -> Mapping[str, str]:
        """What workers have posted."""
        try:
            posted: dict[str, str] = self._ray.get(self._board.read.remote(), timeout=1)
        except self._ray.exceptions.RayError:
            return {}
        return posted

    def close(self) -> None:
        """Kill the actors; a Ray that was started here ends too."""
        try:
            if getattr(self, "_ray", None) is not None and self._ray.is_initialized():
                for actor in self._workers.values():
                    self._ray.kill(actor, no_restart=True)
                self._ray.shutdown()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Board:
    """What workers post and the session reads: how far each cell is."""

    def __init__(self) -> None:
        self._posted: dict[str, str] = {}

    def post(self, name: str, text: str) -> None:
        self._posted[name] = text

    def read(self) -> dict[str, str]:
        return self._posted


class _Process:
    """A worker as an actor: told who it is by Ray."""

    def __init__(self, make: Any, board: Any, cache: Path) -> None:
        context = _ray().get_runtime_context()
        node = _name({"NodeManagerHostname": os.uname().nodename, "NodeID": context.get_node_id()})
        self._worker = make(node, board.post.remote, cache)

    def prepare(self, *arguments: Any, **words: Any) -> Message:
        return self._worker.prepare(*arguments, **words)  # type: ignore[no-any-return]

    def train(self, *arguments: Any) -> Message:
        return self._worker.train(*arguments)  # type: ignore[no-any-return]


def _ray() -> Any:
    """Ray itself; whatever it warns about on import is not the user's business."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("ray")


def _name(node: Mapping[str, Any]) -> str:
    """A node's name: that of the machine, and the beginning of its id, as a machine can have several nodes."""
    return f"{node['NodeManagerHostname']}-{node['NodeID'][:6]}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _reason(error: BaseException) -> str:
    """Why a worker is gone, in a sentence instead of Ray's paragraph."""
    text = str(error)
    if "OutOfMemory" in type(error).__name__ or ("OOM" in text and "memory monitor" in text):
        return "out of memory: Ray ended the worker"
    if "node has died" in text or "node was terminated" in text:
        return "its node is gone"
    causes = [line for line in text.splitlines() if "died because" in line or "Worker exit detail" in line]
    return f"its process ended ({(causes or [_first_line(error)])[-1].strip()[:200]})"
