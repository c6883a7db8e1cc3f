# Branch 2 reads the context of the class through one column for all classes, as Eq. 8 is printed:
# the column does not tell it what branch 1 has decided.
_base_ = 'own.py'

model = dict(head=dict(pool=dict(projection='shared')))
