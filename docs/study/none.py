# Two branches and two losses, but no pool.
_base_ = 'own.py'

model = dict(head=dict(pool=None))
custom_hooks = []
