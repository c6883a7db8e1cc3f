import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from PIL import Image

from cicam_mm.apis import find_images
from cicam_mm.datasets import LoadWSOLImage
from cicam_mm.datasets.images import read_image as read_with_shape


def save(path, pixels, **options):
    Image.fromarray(np.array(pixels, np.uint8)).save(path, **options)
    return path


def read_image(path):
    """The pixels of an image that is not reduced."""
    pixels, ori_shape = read_with_shape(path)
    assert pixels.shape == (*ori_shape, 3)
    return pixels


def test_folders_and_globs_in_the_order_given(tmp_path):
    for name in ('b.png', 'a.png', 'deep/er/c.jpg', '.hidden.png', '.cache/d.png', 'x/[1].png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'none').mkdir()

    def names(*paths):
        return [path.removeprefix(f'{tmp_path}/') for path in
                find_images([tmp_path / path for path in paths])]

    assert names('.') == ['a.png', 'b.png', 'deep/er/c.jpg', 'x/[1].png']
    assert names('b.png', '*.png') == ['b.png', 'a.png', 'b.png']
    assert names('**/*.jpg', 'x/[1].png') == ['deep/er/c.jpg', 'x/[1].png']
    # reading these tells what is wrong
    assert names('*.bmp', 'lost.png', 'none') == ['*.bmp', 'lost.png', 'none']
    assert find_images(['https://example.com/a.jpg?b=*']) == ['https://example.com/a.jpg?b=*']


def test_photo_is_turned_by_its_tag(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored top row is the right column
    pixels = np.zeros((2, 3, 3))
    pixels[0] = 255
    turned = read_image(save(tmp_path / 'a.png', pixels, exif=exif))
    np.testing.assert_array_equal(turned[..., 0], [[0, 255]] * 3)


def test_transparency_turns_white(tmp_path):
    pixels = [[[10, 20, 30, 255], [10, 20, 30, 0]]]
    np.testing.assert_array_equal(read_image(save(tmp_path / 'a.png', pixels)),
                                  [[[10, 20, 30], [255, 255, 255]]])
    palette = Image.new('P', (2, 1))
    palette.putpalette([7, 8, 9, 10, 11, 12])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / 'b.png', transparency=1)
    np.testing.assert_array_equal(read_image(tmp_path / 'b.png'), [[[7, 8, 9], [255] * 3]])


def test_sixteen_bits_become_eight(tmp_path):
    Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16)).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png')[..., 1], [[0, 0, 1, 255]])


def test_cmyk(tmp_path):
    image = Image.new('CMYK', (8, 8), (0, 255, 255, 0))
    image.save(tmp_path / 'red.jpg', quality=100)
    assert np.abs(read_image(tmp_path / 'red.jpg') - np.array([255., 0, 0])).max() < 10


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new('L', (4, 4), value) for value in (0, 255)]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / 'a.gif') == 0).all()


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
@pytest.mark.parametrize('shape', [(50, 31, 3), (50, 31)])
def test_as_the_data_sets_load_images(tmp_path, suffix, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    path = save(tmp_path / f'a.{suffix}', pixels)
    loaded = Compose([LoadWSOLImage()])(dict(img_path=str(path)))['img']
    np.testing.assert_array_equal(read_image(path), loaded[..., ::-1])


@pytest.mark.parametrize(('content', 'sentence'), [
    (b'', r"a\.jpg' cannot be read: not an image, or of an unknown format; replace it"),
    (None, r"a\.jpg' does not exist"),
])
def test_what_is_no_image_is_named(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / 'a.jpg').write_bytes(content)
    with pytest.raises(OSError, match=sentence):
        read_image(tmp_path / 'a.jpg')
    with pytest.raises(IsADirectoryError, match='is a folder without files'):
        read_image(tmp_path)


@pytest.mark.parametrize('values, expected', [
    (np.array([[0, .5, 1]], np.float32), [0, 128, 255]),
    (np.array([[0, 100.4, 255]], np.float32), [0, 100, 255]),
    (np.array([[0, 256, 65535]], np.int32), [0, 1, 255])])
def test_grey_of_32_bits(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / 'a.tif')
    assert read_image(tmp_path / 'a.tif')[0, :, 1].tolist() == expected


@pytest.mark.parametrize('values', [
    np.array([[0, 300]], np.float32), np.array([[-1, 1]], np.float32),
    np.array([[0, np.nan]], np.float32), np.array([[0, 70000]], np.int32)])
def test_grey_of_unknown_range_is_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / 'a.tif')
    with pytest.raises(OSError, match='a.tif.* its grey values, '):
        read_image(tmp_path / 'a.tif')


@pytest.mark.parametrize(('max_pixels', 'shape'), [
    (256_000, (400, 640)), (255_999, (200, 320)), (20_000, (100, 160)), (4_000, (50, 80))])
@pytest.mark.parametrize('is_grey', [False, True])
def test_large_jpegs_are_reduced_as_by_the_data_sets(photo, tmp_path, is_grey, max_pixels, shape):
    path = save(tmp_path / 'a.jpg', photo[..., 0] if is_grey else photo)
    loaded = LoadWSOLImage(max_pixels=max_pixels)(dict(img_path=str(path)))['img']
    pixels, ori_shape = read_with_shape(path, max_pixels)
    assert pixels.shape == (*shape, 3) and ori_shape == (400, 640)
    np.testing.assert_array_equal(pixels, loaded[..., ::-1])


def test_a_reduced_photo_is_turned_by_its_tag(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / 'a.jpg', photo, exif=exif)
    pixels, ori_shape = read_with_shape(path, 20_000)
    assert pixels.shape == (160, 100, 3) and ori_shape == (640, 400)
    averaged = cv2.resize(photo, (160, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - np.rot90(averaged, -1)).max() <= 12


def test_other_large_images_are_refused(photo, tmp_path):
    path = save(tmp_path / 'a.png', photo)
    assert read_with_shape(path, 256_000)[0].shape == (400, 640, 3)
    with pytest.raises(OSError, match=r"a.png' cannot be read: it has 640 x 400 pixels, more "
                       'than max_pixels=255,999 allows'):
        read_with_shape(path, 255_999)


def test_an_address_that_no_backend_reads():
    with pytest.raises(OSError, match="cannot be read: 'gs://b/a.png' is an address of a kind "
                       'that mmengine has no file backend for, gs://; download it'):
        read_image('gs://b/a.png')
