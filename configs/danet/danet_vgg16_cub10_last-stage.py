# DANet on ten classes, in comparison with the other methods. Each order here has one family.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    backbone=dict(out_indices=(2, 3, 4)),  # pool 3, pool 4, conv5_3: orders, families, species
    neck=None,
    head=dict(
        _delete_=True,
        type='DANetHead',
        num_classes=10,
        hierarchy=dict(
            Procellariiformes=dict(Diomedeidae=[0, 1, 2]),
            Cuculiformes=dict(Cuculidae=[3]),
            Charadriiformes=dict(Alcidae=[4, 5, 6, 7]),
            Passeriformes=dict(Icteridae=[8, 9])),
        in_channels=(256, 512, 512),
        hidden_channels=(512, 1024, 1024),
        num_maps=8,
        similarity_weight=0.01,
        localizer=dict(map_rule='top1', box_rule='danet', theta=0.1)))
