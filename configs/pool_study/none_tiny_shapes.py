# Two branches and two losses, but no pool.
_base_ = 'own_tiny_shapes.py'

model = dict(head=dict(pool=None))
custom_hooks = []
