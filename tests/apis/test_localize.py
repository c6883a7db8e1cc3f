import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.dataset import Compose

from cicam_mm.apis import batch
from cicam_mm.apis.batch import Options, _is_drawn, localize_files
from cicam_mm.utils.errors import UserError


@pytest.fixture
def run(inferencer, tmp_path):
    """Localizes into a folder of its own; gives what is in predictions.json."""
    def run(*paths, workers=0, resume=False, out=tmp_path / 'out', pictures=0, **options):
        localize_files(inferencer, [*map(str, paths)], out, Options(pictures=pictures, **options),
                       workers, resume)
        return json.loads((out / 'predictions.json').read_text())
    return run


@pytest.fixture
def dies(monkeypatch):
    """A context in which a run dies after its first batch."""
    @contextmanager
    def dies():
        append = batch.append_batch
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(batch, 'append_batch', lambda part, number, images: append(
                part, number, images) if number < 1 else 1 / 0)
            yield
    return dies


def left_out(out):
    return {each['image_id']: each['reason']
            for each in json.loads((out / 'left_out.json').read_text())}


def bbox(box):
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def test_results_are_those_of_the_inferencer(run, inferencer, images, tmp_path):
    found = run(images, batch_size=8, top_k=3, min_score=0.13)
    expected = inferencer(images, batch_size=8)
    assert found == [dict(
        image_id=other['sample_idx'], category_id=other['pred_label'] + 1,
        bbox=bbox(other['pred_box']), score=other['pred_score'], file_name=other['img_path'],
        category=other['pred_class']) for other in expected]
    assert len(found) == 12 and len({tuple(each['bbox']) for each in found}) > 5
    written = json.loads((tmp_path / 'out' / 'annotations.json').read_text())['annotations']
    best_classes = [
        (other['sample_idx'], label + 1, bbox(box)) for other in expected
        for label, score, box in [*zip(
            other['top_labels'], other['top_scores'], other['top_boxes'], strict=True)][:3]
        if score >= 0.13 and min(bbox(box)[2:])]
    assert [(each['image_id'], each['category_id'], each['bbox'])
            for each in written] == best_classes
    assert 12 < len(best_classes) < 36


def test_workers_change_nothing(run, images, content, tmp_path):
    (tmp_path / 'broken.png').write_text('no image')
    (tmp_path / 'list.txt').write_text(f'{images}/03.png\nlost.png\n')
    paths = images, tmp_path / 'broken.png', tmp_path / 'list.txt', images / '03.png'
    for workers in (0, 2):
        found = run(*paths, workers=workers, out=tmp_path / str(workers), batch_size=3, pictures=2)
        assert [each['image_id'] for each in found] == [*range(12), 13, 15]
    assert content(tmp_path / '0') == content(tmp_path / '2')
    reasons = left_out(tmp_path / '0')
    assert f"'{tmp_path}/broken.png' cannot be read" in reasons[12]
    assert reasons[14] == "'lost.png' does not exist; check the path."


def test_boxes_of_given_classes(run, inferencer, images, tmp_path, monkeypatch):
    """The box of a label is that of its own map, which plain CAM has for every class."""
    names = [str(path) for path in sorted(images.iterdir())]
    rows = '\n'.join(f'{name},{number % 6}' for number, name in enumerate(names))
    (tmp_path / 'labels.csv').write_text(f'file,label\n{rows}\n')
    monkeypatch.setattr(inferencer.model.head.localizer, 'map_rule', 'top1')
    found = run(tmp_path / 'labels.csv', batch_size=5)
    assert [each['category_id'] for each in found] == [*range(1, 7)] * 2
    results = inferencer(names, batch_size=5)
    for one, other in zip(found, results, strict=True):
        label = one['category_id'] - 1
        assert one['score'] == float(other['pred_scores'][label])
        if label in other['top_labels']:
            assert one['bbox'] == bbox(other['top_boxes'][other['top_labels'].index(label)])
    assert any(one['bbox'] != bbox(other['pred_box'])
               for one, other in zip(found, results, strict=True))


@pytest.mark.parametrize(('more', 'top_k', 'sentence'), [
    ('', 2, 'has a label, so there are no boxes of the 2 best classes; omit --top-k, or ignore'),
    ('01.png', 1, 'only some of the images up to .* have a label')])
def test_labels_that_are_refused(run, inferencer, images, tmp_path, more, top_k, sentence):
    (tmp_path / 'labels.csv').write_text(f'file,label\n{images}/00.png,1\n')
    paths = [tmp_path / 'labels.csv', *([images / more] if more else [])]
    with pytest.raises(UserError, match=sentence):
        run(*paths, top_k=top_k)
    assert not (tmp_path / 'out' / 'unfinished').exists()
    found = run(*paths, top_k=top_k, use_labels=False)
    predicted = inferencer([images / '00.png', images / '01.png'])
    assert [each['category_id'] - 1 for each in found] == [
        each['pred_label'] for each in predicted][:len(paths)]


def test_pictures_are_spread_evenly():
    for count, pictures in (10, 3), (100, 7), (5, 5), (5, 9), (7, 0), (1, 1), (9, None):
        drawn = [index for index in range(count) if _is_drawn(index, count, pictures)]
        assert len(drawn) == min(count, count if pictures is None else pictures)
        steps = {b - a for a, b in zip(drawn, drawn[1:], strict=False)}
        assert not steps or max(steps) - min(steps) <= 1


def test_pictures_are_those_of_the_last_run(run, dies, images, content, tmp_path):
    out = tmp_path / 'out'
    run(images, pictures=2)
    earlier = content(out)
    with dies():
        run(images, pictures=4)
    # drawn on images 0, 3, 6 and 9; the earlier ones stay until all is done
    unfinished = {name for name in content(out) if name.startswith('unfinished/pictures/')}
    assert unfinished == {f'unfinished/pictures/{n:05d}_{n:02d}.png' for n in (0, 3, 6, 9)}
    assert earlier.items() <= content(out).items()
    run(images, pictures=4, resume=True)
    assert {path.name for path in (out / 'pictures').iterdir()} == {
        f'{n:05d}_{n:02d}.png' for n in range(0, 12, 3)}
    run(images)
    assert not (out / 'pictures').exists()


@pytest.mark.parametrize('pattern', ['.', '*/**'])
def test_folder_of_results_among_the_inputs(run, dies, images, tmp_path, monkeypatch, pattern):
    """A killed run is resumed, and no run takes a picture for a photo."""
    shutil.copytree(images, tmp_path / 'photos' / 'more')
    shutil.copy(images / '00.png', tmp_path / 'photos')
    monkeypatch.chdir(tmp_path / 'photos')
    expected = 12 if pattern == '*/**' else 13
    out = Path('more', 'inferred')
    with dies():
        run(pattern, out=out, pictures=2)
    (out / '.predictions.json.0123abcd.part').touch()  # killed while merging
    for resume in (True, True, False):
        found = run(pattern, out=out, pictures=2, resume=resume)
        assert len(found) == expected and not any('inferred' in e['file_name'] for e in found)
        assert not left_out(out)


@pytest.mark.parametrize(('top_k', 'pictures', 'full_at'), [
    (1, 1, 'pictures/00000_00.png'), (1, 0, 1500), (5, 0, 'annotations.json')])
def test_full_disk_keeps_what_is_done(run, images, content, tmp_path, full_disk, top_k, pictures,
                                      full_at):
    """At a picture, at the results of a batch, and as results are merged.

    With five boxes an image annotations.json is larger than anything written before.
    """
    options = dict(top_k=top_k, pictures=pictures, batch_size=2)
    run(images, out=tmp_path / 'undisturbed', **options)
    expected, out = content(tmp_path / 'undisturbed'), tmp_path / 'out'
    free = full_at if isinstance(full_at, int) else len(expected[full_at]) - 1
    with pytest.raises(UserError) as error, full_disk(free):
        run(images, **options)
    assert str(error.value).endswith(
        f"File too large: '{out}' keeps the progress; free some space and continue with --resume.")
    left = content(out)
    assert 'predictions.json' not in left and not any(name.endswith('.part') for name in left)
    if full_at == 1500:
        part, = (out / 'unfinished').glob('rank0.*.jsonl')
        assert 0 < part.read_bytes().count(b'\n') < 6
    run(images, resume=True, **options)
    assert content(out) == expected


def test_other_weights_do_not_resume_a_run(run, inferencer, dies, images, monkeypatch):
    with dies():
        run(images)
    bias = inferencer.model.head.fc.bias
    monkeypatch.setattr(bias, 'data', bias + 1)
    with pytest.raises(UserError, match='cannot be resumed, because its run had other check'):
        run(images, resume=True)


def test_images_that_fail_in_the_pipeline(run, inferencer, images, monkeypatch, tmp_path):
    pipeline = inferencer.pipeline

    def picky(info):
        if info['img_shape'][1] == 50:
            raise ZeroDivisionError('too wide')
        return pipeline(info)

    monkeypatch.setattr(inferencer, 'pipeline', Compose([picky]))
    found = run(images)
    assert [each['image_id'] for each in found] == [0, 2, 3, 5, 6, 8, 9, 11]
    assert left_out(tmp_path / 'out')[1] == (
        f"the test pipeline fails on '{images}/01.png' of 50 x 40 pixels: ZeroDivisionError: too "
        'wide')

    monkeypatch.setattr(inferencer, 'pipeline', Compose([lambda info: dict(
        inputs=torch.from_numpy(info['img']), data_samples=None)]))
    with pytest.raises(UserError, match='images of different sizes.*--batch-size 1'):
        run(images)


def test_no_usable_image_leaves_earlier_results(run, images, content, tmp_path):
    run(images / '00.png')
    before = content(tmp_path / 'out')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(UserError, match='none of the 1 images could be used. The first one: '):
        run(tmp_path / 'text.png', formats=['yolo', 'labelstudio'])
    assert content(tmp_path / 'out') == before
