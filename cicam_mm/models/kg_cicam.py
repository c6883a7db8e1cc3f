"""KG-CI-CAM: two frozen CI-CAMs teach a third (TKDE 2024, arXiv 2301.01060).

The losses are those of the authors' release.
"""
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from mmcv.transforms import RandomChoice
from mmengine import dist
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.checkpoints.weights import build_trained
from cicam_mm.localization.class_maps import LinearClassMaps
from cicam_mm.utils.errors import UserError, check_choices
from cicam_mm.utils.samples import image_name

from .map_branch import upsample

#: What a teacher can teach; an image has one of these or 'none'.
TEACHERS = ('classification', 'localization')


def kl_of_scores(student: Tensor, teacher: Tensor, temperature: float,
                 kl: str = 'released') -> Tensor:
    """Divergence of the student's probabilities s from the teacher's t, of each image.

    'correct' is the Kullback-Leibler divergence, sum_k t_k (log t_k - log s_k). 'released' is
    what the release trains with, sum_k t_k (log t_k - s_k): s stands where log s belongs, so the
    value is not 0 for s = t, and its gradient pulls s towards the teacher's best class. Neither
    is multiplied by the square of the temperature. Scores are those before the softmax, (B, n).
    """
    student, target = student.float() / temperature, teacher.float() / temperature
    found = student.softmax(dim=1) if kl == 'released' else student.log_softmax(dim=1)
    target = target.log_softmax(dim=1)
    return F.kl_div(found, target, reduction='none', log_target=True).sum(dim=1)


def mse_of_maps(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean squared difference of sigmoid(M / T) over all classes and positions, of each image.

    The maps M are those of all classes, (B, n, h, w).
    """
    student, teacher = ((maps.float() / temperature).sigmoid() for maps in (student, teacher))
    return (student - teacher).square().mean(dim=(1, 2, 3))


def foreground_mask(maps: Tensor, size: Sequence[int], theta: float) -> Tensor:
    """Where a score map, resized bilinearly, exceeds theta times its maximum; no gradient.

    With theta = 0 that is nearly everywhere: a map whose minimum is 0 keeps zeros after resizing
    only where the minimum is in a corner. Maps (B, 1, h, w) have the minimum 0.
    """
    maps = upsample(maps.detach().float(), size)
    return maps > theta * maps.amax(dim=(2, 3), keepdim=True)


@MODELS.register_module()
class KGTeacher(ImageClassifier):
    """CI-CAM that also learns from its own foreground, to become a teacher of KG-CI-CAM.

    In training, the combined map of branch 2 splits the image into foreground and background
    (:func:`foreground_mask`), which pass backbone and classifier without the pool. The loss is
    CI-CAM's plus r L_aux (``aux_weight``) plus s L_area (``area_weight``). L_area is the mean of
    the combined map; its gradient also passes through the minimum that the map is floored by. The
    background always passes, because batch norms count it. Testing is CI-CAM's.

    Args:
        aux (str): L_aux: 'fore' for the cross entropy of the foreground's scores; 'diff_aux' for
            that of d, the foreground's minus the background's, plus that of the mean of d and
            branch 2's.
        mask_theta (float): theta of the foreground in training.
    """

    def __init__(self, backbone: dict, *, aux: Literal['fore', 'diff_aux'], aux_weight: float,
                 mask_theta: float, area_weight: float, **kwargs):
        super().__init__(backbone, **kwargs)
        check_choices(KGTeacher, aux=aux)
        self.aux = aux
        self.aux_weight = aux_weight
        self.mask_theta = mask_theta
        self.area_weight = area_weight

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """CI-CAM's two cross entropies, ``loss_aux`` and ``loss_area``, all with their weights."""
        labels = self.head.labels(data_samples)
        initial, scores, class_maps = self.head.both_branches(self.extract_feat(inputs), labels)
        maps = self.head.localizer.score_maps(class_maps, scores, labels[:, None])
        mask = foreground_mask(maps, inputs.shape[2:], self.mask_theta)
        fore = self._classify(inputs * mask)
        with torch.set_grad_enabled(self.aux == 'diff_aux'):
            back = self._classify(inputs * ~mask)
        losses = self.head._get_loss(scores, data_samples)
        losses['loss_enhanced'] = losses.pop('loss')

        def cross_entropy(scores):
            return self.head._get_loss(scores, data_samples)['loss']

        if self.aux == 'fore':
            aux = cross_entropy(fore)
        else:
            difference = fore - back
            aux = cross_entropy(difference) + cross_entropy((difference + scores) / 2)
        return dict(losses, loss_initial=cross_entropy(initial), loss_aux=self.aux_weight * aux,
                    loss_area=self.area_weight * maps.float().mean())

    def _classify(self, inputs):
        return self.head.classify(self.head.pre_logits(self.extract_feat(inputs)))


@MODELS.register_module()
class KGStudent(ImageClassifier):
    """CI-CAM taught by two frozen ones, as the student of KG-CI-CAM.

    L = (1 - a) CE(branch 2) + a KL + a MSE. The cross entropy is that of all images; KL
    (:func:`kl_of_scores`) is the mean over the images that :class:`ChooseTeacher` gave to the
    classification teacher, MSE (:func:`mse_of_maps`) over those of the localization teacher. Both
    compare branch 2, on the same view of the image. Branch 1 has no loss of its own; it feeds the
    pool, as in CI-CAM. Testing is CI-CAM's.

    Teachers are read when training starts, and need not be there afterwards: they are no part of
    checkpoints, optimizer or averaged weights. A teacher sees only its own images.

    Args:
        teachers (dict): For 'classification', 'localization' or both ``dict(config=path,
            checkpoint=path)``.
        teacher_weight (float): a.
        temperature (float): T of both comparisons.
        kl (str): See :func:`kl_of_scores`.
    """

    def __init__(self, backbone: dict, *, teachers: Mapping[str, Mapping] = dict(),
                 teacher_weight: float = 0.8, temperature: float = 15.,
                 kl: Literal['released', 'correct'] = 'released', **kwargs):
        super().__init__(backbone, **kwargs)
        check_choices(KGStudent, kl=kl)
        if unknown := set(teachers) - set(TEACHERS):
            raise UserError(f'unknown teachers {sorted(unknown)}; known are '
                            f'{", ".join(TEACHERS)}.')
        self.teachers = teachers
        self.teacher_weight = teacher_weight
        self.temperature = temperature
        self.kl = kl
        self._loaded = {}  # in a dict they are no submodules

    def init_weights(self):
        super().init_weights()
        for name in self.teachers:
            self._teacher(name)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """The weighted terms of L; that of a teacher is 0 if no image has it as ``teacher``."""
        labels = self.head.labels(data_samples)
        _, scores, class_maps = self.head.both_branches(self.extract_feat(inputs), labels)
        losses = self.head._get_loss(scores, data_samples)
        losses['loss_enhanced'] = (1 - self.teacher_weight) * losses.pop('loss')
        names = [self._name_of_teacher(sample) for sample in data_samples]
        for name in self.teachers:
            images = [i for i, each in enumerate(names) if each == name]
            distances = self._distances(name, inputs, images, scores, class_maps)
            count = torch.tensor(float(len(images)), device=scores.device)
            dist.all_reduce(count, 'mean')  # so that k ranks divide by as much as one would
            count = count.clamp(min=torch.finfo(count.dtype).tiny)
            losses[f'loss_{name}'] = self.teacher_weight * distances.sum() / count
        return losses

    @property
    def other_networks(self) -> dict[str, ImageClassifier]:
        """The loaded teachers by their names in messages, for :class:`ClassNamesHook`."""
        return {f'the {name} teacher': teacher for name, teacher in self._loaded.items()}

    def _distances(self, name, inputs, images, scores, class_maps):
        """KL or MSE of those images, shape (k, )."""
        if not images:
            return scores.new_zeros(0)
        teacher = self._teacher(name)
        with torch.no_grad():
            theirs, their_maps = teacher.head.localize(teacher.extract_feat(inputs[images]))
        if name == 'classification':
            return kl_of_scores(scores[images], theirs, self.temperature, self.kl)
        maps = LinearClassMaps(class_maps.features[images], class_maps.weight)
        classes = torch.arange(scores.shape[1], device=scores.device).expand(len(images), -1)
        return mse_of_maps(
            maps.of_classes(classes), their_maps.of_classes(classes), self.temperature)

    def _teacher(self, name):
        if name not in self._loaded:
            config, checkpoint = (self.teachers[name][key] for key in ('config', 'checkpoint'))
            teacher = build_trained(config, checkpoint)
            if teacher.head.num_classes != self.head.num_classes:
                raise UserError(
                    f'the {name} teacher {config} has {teacher.head.num_classes} classes, the '
                    f'student {self.head.num_classes}; take one of the same data set.')
            self._loaded[name] = teacher
        return self._loaded[name].to(self.head.fc.weight.device)

    def _name_of_teacher(self, sample):
        name = sample.get('teacher')
        if name not in ('none', *self.teachers):
            raise UserError(
                f'{image_name(sample)}: its teacher is {name!r}, but must be one of '
                f'{", ".join(["none", *self.teachers])}; name these in the ChooseTeacher of the '
                "training pipeline, which must end with PackInputs(algorithm_keys=('teacher', )).")
        return name


@TRANSFORMS.register_module()
class ChooseTeacher(RandomChoice):
    """Draws the teacher of a training image of KG-CI-CAM, and augments the image accordingly.

    Student and teacher see the same view. Added key: ``teacher``.

    Args:
        augmentations (dict): The transforms for each choice, 'none', 'classification' and
            'localization', all equally likely.
    """

    def __init__(self, augmentations: Mapping[str, Sequence[dict]]):
        super().__init__([*augmentations.values()])
        self.teachers = [*augmentations]

    def transform(self, results: dict) -> dict:
        chosen = self.random_pipeline_index()
        return self.transforms[chosen](dict(results, teacher=self.teachers[chosen]))
