import torch
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.registry import LOOPS

from cicam_mm.utils.distributed import unwrapped
from cicam_mm.utils.errors import UserError


@LOOPS.register_module()
class FitLoop(EpochBasedTrainLoop):
    """Passes over the training images without gradients, for a head that is fitted, not trained.

    Each epoch is a pass: the head gets ``start_pass(number)``, then ``observe(feats, data_samples,
    number)`` for every batch of features of the frozen network, and ``finish_pass(number)``. The
    optimizer that a runner needs is left alone. The number of epochs is that of the passes that
    the head needs, its ``num_passes``. See :class:`DDTHead`.
    """

    def __init__(self, runner, dataloader, max_epochs: int, **kwargs):
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.model = unwrapped(runner.model)
        needed = getattr(self.model.head, 'num_passes', None)
        if needed is None:
            raise UserError(f'{type(self.model.head).__name__} is trained, not fitted; use '
                            "train_cfg=dict(by_epoch=True, max_epochs=...) in place of 'FitLoop'.")
        if max_epochs != needed:
            raise UserError(f'{type(self.model.head).__name__} is fitted in {needed} passes over '
                            f'the images; set train_cfg.max_epochs={needed}.')

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.model.eval()
        self.model.head.start_pass(self._epoch)
        for index, batch in enumerate(self.dataloader):
            self.run_iter(index, batch)
        self.model.head.finish_pass(self._epoch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> None:
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        data = self.model.data_preprocessor(data_batch)
        with self.runner.optim_wrapper.optim_context(self.model):
            feats = self.model.extract_feat(data['inputs'])
        self.model.head.observe(feats, data['data_samples'], self._epoch)
        self.runner.call_hook(
            'after_train_iter', batch_idx=idx, data_batch=data_batch, outputs={})
        self._iter += 1
