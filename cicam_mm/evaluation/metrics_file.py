"""The metrics of a test as a file: metrics.json."""
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator

from cicam_mm.files import to_json, write_atomically

from .metrics.pooled_metric import curves_of


def write_metrics(path: Path, metrics: dict, evaluator: Evaluator, protocol: dict) -> None:
    """Write metrics as JSON, once for all ranks.

    With them ``protocol``, how they were tested, and ``curves``, the curves behind them.

    Args:
        path (Path): The file, which appears complete or not at all.
        metrics (dict): As an evaluator returns them.
        evaluator (Evaluator): The one that did.
        protocol (dict): Of :func:`describe_protocol`.
    """
    if is_main_process():
        content = {**metrics, 'protocol': protocol}
        if curves := curves_of(evaluator):
            content['curves'] = curves
        write_atomically(path, to_json(content, indent=2) + '\n')
