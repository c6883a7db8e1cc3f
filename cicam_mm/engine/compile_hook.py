from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles parts of the model with ``torch.compile``, in place.

    Unlike with MMEngine's option ``compile``, parameters keep their names, so ``paramwise_cfg``
    and checkpoints work. Heads cannot be compiled this way, because they are not called as
    modules.

    Args:
        modules (Sequence[str]): Names of the parts. Defaults to ('backbone', ).
        **options: Arguments of ``torch.compile``, such as ``mode`` or ``backend``.
    """

    def __init__(self, modules: Sequence[str] = ('backbone', ), **options):
        self.modules = tuple(modules)
        self.options = options

    def before_run(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name in self.modules:
            model.get_submodule(name).compile(**self.options)
