# On ten classes of CUB: branch 2 reads zeros, so the bias alone, a gain for each channel.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='zeros')))
