"""Runs as jobs of a Slurm cluster, by submitit."""
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cicam_mm.utils.errors import UserError

from .processes import do_logged
from .runs import Run

#: What a job gets unless options say otherwise.
DEFAULTS = dict(timeout_min=24 * 60, gpus_per_node=1, name='cicam_mm')


class JobStarter:
    """Starts each run as a job; pass it to :func:`run_all`.

    Args:
        folder: Shared by all machines of the cluster; submitit keeps its files there.
        options: Of submitit, such as ``timeout_min`` or ``slurm_partition``.
        cluster: 'slurm', or 'local' to try it on this machine.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], cluster: str = 'slurm'):
        try:
            import submitit
        except ImportError:
            raise UserError("--executor slurm needs submitit: `pip install 'cicam_mm[slurm]'`"
                            ) from None
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster)
            self._executor.update_parameters(**{**DEFAULTS, **options})
        except (AssertionError, NameError, RuntimeError) as error:
            raise UserError(f'the runs cannot become jobs of a cluster: {error}') from error

    def __call__(self, work: Callable[[], None], run: Run, slot: int) -> 'JobOfRun':
        import submitit

        try:
            return JobOfRun(self._executor.submit(_do_as_job, work, run.folder))
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f'the cluster refuses the job of {run.name}: {error}') from error


class JobOfRun:
    """A job that does a run."""

    def __init__(self, job):
        self._job = job

    def has_ended(self) -> bool:
        return self._job.done()

    def error(self) -> str | None:
        if failure := self._job.exception():  # killed, or out of time
            state = re.search(r'state: [\w ]+', str(failure))
            return (f'job {self._job.job_id} ended without a result ('
                    f'{state[0] if state else failure}); see {self._job.paths.stderr}')
        return self._job.result()

    def cancel(self) -> None:
        self._job.cancel(check=False)


def _do_as_job(work, folder) -> str | None:
    """The error that a run ends with."""
    try:
        do_logged(work, folder)
    except SystemExit as error:
        print(error)
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return f'{type(error).__name__}: {error}'
