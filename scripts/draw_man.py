"""Paints Leo, a man who does not exist."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.painting import (
    SIZE,
    FloatImage,
    Layer,
    blob,
    draw_stroke,
    filled,
    mirrored,
    ramp,
    smooth,
    softened,
    stroked,
)
from scripts.portrait import Portrait
from scripts.portrait_parts import (
    Tones,
    lock_of_hair,
    paint_brows,
    paint_iris,
    paint_neck,
    paint_nostrils,
    paint_room,
    shade_below_hair,
)
from scripts.relief import Relief, Skin, lit, paired, shade

SKIN = Skin(base="d9a581", light="f3cba8", shade="b57d5c", deep="8a5540", blush="c97766")
HAIR = Tones(base="2e2320", dark="150f0e", light="51403a", shine="7d6a60")
BROWS = Tones(base="3a2a24", dark="1d1412", light="51403a", shine="51403a")
BROW = [(17, 201), (36, 197), (57, 195), (78, 205)]
FACE = [(256, 90), (302, 98), (331, 136), (340, 190), (338, 240), (332, 284), (315, 322)]
FACE += [(287, 346), (256, 352)]
RELIEF = Relief(
    centre=(256, 218),
    radii=(98, 150),
    depth=62,
    nose=(208, 273, 12.5, 17),
    bumps=[
        *paired(
            (42, 219, 26, 14, -8),
            (40, 200, 28, 8, 5),
            (56, 258, 24, 20, 5),
            (14, 273, 7, 6.5, 4.5),
            (38, 288, 9, 18, -1.6),
            (64, 318, 20, 20, 3),
        ),
        (256, 303, 36, 21, 5),
        (256, 290, 3.6, 7, -1.2),
        (256, 322, 20, 6, -2.2),
        (256, 340, 20, 12, 5),
        (256, 150, 60, 28, 3),
    ],
)


def paint() -> Portrait:
    """Paints every layer."""
    head, front = _head(), _hair_front()
    shade_below_hair(head, front, SKIN, down=5, blur=4, strength=0.5)
    return Portrait(
        background=paint_room("d5dcdb", "fdf6e8", "a3b0b3", "d8b48e"),
        hair_back=_hair_back(),
        body=_body(),
        head=head,
        brows=paint_brows(BROW, BROWS, thickness=9.5, seed=12),
        hair_front=front,
        iris=paint_iris("33484a", "7d9a92", "1d2a2c"),
    )


def _ear(side: int) -> NDArray[np.float64]:
    half = [(80, 214), (90, 206), (99, 212), (99, 232), (93, 252), (85, 264), (78, 258)]
    return smooth([(256 + side * x, y) for x, y in half], closed=True)


def _head() -> Layer:
    layer = Layer()
    for side in (-1, 1):
        layer.over(filled(_ear(side), blur=0.35), SKIN.base)
    layer.over(filled(smooth(mirrored(FACE), closed=True), blur=0.35), SKIN.base)
    for side, strength in ((-1, 0.3), (1, 0.26)):
        layer.onto(blob(256 + side * 56, 262, 18, 13, 13), SKIN.blush, strength)
    layer.onto(blob(256, 272, 13, 8, 7), SKIN.blush, 0.2)
    shade(layer, lit(RELIEF), SKIN)
    for side, strength in ((-1, 0.35), (1, 0.6)):
        layer.onto(
            filled(_ear(side)) * ramp(256 + side * 98, 256 + side * 84, axis=1), SKIN.deep, strength
        )
        rim = smooth([(256 + side * x, y) for x, y in ((86, 213), (94, 213), (94, 232), (88, 248))])
        layer.onto(stroked(rim, 3, blur=1.2), SKIN.light, 0.35)
        fold = smooth([(256 + side * x, y) for x, y in ((87, 220), (90, 230), (86, 242))])
        layer.onto(stroked(fold, 4, blur=1.6), SKIN.deep, 0.6)
    layer.onto(ramp(318, 354, axis=0), SKIN.shade, 0.4)
    for side in (-1, 1):
        layer.onto(blob(256 + side * 42, 209, 27, 6, 5), SKIN.deep, 0.32)
        layer.onto(blob(256 + side * 43, 239, 20, 3, 3.5), SKIN.deep, 0.24)
    paint_nostrils(layer, y=277.5, apart=8.2, size=5, deep=SKIN.deep, dark="4f2a20")
    layer.onto(blob(252, 266, 4.4, 3.6, 2.4), SKIN.light, 0.6)
    layer.onto(blob(250, 236, 2.4, 17, 2.8), SKIN.light, 0.35)
    _stubble(layer)
    return layer


def _stubble(layer: Layer) -> None:
    """Paints a three-day beard, thinner on the cheeks and below the corners of the lips."""
    cheek = [(90, 214), (84, 232), (78, 262), (62, 286), (40, 292), (24, 287), (10, 287), (0, 290)]
    jaw = [(0, 356), (34, 352), (64, 326), (82, 288), (89, 240)]
    area = np.zeros((SIZE, SIZE), np.float32)
    for side in (-1, 1):
        points = smooth([(256 + side * x, y) for x, y in cheek + jaw], closed=True)
        area = np.maximum(area, filled(points, blur=4.5))
    area *= filled(smooth(mirrored(FACE), closed=True), blur=1)
    area *= 1 - 0.75 * blob(256, 304, 30, 9, 4)
    for side in (-1, 1):
        area *= 1 - 0.45 * blob(256 + side * 20, 322, 9, 8, 5)
    layer.onto(area, "4a372f", 0.3)
    layer.onto(area * _hairs(), "241a17", 0.5)


def _hairs() -> FloatImage:
    random = np.random.default_rng(31)
    hairs = np.zeros((SIZE, SIZE), np.uint8)
    for x, y in zip(random.uniform(166, 346, 9000), random.uniform(210, 356, 9000), strict=True):
        lean = 0.35 * (x - 256) / 90 + random.normal(0, 0.25)
        length = random.uniform(1.4, 3.0)
        line = np.array([(x, y), (x + lean * length, y + length)])
        draw_stroke(hairs, line, random.uniform(0.3, 0.55), random.uniform(0.3, 0.9), taper=False)
    return softened(np.asarray(hairs / np.float32(255), np.float32), 0.2)


def _hair_back() -> Layer:
    layer = Layer()
    cap = [(256, 52), (310, 58), (346, 96), (352, 150), (347, 212), (334, 240), (256, 250)]
    layer.over(filled(smooth(mirrored(cap), closed=True), blur=0.6), HAIR.dark)
    return layer


def _hair_front() -> Layer:
    layer = Layer()
    for side, seed in ((-1, 40), (1, 41)):
        inner = [(256 + side * x, y) for x, y in ((66, 122), (79, 146), (81, 178), (83, 212))]
        outer = [(256 + side * x, y) for x, y in ((84, 86), (96, 118), (98, 165), (93, 216))]
        lock_of_hair(layer, inner, outer, HAIR, seed=seed, strands=260, shine_at=-1, loose=3)
    left = lock_of_hair(
        layer,
        [(208, 114), (192, 122), (180, 142), (176, 172)],
        [(222, 49), (184, 62), (161, 98), (160, 160)],
        HAIR,
        seed=42,
        strands=300,
        shine_at=0.35,
        loose=4,
    )
    right = lock_of_hair(
        layer,
        [(204, 116), (236, 108), (280, 110), (318, 126), (336, 160)],
        [(198, 58), (238, 46), (296, 44), (344, 76), (353, 150)],
        HAIR,
        seed=43,
        strands=620,
        wave=0.05,
        shine_at=0.32,
        loose=5,
    )
    hair = np.maximum(left, right)
    layer.onto(hair * ramp(318, 362, axis=1), HAIR.dark, 0.5)
    parting = smooth([(201, 74), (203, 94), (206, 114)])
    layer.onto(stroked(parting, 2.6, blur=1.2), HAIR.dark, 0.7)
    layer.onto(ramp(196, 222, axis=0), SKIN.shade, 0.35)
    return layer


def _body() -> Layer:
    neck = [(256, 300), (303, 300), (306, 350), (309, 380), (316, 398), (324, 416), (320, 500)]
    neck += [(256, 520)]
    layer = paint_neck(
        neck,
        SKIN,
        right=(262, 316, 0.65),
        left=(240, 200, 0.35),
        chin=(420, 336),
        under=(262, 342, 64, 46),
    )
    for side, strength in ((-1, 0.4), (1, 0.55)):
        muscle = smooth([(256 + side * 34, 376), (256 + side * 22, 406), (256 + side * 8, 430)])
        layer.onto(stroked(muscle, 8, blur=4), SKIN.shade, strength)
    layer.onto(blob(256, 392, 7, 9, 4), SKIN.light, 0.3)
    layer.onto(blob(256, 437, 5, 7, 3), SKIN.deep, 0.4)
    _pullover(layer)
    _collar(layer)
    return layer


def _pullover(layer: Layer) -> None:
    outline = [(256, 492), (300, 452), (322, 410), (350, 404), (398, 418), (448, 440), (482, 484)]
    outline += [(500, 560), (256, 560)]
    cloth = filled(smooth(mirrored(outline), closed=True), blur=0.3)
    layer.over(cloth, "4b5a4e")
    random = np.random.default_rng(5)
    knit = np.zeros((SIZE, SIZE), np.uint8)
    for x in np.arange(10, 502, 3.0):
        line = np.array([(x + random.normal(0, 0.2), 395.0), (x + (x - 256) * 0.06, 516.0)])
        draw_stroke(knit, line, 0.9, random.uniform(0.25, 0.5), taper=False)
    layer.onto(
        cloth * softened(np.asarray(knit / np.float32(255), np.float32), 0.35), "36433a", 0.55
    )
    layer.onto(cloth * ramp(330, 490, axis=1), "2b362e", 0.65)
    layer.onto(cloth * ramp(150, 20, axis=1), "2b362e", 0.4)
    layer.onto(cloth * blob(146, 440, 70, 18, 16, -0.3), "6d7d6c", 0.55)
    layer.onto(cloth * blob(356, 436, 50, 12, 12, 0.3), "6d7d6c", 0.3)
    for side in (-1, 1):
        fold = smooth([(256 + side * 160, 474), (256 + side * 166, 496), (256 + side * 162, 520)])
        layer.onto(cloth * stroked(fold, 6, blur=3.5), "242e27", 0.7)


def _collar(layer: Layer) -> None:
    """Paints a white shirt with an open collar below the pullover."""
    for side in (-1, 1):
        inside = [(10, 452), (40, 420), (54, 392), (72, 410), (56, 446), (0, 490), (0, 478)]
        points = np.array([(256 + side * x, y) for x, y in inside], float)
        layer.over(filled(points, blur=0.4), "d9dcdd")
    for side in (-1, 1):
        flap = [(46, 383), (56, 384), (72, 394), (88, 412), (84, 430), (58, 476), (36, 452)]
        flap += [(20, 466), (16, 458), (40, 420)]
        points = np.array([(256 + side * x, y) for x, y in flap], float)
        layer.onto(filled(points + np.array([side * 2.0, 4]), blur=4), "1f2822", 0.55)
        layer.over(filled(points, blur=0.5), "f4f3ef")
        tint = 0.35 if side < 0 else 0.65
        layer.onto(filled(points) * ramp(256 + side * 40, 256 + side * 92, axis=1), "c3c7ca", tint)
        roll = smooth([(256 + side * x, y) for x, y in ((50, 386), (70, 398), (84, 414))])
        layer.onto(filled(points) * stroked(roll, 8, blur=3), "ffffff", 0.8)
