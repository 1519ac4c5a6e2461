"""Drawn sources `plates`, `text` and `shapes`, their fonts and the polygons that they are filled with."""

import hashlib
import importlib.util
import math
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from blurgen.errors import InputError, SourceError
from blurgen.loops import plates as plate_loops
from blurgen.loops import shapes as shape_loops
from blurgen.loops import text as text_loops
from blurgen.loops.outlines import add_edge, add_outline, cover_row
from blurgen.loops.philox import draw_block
from blurgen.loops.sequence import below, between, restart, sequence, spread, uniform
from blurgen.sources import fonts, open_source
from blurgen.sources.fonts import load_outlines
from blurgen.sources.plates import _DESIGNS, _READABLE, Plates, label_of, text_of
from blurgen.sources.shapes import Shapes
from blurgen.sources.text import _FAMILIES, _FONTS, Text

SMALL = {"text": {"size": 64}, "shapes": {"size": 48}, "plates": {}}
CLASSES = {"text": Text, "shapes": Shapes, "plates": Plates}
PINNED = {
    "text": "fd7226bd9ca23de19c857666110f31e216747d1c879c049f7297adff587ba31e",
    "shapes": "036034d4ba8d937956ece6a11333573ec0abf47ff6a4c6511e4c001212551f2a",
    "plates": "c881b5b150d6825e0bb725c8eb26325d90ac02d09aae3df19ec4dc7f6b9be4df",
}
KINDS = sorted(SMALL)


def small(kind, *arguments, **options):
    return CLASSES[kind](*arguments, **SMALL[kind], **options)


def digest(images):
    return hashlib.sha256(images.tobytes()).hexdigest()


# Polygons


def fill(points, height, width, holes=()):
    """Coverage by the compiled rasteriser."""
    area = np.zeros((height, width + 1), np.float32)
    for contour in (points, *holes):
        for (x0, y0), (x1, y1) in zip(contour, np.roll(contour, -1, axis=0), strict=True):
            add_edge(x0, y0, x1, y1, area)
    cover = np.zeros((height, width), np.float32)
    for row in range(height):
        cover_row(area, row, 0, width, cover[row])
    assert not area[:, :width].any()
    return cover


def shoelace(points):
    x, y = np.array(points, float).T
    return 0.5 * float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def cut(points, axis, limit, sign):
    """The part of a convex polygon where sign · coordinate ≤ sign · limit (Sutherland and Hodgman)."""
    kept = []
    for k, b in enumerate(points):
        a = points[k - 1]
        inside_a, inside_b = sign * (a[axis] - limit) <= 0, sign * (b[axis] - limit) <= 0
        if inside_a != inside_b:
            t = (limit - a[axis]) / (b[axis] - a[axis])
            kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        if inside_b:
            kept.append(b)
    return kept


def slow_cover(points, height, width):
    cover = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            part = list(points)
            for axis, limit, sign in ((0, x, -1), (0, x + 1, 1), (1, y, -1), (1, y + 1, 1)):
                part = cut(part, axis, limit, sign)
            if len(part) > 2:
                cover[y, x] = abs(shoelace(part))
    return cover


@st.composite
def convex(draw, low=-8.0, high=14.0):
    """Corners of a convex polygon: points on a random ellipse, in order."""
    turns = sorted(draw(st.lists(st.floats(0, 1), min_size=3, max_size=7, unique=True)))
    centre = draw(st.tuples(st.floats(low, high), st.floats(low, high)))
    a, b, lean = draw(st.tuples(st.floats(0.05, 12), st.floats(0.05, 12), st.floats(-1, 1)))
    circle = [(math.cos(math.tau * t), math.sin(math.tau * t)) for t in turns]
    points = [(centre[0] + a * c + lean * b * s, centre[1] + b * s) for c, s in circle]
    return points if draw(st.booleans()) else points[::-1]


@given(convex())
def test_every_pixel_holds_its_exact_area(points):
    np.testing.assert_allclose(fill(points, 7, 9), slow_cover(points, 7, 9), atol=2e-5)


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 20)), min_size=3, max_size=9))
def test_signed_areas_add_up(points):
    area = np.zeros((20, 31), np.float32)
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        add_edge(*a, *b, area)
    signed = np.cumsum(area.astype(float), axis=1)[:, :30].sum()
    # upwards edges on the right make a positive area: the sign of a left turn, y downwards
    assert abs(signed + shoelace(points)) < 2e-3


@given(st.integers(-3, 12), st.integers(-3, 12), st.integers(1, 9), st.integers(1, 9))
def test_whole_rectangles_are_exactly_full(x, y, width, height):
    expected = np.zeros((10, 11), np.float32)
    expected[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = 1
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    assert np.array_equal(fill(corners, 10, 11), expected)


def test_opposite_contours_cut_holes():
    outer = [(1, 1), (9, 1), (9, 9), (1, 9)]
    inner = [(3.5, 3), (3.5, 7), (7, 7), (7, 3)]
    assert fill(outer, 10, 10, [inner]).sum() == 64 - 14
    # the same way round: what lies in both is still covered once
    assert fill(outer, 10, 10, [inner[::-1]]).sum() == 64


# Random numbers


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_sequence_holds_the_blocks_words(seed, index, stream):
    numbers = sequence(np.uint64(seed), np.uint64(stream))
    restart(numbers, np.uint64(index))
    drawn = [uniform(numbers) for _ in range(72)]
    words = [
        word
        for k in range(18)
        for word in draw_block(np.uint64(seed), np.uint64(index), np.uint64(stream), np.uint64(k))
    ]
    assert drawn == [int(word) / 2**32 for word in words]
    restart(numbers, np.uint64(index))
    assert uniform(numbers) == drawn[0]
    assert between(numbers, -3.0, 5.0) == -3.0 + 8.0 * drawn[1]
    assert spread(numbers, 2.0) == 2.0 * (drawn[2] + drawn[3] - 1.0)
    assert below(numbers, 10) == int(10 * drawn[4])


# Fonts


def font_path(name):
    return str(fonts._font_folder() / f"{name}.ttf")


@pytest.mark.parametrize("name", [*_FONTS, "DejaVuSerif-BoldItalic", "STIXGeneralBolIta"])
def test_outlines_have_the_fonts_areas(name):
    from fontTools.pens.areaPen import AreaPen
    from fontTools.ttLib import TTFont

    characters = text_loops.CHARACTERS
    outlines = load_outlines((name,), characters, 0.0002)
    with fonts._without_notes_on_dates(), TTFont(font_path(name)) as font:
        em, names, glyphs = font["head"].unitsPerEm, font.getBestCmap(), font.getGlyphSet()
        for c, character in enumerate(characters):
            pen = AreaPen(glyphs)
            glyphs[names[ord(character)]].draw(pen)
            x0, y0, x1, y1 = outlines.segments[outlines.begins[c] : outlines.begins[c + 1]].T
            area = 0.5 * float((x0 * y1 - x1 * y0).sum())
            # y points the other way, and a chord cuts off at most 0.0002 of its length
            assert abs(area + pen.value / em**2) < 0.0002 * 6
            assert outlines.advances[0, c] == glyphs[names[ord(character)]].width / em
            assert outlines.boxes[0, c, 0] == x0.min()
            assert outlines.boxes[0, c, 3] == max(y0.max(), y1.max())
    assert np.array_equal(outlines.begins, np.sort(outlines.begins))


@pytest.mark.parametrize("name", ["DejaVuSans-Bold", "STIXGeneralItalic", "cmr10", "DejaVuSerif"])
def test_glyphs_look_as_freetype_draws_them(name):
    size, side = 200, 240
    outlines = load_outlines((name,), "Rg8&", 0.0005)
    font = ImageFont.truetype(font_path(name), size, layout_engine=ImageFont.Layout.BASIC)
    for c, character in enumerate("Rg8&"):
        area = np.zeros((side, side + 1), np.float32)
        place = (float(size), 0.0, 25.0, 0.0, float(size), 170.0)
        add_outline(outlines.segments, outlines.begins[c], outlines.begins[c + 1], place, area)
        ours = np.minimum(np.abs(np.cumsum(area, axis=1)[:, :side]), 1) * 255
        image = Image.new("L", (side, side))
        ImageDraw.Draw(image).text((25, 170), character, 255, font, anchor="ls")
        theirs = np.asarray(image, float)
        # FreeType moves outlines to the grid by up to half a pixel
        assert np.abs(ours - theirs).mean() < 4.0
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98


def test_flattening_is_as_fine_as_asked():
    coarse = load_outlines(("DejaVuSerif",), "Og", 0.01)
    fine = load_outlines(("DejaVuSerif",), "Og", 0.0001)
    assert len(fine.segments) > 3 * len(coarse.segments)
    assert fine.sha256 == coarse.sha256
    # each fine point lies near a coarse segment
    ax, ay, bx, by = coarse.segments.T
    length = np.maximum((bx - ax) ** 2 + (by - ay) ** 2, 1e-12)
    for x, y in fine.segments[:, :2]:
        t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
        assert np.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y).min() < 0.0102


def test_contours_are_closed():
    outlines = load_outlines(_FONTS, text_loops.CHARACTERS, 0.005)
    for first, end in zip(outlines.begins[:-1], outlines.begins[1:], strict=True):
        starts = sorted(map(tuple, outlines.segments[first:end, :2]))
        assert starts == sorted(map(tuple, outlines.segments[first:end, 2:]))


@pytest.mark.parametrize("library", ["matplotlib", "fontTools"])
@pytest.mark.parametrize("kind", ["plates", "text"])
def test_says_what_is_not_installed(kind, library, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == library else find(name))
    load_outlines.cache_clear()
    with pytest.raises(SourceError, match=rf"needs {library}: pip install 'blurgen\[draw\]'"):
        CLASSES[kind]()


def test_shapes_need_no_fonts(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert Shapes(size=16).read(0, 1).shape == (1, 16, 16, 3)


def test_says_what_a_font_lacks():
    with pytest.raises(SourceError, match="font cmr10 has no character '–'"):
        load_outlines(("cmr10",), "–", 0.01)
    with pytest.raises(SourceError, match=r"font Nothing: .*Nothing.ttf"):
        load_outlines(("Nothing",), "A", 0.01)


# All three sources


@pytest.mark.parametrize("kind", KINDS)
def test_describes_itself(kind):
    source = small(kind, 7, "test")
    mode = {"mode": "rgb"} if kind == "shapes" else {}
    assert source.name == kind
    assert source.options == {"split": "test", "seed": 7, **SMALL[kind], **mode}
    assert source.length is None
    assert source.has_labels == (kind == "plates")
    images = source.read(3, 9)
    assert images.shape == (6, *source.shape)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert source.read(4, 4).shape == (0, *source.shape)
    same = open_source(kind, **source.options)
    assert same.sha256 == source.sha256
    assert np.array_equal(same.read(3, 9), images)


def test_default_shapes():
    assert Plates().shape == (90, 270, 3)
    assert Text().shape == (256, 256, 1)
    assert Shapes().shape == (256, 256, 3)
    assert Shapes(mode="gray", size=20).read(0, 2).shape == (2, 20, 20, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_same_bytes_as_ever(kind):
    assert digest(small(kind).read(0, 100)) == PINNED[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_equals_its_singles(kind):
    source = small(kind)
    start = 2**32 - 10  # across the boundary between the index's two words
    images = source.read(start, start + 20)
    for i in range(20):
        assert np.array_equal(source.read(start + i, start + i + 1)[0], images[i])
    assert np.array_equal(source.read(start + 5, start + 20), images[5:])


@pytest.mark.parametrize("kind", KINDS)
def test_threads_draw_the_same(kind):
    source = small(kind)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: source.read(start, start + 10), range(0, 100, 10)))
    assert digest(np.concatenate(parts)) == PINNED[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_pickles(kind):
    source = small(kind, 9, "test")
    packed = pickle.dumps(source)
    assert len(packed) < 2000
    again = pickle.loads(packed)
    assert (again.sha256, again.options) == (source.sha256, source.options)
    assert np.array_equal(again.read(5, 15), source.read(5, 15))


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_are_alike(kind):
    sources = [small(kind, *place) for place in ((0,), (1,), (2**64 - 1,), (2**32,), (0, "test"))]
    assert len({source.sha256 for source in sources}) == len(sources)
    seen = {image.tobytes() for source in sources for image in source.read(0, 200)}
    assert len(seen) == 200 * len(sources)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "0"])
def test_refuses_a_seed(kind, seed):
    with pytest.raises(InputError, match=f"{kind}: seed"):
        CLASSES[kind](seed)


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_a_split(kind):
    with pytest.raises(InputError, match=f"{kind}: split 'val', allowed are 'train' and 'test'"):
        CLASSES[kind](split="val")


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_a_range(kind):
    with pytest.raises(SourceError, match="endless"):
        small(kind).read(5, 3)


@pytest.mark.parametrize("kind", ["text", "shapes"])
@pytest.mark.parametrize("size", [15, 4097, 64.0, "64", None])
def test_refuses_a_size(kind, size):
    with pytest.raises(InputError, match=f"{kind}: size"):
        CLASSES[kind](size=size)


def test_refuses_a_mode():
    with pytest.raises(InputError, match="shapes: mode 'cmyk', allowed are 'rgb' and 'gray'"):
        Shapes(mode="cmyk")


def test_refuses_an_option():
    with pytest.raises(InputError, match="no option 'size'"):
        open_source("plates", size=100)


@pytest.mark.parametrize("kind", ["text", "shapes"])
@pytest.mark.parametrize("size", [16, 17, 61])
def test_any_size_is_filled(kind, size):
    images = CLASSES[kind](size=size).read(0, 60)
    assert images.shape[1:3] == (size, size)
    assert images.std() > 5


# Plates


@given(st.text(_READABLE, max_size=12))
def test_labels_are_texts(text):
    label = label_of(text)
    assert 0 <= label < 37**12 < 2**63
    assert text_of(label) == text
    assert text_of(np.int64(label)) == text


def test_first_character_is_most_significant():
    assert (label_of(""), label_of("0"), label_of("9"), label_of("A"), label_of("Z")) == (0, 1, 10, 11, 36)
    assert label_of("A0") == 11 * 37 + 1


@pytest.mark.parametrize("text", ["ab", "A B", "A-B", "Ä", "0" * 13])
def test_refuses_a_text(text):
    with pytest.raises(InputError, match="plates: text"):
        label_of(text)


@pytest.mark.parametrize("label", [-1, 37**12, 1.0, True, "A"])
def test_refuses_a_number(label):
    with pytest.raises(InputError, match="plates: label"):
        text_of(label)


@pytest.mark.parametrize("label", [37, 37**5 + 3, 12 * 37**3 + 4])
def test_refuses_a_label_with_gaps(label):
    with pytest.raises(InputError, match="stands for no text"):
        text_of(label)


def patterns():
    """What can be read on each design, as a regular expression."""
    for _, design in _DESIGNS:
        wanted = [character for run in design.runs for character in run.text if character in "@#"]
        yield "".join(f"[{design.letters}]" if character == "@" else r"\d" for character in wanted)


def test_labels_follow_the_designs():
    labels = Plates().labels(0, 4000)
    texts = [text_of(label) for label in labels]
    wanted = set(patterns())
    for text in texts:
        assert any(re.fullmatch(pattern, text) for pattern in wanted), text
    for pattern in wanted:
        assert any(re.fullmatch(pattern, text) for text in texts), pattern
    assert len(set(texts)) > 3990


def test_labels_come_by_any_range():
    plates = Plates(3, "test")
    start = 2**32 - 10
    labels = plates.labels(start, start + 20)
    assert labels.dtype == np.int64
    assert [plates.labels(start + i, start + i + 1)[0] for i in range(20)] == labels.tolist()
    assert not np.array_equal(Plates(3).labels(0, 20), Plates(3, "test").labels(0, 20))


def test_designs_are_sound():
    for _, design in _DESIGNS:
        drawn = sum(run.text.count("@") + run.text.count("#") for run in design.runs)
        assert 5 <= drawn <= 12
        assert set(design.letters) <= set(_READABLE[10:])
        for run in design.runs:
            assert run.height / 2 < run.y < design.size[1] - run.height / 2
            assert 0 < run.x < design.size[0]
            cells = {" ": 0.5, "_": 0.8, "-": 0.6, "·": 0.6}
            wide = run.pitch * sum(cells.get(character, 1) for character in run.text)
            assert wide / 2 < min(run.x, design.size[0] - run.x)


def only(designs, design, letter):
    """Nothing but one design, and one letter."""
    letters = designs.letters.copy()
    letters[:, 0] = 1
    letters[:, 1] = _READABLE.index(letter)
    return designs._replace(chosen=np.array([design]), letters=letters)


@pytest.mark.parametrize("design", range(0, len(_DESIGNS), 7))
def test_images_show_their_labels(design):
    """With another letter only the letters change, and the more the less they look alike."""
    plates = Plates()
    images, texts = {}, {}
    for letter in "OQI":
        designs = only(plates._designs, design, letter)
        images[letter] = np.empty((8, 90, 270, 3), np.uint8)
        labels = np.empty(8, np.int64)
        arguments = (np.uint64(4), np.uint64(3), np.uint64(0), designs)
        plate_loops.draw(*arguments, plates._bodies, images[letter])
        plate_loops.labels(*arguments, labels)
        texts[letter] = [text_of(label) for label in labels]
    assert all(set(text) <= set("O0123456789") for text in texts["O"])
    assert [text.replace("O", "I") for text in texts["O"]] == texts["I"]
    has_letters = "O" in texts["O"][0]
    far, near = (np.abs(images["O"].astype(int) - images[other]).mean() for other in "IQ")
    assert (far > 2 * near > 0) == has_letters
    assert ((images["O"] != images["I"]).any(axis=3).mean() < 0.35) or has_letters


def test_plates_lie_inside():
    numbers = sequence(np.uint64(0), np.uint64(3))
    for index in range(200):
        restart(numbers, np.uint64(index))
        width, height = _DESIGNS[index % len(_DESIGNS)][1].size
        view = plate_loops._look(width, height, numbers)
        corners = [plate_loops._project(x, y, view) for x in (0.0, width) for y in (0.0, height)]
        xs, ys = np.array(corners).T
        assert xs.min() > 2.9
        assert xs.max() < 267.1
        assert ys.min() > 2.9
        assert ys.max() < 87.1
        assert xs.max() - xs.min() > 100 or ys.max() - ys.min() > 60


def test_plates_are_neither_dark_nor_burnt():
    images = Plates().read(0, 300)
    means = images.mean(axis=(1, 2, 3))
    assert 15 < means.min() < means.max() < 245
    assert 80 < means.mean() < 150
    assert (images.std(axis=(1, 2, 3)) > 20).mean() > 0.95
    assert (images == 255).mean() < 0.03


# Text


def words(count):
    pieces = Text(size=16)._tables[1]
    numbers = sequence(np.uint64(1), np.uint64(2))
    restart(numbers, np.uint64(0))
    word = np.zeros(text_loops._WORD, np.int64)
    for _ in range(count):
        text_loops._make_word(text_loops.REGULAR, pieces, numbers, word)
        first = text_loops._LETTER
        yield "".join(text_loops.CHARACTERS[code] for code in word[first : first + word[0]])


def test_letters_are_as_frequent_as_in_english():
    # shares in per cent of e, t, a … z (Lewand, "Cryptological mathematics", 2000)
    english = {"e": 12.7, "t": 9.06, "a": 8.17, "o": 7.51, "i": 6.97, "n": 6.75, "s": 6.33, "h": 6.09}
    english |= {"r": 5.99, "d": 4.25, "l": 4.03, "c": 2.78, "u": 2.76, "m": 2.41, "w": 2.36, "f": 2.23}
    english |= {"g": 2.02, "y": 1.97, "p": 1.93, "b": 1.29, "v": 0.98, "k": 0.77, "j": 0.15, "x": 0.15}
    english |= {"q": 0.1, "z": 0.07}
    drawn = list(words(5000))
    letters = "".join(drawn).lower()
    found = [letters.count(letter) for letter in english]
    assert np.corrcoef(found, list(english.values()))[0, 1] > 0.95
    assert 4 < len(letters) / len(drawn) < 6
    assert any(word.isdigit() for word in drawn)
    assert any(word.istitle() for word in drawn)


def test_lines_fill_their_width():
    fonts_, pieces = Text(size=16)._tables
    numbers = sequence(np.uint64(5), np.uint64(2))
    restart(numbers, np.uint64(0))
    run, line = np.zeros(2, np.int64), np.zeros(text_loops._LINE, np.int64)
    word = np.zeros(text_loops._WORD, np.int64)
    lines, hyphens, remaining = 0, 0, 0
    for _ in range(2000):
        family = lines % len(_FAMILIES)
        width = 18.0 + lines % 20
        if remaining == 0 and word[0] == 0:
            remaining = 50
        remaining, used = text_loops._set_line(
            width, 0.27, remaining, family, fonts_, pieces, numbers, run, word, line
        )
        entries = line[2 : 2 + line[0]]
        spaces = int((entries == text_loops._SPACE).sum())
        assert spaces == line[1]
        printed = [entry for entry in entries if entry != text_loops._SPACE]
        advances = [fonts_.advances[fonts_.faces[family, entry >> 8], entry & 255] for entry in printed]
        assert sum(advances) == pytest.approx(used)
        assert used + 0.27 * spaces <= width + 1e-9 or spaces == 0
        hyphens += text_loops.CHARACTERS[entries[-1] & 255] == "-"
        lines += 1
    assert 0.1 < hyphens / lines < 0.6


def test_a_divided_word_keeps_its_letters():
    advances = np.ones((1, len(text_loops.CHARACTERS)))
    word, line = np.zeros(text_loops._WORD, np.int64), np.zeros(text_loops._LINE, np.int64)
    codes = [text_loops.CHARACTERS.index(letter) for letter in "pantograph"]
    word[0], word[1] = len(codes), 3
    word[4:7] = 3, 5, 7
    word[10 : 10 + len(codes)] = codes
    assert text_loops._divide(6.5, 0, advances, word, line) == 6.0
    read = "".join(text_loops.CHARACTERS[code] for code in line[2 : 2 + line[0]])
    rest = "".join(text_loops.CHARACTERS[code] for code in word[10 : 10 + word[0]])
    assert (read, rest) == ("panto-", "graph")
    assert word[1] == 1
    assert word[4] == 2
    assert text_loops._divide(2.0, 0, advances, word, line) == 0.0


def test_pages_are_dark_on_light():
    images = Text(size=256).read(0, 100)[..., 0]
    assert np.median(images, axis=(1, 2)).min() > 220
    shares = (images < 128).mean(axis=(1, 2))
    assert shares.max() < 0.3
    assert np.median(shares) > 0.04
    assert images.min(axis=(1, 2)).max() < 100


def test_pages_have_lines():
    """Sums of rows go up and down with lines of text: 13 to 36 pixels apart."""
    pitches = []
    for image in Text(size=256).read(0, 40)[..., 0].astype(float):
        rows = 255 - image.mean(axis=1)
        power = np.abs(np.fft.rfft((rows - rows.mean()) * np.hanning(256), 2048)) ** 2
        pitches.append(2048 / (30 + power[30:200].argmax()))
    assert (np.abs(np.array(pitches) - 24) < 13).mean() > 0.85


# Shapes


def power_spectrum(images):
    window = np.outer(np.hanning(images.shape[1]), np.hanning(images.shape[1]))
    spectra = [np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2 / image.var() for image in images]
    return np.mean(spectra, axis=0)


def test_shapes_have_the_statistics_of_natural_images():
    images = Shapes(mode="gray").read(0, 30)[..., 0].astype(float)
    power = power_spectrum(images)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 1 / 256), np.fft.fftfreq(256, 1 / 256)))
    bands = np.arange(4, 100)
    mean = [power[np.abs(frequency - band) < 0.5].mean() for band in bands]
    slope = np.polyfit(np.log(bands), np.log(mean), 1)[0]
    assert -2.4 < slope < -1.6
    for axis in (1, 2):
        steps = np.diff(images, axis=axis)
        kurtosis = (steps**4).mean(axis=(1, 2)) / (steps**2).mean(axis=(1, 2)) ** 2
        assert kurtosis.mean() > 6  # 3 for a Gaussian


def test_colours_go_together():
    images = Shapes(size=128).read(0, 40).reshape(-1, 3).astype(float)
    correlation = np.corrcoef(images.T)
    assert correlation.min() > 0.6
    assert correlation[0, 2] == correlation.min()
    assert (images == 255).mean() < 0.01
    assert (images == 0).mean() < 0.01
    assert 60 < images.mean() < 160


def test_gray_is_the_luminance():
    gray, colour = Shapes(4, size=64, mode="gray"), Shapes(4, size=64)
    assert gray.sha256 != colour.sha256
    rgb = colour.read(0, 10).astype(float)
    luminance = rgb @ [0.299, 0.587, 0.114]
    unclipped = rgb.max(axis=3) < 255
    assert np.abs(gray.read(0, 10)[..., 0] - luminance)[unclipped].max() <= 1.0


@given(st.floats(20, 2000), st.floats(1.5, 400))
def test_radii_follow_their_law(side, largest):
    """Those of leaves that meet the image: their density is r⁻³ (side + 2r)²."""
    r = np.linspace(1, largest, 7)
    mass = side * side * (1 - r**-2.0) / 2 + 4 * side * (1 - 1 / r) + 4 * np.log(r)
    count = 4000
    radii = np.sort([shape_loops._radius((k + 0.5) / count, side, largest) for k in range(count)])
    assert 1 <= radii[0] <= radii[-1] <= largest * (1 + 1e-9)
    np.testing.assert_allclose(np.searchsorted(radii, r) / count, mass / mass[-1], atol=4 / count)


@given(st.floats(2, 50), st.floats(0.4, 1), st.floats(0, 7), st.floats(0, 7))
def test_depth_in_an_ellipse(a, ratio, turn, t):
    b = ratio * a
    cosine, sine = math.cos(turn), math.sin(turn)
    shape = np.array([cosine, sine, 1 / a, 1 / b], np.float32)

    def depth(scale):
        u, v = scale * a * math.cos(t), scale * b * math.sin(t)
        return shape_loops._depth_in_oval(
            np.float32(u * cosine - v * sine), np.float32(u * sine + v * cosine), shape
        )

    assert abs(depth(1)) < 1e-3 * a
    assert depth(0.9) > 0 > depth(1.1)
    assert depth(0) == pytest.approx(a, rel=0.01)
    # near the edge it is the distance, to first order
    edge = 0.02
    normal = math.hypot(math.cos(t) / a, math.sin(t) / b)
    assert depth(1 - edge) == pytest.approx(edge / normal, rel=0.05)


@given(
    st.floats(2, 50), st.floats(0, 1), st.lists(st.floats(0, 0.999), min_size=8, max_size=8), st.floats(0, 7)
)
def test_depth_in_a_polygon(radius, turn, looks, t):
    sides = np.zeros((6, 3), np.float32)
    n = shape_loops._cut_polygon(radius, turn, np.array(looks), sides)
    assert n == 3 + int(4 * looks[4])
    np.testing.assert_allclose(np.hypot(sides[:n, 0], sides[:n, 1]), 1, atol=1e-6)

    def depth(r):
        return shape_loops._depth_in_polygon(
            np.float32(r * math.cos(t)), np.float32(r * math.sin(t)), n, sides
        )

    # its corners lie on a circle
    assert depth(0) <= radius
    assert depth(1.001 * radius) < 0
    assert depth(0.5 * radius) == pytest.approx(
        min(s[2] - 0.5 * radius * (s[0] * math.cos(t) + s[1] * math.sin(t)) for s in sides[:n]), abs=1e-4
    )


def test_grain_has_no_seams():
    grain = np.zeros((64, 64), np.float32)
    shape_loops.texture(np.uint64(0), grain)
    assert abs(grain.mean()) < 0.15
    assert 0.4 < grain.std() < 1.2
    for axis in (0, 1):
        inside = np.abs(np.diff(grain, axis=axis)).mean()
        across = np.abs(np.take(grain, 0, axis) - np.take(grain, -1, axis)).mean()
        assert across < 1.5 * inside
