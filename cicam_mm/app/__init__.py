from .view import KeptMaps, Localization, keep_maps, localize_again

__all__ = ['KeptMaps', 'Localization', 'keep_maps', 'localize_again']
