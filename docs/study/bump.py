# Branch 2 reads a fixed bump in the middle.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='bump')))
