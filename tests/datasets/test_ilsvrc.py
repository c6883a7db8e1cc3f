import os
from itertools import pairwise

import pytest
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError

CSV = 'LOC_val_solution.csv'
SYNSETS = 'n02 kite\nn01 tench, Tinca tinca\n'
SOLUTION = ('ImageId,PredictionString\nv_2,n01 85 1 499 272 \n'
            'v_1,n02 0 0 9 9 n02 131 0 131 254 \n')
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
SECOND = XML.split('  <object>')[0] + """<object><name>n01</name><bndbox>
<xmax>499</xmax><xmin>85</xmin><ymax>272</ymax><ymin>1</ymin></bndbox></object></annotation>"""


BILLION = ''.join(f'<!ENTITY {name} "{f"&{before};" * 10}">'
                  for before, name in pairwise('bcdefghijk'))


@pytest.fixture
def root(tmp_path):
    texts = {
        'LOC_synset_mapping.txt': SYNSETS, 'LOC_val_solution.csv': SOLUTION, 'xml/v_1.xml': XML,
        'xml/v_2.xml': SECOND, 'val/v_1.JPEG': '', 'val/v_2.JPEG': '', 'train/n01/a.JPEG': '',
        'train/n01/b.JPEG': '', 'train/n02/c.JPEG': '',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def build(root, data_prefix='val', ann_file='LOC_val_solution.csv', **kwargs):
    return DATASETS.build(dict(
        type='ILSVRCLocalization', data_root=str(root), data_prefix=data_prefix,
        ann_file=ann_file, **kwargs))


def summary(data):
    return [(info['img_path'].rsplit('/', 1)[1], info['gt_label'],
             [instance['bbox'] for instance in info['instances']])
            for info in map(data.get_data_info, range(len(data)))]


def edit(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new, 1))


BOXES = {'v_1.JPEG': (0, [[0, 0, 9, 9], [131, 0, 131, 254]]), 'v_2.JPEG': (1, [[85, 1, 499, 272]])}


@pytest.mark.parametrize('ann_file', ['LOC_val_solution.csv', 'xml'])
def test_boxes_as_they_stand_from_either_form(root, ann_file):
    data = build(root, ann_file=ann_file, test_mode=True)
    assert data.metainfo['classes'] == ('kite', 'tench, Tinca tinca')  # in the order of the list
    assert {name: (label, boxes) for name, label, boxes in summary(data)} == BOXES
    assert data.get_data_info(0)['instances'][0]['bbox_label'] == data.get_gt_labels()[0]


def test_validation_images_sorted_into_class_folders(root):
    for synset, image in ('n02', 'v_1'), ('n01', 'v_2'):
        (root / 'val' / synset).mkdir()
        (root / f'val/{image}.JPEG').rename(root / f'val/{synset}/{image}.JPEG')
    data = build(root)
    assert data.get_data_info(0)['img_path'] == f'{root}/val/n01/v_2.JPEG'


def test_two_images_of_one_name(root):
    (root / 'val/n01').mkdir()
    (root / 'val/n01/v_1.JPEG').write_text('')
    with pytest.raises(ValueError, match=f"1 images in '{root}/val' have the same name"):
        build(root)


def numbered(data):
    infos = map(data.get_data_info, range(len(data)))
    return [(info['img_path'][-10:], info['gt_label']) for info in infos]


def test_training_images_take_their_class_from_the_folder(root):
    data = build(root, 'train', '')
    assert numbered(data) == [('n01/a.JPEG', 1), ('n01/b.JPEG', 1), ('n02/c.JPEG', 0)]
    assert 'instances' not in data.get_data_info(0)


def test_synsets_in_the_order_of_the_folders(root):
    (root / 'train/.ipynb_checkpoints').mkdir()
    assert build(root, synsets='train').metainfo['classes'] == ('n01', 'n02')
    assert build(root, synsets='train').get_gt_labels().tolist() == [0, 1]
    assert build(root, 'train', '', synsets='train').get_gt_labels().tolist() == [0, 0, 1]


@pytest.mark.parametrize('classes, labels', [
    (['tench, Tinca tinca', 'kite'], {'v_1': 1, 'v_2': 0, 'a': 0, 'b': 0, 'c': 1}),
    (['n01', 'n02'], {'v_1': 1, 'v_2': 0, 'a': 0, 'b': 0, 'c': 1}),
    (['kite'], {'v_1': 0, 'c': 0})])
def test_labels_follow_the_option_classes(root, classes, labels):
    found = numbered(build(root, classes=classes)) + numbered(build(root, 'train', '',
                                                                    classes=classes))
    assert {path.rpartition('/')[2][:-5]: label for path, label in found} == labels


def test_classes_that_are_unknown_or_named_alike(root):
    with pytest.raises(UserError, match="'cat' is not in LOC_synset_mapping.txt .1 of the"):
        build(root, classes=['kite', 'cat'])
    with pytest.raises(UserError, match="option classes .* has 2 classes named 'kite'"):
        build(root, classes=['kite', 'kite'])
    edit(root, 'LOC_synset_mapping.txt', 'kite', 'crane')
    edit(root, 'LOC_synset_mapping.txt', 'tench, Tinca tinca', 'crane')
    assert build(root).metainfo['classes'] == ('crane', 'crane')  # as in the published list
    assert sorted(build(root).get_gt_labels()) == [0, 1]
    assert build(root, classes=['n01']).get_gt_labels().tolist() == [0]
    with pytest.raises(UserError, match="LOC_synset_mapping.txt has 2 classes named 'crane'"):
        build(root, classes=['crane'])


def test_a_synset_without_a_folder_is_a_class_without_images(root, monkeypatch):
    said = []
    monkeypatch.setattr('cicam_mm.datasets.classes.print_log', lambda text, *_: said.append(text))
    (root / 'train/n04').mkdir()
    edit(root, 'LOC_synset_mapping.txt', 'n02', 'n03 x\nn02')
    assert build(root, 'train', '').get_gt_labels().tolist() == [2, 2, 1]
    assert said == [f'{root}/train: 1 folders are not among the classes: n04',
                    f'{root}/train: 1 classes have no image: n03']


@pytest.mark.parametrize('name, old, new, message', [
    (CSV, '499 272', '499', "line 2: expected 'ImageId,PredictionString', found"),
    (CSV, 'n01 85 1 499 272', '', 'line 2: the image has no object'),
    (CSV, 'v_2,n01 85', 'v_2,n01,85', "line 2: expected 'ImageId,PredictionStr"),
    (CSV, '9 9 n02', '9 9 n01', "line 3: 'n01' is not the class of the image's"),
    (CSV, '131 254', '130 254', r'line 3: the box \[131.0, 0.0, 130.0, 254.0\]'),
    (CSV, 'v_1,', 'v_2,', "line 3: 'v_2' is already on line 2"),
    (CSV, 'v_2,n01', 'v_2,n03', "line 2: 'n03' is not in LOC_synset_mapping"),
    (CSV, 'v_2,n01 85 1 499 272 \n', '', "1 of 2 images in .* are not in .*the first is 'v_2'"),
    (CSV, SOLUTION[25:], 'v_1,n01 0 0 1 1\nv_2,n01 0 0 1 1\nv_3,n01 0 0 1 1',
     "line 4: there is no image 'v_3' in .*/val"),
    ('LOC_synset_mapping.txt', 'n02 kite', 'n02', "line 1: expected 'synset names', found 'n02'"),
])
def test_errors_name_file_and_line(root, name, old, new, message):
    edit(root, name, old, new)
    with pytest.raises(ValueError, match=message):
        build(root)


@pytest.mark.parametrize('old, new, message', [
    ('</object>', '', r'v_1.xml: it is not a list of objects.*mismatched tag: line 17'),
    (XML[100:], '', 'v_1.xml: it is not a list of objects'),
    ('<ymin>0</ymin>\n', '\n', 'v_1.xml: it is not a list of objects'),
    ('>131<', '>a<', r'v_1.xml: it is not a list of objects, each with .*bndbox \(a\)'),
    ('>131<', '>132<', r'v_1.xml: the box \[132.0, 0.0, 131.0, 254.0\] .* no area'),
    ('<name>n02</name>', '<name> </name>', 'v_1.xml: it is not a list of objects'),
    ('<name>n02</name>', '<name>n01</name>', "v_1.xml: 'n02' is not the class of"),
    (XML[XML.index('  <object>'):], '</annotation>', 'v_1.xml: the image has no object'),
    ('<annotation>', f'<!DOCTYPE a [<!ENTITY b "{"x" * 1000}">{BILLION}]>\n<annotation>&k;',
     'v_1.xml: it is not a list .*amplification'),
])
def test_errors_in_xml_files(root, old, new, message):
    edit(root, 'xml/v_1.xml', old, new)
    with pytest.raises(ValueError, match=message):
        build(root, ann_file='xml')


def test_xml_files_that_would_not_end(root):
    os.mkfifo(root / 'xml/pipe.xml')
    assert len(build(root, ann_file='xml')) == 2  # it is no file
    with open(root / 'xml/v_1.xml', 'wb') as file:
        file.truncate(2**24 + 1)
    with pytest.raises(UserError, match='v_1.xml has 16,777,217 bytes, but such a file may have'):
        build(root, ann_file='xml')


def test_missing_files(root):
    with pytest.raises(FileNotFoundError, match=f"'{root}/no.csv' does not exist"):
        build(root, ann_file='no.csv')
    (root / 'empty').mkdir()
    with pytest.raises(ValueError, match=f"no XML file in '{root}/empty'"):
        build(root, ann_file='empty')
    with pytest.raises(FileNotFoundError, match=f"'{root}/other.txt' does not exist"):
        build(root, synsets='other.txt')
