from .two_view import TwoViewClassifier

__all__ = ['TwoViewClassifier']
