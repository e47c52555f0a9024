"""Map the stages over shards and tarballs with Ray Data's queues, retries and backpressure."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vidbench import errors
from vidbench.data.fetch.tarballs import PARALLEL_TARBALLS
from vidbench.engines.cluster.plan import Node, Plan
from vidbench.engines.cluster.shards import Shard
from vidbench.engines.cluster.stages import Decoder, Fetcher, Predictor
from vidbench.engines.open_scorer import WorkerSetup
from vidbench.errors import VidbenchError
from vidbench.terminal.progress import progress

logger = logging.getLogger(__name__)

_AHEAD = 2
"""Shards assigned to a process at a time: one being processed, and one waiting."""

Row = Mapping[str, Any]


def map_shards(shards: Sequence[Shard], job: WorkerSetup, plan: Plan) -> Iterator[Row]:
    """Yield the result of ``Predictor`` of ``stages.py`` for each shard, in order of completion.

    Raises:
        VidbenchError: A stage failed for good; the results yielded so far are valid.
    """
    import ray.data

    rows = ray.data.from_items([shard.dump() for shard in shards], override_num_blocks=len(shards))
    decoders, models = min(plan.decoders, len(shards)), min(plan.models, len(shards))
    decoded = _mapped(rows, Decoder, [job], decoders, num_cpus=plan.decoder_cores)
    done = _mapped(
        decoded, Predictor, [job], models, num_cpus=plan.model_cores, num_gpus=plan.model_gpus
    )
    yield from _rows(done)


def fetch_all(
    sources: Sequence[str], fetch: Callable[[str], object], nodes: Sequence[Node]
) -> None:
    """Fetch tarballs on all nodes.

    Args:
        sources: Sources of the tarballs.
        fetch: Fetches one of them, and stores its files where all nodes find them.
        nodes: The machines.

    Raises:
        FetchError, ArchiveError: A tarball cannot be fetched or extracted; the others are kept.
    """
    import ray.data

    if not sources:
        return
    rows = ray.data.from_items(
        [{"source": source} for source in sources], override_num_blocks=len(sources)
    )
    processes = min(PARALLEL_TARBALLS * len(nodes), len(sources))
    done = _mapped(rows, Fetcher, [fetch], processes, num_cpus=0.1)
    failures: list[Row] = []
    with progress(f"fetch {len(sources)} tarballs", len(sources), "tarballs") as advance:
        for row in _rows(done):
            failures += [row] if row["error"] else []
            advance(1)
    if failures:
        raise getattr(errors, failures[0]["error"])(failures[0]["text"])


def _retries() -> dict[str, int]:
    """How often lost work is retried.

    If a machine is lost, several tries fail until Ray notices; a shard that fails more often is
    itself the cause.
    """
    return {"max_restarts": -1, "max_task_retries": 20}


def _mapped(rows: Any, stage: type, arguments: Sequence[Any], processes: int, **claim: Any) -> Any:
    from ray.data import ActorPoolStrategy
    from ray.util.annotations import RayDeprecationWarning

    pool = ActorPoolStrategy(size=processes, max_tasks_in_flight_per_actor=_AHEAD)
    with warnings.catch_warnings():  # Ray 2.64 is to replace this way of setting retries
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return rows.map(
            stage,
            fn_constructor_args=arguments,
            compute=pool,
            ray_remote_args_fn=_retries,
            **claim,
        )


def _rows(dataset: Any) -> Iterator[Row]:
    """Yield rows as they arrive, with Ray Data's own output disabled."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised, too
    with plain_errors():
        yield from dataset.iter_rows()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Replace Ray's errors by the errors that caused them.

    Raises:
        VidbenchError: The error that a stage raised, or one line about an error of Ray.
    """
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        for cause in _causes(error):
            if isinstance(cause, VidbenchError):
                raise cause from error
        lines = str(error).strip().splitlines() or [repr(error)]
        message = f"{lines[-1][:300]}{_likely_cause(error)}"
        raise VidbenchError(
            f"the cluster gave up on a piece of work: {message}; finished work is kept: see Ray's "
            "logs for details, and run the same command again"
        ) from error


def _likely_cause(error: BaseException) -> str:
    """Advice if processes are lost repeatedly, which Ray's last error does not explain."""
    from ray.exceptions import OutOfMemoryError, RayActorError, WorkerCrashedError

    lost = (RayActorError, WorkerCrashedError, OutOfMemoryError)
    if not any(isinstance(cause, lost) for cause in _causes(error)):
        return ""
    return (
        " (its process was lost each time, as if its machine runs out of memory: look for OOM in "
        "session_latest/logs/raylet.out of Ray on its nodes, and lower --num_models, --num_workers "
        "or --batch_size)"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    while True:
        yield error
        following = getattr(error, "cause", None) or error.__cause__
        if following is None:
            return
        error = following
