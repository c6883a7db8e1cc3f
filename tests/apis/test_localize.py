import csv
import functools
import http.server
import io
import json
import shutil
import tarfile
import threading
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
    def run(*paths, workers=0, resume=False, out=tmp_path / 'out', **options):
        localize_files(inferencer, [*map(str, paths)], out, Options(**options), workers, resume)
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


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def left_out(out):
    return {each['image_id']: each['reason']
            for each in json.loads((out / 'left_out.json').read_text())}


def bbox(box):
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def annotations(out):
    written = json.loads((out / 'annotations.json').read_text())['annotations']
    return [(each['image_id'], each['category_id'], each['bbox']) for each in written]


def test_results_are_those_of_the_inferencer(run, inferencer, images, tmp_path):
    found = run(images, batch_size=8)
    expected = inferencer(images, batch_size=8)
    assert len(found) == len(expected) == 20
    for one, other in zip(found, expected, strict=True):
        assert one == dict(
            image_id=other['sample_idx'], category_id=other['pred_label'] + 1,
            bbox=bbox(other['pred_box']), score=other['pred_score'],
            file_name=other['img_path'], category=other['pred_class'])
    assert len({tuple(each['bbox']) for each in found}) > 5
    assert annotations(tmp_path / 'out') == [
        (each['image_id'], each['category_id'], each['bbox']) for each in found
        if each['bbox'][2] * each['bbox'][3]]


def test_workers_change_nothing(run, images, tmp_path):
    (tmp_path / 'broken.png').write_text('no image')
    (tmp_path / 'list.txt').write_text(f'{images}/03.png\nlost.png\n')
    paths = images, tmp_path / 'broken.png', tmp_path / 'list.txt', images / '03.png'
    for workers in (0, 2):
        found = run(*paths, workers=workers, out=tmp_path / str(workers), batch_size=3, pictures=4)
        assert [each['image_id'] for each in found] == [*range(20), 21, 23]
        assert content(tmp_path / '0') == content(tmp_path / str(workers))
    reasons = left_out(tmp_path / '0')
    assert f"'{tmp_path}/broken.png' cannot be read" in reasons[20]
    assert reasons[22] == "'lost.png' does not exist; check the path."


def test_boxes_of_given_classes(run, inferencer, images, tmp_path, monkeypatch):
    """The box of a label is that of its own map, which plain CAM has for every class."""
    names = [f'{number:02d}.png' for number in range(12)]
    rows = '\n'.join(f'{images / name},{number % 6}' for number, name in enumerate(names))
    (tmp_path / 'labels.csv').write_text(f'file,label\n{rows}\n')
    monkeypatch.setattr(inferencer.model.head.localizer, 'map_rule', 'top1')
    found = run(tmp_path / 'labels.csv', batch_size=5, pictures=0)
    assert [each['category_id'] for each in found] == [*range(1, 7)] * 2
    results = inferencer([str(images / name) for name in names], batch_size=5)
    for one, other in zip(found, results, strict=True):
        label = one['category_id'] - 1
        assert one['score'] == float(other['pred_scores'][label])
        if label in other['top_labels']:
            assert one['bbox'] == bbox(other['top_boxes'][other['top_labels'].index(label)])
    assert any(one['bbox'] != bbox(other['pred_box'])
               for one, other in zip(found, results, strict=True))
    predicted = run(tmp_path / 'labels.csv', batch_size=5, use_labels=False)
    assert [each['category_id'] for each in predicted] == [
        other['pred_label'] + 1 for other in results]


@pytest.mark.parametrize(('more', 'top_k', 'sentence'), [
    ('', 2, 'has a label, so there are no boxes of the 2 best classes; omit --top-k, or ignore'),
    ('01.png', 1, 'only some of the images up to .* have a label')])
def test_labels_that_are_refused(run, images, tmp_path, more, top_k, sentence):
    (tmp_path / 'labels.csv').write_text(f'file,label\n{images}/00.png,1\n')
    paths = [tmp_path / 'labels.csv', *([images / more] if more else [])]
    with pytest.raises(UserError, match=sentence):
        run(*paths, top_k=top_k)
    assert not (tmp_path / 'out' / 'unfinished').exists()
    assert len(run(*paths, top_k=top_k, use_labels=False)) == len(paths)


def test_best_classes_and_least_score(run, inferencer, images, tmp_path):
    found = run(images, top_k=3, min_score=0.2)
    assert len(found) == 20
    expected = [
        (other['sample_idx'], label + 1)
        for other in inferencer(images, batch_size=8)
        for label, score, (x0, y0, x1, y1) in [*zip(
            other['top_labels'], other['top_scores'], other['top_boxes'], strict=True)][:3]
        if score >= 0.2 and (x1 - x0) * (y1 - y0)]
    assert [each[:2] for each in annotations(tmp_path / 'out')] == expected
    assert 20 < len(expected) < 60


def test_archives_give_what_files_give(run, images, tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
        for number, label in enumerate([b'1', b'99', b'2']):
            archive.add(images / f'{number:02d}.png', f'set/{number:02d}.png')
            member = tarfile.TarInfo(f'set/{number:02d}.cls')
            member.size = len(label)
            archive.addfile(member, io.BytesIO(label))
    inside = run(tmp_path / 'a.tar', out=tmp_path / 'inside', use_labels=False)
    outside = run(*(images / f'0{number}.png' for number in range(3)), out=tmp_path / 'outside')
    assert [each.pop('file_name') for each in inside] == [
        f'{tmp_path}/a.tar/set/{number:02d}.png' for number in range(3)]
    assert inside == [{key: value for key, value in each.items() if key != 'file_name'}
                      for each in outside]
    with open(tmp_path / 'inside' / 'predictions.csv', newline='') as file:
        assert [row['file'] for row in csv.DictReader(file)][0].endswith('a.tar/set/00.png')

    assert [each['category_id'] for each in run(tmp_path / 'a.tar')] == [2, 3]
    assert [*left_out(tmp_path / 'out')] == [1]
    assert "a.tar/set/01.cls: the label '99' is not a cl" in left_out(tmp_path / 'out')[1]


def test_addresses(run, images):
    """A server on this machine, which does not have one of the files."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), functools.partial(Quiet, directory=images)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f'http://127.0.0.1:{server.server_port}'
        found = run(f'{root}/00.png', f'{root}/lost.png', f'{root}/01.png', workers=1)
        server.shutdown()
    assert [each['file_name'] for each in found] == [f'{root}/00.png', f'{root}/01.png']
    assert [each['bbox'] for each in found] == [each['bbox'] for each in run(
        images / '00.png', images / '01.png')]


@pytest.mark.parametrize(('count', 'pictures'), [
    (10, 3), (100, 7), (5, 5), (5, 9), (7, 0), (1, 1), (9, None)])
def test_pictures_are_spread_evenly(count, pictures):
    drawn = [index for index in range(count) if _is_drawn(index, count, pictures)]
    assert len(drawn) == min(count, count if pictures is None else pictures)
    steps = {b - a for a, b in zip(drawn, drawn[1:], strict=False)}
    assert not steps or max(steps) - min(steps) <= 1


def test_pictures_are_those_of_the_last_run(run, dies, images, tmp_path):
    out = tmp_path / 'out'
    run(images, pictures=None)
    earlier = content(out)
    with dies():
        run(images, pictures=5)
    # drawn on images 0, 4, 8, ...; the earlier ones stay until all is done
    unfinished = {name for name in content(out) if name.startswith('unfinished/pictures/')}
    assert unfinished == {f'unfinished/pictures/{n:05d}_{n:02d}.png' for n in (0, 4, 8, 12)}
    assert {name: data for name, data in content(out).items() if name in earlier} == earlier
    run(images, pictures=5, resume=True)
    assert {path.name for path in (out / 'pictures').iterdir()} == {
        f'{n:05d}_{n:02d}.png' for n in range(0, 20, 4)}
    run(images, pictures=0)
    assert not (out / 'pictures').exists()


@pytest.mark.parametrize('pattern', ['.', '*/**'])
def test_folder_of_results_among_the_inputs(run, dies, images, tmp_path, monkeypatch, pattern):
    """A killed run is resumed, and no run takes a picture for a photo."""
    shutil.copytree(images, tmp_path / 'photos' / 'more')
    shutil.copy(images / '00.png', tmp_path / 'photos')
    monkeypatch.chdir(tmp_path / 'photos')
    expected = 20 if pattern == '*/**' else 21
    out = Path('more', 'inferred')
    with dies():
        run(pattern, out=out, pictures=3)
    (out / '.predictions.json.0123abcd.part').touch()  # killed while merging
    for resume in (True, True, False):
        found = run(pattern, out=out, pictures=3, resume=resume)
        assert len(found) == expected and not any('inferred' in e['file_name'] for e in found)
        assert not left_out(out)


@pytest.mark.parametrize(('top_k', 'pictures', 'full_at'), [
    (1, None, 'pictures/00000_00.png'), (1, 0, 3000), (5, 0, 'annotations.json')])
def test_full_disk_keeps_what_is_done(run, images, tmp_path, full_disk, top_k, pictures, full_at):
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
    if full_at == 3000:
        assert 0 < left['unfinished/rank0.0.jsonl'].count(b'\n') < 10
    run(images, resume=True, **options)
    assert content(out) == expected


def test_other_weights_do_not_resume_a_run(run, inferencer, dies, images, monkeypatch):
    with dies():
        run(images, pictures=0)
    bias = inferencer.model.head.fc.bias
    monkeypatch.setattr(bias, 'data', bias + 1)
    with pytest.raises(UserError, match='cannot be resumed, because its run had other check'):
        run(images, pictures=0, resume=True)


def test_images_that_fail_in_the_pipeline(run, inferencer, images, monkeypatch, tmp_path):
    pipeline = inferencer.pipeline

    def picky(info):
        if info['img_shape'][1] == 50:
            raise ZeroDivisionError('too wide')
        return pipeline(info)

    monkeypatch.setattr(inferencer, 'pipeline', Compose([picky]))
    found = run(images)
    wide = [number for number in range(20) if number % 3 == 1]
    assert [each['image_id'] for each in found] == [n for n in range(20) if n not in wide]
    assert [*left_out(tmp_path / 'out')] == wide
    assert left_out(tmp_path / 'out')[1] == (
        f"the test pipeline fails on '{images}/01.png' of 50 x 40 pixels: ZeroDivisionError: too "
        'wide')

    monkeypatch.setattr(inferencer, 'pipeline', Compose([lambda info: dict(
        inputs=torch.from_numpy(info['img']), data_samples=None)]))
    with pytest.raises(UserError, match='images of different sizes.*--batch-size 1'):
        run(images)


def test_no_usable_image_leaves_earlier_results(run, images, tmp_path):
    run(images / '00.png', pictures=0)
    before = content(tmp_path / 'out')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(UserError, match='none of the 1 images could be used. The first one: '):
        run(tmp_path / 'text.png', formats=['yolo', 'labelstudio'])
    assert content(tmp_path / 'out') == before
