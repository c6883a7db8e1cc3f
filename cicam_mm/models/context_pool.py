from typing import Literal

import torch
from mmengine import dist
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.utils.errors import UserError, check_choices

from .map_branch import upsample


def standardize(maps: Tensor, eps: float = 1e-5) -> Tensor:
    """BN of Eq. 7: each map minus its mean, divided by its standard deviation.

    There are no affine parameters and no running statistics; the variance is the biased one. A
    constant map becomes zero. Maps have the shape (..., h, w).
    """
    variance, mean = torch.var_mean(maps, dim=(-2, -1), correction=0, keepdim=True)
    return (maps - mean) * torch.rsqrt(variance + eps)


def accumulate(pool: Tensor, sums: Tensor, update_rate: float) -> Tensor:
    """Q <- BN(Q + lambda BN(S)) (Eq. 7), S being the sums of the step's maps, (n, h, w)."""
    return standardize(pool + update_rate * standardize(sums))


@MODELS.register_module()
class CausalContextPool(BaseModule):
    """Causal context pool Q and its projection onto the features (Eq. 7 and 8).

    Q is a float32 buffer, so it is part of checkpoints. Where paper and release differ, each has
    a name here; the defaults are the release's.

    Args:
        size (tuple): (h, w) of the pool's maps.
        update_rate (float): lambda of Eq. 7.
        update (str): When Eq. 7 is applied to the images of a step: 'after' the optimizer's step,
            as in the release, by :class:`ContextPoolHook`; or 'before' branch 2 reads the pool, as
            in the paper. With several processes, 'before' makes them wait for each other in the
            forward pass, and with accumulated gradients each forward pass counts as a step.
        counted (str): Images that update the pool: 'correct' for those whose label branch 1
            predicts, as in the release; 'all' for every image, as Eq. 7 says in print.
        renormalized (str): Rows to which the outer BN of Eq. 7 applies: 'all', as in the release,
            or 'touched', those updated in this step, as Eq. 7 says in print.
        projection (str): Weights of Conv1x1 in Eq. 8: a column 'per_class', as in the release,
            whose input is zero but for channel pi; or one 'shared' by all classes, as in the
            paper, whose input Q_pi is a single map.
        resize (bool): Whether to resize maps and contexts if the feature map and the pool differ
            in size; if False, a difference is an error.
        frozen (bool): Never update the pool.
    """

    def __init__(self,
                 num_classes: int,
                 channels: int,
                 size: tuple[int, int] = (14, 14),
                 update_rate: float = 0.01,
                 update: Literal['after', 'before'] = 'after',
                 counted: Literal['correct', 'all'] = 'correct',
                 renormalized: Literal['all', 'touched'] = 'all',
                 projection: Literal['per_class', 'shared'] = 'per_class',
                 resize: bool = False,
                 frozen: bool = False,
                 init_cfg: dict = None):
        super().__init__(init_cfg)
        if not 0 < update_rate <= 1:
            raise UserError(f'update_rate must be in (0, 1], got {update_rate}.')
        check_choices(CausalContextPool, update=update, counted=counted,
                      renormalized=renormalized, projection=projection)
        self.num_classes = num_classes
        self.update_rate = update_rate
        self.updates_before = update == 'before'
        self.counted = counted
        self.renormalized = renormalized
        self.is_shared = projection == 'shared'
        self.resize = resize
        self.frozen = frozen
        # Random draws after this do not depend on the pool, so runs with and without one pair up.
        with torch.random.fork_rng(devices=[]):
            self.projection = nn.Conv2d(1 if self.is_shared else num_classes, channels, 1)
        self.register_buffer('pool', torch.zeros(num_classes, *size))
        self.has_updater = False
        self._pending = []
        self.register_buffer(
            'num_non_finite', torch.zeros((), dtype=torch.int64), persistent=False)

    def enhance(self, features: Tensor, classes: Tensor) -> Tensor:
        """X^e = X + X * Conv1x1(Q_pi) (Eq. 8).

        Only one channel of the convolution's input is not zero, so the output is the outer
        product of one weight column with Q_pi, plus the bias; the cost does not grow with n.
        X has the shape (B, c, h, w); the classes pi, (B, ), are branch 1's predictions.
        """
        context = self._fit(self.contexts(classes), features.shape[2:], features)
        columns = torch.zeros_like(classes) if self.is_shared else classes
        weight, bias = self.projection.weight[:, columns, 0, 0].T, self.projection.bias
        attention = torch.addcmul(bias[:, None, None], weight[..., None, None], context[:, None])
        return torch.addcmul(features, features, attention.to(features.dtype))

    def contexts(self, classes: Tensor) -> Tensor:
        """Q_pi, shape (B, h, w)."""
        return self.pool[classes]

    def record(self, maps: Tensor, classes: Tensor, labels: Tensor) -> None:
        """Store this forward pass's contribution until the update, or update at once.

        Images that do not count and maps that are not finite get the class index n, which
        :meth:`update` drops; this way nothing here waits for the device. The maps M_pi of branch
        1 are (B, h, w), classes pi and labels (B, ).
        """
        if self.frozen:
            return
        if not self.has_updater:
            raise RuntimeError(
                'the causal context pool is not updated in this training; add '
                "custom_hooks=[dict(type='ContextPoolHook')] to the config, or set frozen=True "
                'in the pool.')
        maps = self._fit(maps.detach().to(self.pool), self.pool.shape[1:], maps)
        finite = maps.isfinite().all(dim=2).all(dim=1)
        counts = finite & (classes == labels) if self.counted == 'correct' else finite
        self.num_non_finite += (~finite).sum()
        self._pending.append((torch.where(counts, classes, self.num_classes),
                              torch.where(finite[:, None, None], maps, 0)))
        if self.updates_before:
            self.apply_pending()

    def discard_pending_unless(self, finite: Tensor) -> None:
        """Discard the recorded contributions unless ``finite``, a bool tensor of shape ()."""
        self._pending = [(torch.where(finite, classes, self.num_classes), maps)
                         for classes, maps in self._pending]

    def take_pending(self) -> tuple[Tensor, Tensor]:
        """Contributions recorded since the last call: classes (k, ) and maps (k, h, w)."""
        if not self._pending:
            empty = self.pool.new_zeros(0, *self.pool.shape[1:])
            return torch.zeros(0, dtype=torch.int64, device=self.pool.device), empty
        classes, maps = map(torch.cat, zip(*self._pending, strict=True))
        self._pending.clear()
        return classes, maps

    def apply_pending(self) -> None:
        """Apply Eq. 7 to the contributions of all processes, which take part together."""
        self.update(*gather_contributions(*self.take_pending()))

    @torch.no_grad()
    def update(self, classes: Tensor, maps: Tensor) -> None:
        """Apply Eq. 7 to a step's classes (k, ) and maps (k, h, w); class n is dropped."""
        sums = self.pool.new_zeros(self.num_classes + 1, *self.pool.shape[1:])
        # unlike index_add_, sums in a fixed order on a GPU, too: ranks stay bitwise equal
        sums.index_put_((classes, ), maps, accumulate=True)
        updated = accumulate(self.pool, sums[:-1], self.update_rate)
        if self.renormalized == 'touched':
            touched = classes.new_zeros(self.num_classes + 1, dtype=torch.bool)
            touched[classes] = True
            updated = torch.where(touched[:-1, None, None], updated, self.pool)
        self.pool.copy_(updated)

    def _fit(self, maps: Tensor, size: torch.Size, features: Tensor) -> Tensor:
        if maps.shape[1:] == size:
            return maps
        if not self.resize:
            raise UserError(
                f'the feature map is {tuple(features.shape[-2:])} but the context pool holds '
                f'maps of {tuple(self.pool.shape[1:])}; set size={tuple(features.shape[-2:])} '
                'in the pool, or resize=True to resize its maps.')
        return upsample(maps[:, None], size)[:, 0]


def gather_contributions(classes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """The contributions of all ranks in rank order, the same on every rank.

    The maps themselves are exchanged, so the traffic does not grow with the number of classes.
    Ranks may contribute different numbers of maps: classes (k, ) and maps (k, h, w) become those
    of all ranks, (K, ) and (K, h, w), to be summed per class.
    """
    if dist.get_world_size() == 1:
        return classes, maps
    counts = torch.cat(dist.all_gather(classes.new_tensor([len(classes)]))).tolist()
    if not any(counts):
        return classes, maps
    missing = max(counts) - len(classes)
    classes = dist.all_gather(torch.cat([classes, classes.new_zeros(missing)]))
    maps = dist.all_gather(torch.cat([maps, maps.new_zeros(missing, *maps.shape[1:])]))
    return (torch.cat([c[:n] for c, n in zip(classes, counts, strict=True)]),
            torch.cat([m[:n] for m, n in zip(maps, counts, strict=True)]))


def find_pools(model: nn.Module) -> list[CausalContextPool]:
    """The context pools of a model, wrapped or not."""
    return [module for module in model.modules() if isinstance(module, CausalContextPool)]
