"""One folder of odd files, in all places that decode images."""
import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from cicam_lite import onnx_localizer
from cicam_mm.apis.inputs import Record
from cicam_mm.app import view
from cicam_mm.datasets import LoadWSOLImage, images
from cicam_mm.datasets.images import read_image
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack
RNG = np.random.default_rng(0)
RGBA = (cv2.resize(RNG.random((5, 6, 4)), (60, 40), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        * 255).astype(np.uint8)
RGB, GREY = RGBA[..., :3], RGBA[..., 0]
DEEP = GREY.astype(np.uint16) * 256 + 77
WHITE = np.rint((RGB * (RGBA[..., 3:] / 255)) + 255 - RGBA[..., 3:]).astype(np.uint8)
PALETTE = Image.fromarray(RGB).quantize(16)
COLORS = np.array(PALETTE.getpalette()[:48]).reshape(16, 3)[np.asarray(PALETTE)]
KEYED = np.where((np.asarray(PALETTE) == 3)[..., None], 255, COLORS)
ANY = None  # read alike; the values are those of a lossy format


def image(pixels, mode=None):
    return Image.fromarray(np.ascontiguousarray(pixels)).convert(mode)


def keyed(pixels, key):
    """Pixels of one colour are transparent."""
    return np.where((pixels == key).all(axis=-1, keepdims=True), 255, pixels)


def grey(pixels):
    return np.repeat(pixels[..., None], 3, axis=2)


def lab():
    profiles = map(ImageCms.createProfile, ('sRGB', 'LAB'))
    return ImageCms.profileToProfile(image(RGB), *profiles, outputMode='LAB')


# name: image, how it is saved, and RGB pixels or what the refusal says
KINDS = {
    'rgb.jpg': (image(RGB), {}, ANY), 'grey.jpg': (image(GREY), {}, ANY),
    'rgb.png': (image(RGB), {}, RGB), 'grey.png': (image(GREY), {}, grey(GREY)),
    'bits.png': (image(GREY > 99), {}, grey(255 * (GREY > 99))),
    'rgba.png': (image(RGBA), {}, WHITE), 'rgba.webp': (image(RGBA), dict(lossless=True), WHITE),
    'la.png': (Image.merge('LA', (image(GREY), image(RGBA[..., 3]))), {},
               np.rint(GREY * (RGBA[..., 3] / 255) + 255 - RGBA[..., 3])[..., None].repeat(3, 2)),
    'palette.png': (PALETTE, {}, COLORS),
    'palette-key.png': (PALETTE, dict(transparency=3), KEYED),
    'rgb-key.png': (image(RGB), dict(transparency=tuple(RGB[5, 5].tolist())),
                    keyed(RGB, RGB[5, 5])),
    'grey-key.png': (image(GREY), dict(transparency=int(GREY[5, 5])),
                     keyed(grey(GREY), GREY[5, 5])),
    'deep.png': (image(DEEP), {}, grey(GREY)), 'deep.tif': (image(DEEP), {}, grey(GREY)),
    'twelve.png': (image(DEEP >> 4), {}, grey(GREY)),
    'eight.png': (image(DEEP >> 8), {}, grey(GREY)),  # in a file of 16 bits
    'twelve-key.png': (image(DEEP >> 4), dict(transparency=int(DEEP[5, 5] >> 4)),
                       keyed(grey(GREY), GREY[5, 5])),
    'integer.tif': (image(DEEP.astype(np.int32)), {}, grey(GREY)),
    'unit.tif': (image(GREY.astype(np.float32) / 255), {}, grey(GREY)),
    'float.tif': (image(GREY.astype(np.float32)), {}, grey(GREY)),
    'negative.tif': (image(GREY.astype(np.float32) - 99), {}, 'grey values'),
    'huge.tif': (image(DEEP.astype(np.int32) * 2), {}, 'grey values'),
    'ycbcr.tif': (image(RGB, 'YCbCr'), {}, ANY), 'lab.tif': (lab(), {}, 'CIELAB'),
    'ycbcr-jpeg.tif': (image(RGB, 'YCbCr'), dict(compression='jpeg'), ANY),
    'cmyk.jpg': (image(RGB, 'CMYK'), {}, ANY), 'cmyk.tif': (image(RGB, 'CMYK'), {}, ANY),
    'rgb.tif': (image(RGB), dict(compression='tiff_lzw'), RGB), 'rgb.bmp': (image(RGB), {}, RGB),
    'rgba.tif': (image(RGBA), {}, WHITE), 'palette.tif': (PALETTE, {}, COLORS),
    'rgb.ppm': (image(RGB), {}, RGB), 'a.gif': (PALETTE, {}, COLORS),
    'key.gif': (PALETTE, dict(transparency=3), KEYED),
    'rgb.avif': (image(RGB), {}, ANY), 'rgb.heic': (image(RGB), {}, ANY),
    'rgb.jp2': (image(RGB), {}, RGB),
    'animation.webp': (image(RGB), dict(
        lossless=True, save_all=True, append_images=[image(255 - RGB)]), RGB),
    'pages.tif': (image(RGB), dict(save_all=True, append_images=[image(255 - RGB)]), RGB),
}
#: What OnnxLocalizer refuses, because OpenCV reads it differently or not at all.
LITE_REFUSES = {'integer.tif', 'unit.tif', 'float.tif', 'cmyk.tif', 'rgba.tif', 'rgb.ppm', 'a.gif',
                'key.gif', 'rgb.avif', 'rgb.heic', 'rgb.jp2'}


# RGB pixels by place
READERS = dict(
    training=lambda path: LoadWSOLImage()(dict(img_path=str(path)))['img'][..., ::-1],
    inference=lambda path: Record(str(path)).read()[0],
    app=lambda path: view.decode_image(path.read_bytes, path.name)[0],
    lite=lambda path: onnx_localizer._read(path).pixels[..., ::-1])


def read_everywhere(path):
    """Pixels by place, or the message of the refusal."""
    found = {}
    for place, read in READERS.items():
        try:
            found[place] = read(path)
        except (OSError, UserError) as error:
            assert path.name in str(error)
            found[place] = str(error)
    return found


@pytest.mark.parametrize('name', KINDS)
def test_one_picture_in_all_places(tmp_path, name):
    kind, options, expected = KINDS[name]
    kind.save(tmp_path / name, **options)
    found = read_everywhere(tmp_path / name)
    lite = found.pop('lite')
    if isinstance(expected, str):
        assert all(expected in message for message in found.values()) and isinstance(lite, str)
        return
    if expected is ANY:
        expected = found['inference']
        assert np.abs(expected - (grey(GREY) if 'grey' in name else RGB).astype(float)).max() < 40
    expected = np.asarray(expected, np.uint8)
    for pixels in found.values():
        np.testing.assert_array_equal(pixels, expected)
    if name in LITE_REFUSES:
        assert lite.startswith(f'{tmp_path / name} cannot be read: ') and 'save it as PNG' in lite
    else:
        np.testing.assert_array_equal(lite, expected)


@pytest.mark.parametrize('name', ['rgb.jpg', 'rgb.png', 'rgba.webp', 'rgb.tif', 'rgb.bmp',
                                  'rgb.ppm', 'a.gif'])
@pytest.mark.parametrize('share', [0, .4, 'last bytes'])
def test_files_that_are_cut_off_are_refused_in_all_places(tmp_path, name, share):
    kind, options, _ = KINDS[name]
    kind.save(tmp_path / name, **options)
    content = (tmp_path / name).read_bytes()
    if share == 'last bytes' and name == 'a.gif':
        return  # its trailer tells nothing
    (tmp_path / name).write_bytes(content[:-2 if share == 'last bytes' else
                                          int(share * len(content))])
    assert all(isinstance(found, str) for found in read_everywhere(tmp_path / name).values())


@pytest.mark.parametrize('name', ['rgb.jpg', 'rgb.png', 'rgba.webp', 'rgb.bmp'])
def test_bytes_behind_the_end_do_not_matter(tmp_path, name):
    kind, options, _ = KINDS[name]
    kind.save(tmp_path / name, **options)
    before = read_everywhere(tmp_path / name)
    with open(tmp_path / name, 'ab') as file:
        file.write(b'a comment of the camera')
    for place, pixels in read_everywhere(tmp_path / name).items():
        np.testing.assert_array_equal(pixels, before[place])


@pytest.mark.parametrize('name', ['rgb.jpg', 'rgb.png', 'rgb.tif', 'rgba.webp'])
@pytest.mark.parametrize('orientation', [3, 6])
def test_photos_are_turned_upright(tmp_path, name, orientation):
    KINDS[name][0].save(tmp_path / name)
    upright = np.rot90(READERS['training'](tmp_path / name), {3: 2, 6: -1}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    KINDS[name][0].save(tmp_path / name, exif=exif)
    for pixels in read_everywhere(tmp_path / name).values():
        np.testing.assert_array_equal(pixels, upright)


@pytest.mark.parametrize(('max_pixels', 'shape'), [
    (256_000, (400, 640)), (255_999, (200, 320)), (20_000, (100, 160)), (4_000, (50, 80))])
def test_large_jpegs_are_reduced(photo, tmp_path, max_pixels, shape):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'a.jpg'
    image(photo).save(path, exif=exif)
    loaded = LoadWSOLImage(max_pixels=max_pixels)(
        dict(img_path=str(path), instances=[dict(bbox=[0, 0, 640, 400])]))
    assert (loaded['img_shape'], loaded['ori_shape']) == (shape, (400, 640))
    averaged = cv2.resize(photo, shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(loaded['img'][..., ::-1].astype(int) - averaged).max() <= 12
    pixels, ori_shape = read_image(path, max_pixels)
    assert ori_shape == (640, 400)
    np.testing.assert_array_equal(pixels, np.rot90(loaded['img'][..., ::-1], -1))


def test_giants_bombs_and_pipes_are_refused(tmp_path, bomb):
    image(RGB).save(tmp_path / 'a.png')
    image(RGB).save(tmp_path / 'a.jpg')
    (tmp_path / 'bomb.png').write_bytes(bomb)
    os.mkfifo(tmp_path / 'pipe.jpg')
    for name, max_pixels, sentence in (
            ('a.png', 2399, 'it has 60 x 40 pixels, more than max_pixels=2,399 allows'),
            ('a.jpg', 39, 'it has 8 x 5 pixels, more than max_pixels=39 allows'),
            ('bomb.png', 10**8, '100,000 x 100,000 pixels'),
            ('pipe.jpg', 10**8, 'pipe.jpg is not a regular file')):
        with pytest.raises(OSError, match=f"'{tmp_path}/{name}' cannot be read: .*{sentence}"):
            read_image(tmp_path / name, max_pixels)


def test_heic_names_its_extra(tmp_path, monkeypatch):
    KINDS['rgb.heic'][0].save(tmp_path / 'a.heic')
    monkeypatch.setattr(images, 'EXTENSIONS', ())  # without pillow-heif
    with pytest.raises(OSError, match=r"a.heic' cannot be read: HEIC .* 'cicam_mm\[heic\]'; re"):
        read_image(tmp_path / 'a.heic')


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.jpg' does not exist"):
        read_image(tmp_path / 'a.jpg')
    with pytest.raises(IsADirectoryError, match='is a folder without files'):
        read_image(tmp_path)
