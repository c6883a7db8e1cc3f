# The pool in testing only: in training branch 2 reads zeros.
_base_ = 'controlled.py'

model = dict(head=dict(pool=dict(context='zeros', test_context='own')))
