# The pool in training only: in testing branch 2 reads zeros.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(test_context='zeros')))
