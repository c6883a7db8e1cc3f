# Branch 2 reads ones: a gain for each channel and class, with as many parameters as the pool.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='ones')))
