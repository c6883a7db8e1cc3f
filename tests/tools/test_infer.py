"""infer.py on a folder as people have it."""

import csv
import json
import os
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from pycocotools.coco import COCO

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'cicam_tiny_shapes.py'


def picture(mode='RGB', width=60, height=40):
    """A gradient from left to right."""
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(np.tile(ramp, (height, 1))).convert(mode)


def write_readable(folder):
    """Writes images with odd names and shapes; returns their width and height, upright."""
    sizes = {}

    def save(name, image, size=None, **options):
        (folder / name).parent.mkdir(exist_ok=True)
        image.save(folder / name, **options)
        sizes[name] = size or image.size

    turned = Image.Exif()
    turned[0x0112] = 6  # by 90 degrees
    save('rgb.jpg', picture())
    save('rgba.png', picture('RGBA'))
    save('animated.gif', picture(), save_all=True, append_images=[picture('L')], duration=40)
    save('one_pixel.png', picture(width=1, height=1))
    save('panorama.jpg', picture(width=10_000, height=20))
    save('tower.png', picture(width=20, height=3000))
    save('turned.jpg', picture(), size=(40, 60), exif=turned)
    save(f'{"long" * 62}.jpg', picture())
    save('Grünspecht 鸟 "quoted", two\nlines .jpg', picture())
    save('no_extension', picture(), format='PNG')
    save('below/rgb.jpg', picture())
    save('bitmap.bmp', picture())
    os.rename(folder / 'bitmap.bmp', os.fsencode(folder / 'latin_') + b'\xfc.bmp')
    sizes[os.fsdecode(b'latin_\xfc.bmp')] = sizes.pop('bitmap.bmp')
    return sizes


def write_unreadable(folder, bomb):
    contents = {'empty.png': b'', 'text.jpg': b'not an image\n', 'bomb.png': bomb,
                'truncated.jpg': (folder / 'rgb.jpg').read_bytes()[:400]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / 'pipe.png')
    return {*contents, 'pipe.png'}


@pytest.fixture(scope='module')
def checkpoint(save_untrained, tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    save_untrained(Config.fromfile(CONFIG), path, dataset_meta=dict(classes=tuple('abcdef')))
    return path


@pytest.fixture
def infer(run_tool, checkpoint, tmp_path, monkeypatch):
    """Localizes in a folder that has a.png and b/a.png below ``in``."""
    monkeypatch.chdir(tmp_path)
    for name in 'in/a.png', 'in/b/a.png':
        Path(name).parent.mkdir(exist_ok=True)
        picture(width=120, height=80).save(name)

    def infer(*args, call=run_tool):
        return call('infer.py', '--config', CONFIG, '--checkpoint', checkpoint, *args)
    return infer


def test_odd_files(infer, bomb, tmp_path, capsys):
    folder, out = tmp_path / 'odd', tmp_path / 'out'
    folder.mkdir()
    sizes, broken = write_readable(folder), write_unreadable(folder, bomb)
    with pytest.raises(SystemExit) as leaves:
        infer(folder, '--out', out, '--strict')
    assert leaves.value.code == 1

    printed = capsys.readouterr().out
    assert '12 of 17 images localized, 12 of 17 images drawn' in printed
    left_out = [line for line in printed.splitlines() if line.startswith('Left out: ')]
    assert len(left_out) == len(broken)
    for name in broken:
        assert sum(f'{folder / name}\'' in line for line in left_out) == 1, name
    assert sum('it has 100,000 x 100,000 pixels' in line for line in left_out) == 1

    results = json.loads((out / 'predictions.json').read_text())
    with open(out / 'predictions.csv', encoding='utf-8', errors='surrogateescape',
              newline='') as file:
        table = list(csv.DictReader(file))
    assert len(results) == len(table) == len(sizes)
    for result, row in zip(results, table, strict=True):
        assert set(result) == {'image_id', 'category_id', 'bbox', 'score', 'file_name',
                               'category'}
        width, height = sizes.pop(str(Path(result['file_name']).relative_to(folder)))
        x, y, w, h = result['bbox']
        assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
        assert row['file'] == result['file_name']
        assert row['class'] == result['category'] == 'abcdef'[result['category_id'] - 1]
        assert [int(row[k]) for k in ('x0', 'y0', 'x1', 'y1')] == [x, y, x + w, y + h]
        drawn = f'{result["image_id"]:05d}_{Path(result["file_name"]).stem[:60]}.png'
        with Image.open(out / 'pictures' / drawn) as image:
            assert min(image.size) >= 30
    assert not sizes and len(list(out.glob('pictures/*.png'))) == 12


def test_score_maps_are_named_like_the_images(infer, tmp_path):
    infer('in', f'../{tmp_path.name}/in/a.png', '--out', 'out', '--score-maps', 'npy')
    maps = {str(path.relative_to('out/score_maps')) for path in Path('out').rglob('*.npy')}
    assert maps == {'in/a.png.npy', 'in/b/a.png.npy', f'up/{tmp_path.name}/in/a.png.npy'}
    score_map = np.load('out/score_maps/in/a.png.npy')
    assert score_map.shape == (96, 96) and score_map.dtype == np.float32
    assert (score_map.min(), score_map.max()) == (0, 1)
    infer('in', '--out', 'out')  # leaves no maps of other settings
    assert not Path('out/score_maps').exists()


def test_names_of_classes_and_a_hint_where_boxes_cover_the_images(infer, capsys):
    """At theta 0 of a map whose minimum is subtracted, the box is the image."""
    Path('names.txt').write_text('\n'.join('uvwxyz') + '\n')
    infer('in/a.png', '--out', 'out', '--classes', 'names.txt', '--map-rule', 'top1', '--box-rule',
          'wsoleval_bicubic', '--theta', '0', '--cfg-options',
          'model.head.localizer.floor=minimum')
    found, = json.loads(Path('out/predictions.json').read_text())
    assert found['category'] == 'uvwxyz'[found['category_id'] - 1]
    assert '1 predicted boxes cover nearly the whole image' in capsys.readouterr().out


def test_photos_without_a_config(run_tool, tmp_path, capsys):
    run_tool('infer.py', ROOT / 'docs' / 'photos', '--out', tmp_path)
    assert '4 of 4 images localized, 4 of 4 images drawn' in capsys.readouterr().out
    found = json.loads((tmp_path / 'predictions.json').read_text())
    assert [each['category'].split(',')[0] for each in found] == [
        'Egyptian cat', 'espresso', 'daisy', 'military uniform']
    assert run_tool.error('infer.py', 'a.png', '--checkpoint', tmp_path / 'a.pth').startswith(
        '--checkpoint needs its --config')


def test_mistakes_leave_earlier_results(infer, run_tool, checkpoint):
    loaded = torch.load(checkpoint)
    del loaded['state_dict']['head.pool.pool']
    torch.save(loaded, 'misfit.pth')
    picture().save('in/a.jpg')
    Path('none').mkdir()
    Path('list.csv').write_text('file,label\nin/a.png,6\n')
    Path('names.txt').write_text('u\nv\n')
    infer('in', '--out', 'out')
    before = content(Path())
    for args, sentence in {
            '*.bmp': "'*.bmp': no file matches it",
            'in none': "'none': the folder holds no file",
            'in b.png': "'b.png' does not exist",
            'list.csv': "list.csv, line 2: the label '6' is not a class of the model",
            'in/a.png --resume': "'out' cannot be resumed, because its run had other inputs",
            'in --out in/a.png/out': 'in/a.png/out cannot be written: Not a directory',
            'in --checkpoint misfit.pth': 'does not fit the model: 1 missing (head.pool.',
            'in --classes names.txt': 'the given list names 2 classes',
            'in --masks --top-k 2': 'of the best class only; omit --top-k.',
            'in/a.png in/a.jpg --formats yolo': "'in/a.jpg' and an earlier image would share a f",
    }.items():
        assert sentence in infer('--out', 'out', *args.split(), call=run_tool.error)
        assert content(Path()) == before


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_instances_masks_and_formats(infer):
    infer('in', '--out', 'out', '--theta', '0.5', '--instances', '--masks', '--refine', 'grabcut',
          '--formats', 'yolo', 'voc', 'labelstudio', '--beside', '--pictures', '1')
    coco = COCO('out/annotations.json')
    found = coco.loadAnns(coco.getAnnIds())
    assert len(found) >= 2 and {each['image_id'] for each in found} == {0, 1}
    for each in found:
        mask = coco.annToMask(each)
        assert mask.shape == (80, 120) and mask.sum() == each['area']
    lines = Path('out/yolo/labels/in/b/a.txt').read_text().splitlines()
    assert len(lines) == sum(each['image_id'] == 1 for each in found)
    assert Path('out/voc/in/a.xml').exists() and Path('out/labelstudio.json').exists()
    beside = mmcv.imread('out/pictures/00000_a.png')

    infer('in', '--out', 'out')  # leaves no files of other boxes
    assert not {'yolo', 'voc', 'labelstudio.json'} & {path.name for path in Path('out').iterdir()}
    assert beside.shape[1] == 2 * mmcv.imread('out/pictures/00000_a.png').shape[1]
