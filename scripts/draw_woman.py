"""Paints Anima, a woman who does not exist."""

from __future__ import annotations

import numpy as np

from scripts.painting import (
    Layer,
    blob,
    filled,
    mirrored,
    ramp,
    smooth,
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

SKIN = Skin(base="efc3a6", light="ffe2cc", shade="d59d80", deep="ad6c55", blush="e98b7c")
HAIR = Tones(base="53321f", dark="2b1710", light="84532f", shine="c08a5c")
BROWS = Tones(base="573522", dark="2f1a10", light="84532f", shine="84532f")
BROW = [(19, 197.5), (36, 192), (55, 190.5), (76, 201)]
FACE = [(256, 92), (304, 104), (331, 146), (339, 194), (337, 236), (328, 276), (309, 311)]
FACE += [(284, 336), (256, 344)]
RELIEF = Relief(
    centre=(256, 214),
    radii=(95, 146),
    depth=62,
    nose=(212, 268, 11, 15),
    bumps=[
        *paired(
            (42, 221, 25, 15, -7),
            (40, 199, 26, 9, 3.5),
            (53, 262, 25, 22, 6),
            (12.5, 269, 6, 6, 4),
            (36, 284, 10, 16, -1.2),
        ),
        (256, 299, 34, 21, 6),
        (256, 286, 3.4, 7, -1.1),
        (256, 318, 20, 6, -1.9),
        (256, 333, 17, 12, 4),
        (256, 150, 60, 30, 3),
    ],
)


def paint() -> Portrait:
    """Paints every layer."""
    head, front = _head(), _hair_front()
    shade_below_hair(head, front, SKIN, down=6, blur=5, strength=0.55)
    return Portrait(
        background=paint_room("d9e3e6", "fffaf0", "a9bcc4", "e3b58f"),
        hair_back=_hair_back(),
        body=_body(),
        head=head,
        brows=paint_brows(BROW, BROWS, thickness=6.4, seed=9),
        hair_front=front,
        iris=paint_iris("4a2a19", "a86f3d", "2a150d"),
    )


def _head() -> Layer:
    layer = Layer()
    layer.over(filled(smooth(mirrored(FACE), closed=True), blur=0.35), SKIN.base)
    for side, strength in ((-1, 0.42), (1, 0.36)):
        layer.onto(blob(256 + side * 55, 262, 19, 13, 13), SKIN.blush, strength)
    layer.onto(blob(256, 268, 12, 8, 7), SKIN.blush, 0.22)
    layer.onto(blob(256, 334, 18, 7, 8), SKIN.blush, 0.16)
    shade(layer, lit(RELIEF), SKIN)
    layer.onto(ramp(312, 346, axis=0), SKIN.shade, 0.4)
    for side in (-1, 1):
        layer.onto(blob(256 + side * 43, 212, 27, 7, 5), "b5735c", 0.3)
        layer.onto(blob(256 + side * 43, 241, 19, 2.5, 3.5), SKIN.deep, 0.16)
    paint_nostrils(layer, y=273, apart=7.2, size=4.6, deep=SKIN.deep, dark="6d3328")
    layer.onto(blob(252.5, 263, 4, 3.4, 2.2), "fff0e2", 0.5)
    layer.onto(blob(250, 232, 2.2, 16, 2.6), "fff0e2", 0.25)
    return layer


def _hair_back() -> Layer:
    layer = Layer()
    right = [(250, 56), (326, 56), (372, 124), (380, 220), (390, 320), (392, 392), (370, 446)]
    left = [(512 - x, y) for x, y in right]
    deep = Tones(base="2f1a12", dark="1c0e0a", light="51301d", shine="51301d")
    lock_of_hair(layer, left, right, deep, seed=4, strands=420, shine_at=-1)
    return layer


def _hair_front() -> Layer:
    layer = Layer()
    inner = [(228, 106), (262, 116), (300, 143), (326, 184), (336, 234), (339, 290), (350, 345)]
    inner += [(350, 396), (330, 446)]
    outer = [(234, 46), (292, 42), (344, 70), (372, 128), (380, 215), (388, 290), (404, 350)]
    outer += [(402, 420), (362, 474)]
    right = lock_of_hair(
        layer, inner, outer, HAIR, seed=21, strands=520, wave=0.09, shine_at=0.24, loose=12
    )
    inner = [(231, 106), (213, 117), (190, 148), (177, 190), (172, 238), (171, 292), (163, 346)]
    inner += [(163, 398), (184, 448)]
    outer = [(242, 46), (194, 49), (154, 84), (136, 142), (130, 220), (123, 296), (106, 356)]
    outer += [(110, 422), (152, 472)]
    left = lock_of_hair(
        layer, inner, outer, HAIR, seed=22, strands=440, wave=-0.09, shine_at=0.24, loose=12
    )
    hair = np.maximum(right, left)
    layer.onto(hair * ramp(352, 420, axis=1), HAIR.dark, 0.45)
    layer.onto(hair * ramp(140, 100, axis=1), HAIR.dark, 0.2)
    layer.onto(hair * ramp(330, 470, axis=0), HAIR.dark, 0.3)
    parting = smooth([(237, 54), (231, 78), (229, 105)])
    layer.onto(stroked(parting, 3.2, blur=1.4), HAIR.dark, 0.7)
    return layer


def _body() -> Layer:
    neck = [(256, 300), (289, 306), (291, 350), (294, 378), (306, 396), (322, 412), (322, 500)]
    neck += [(256, 520)]
    layer = paint_neck(
        neck,
        SKIN,
        right=(264, 306, 0.6),
        left=(236, 212, 0.35),
        chin=(415, 330),
        under=(262, 335, 52, 44),
    )
    for side, strength in ((-1, 0.4), (1, 0.55)):
        muscle = smooth([(256 + side * 27, 372), (256 + side * 18, 402), (256 + side * 7, 424)])
        layer.onto(stroked(muscle, 7, blur=3.5), SKIN.shade, strength)
        bone = smooth([(256 + side * 9, 428), (256 + side * 34, 420), (256 + side * 66, 413)])
        layer.onto(stroked(bone, 5, blur=2.5), SKIN.light, 0.5)
        layer.onto(stroked(bone + np.array([0, 5]), 5, blur=2.6), SKIN.shade, 0.6)
    layer.onto(blob(256, 431, 5, 6, 3), SKIN.deep, 0.35)
    _blouse(layer)
    _jacket(layer)
    return layer


def _blouse(layer: Layer) -> None:
    top = [(256, 478), (300, 452), (316, 424), (324, 424), (340, 470), (340, 560), (256, 560)]
    cloth = filled(smooth(mirrored(top), closed=True))
    layer.over(cloth, "f3efe9")
    layer.onto(cloth * ramp(250, 330, axis=1), "c9c6c6", 0.6)
    layer.onto(cloth * ramp(236, 190, axis=1), "d6d3d1", 0.5)


def _jacket(layer: Layer) -> None:
    for side in (-1, 1):
        outline = [(52, 408), (84, 414), (130, 430), (172, 454), (196, 500), (204, 560), (20, 560)]
        outline += [(30, 520), (46, 470)]
        points = smooth([(256 + side * x, y) for x, y in outline], closed=True)
        cloth = filled(points, blur=0.3)
        layer.over(cloth, "2c4660")
        layer.onto(
            cloth * blob(256 + side * 118, 436, 60, 16, 14, side * 0.35),
            "4d6b88",
            0.6 if side < 0 else 0.35,
        )
        layer.onto(cloth * ramp(256 + side * 130, 256 + side * 215, axis=1), "1b2e42", 0.7)
        arm = smooth([(256 + side * 146, 470), (256 + side * 150, 495), (256 + side * 146, 520)])
        layer.onto(cloth * stroked(arm, 5, blur=3), "16273a", 0.7)
        lapel = [(50, 404), (70, 409), (96, 440), (88, 462), (98, 472), (62, 520), (26, 560)]
        lapel += [(16, 560), (34, 500), (46, 450)]
        points = smooth([(256 + side * x, y) for x, y in lapel], closed=True, steps=10)
        layer.onto(filled(points + np.array([side * 3.5, 3]), blur=3.5), "14243a", 0.6)
        layer.over(filled(points, blur=0.3), "345372")
        layer.onto(filled(points) * blob(256 + side * 66, 440, 20, 30, 12), "52728f", 0.5)
        edge = smooth(
            [(256 + side * x, y) for x, y in ((47, 412), (44, 460), (32, 510), (18, 556))]
        )
        layer.onto(stroked(edge, 1.6, taper=False, blur=0.6), "6d8ba6", 0.6)
