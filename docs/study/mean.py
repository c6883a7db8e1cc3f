# Branch 2 reads the mean of all contexts.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='mean')))
