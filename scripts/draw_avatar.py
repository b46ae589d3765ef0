"""Paints the default avatar: a woman who does not exist, in layers, by code alone.

The mouth and the eyes are not painted here: the renderer draws them in every frame.

Run: python -m scripts.draw_avatar [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.painting import (
    SIZE,
    SUPERSAMPLING,
    FloatImage,
    Layer,
    Points,
    bgr,
    blob,
    draw_stroke,
    filled,
    mirrored,
    ramp,
    resampled,
    smooth,
    softened,
    stroked,
)

SKIN = "f2c6a8"
SKIN_SHADE = "d39a7c"
SKIN_DEEP = "b8755c"
SKIN_LIGHT = "ffe3cd"
BLUSH = "ee8f80"
HAIR = "50301f"
HAIR_DARK = "2c1813"
HAIR_LIGHT = "96603e"
CLOTH = "2f6f7b"
CLOTH_DARK = "1f4d58"
CLOTH_LIGHT = "4d93a0"


def lock_of_hair(
    layer: Layer, inner: Points, outer: Points, *, seed: int, strands: int = 90
) -> FloatImage:
    """Paints hair between two edges that both run from root to tip; returns its coverage."""
    a, b = smooth(inner, steps=30), smooth(outer, steps=30)
    n = 160
    a, b = (resampled(line, n) for line in (a, b))
    mask = filled(np.vstack([a, b[::-1]]))
    layer.over(mask, HAIR)
    random = np.random.default_rng(seed)
    t = np.linspace(0, 1, n)
    shades = {
        HAIR_DARK: np.zeros((SIZE, SIZE), np.uint8),
        HAIR_LIGHT: np.zeros((SIZE, SIZE), np.uint8),
    }
    for _ in range(strands):
        u = random.uniform(0.02, 0.98)
        bend = 0.03 * np.sin(2 * np.pi * (t * random.uniform(0.4, 1.1) + random.uniform()))
        w = np.clip(u + bend, 0, 1)[:, None]
        start, stop = sorted(random.integers(0, n, 2))
        colour = HAIR_LIGHT if random.uniform() < 0.5 else HAIR_DARK
        width, opacity = random.uniform(0.8, 2.2), random.uniform(0.15, 0.42)
        if stop - start >= 30:
            draw_stroke(shades[colour], (a * (1 - w) + b * w)[start:stop], width, opacity)
    for colour, shade in shades.items():
        layer.onto(mask * softened(np.asarray(shade / np.float32(255), np.float32), 0.25), colour)
    return mask


def paint_background() -> Layer:
    """A bright room, far out of focus."""
    layer = Layer()
    layer.over(np.ones((SIZE, SIZE), np.float32), "dfe9ee")
    layer.onto(ramp(0, 512, axis=0), "b9cdd6", 0.75)
    layer.onto(blob(120, 130, 150, 170, 60), "fff4e4", 0.85)
    layer.onto(blob(430, 330, 110, 170, 55), "9fb9c4", 0.55)
    layer.onto(blob(400, 90, 90, 70, 40), "f6dcc4", 0.5)
    layer.onto(blob(60, 420, 120, 110, 45), "a7c2c4", 0.5)
    return layer


def paint_hair_back() -> Layer:
    """The hair behind the neck."""
    layer = Layer()
    half = [(256, 64), (316, 72), (356, 118), (372, 190), (378, 270), (382, 340), (374, 396)]
    half += [(350, 424), (312, 428), (256, 424)]
    outline = filled(smooth(mirrored(half), closed=True))
    layer.over(outline, HAIR_DARK)
    layer.onto(ramp(300, 120, axis=0), HAIR, 0.5)
    random = np.random.default_rng(4)
    shade = np.zeros((SIZE, SIZE), np.uint8)
    for side in (-1, 1):
        for _ in range(80):
            x = random.uniform(24, 124)
            sway = random.uniform(-5, 5)
            line = [(256 + side * x * 0.95, 180), (256 + side * (x + 2 + sway), 290)]
            line.append((256 + side * x, 420))
            draw_stroke(shade, smooth(line), random.uniform(1, 2.4), random.uniform(0.1, 0.45))
    layer.onto(softened(np.asarray(shade / np.float32(255), np.float32), 0.3), HAIR)
    return layer


def paint_body() -> Layer:
    """Neck, shoulders and a pullover."""
    layer = Layer()
    neck = [(256, 300), (290, 306), (292, 350), (295, 384), (322, 404), (300, 446), (256, 462)]
    layer.over(filled(smooth(mirrored(neck), closed=True)), SKIN)
    layer.onto(ramp(268, 300, axis=1), SKIN_SHADE, 0.45)
    layer.onto(ramp(244, 216, axis=1), SKIN_SHADE, 0.30)
    layer.onto(blob(256, 346, 62, 26, 9), SKIN_DEEP, 0.62)
    layer.onto(stroked(smooth([(238, 408), (250, 424), (254, 436)]), 5, blur=2), SKIN_SHADE, 0.55)
    layer.onto(stroked(smooth([(274, 408), (262, 424), (258, 436)]), 5, blur=2), SKIN_SHADE, 0.45)
    shoulders = [(256, 452), (290, 444), (314, 418), (330, 402), (366, 420), (412, 440), (442, 474)]
    shoulders += [(456, 530), (440, 560), (256, 560)]
    cloth = filled(smooth(mirrored(shoulders), closed=True))
    layer.over(cloth, CLOTH)
    layer.onto(cloth * ramp(300, 440, axis=1), CLOTH_DARK, 0.6)
    layer.onto(cloth * ramp(196, 60, axis=1), CLOTH_DARK, 0.35)
    layer.onto(cloth * blob(170, 452, 50, 16, 12, -0.45), CLOTH_LIGHT, 0.6)
    layer.onto(cloth * blob(330, 446, 40, 10, 10, 0.4), CLOTH_LIGHT, 0.25)
    for side in (-1, 1):
        fold = smooth([(256 + side * 118, 470), (256 + side * 128, 492), (256 + side * 126, 516)])
        layer.onto(cloth * stroked(fold, 5, blur=2.5), CLOTH_DARK, 0.8)
    collar = smooth(
        [(180, 406), (198, 424), (224, 446), (256, 455), (288, 446), (314, 424), (332, 406)]
    )
    layer.onto(stroked(collar + np.array([0, -3]), 12, taper=False, blur=5), SKIN_DEEP, 0.35)
    layer.over(stroked(collar, 11, taper=False), CLOTH_LIGHT)
    layer.onto(stroked(collar + np.array([0, 4.5]), 2.5, taper=False, blur=0.8), CLOTH_DARK, 0.8)
    layer.onto(stroked(collar + np.array([0, -3.5]), 2, taper=False, blur=0.6), "7fb9c2", 0.6)
    return layer


FACE = [(256, 94), (304, 106), (332, 146), (341, 196), (338, 240), (329, 280), (311, 312)]
FACE += [(284, 336), (256, 343)]


def paint_head() -> Layer:
    """The face without eyes, brows and mouth."""
    layer = Layer()
    face = filled(smooth(mirrored(FACE), closed=True))
    layer.over(face, SKIN)
    inside = filled(smooth(mirrored(FACE), closed=True) * 0.9 + np.array([25.6, 20]), blur=16)
    layer.onto(1 - inside, SKIN_SHADE, 0.55)
    layer.onto(ramp(290, 345, axis=1), SKIN_SHADE, 0.38)
    layer.onto(blob(236, 158, 52, 26, 16), SKIN_LIGHT, 0.55)
    for side, strength in ((-1, 0.34), (1, 0.30)):
        layer.onto(blob(256 + side * 50, 266, 18, 12, 13), BLUSH, strength)
        layer.onto(blob(256 + side * 50, 250, 20, 8, 6, side * 0.3), SKIN_LIGHT, 0.35)
        layer.onto(blob(256 + side * 42, 211, 31, 11, 6), SKIN_SHADE, 0.42)
        layer.onto(blob(256 + side * 42, 243, 20, 3, 4), SKIN_SHADE, 0.22)
    paint_nose(layer)
    layer.onto(blob(256, 287, 4, 7, 2.4), SKIN_SHADE, 0.34)
    layer.onto(blob(253, 330, 15, 7, 6), SKIN_LIGHT, 0.4)
    layer.onto(blob(256, 128, 90, 16, 14), SKIN_DEEP, 0.30)
    return layer


def paint_nose(layer: Layer) -> None:
    """Light from the left: the right side of the nose lies in shade."""
    ridge = [(262, 214), (266, 238), (270, 258), (272, 270), (262, 274), (258, 250), (258, 222)]
    layer.onto(filled(smooth(ridge, closed=True), blur=4), SKIN_SHADE, 0.62)
    layer.onto(
        filled(smooth([(249, 210), (255, 210), (257, 260), (249, 260)], closed=True), blur=3),
        SKIN_LIGHT,
        0.5,
    )
    layer.onto(blob(256, 277, 16, 4.5, 3), SKIN_DEEP, 0.45)
    layer.onto(blob(254, 265, 7, 6, 3), SKIN_LIGHT, 0.6)
    for side in (-1, 1):
        wing = smooth([(256 + side * 15, 262), (256 + side * 18.5, 270), (256 + side * 13, 276.5)])
        layer.onto(stroked(wing, 2.6, blur=0.9), SKIN_DEEP, 0.55)
        layer.onto(blob(256 + side * 8, 276, 4.6, 1.9, 0.8, -side * 0.25), "7d3f33", 0.75)


def paint_brows() -> Layer:
    """Both eyebrows, drawn hair by hair."""
    layer = Layer()
    random = np.random.default_rng(9)
    for side in (-1, 1):
        spine = smooth(
            [(256 + side * x, y) for x, y in ((20, 197.5), (37, 192.5), (56, 193), (73, 203))]
        )
        spine = resampled(spine, 60)
        layer.over(stroked(spine, 5.6, blur=0.9), HAIR, 0.5)
        for i in range(2, 56):
            u = i / 60
            x, y = spine[i] + random.uniform(-0.8, 0.8, 2)
            length = 6.5 * (1 - 0.45 * u)
            angle = -1.15 + 1.25 * u
            tip = (x + side * length * np.cos(angle), y + length * np.sin(angle) * 0.75)
            hair = smooth([(x, y + 1.8 * (1 - u)), tip])
            layer.over(stroked(hair, 1.0, blur=0.25), HAIR_DARK, 0.34)
    return layer


def paint_hair_front() -> Layer:
    """Long hair with a side parting that frames the face."""
    layer = Layer()
    right = lock_of_hair(
        layer,
        [
            (230, 98),
            (258, 116),
            (300, 146),
            (328, 188),
            (337, 234),
            (337, 290),
            (332, 350),
            (330, 400),
            (316, 448),
        ],
        [
            (228, 60),
            (292, 52),
            (348, 82),
            (376, 138),
            (385, 220),
            (391, 300),
            (394, 366),
            (372, 426),
            (326, 452),
        ],
        seed=21,
        strands=300,
    )
    left = lock_of_hair(
        layer,
        [
            (232, 98),
            (212, 116),
            (189, 148),
            (177, 188),
            (173, 236),
            (176, 292),
            (181, 352),
            (182, 400),
            (196, 446),
        ],
        [
            (234, 60),
            (190, 58),
            (152, 88),
            (132, 142),
            (125, 220),
            (120, 300),
            (117, 366),
            (140, 424),
            (186, 450),
        ],
        seed=22,
        strands=260,
    )
    hair = np.maximum(right, left)
    shine = blob(300, 128, 66, 12, 9, 0.55) + 0.9 * blob(176, 138, 40, 11, 9, -0.8)
    layer.onto(hair * np.minimum(shine, 1), "b98055", 0.42)
    layer.onto(hair * ramp(360, 400, axis=1), HAIR_DARK, 0.5)
    layer.onto(hair * ramp(150, 112, axis=1), HAIR_DARK, 0.3)
    layer.onto(hair * ramp(330, 440, axis=0), HAIR_DARK, 0.25)
    parting = smooth([(230, 66), (230, 82), (231, 98)])
    layer.onto(stroked(parting, 2.4, blur=0.9), HAIR_DARK, 0.75)
    return layer


def paint_hair_shadow(head: Layer, hair: Layer) -> None:
    """The hair's soft shadow on the face."""
    shifted = np.roll(hair.alpha, (5 * SUPERSAMPLING, 0), (0, 1))
    head.onto(softened(shifted, 5), SKIN_DEEP, 0.5)


def paint_iris() -> NDArray[np.uint8]:
    """One iris with pupil, 128 x 128, BGRA; the light in it is the renderer's."""
    side = 512
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    dx, dy = (x - side / 2) / (side / 2), (y - side / 2) / (side / 2)
    r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    fibres = 0.5 + 0.5 * np.sin(angle * 37 + 3 * np.sin(angle * 11))
    glow = np.clip(0.35 + 0.55 * dy, 0, 1)
    colour = (
        bgr("5a3420") + (bgr("b57a45") - bgr("5a3420")) * (glow * (0.7 + 0.3 * fibres))[..., None]
    )
    colour *= (1 - 0.75 * np.clip((r - 0.74) / 0.22, 0, 1))[..., None]
    colour *= np.clip((r - 0.36) / 0.07, 0.06, 1)[..., None]
    pixels = np.dstack([colour, np.clip((0.97 - r) / 0.03, 0, 1)])
    return cv2.resize(
        (pixels * 255).astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA
    ).astype(np.uint8)


def main(folder: Path) -> None:
    """Writes every layer into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    head, hair_front = paint_head(), paint_hair_front()
    paint_hair_shadow(head, hair_front)
    paint_background().save(folder / "background.png", opaque=True)
    layers = {"hair_back": paint_hair_back(), "body": paint_body(), "head": head}
    layers |= {"brows": paint_brows(), "hair_front": hair_front}
    for name, layer in layers.items():
        layer.save(folder / f"{name}.png")
    cv2.imwrite(str(folder / "iris.png"), paint_iris())


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "personas" / "anima" / "avatar"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
