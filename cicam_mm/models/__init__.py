from .acol import ACoLHead
from .adl import ADL
from .bas import BASHead, ResNetLastStage
from .cam_head import CAMHead, PooledNormCAMHead
from .context_pool import CausalContextPool, find_pools
from .conv_neck import ConvNeck
from .danet import DANetHead
from .ddt import DDTHead
from .dual_cam_head import DualCAMHead
from .efficientnet_lite import EfficientNetLite0
from .eil import EILHead, ErasedCopy
from .gradient_maps import MapsOfClassifier
from .inception import InceptionV3Features
from .kg_cicam import ChooseTeacher, KGStudent, KGTeacher
from .localized_classifier import CAM_METHODS, localize_by
from .non_local import NonLocalBlock
from .psol import PSOLHead, SeparateClassifier
from .rethinking_cam import RethinkingCAMHead
from .scm import SCMHead
from .spg import SPGHead
from .ts_cam import TokenAttentionViT, TSCAMHead
from .two_view import TwoViewClassifier
from .vgg import NonLocalVGG
from .wsol_head import WSOLHead, check_head

__all__ = [
    'ACoLHead', 'ADL', 'BASHead', 'CAMHead', 'CAM_METHODS', 'CausalContextPool',
    'ChooseTeacher', 'ConvNeck', 'DANetHead', 'DDTHead', 'DualCAMHead', 'EILHead',
    'EfficientNetLite0', 'ErasedCopy', 'InceptionV3Features', 'KGStudent', 'KGTeacher',
    'MapsOfClassifier', 'NonLocalBlock', 'NonLocalVGG', 'PSOLHead', 'PooledNormCAMHead',
    'ResNetLastStage', 'RethinkingCAMHead', 'SCMHead', 'SPGHead', 'SeparateClassifier',
    'TSCAMHead', 'TokenAttentionViT', 'TwoViewClassifier', 'WSOLHead', 'check_head',
    'find_pools', 'localize_by'
]
