from .vgg import NonLocalVGG

__all__ = ['NonLocalVGG']
