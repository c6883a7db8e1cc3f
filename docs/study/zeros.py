# Branch 2 reads zeros: the projection's bias alone, a gain for each channel.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='zeros')))
