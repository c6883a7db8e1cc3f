from .inception import InceptionV3Features
from .vgg import NonLocalVGG

__all__ = ['InceptionV3Features', 'NonLocalVGG']
