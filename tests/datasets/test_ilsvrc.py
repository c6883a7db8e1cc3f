import os
from itertools import pairwise

import pytest

from cicam_mm.datasets import ILSVRCLocalization
from cicam_mm.utils.errors import UserError

CSV = 'LOC_val_solution.csv'
SYNSETS = 'LOC_synset_mapping.txt'
XML = """<annotation>
  <filename>v_1</filename>
  <size><width>500</width><height>375</height></size>
  <object>
    <name>n02</name>
    <bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
  </object>
  <object>
    <name>n02</name>
    <bndbox>
      <xmin>131</xmin>
      <ymin>0</ymin>
      <xmax>131</xmax>
      <ymax>254</ymax>
    </bndbox>
  </object>
</annotation>
"""
FILES = {
    SYNSETS: 'n02 kite\nn01 tench, Tinca tinca\n',
    CSV: ('ImageId,PredictionString\nv_2,n01 85 1 499 272 \n'
          'v_1,n02 0 0 9 9 n02 131 0 131 254 \n'),
    'xml/v_1.xml': XML,
    'xml/v_2.xml': """<annotation><object><name>n01</name><bndbox>
<xmax>499</xmax><xmin>85</xmin><ymax>272</ymax><ymin>1</ymin></bndbox></object></annotation>""",
} | dict.fromkeys(['val/v_1.JPEG', 'val/v_2.JPEG', 'train/n01/a.JPEG', 'train/n01/b.JPEG',
                   'train/n02/c.JPEG'], '')
BILLION = ''.join(f'<!ENTITY {name} "{f"&{before};" * 10}">'
                  for before, name in pairwise('bcdefghijk'))


def build(root, ann_file=CSV, **options):
    return ILSVRCLocalization(str(root), 'val', ann_file, **options)


def build_train(root, **options):
    return ILSVRCLocalization(str(root), 'train', **options)


def numbered(data):
    infos = map(data.get_data_info, range(len(data)))
    return [(info['img_path'].rpartition('/')[2], info['gt_label']) for info in infos]


@pytest.mark.parametrize('ann_file', [CSV, 'xml'])
def test_boxes_as_they_stand_from_either_form(root, ann_file):
    data = build(root, ann_file=ann_file, test_mode=True)
    assert data.metainfo['classes'] == ('kite', 'tench, Tinca tinca')  # in the order of the list
    infos = sorted(map(data.get_data_info, range(2)), key=lambda info: info['gt_label'])
    assert [info['img_path'] for info in infos] == [f'{root}/val/v_{i}.JPEG' for i in (1, 2)]
    assert [info['instances'] for info in infos] == [
        [dict(bbox=[0, 0, 9, 9], bbox_label=0), dict(bbox=[131, 0, 131, 254], bbox_label=0)],
        [dict(bbox=[85, 1, 499, 272], bbox_label=1)]]


def test_validation_images_sorted_into_class_folders(root):
    (root / 'val/n01').mkdir()
    (root / 'val/v_2.JPEG').rename(root / 'val/n01/v_2.JPEG')
    assert build(root).get_data_info(0)['img_path'] == f'{root}/val/n01/v_2.JPEG'
    (root / 'val/n01/v_1.JPEG').touch()
    with pytest.raises(ValueError, match=f"1 images in '{root}/val' have the same name"):
        build(root)


def test_training_images_take_their_class_from_the_folder(root, said, edit):
    data = build_train(root)
    assert numbered(data) == [('a.JPEG', 1), ('b.JPEG', 1), ('c.JPEG', 0)]
    info = data.get_data_info(0)
    assert 'instances' not in info and info['orientation'] == 'stored'  # as for testing
    (root / 'train/n04').mkdir()
    edit(SYNSETS, 'n02', 'n03 x\nn02')
    assert build_train(root).get_gt_labels().tolist() == [2, 2, 1]
    assert said == [f'{root}/train: 1 folders are not among the classes, such as n04',
                    f'{root}/train: 1 classes have no image, such as n03']


def test_synsets_in_the_order_of_the_folders(root):
    (root / 'train/.ipynb_checkpoints').mkdir()
    assert build(root, synsets='train').metainfo['classes'] == ('n01', 'n02')
    assert build_train(root, synsets='train').get_gt_labels().tolist() == [0, 0, 1]


@pytest.mark.parametrize('classes, labels', [
    (['tench, Tinca tinca', 'kite'], {'v_1': 1, 'v_2': 0, 'a': 0, 'b': 0, 'c': 1}),
    (['n01', 'n02'], {'v_1': 1, 'v_2': 0, 'a': 0, 'b': 0, 'c': 1}),
    (['kite'], {'v_1': 0, 'c': 0})])
def test_labels_follow_the_option_classes(root, classes, labels):
    found = numbered(build(root, classes=classes)) + numbered(build_train(root, classes=classes))
    assert {name[:-5]: label for name, label in found} == labels


def test_classes_that_are_unknown_or_named_alike(root, edit):
    with pytest.raises(UserError, match="'cat' is not in LOC_synset_mapping.txt .1 of the"):
        build(root, classes=['kite', 'cat'])
    with pytest.raises(UserError, match="the option classes has 2 classes named 'kite'"):
        build(root, classes=['kite', 'kite'])
    edit(SYNSETS, 'kite', 'crane')
    edit(SYNSETS, 'tench, Tinca tinca', 'crane')
    assert build(root).metainfo['classes'] == ('crane', 'crane')  # as in the published list
    assert sorted(build(root).get_gt_labels()) == [0, 1]
    assert build(root, classes=['n01']).get_gt_labels().tolist() == [0]
    with pytest.raises(UserError, match="LOC_synset_mapping.txt has 2 classes named 'crane'"):
        build(root, classes=['crane'])


@pytest.mark.parametrize('name, old, new, message', [
    (CSV, '499 272', '499', "line 2: expected 'ImageId,PredictionString', found"),
    (CSV, 'n01 85 1 499 272', '', 'line 2: the image has no object'),
    (CSV, '9 9 n02', '9 9 n01', "line 3: 'n01' is not the class of the image's"),
    (CSV, '131 254', '130 254', r'line 3: the box \[131.0, 0.0, 130.0, 254.0\]'),
    (CSV, 'v_2,n01', 'v_2,n03', "line 2: 'n03' is not in LOC_synset_mapping"),
    (CSV, 'v_2,n01 85 1 499 272 \n', '', "1 of 2 images in .* are not in .*the first is 'v_2'"),
    (CSV, FILES[CSV][25:], 'v_1,n01 0 0 1 1\nv_2,n01 0 0 1 1\nv_3,n01 0 0 1 1',
     "line 4: there is no image 'v_3' in .*/val"),
])
def test_errors_name_file_and_line(root, edit, name, old, new, message):
    edit(name, old, new)
    with pytest.raises(ValueError, match=message):
        build(root)


@pytest.mark.parametrize('old, new, message', [
    ('</object>', '', r'v_1.xml: it is not a list of objects.*mismatched tag: line 17'),
    ('<ymin>0</ymin>\n', '\n', 'v_1.xml: it is not a list of objects'),
    ('>131<', '>132<', r'v_1.xml: the box \[132.0, 0.0, 131.0, 254.0\] .* no area'),
    ('<name>n02</name>', '<name> </name>', 'v_1.xml: it is not a list of objects'),
    ('<annotation>', f'<!DOCTYPE a [<!ENTITY b "{"x" * 1000}">{BILLION}]>\n<annotation>&k;',
     'v_1.xml: it is not a list .*amplification'),
])
def test_errors_in_xml_files(root, edit, old, new, message):
    edit('xml/v_1.xml', old, new)
    with pytest.raises(ValueError, match=message):
        build(root, ann_file='xml')


def test_pipes_giants_and_missing_files(root):
    os.mkfifo(root / 'xml/pipe.xml')
    assert len(build(root, ann_file='xml')) == 2  # it is no file
    with open(root / 'xml/giant.xml', 'wb') as file:
        file.truncate(2**24 + 1)
    with pytest.raises(UserError, match='giant.xml has 16,777,217 bytes, but such a file'):
        build(root, ann_file='xml')
    (root / 'empty').mkdir()
    with pytest.raises(ValueError, match=f"no XML file in '{root}/empty'"):
        build(root, ann_file='empty')
    for options in dict(ann_file='no.csv'), dict(synsets='no.csv'):
        with pytest.raises(FileNotFoundError, match=f'{root}/no.csv'):
            build(root, **options)
