# On ten classes of CUB: branch 2 reads the context of always the same other class.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='other')))
