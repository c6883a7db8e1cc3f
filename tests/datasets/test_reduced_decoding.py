import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cicam_mm.datasets import LoadWSOLImage
from cicam_mm.datasets.images import decode_reduced
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack


def encode(photo, extension='.jpg'):
    return cv2.imencode(extension, photo)[1].tobytes()


@pytest.mark.parametrize(('max_pixels', 'size'), [
    (256_000, (400, 640)), (255_999, (200, 320)), (64_000, (200, 320)), (63_999, (100, 160)),
    (4_000, (50, 80))])
def test_as_large_as_allowed(photo, max_pixels, size):
    pixels, ori_shape = decode_reduced(encode(photo), max_pixels)
    assert (pixels.shape, ori_shape) == ((*size, 3), (400, 640))
    whole = cv2.imdecode(np.frombuffer(encode(photo), np.uint8), cv2.IMREAD_COLOR)
    averaged = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - averaged).max() <= 12


def test_other_formats_are_decoded_whole_or_refused(photo, tmp_path):
    pixels, _ = decode_reduced(encode(photo, '.png'), 256_000)
    assert (pixels == photo).all()
    path = tmp_path / 'a.png'
    path.write_bytes(encode(photo, '.png'))
    with pytest.raises(UserError, match=f"Image '{path}' is refused: it has 640 x 400 pixels, more"
                       ' than max_pixels=255,999 allows'):
        LoadWSOLImage(max_pixels=255_999)(dict(img_path=str(path)))


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    """30,000 x 30,000 pixels of PNG in a few bytes of header."""
    header = struct.pack('>I4sII5B', 13, b'IHDR', 30_000, 30_000, 8, 2, 0, 0, 0)
    path = tmp_path / 'bomb.png'
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + header + struct.pack('>I', zlib.crc32(header[4:]))
                     + struct.pack('>I4sI', 0, b'IDAT', zlib.crc32(b'IDAT')))
    with pytest.raises(UserError, match='30,000 x 30,000 pixels'):
        LoadWSOLImage()(dict(img_path=str(path)))


def test_a_photo_of_200_megapixels_fits(giant_photo):
    info = dict(img_path=str(giant_photo), instances=[dict(bbox=[0, 0, 20_000, 9])])
    results = LoadWSOLImage()(info)
    assert (results['img_shape'], results['ori_shape']) == ((5_000, 10_000), (10_000, 20_000))
    expected = np.full((5_000, 10_000, 1), 99, np.uint8)
    expected[1000:3000, 2000:6000] = 199  # edges between the blocks of the JPEG
    assert (results['img'] == expected).all()


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'a.jpg')
    with pytest.raises(UserError, match='a.jpg is not a regular file'):
        LoadWSOLImage()(dict(img_path=str(tmp_path / 'a.jpg')))


def test_stored_frame_and_box_in_whole_pixels(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    path = tmp_path / 'a.jpg'
    Image.fromarray(photo).save(path, exif=exif)
    info = dict(img_path=str(path), instances=[dict(bbox=[0, 0, 640, 400])])
    results = LoadWSOLImage(max_pixels=16_000)(info)
    assert (results['img_shape'], results['ori_shape']) == ((100, 160), (400, 640))


@pytest.mark.parametrize('content', [b'', b'<html>', 'half'])
def test_unreadable_image_is_named(photo, tmp_path, content):
    path = tmp_path / 'a.jpg'
    path.write_bytes(encode(photo)[:200] if content == 'half' else content)
    with pytest.raises(OSError, match=f"Image '{path}' cannot be read"):
        LoadWSOLImage(max_pixels=16_000)(dict(img_path=str(path)))
    with pytest.raises(FileNotFoundError, match='does not exist'):
        LoadWSOLImage(max_pixels=16_000)(dict(img_path=str(tmp_path / 'no.jpg')))
