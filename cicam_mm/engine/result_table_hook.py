from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.utils.console import metric_table


@HOOKS.register_module()
class ResultTableHook(Hook):
    """Ends a run with a table of the numbers of its last evaluation, also in the log file."""

    def __init__(self):
        self._title, self._metrics = '', {}

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        self._title, self._metrics = 'Validation', metrics or {}

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        self._title, self._metrics = 'Test', metrics or {}

    def after_run(self, runner) -> None:
        if self._metrics:
            runner.logger.info(f'\n\n{metric_table(self._title, self._metrics)}\n')
