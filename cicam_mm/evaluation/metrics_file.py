"""The metrics of a test as a file: metrics.json."""
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator

from cicam_mm.files import write_atomically
from cicam_mm.finite_json import to_json

from .metrics.pooled_metric import curves_of


def write_metrics(path: Path, metrics: dict, evaluator: Evaluator, protocol: dict) -> None:
    """Write metrics as JSON, on the main process only.

    The file also holds the ``protocol`` of the test and the ``curves`` behind the metrics.

    Args:
        path (Path): The file, which is written atomically.
        metrics (dict): The metrics returned by an evaluator.
        evaluator (Evaluator): That evaluator.
        protocol (dict): From :func:`describe_protocol`.
    """
    if is_main_process():
        content = {**metrics, 'protocol': protocol}
        if curves := curves_of(evaluator):
            content['curves'] = curves
        write_atomically(path, to_json(content, indent=2) + '\n')
