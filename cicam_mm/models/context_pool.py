
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.errors import UserError

from .pool_contexts import CONTEXTS

COUNTED_IMAGES = ('correct', 'all')
RENORMALIZED_ROWS = ('all', 'touched')


def standardize(maps: Tensor, eps: float = 1e-5) -> Tensor:
    """BN of Eq. 7: each map minus its mean, divided by its standard deviation.

    There are no affine parameters and no running statistics; the variance is the biased one. A
    constant map becomes zero.

    Args:
        maps (Tensor): Shape (..., h, w).
        eps (float): Added to the variance. Defaults to 1e-5.

    Returns:
        Tensor: Same shape.
    """
    variance, mean = torch.var_mean(maps, dim=(-2, -1), correction=0, keepdim=True)
    return (maps - mean) * torch.rsqrt(variance + eps)


def accumulate(pool: Tensor, sums: Tensor, update_rate: float) -> Tensor:
    """Q <- BN(Q + lambda BN(S)) (Eq. 7).

    Args:
        pool (Tensor): Q, shape (n, h, w).
        sums (Tensor): S, the sum of the step's activation maps per class, shape (n, h, w).
        update_rate (float): lambda.

    Returns:
        Tensor: The new Q.
    """
    return standardize(pool + update_rate * standardize(sums))


@MODELS.register_module()
class CausalContextPool(BaseModule):
    """Causal context pool Q and its projection onto the features (Eq. 7 and 8).

    The forward pass only records a step's contributions; :class:`ContextPoolHook` sums them over
    all ranks and applies Eq. 7 once. Q is a float32 buffer, so it is part of checkpoints.

    Args:
        num_classes (int): n.
        channels (int): c, channels of the features.
        size (tuple): (h, w) of the pool's maps. Defaults to (14, 14).
        update_rate (float): lambda of Eq. 7. Defaults to 0.01.
        counted (str): Images that update the pool: 'correct' for those whose label branch 1
            predicts, as in the release; 'all' for every image, as Eq. 7 says in print.
            Defaults to 'correct'.
        renormalized (str): Rows to which the outer BN of Eq. 7 applies: 'all', as in the
            release, or 'touched', those updated in this step, as Eq. 7 says in print. Defaults
            to 'all'.
        resize (bool): Whether to resize maps and contexts if the feature map and the pool differ
            in size; if False, a difference is an error. Defaults to False.
        frozen (bool): Never update the pool. Defaults to False.
        context (str): What :meth:`enhance` reads in training and testing: 'own', the context of
            the class, or one of the controls in ``CONTEXTS``: 'other', the row of the next class;
            'far', that of the class half the list away; 'mean', the mean of all rows; 'bump', a
            fixed bump in the middle; 'ones'; 'zeros'.
            The pool is updated in any case. Defaults to 'own'.
        test_context (str, optional): The same for testing only. Defaults to None, which means
            ``context``.
        bias (bool): Whether the projection has a bias. Defaults to True.
        init_cfg (dict, optional): Initialization of the projection. Defaults to None.
    """

    def __init__(self,
                 num_classes: int,
                 channels: int,
                 size: tuple[int, int] = (14, 14),
                 update_rate: float = 0.01,
                 counted: str = 'correct',
                 renormalized: str = 'all',
                 resize: bool = False,
                 frozen: bool = False,
                 context: str = 'own',
                 test_context: str | None = None,
                 bias: bool = True,
                 init_cfg: dict = None):
        super().__init__(init_cfg)
        test_context = context if test_context is None else test_context
        for name, value, known in (('counted', counted, COUNTED_IMAGES),
                                   ('renormalized', renormalized, RENORMALIZED_ROWS),
                                   ('context', context, CONTEXTS),
                                   ('test_context', test_context, CONTEXTS)):
            if value not in known:
                raise UserError(f'unknown {name}={value!r}; known are {", ".join(known)}.')
        if not 0 < update_rate <= 1:
            raise UserError(f'update_rate must be in (0, 1], got {update_rate}.')
        self.num_classes = num_classes
        self.update_rate = update_rate
        self.counted = counted
        self.renormalized = renormalized
        self.resize = resize
        self.frozen = frozen
        self.context = context
        self.test_context = test_context
        # Random draws after this do not depend on the pool, so runs with and without one pair up.
        with torch.random.fork_rng(devices=[]):
            self.projection = nn.Conv2d(num_classes, channels, 1, bias=bias)
        self.register_buffer('pool', torch.zeros(num_classes, *size))
        self.has_updater = False
        self._pending = []
        self.register_buffer(
            'num_non_finite', torch.zeros((), dtype=torch.int64), persistent=False)

    def enhance(self, features: Tensor, classes: Tensor) -> Tensor:
        """X^e = X + X * Conv1x1(Q_pi) (Eq. 8).

        Only channel pi of the convolution's input is not zero, so the output is the outer
        product of one weight column with Q_pi, plus the bias; the cost does not grow with n.

        Args:
            features (Tensor): X, shape (B, c, h, w).
            classes (Tensor): pi, branch 1's prediction for each image, shape (B, ).

        Returns:
            Tensor: X^e, shape (B, c, h, w).
        """
        read = CONTEXTS[self.context if self.training else self.test_context]
        context = self._fit(read(self.pool, classes), features.shape[2:], features)
        column = self.projection.weight[:, classes, 0, 0].T
        bias = column.new_zeros(1) if self.projection.bias is None else self.projection.bias
        attention = torch.addcmul(bias[:, None, None], column[..., None, None], context[:, None])
        return torch.addcmul(features, features, attention.to(features.dtype))

    def record(self, maps: Tensor, classes: Tensor, labels: Tensor) -> None:
        """Store this forward pass's contribution until the update.

        Images that do not count and maps that are not finite get the class index n, which
        :meth:`update` drops; this way nothing here waits for the device.

        Args:
            maps (Tensor): M_pi of branch 1, shape (B, h, w).
            classes (Tensor): pi, shape (B, ).
            labels (Tensor): Image labels, shape (B, ).

        Raises:
            RuntimeError: If no :class:`ContextPoolHook` is there to apply the update.
        """
        if self.frozen:
            return
        if not self.has_updater:
            raise RuntimeError(
                'nothing updates the causal context pool in this training; add '
                "custom_hooks=[dict(type='ContextPoolHook')] to the config, or set frozen=True "
                'in the pool.')
        maps = self._fit(maps.detach().to(self.pool), self.pool.shape[1:], maps)
        finite = maps.isfinite().all(dim=2).all(dim=1)
        counts = finite & (classes == labels) if self.counted == 'correct' else finite
        self.num_non_finite += (~finite).sum()
        self._pending.append((torch.where(counts, classes, self.num_classes),
                              torch.where(finite[:, None, None], maps, 0)))

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

    @torch.no_grad()
    def update(self, classes: Tensor, maps: Tensor) -> None:
        """Apply Eq. 7 to the contributions of one training step.

        Args:
            classes (Tensor): Shape (k, ); contributions of index n are dropped.
            maps (Tensor): Shape (k, h, w).
        """
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
        return F.interpolate(maps[:, None], size=size, mode='bilinear', align_corners=False)[:, 0]


def find_pools(model: nn.Module) -> list[CausalContextPool]:
    """The context pools of a model, wrapped or not."""
    return [module for module in model.modules() if isinstance(module, CausalContextPool)]
