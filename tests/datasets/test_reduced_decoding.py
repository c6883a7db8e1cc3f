import cv2
import numpy as np
import pytest
from PIL import Image

from cicam_mm.datasets import LoadWSOLImage
from cicam_mm.datasets.reduced_decoding import decode_reduced


@pytest.fixture
def photo():
    """A smooth picture of 640 x 400 pixels."""
    noise = np.random.default_rng(0).random((6, 8, 3))
    return (cv2.resize(noise, (640, 400), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255
            ).astype(np.uint8)


def encode(photo, extension='.jpg'):
    return cv2.imencode(extension, photo)[1].tobytes()


@pytest.mark.parametrize(('min_side', 'size'), [
    (50, (50, 80)), (51, (100, 160)), (200, (200, 320)), (201, (400, 640)), (900, (400, 640))])
def test_size_just_long_enough(photo, min_side, size):
    pixels, ori_shape = decode_reduced(encode(photo), min_side)
    assert (pixels.shape, ori_shape) == ((*size, 3), (400, 640))
    whole = cv2.imdecode(np.frombuffer(encode(photo), np.uint8), cv2.IMREAD_COLOR)
    averaged = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - averaged).max() <= 12


def test_other_formats_are_decoded_whole(photo):
    pixels, _ = decode_reduced(encode(photo, '.png'), 50)
    assert (pixels == photo).all()


def test_stored_frame_and_box_in_whole_pixels(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    path = tmp_path / 'a.jpg'
    Image.fromarray(photo).save(path, exif=exif)
    info = dict(img_path=str(path), instances=[dict(bbox=[0, 0, 640, 400])])
    results = LoadWSOLImage(min_side=100)(info)
    assert (results['img_shape'], results['ori_shape']) == ((100, 160), (400, 640))


@pytest.mark.parametrize('content', [b'', b'<html>', 'half'])
def test_unreadable_image_is_named(photo, tmp_path, content):
    path = tmp_path / 'a.jpg'
    path.write_bytes(encode(photo)[:200] if content == 'half' else content)
    with pytest.raises(OSError, match=f"Image '{path}' cannot be read"):
        LoadWSOLImage(min_side=100)(dict(img_path=str(path)))
    with pytest.raises(FileNotFoundError, match='does not exist'):
        LoadWSOLImage(min_side=100)(dict(img_path=str(tmp_path / 'no.jpg')))
