# Branch 2 reads the mean of all contexts.
_base_ = 'own.py'

model = dict(head=dict(pool=dict(context='mean')))
