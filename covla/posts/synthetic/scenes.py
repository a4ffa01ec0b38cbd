"""One drawing per kind of place, and the generic ones that fit any place."""

from collections.abc import Callable

import cv2
import numpy as np

from covla.posts.synthetic.canvas import SIZE, Canvas


def _home(c: Canvas) -> None:
    wall = c.tint((225, 205, 175), 30)
    c.gradient(wall, wall)
    c.gradient((150, 105, 70), (120, 80, 50), 0.72, 1)
    x, cloth = c.between(0.08, 0.3), c.any_colour()
    c.oval(x + 0.28, 0.9, 0.36, 0.07, c.any_colour())
    c.rect(x, 0.5, 0.56, 0.2, cloth)
    c.rect(x - 0.05, 0.58, 0.1, 0.24, c.tint(cloth))
    c.rect(x + 0.51, 0.58, 0.1, 0.24, c.tint(cloth))
    c.rect(x + 0.04, 0.68, 0.48, 0.14, c.tint(cloth))
    for i in range(c.count(1, 3)):
        c.rect(x + 0.06 + 0.16 * i, 0.56, 0.12, 0.12, c.any_colour())
    lamp = c.between(0.8, 0.93)
    c.line((lamp, 0.4), (lamp, 0.82), (60, 50, 40), 3)
    c.poly([(lamp - 0.05, 0.28), (lamp + 0.05, 0.28), (lamp + 0.1, 0.42), (lamp - 0.1, 0.42)],
           c.tint((250, 230, 150)))  # fmt: skip
    c.rect(x + c.between(0, 0.25), c.between(0.12, 0.2), 0.24, 0.2, c.any_colour())


def _workplace(c: Canvas) -> None:
    c.gradient((205, 212, 218), (170, 178, 185))
    for i in range(3):
        c.rect(0.08 + 0.32 * i, c.between(0.03, 0.07), 0.2, 0.035, (250, 252, 255))
    desk = c.between(0.62, 0.7)
    c.rect(0, desk, 1, 0.06, c.tint((190, 160, 120)))
    c.rect(0.06, desk, 0.04, 0.4, (90, 90, 95))
    c.rect(0.9, desk, 0.04, 0.4, (90, 90, 95))
    x = c.between(0.08, 0.16)
    for _ in range(c.count(1, 2)):
        c.rect(x, desk - 0.32, 0.36, 0.25, (30, 32, 36))
        c.rect(x + 0.015, desk - 0.305, 0.33, 0.22, c.tint((60, 120, 190)))
        for row in range(6):
            end = c.between(0.1, 0.3)
            y = desk - 0.28 + 0.03 * row
            c.line((x + 0.03, y), (x + end, y), (225, 235, 245), 2)
        c.rect(x + 0.15, desk - 0.07, 0.06, 0.07, (40, 40, 44))
        x += 0.44
    c.rect(c.between(0.3, 0.5), desk - 0.025, 0.2, 0.025, (230, 230, 232))
    chair = c.between(0.3, 0.7)
    c.rect(chair - 0.11, desk + 0.06, 0.22, 0.2, c.tint((35, 35, 45), 15))
    c.line((chair, 0.9), (chair, 1), (30, 30, 30), 5)


def _school(c: Canvas) -> None:
    c.gradient((235, 228, 205), (215, 205, 180))
    y = c.between(0.08, 0.16)
    c.rect(0.08, y, 0.84, 0.42, c.tint((150, 110, 70)))
    c.rect(0.1, y + 0.02, 0.8, 0.38, c.tint((30, 75, 55), 18))
    for row in range(c.count(3, 5)):
        x = c.between(0.13, 0.3)
        marks = c.rng.normal(0, 0.012, 12)
        c.curve([(x + 0.04 * i, y + 0.08 + 0.065 * row + m) for i, m in enumerate(marks)],
                (235, 240, 235), 2)  # fmt: skip
    wood = c.tint((200, 150, 90))
    for row in range(2):
        for i in range(4):
            x, top = 0.04 + 0.25 * i - 0.03 * row, 0.66 + 0.18 * row
            c.rect(x, top, 0.18, 0.04, wood)
            c.line((x + 0.02, top), (x + 0.02, top + 0.12), (70, 70, 70), 2)
            c.line((x + 0.16, top), (x + 0.16, top + 0.12), (70, 70, 70), 2)
            if c.chance(0.5):
                c.rect(x + 0.05, top - 0.03, 0.08, 0.03, c.any_colour())


def _restaurant_cafe(c: Canvas) -> None:
    cloth = c.any_colour() if c.chance(0.5) else c.tint((120, 75, 45))
    c.gradient(cloth, cloth)
    for i in range(0, 10):
        c.line((0, 0.11 * i), (1, 0.11 * i), c.tint(cloth, 12), 2)
    for _ in range(c.count(1, 3)):
        x, y, r = c.between(0.2, 0.8), c.between(0.2, 0.8), c.between(0.17, 0.26)
        c.disc(x, y, r, (240, 240, 236))
        c.disc(x, y, r * 0.72, (222, 222, 218), 2)
        for _ in range(c.count(4, 8)):
            dx, dy = c.rng.normal(0, r * 0.28, 2)
            food = ((190, 60, 40), (90, 150, 50), (220, 170, 70), (130, 80, 40))[c.count(0, 3)]
            c.disc(x + dx, y + dy, r * c.between(0.14, 0.28), c.tint(food))
        c.line((x - r * 1.2, y - r), (x - r * 1.2, y + r), (200, 205, 210), 4)
        c.line((x + r * 1.2, y - r), (x + r * 1.2, y + r), (200, 205, 210), 4)
    x, y = c.between(0.15, 0.85), c.between(0.15, 0.85)
    c.disc(x, y, 0.1, (250, 250, 248))
    c.disc(x, y, 0.08, c.tint((85, 50, 25), 15))


def _shop(c: Canvas) -> None:
    c.gradient((240, 240, 238), (215, 215, 215))
    rows = c.count(3, 5)
    height = 0.9 / rows
    for row in range(rows):
        bottom = 0.06 + height * (row + 1)
        x = 0.03
        while x < 0.93:
            w, colour = c.between(0.05, 0.1), c.any_colour()
            for _ in range(c.count(1, 3)):
                h = height * c.between(0.55, 0.8)
                if x + w > 0.98:
                    break
                c.rect(x, bottom - h, w - 0.012, h, colour)
                c.rect(x + 0.01, bottom - h * 0.6, w - 0.03, h * 0.2, (245, 245, 240))
                x += w
            x += 0.004
        c.rect(0, bottom, 1, 0.025, c.tint((140, 140, 145), 12))
        for i in range(4):
            c.rect(0.08 + 0.25 * i, bottom, 0.07, 0.025, (250, 220, 40))


def _gym_sports(c: Canvas) -> None:
    grass = c.chance(0.6)
    base = (45, 140, 50) if grass else (190, 95, 55)
    for i in range(8):
        stripe = c.tint(base, 8) if i % 2 else tuple(int(v * 0.88) for v in base)
        c.rect(i / 8, 0, 1 / 8, 1, (stripe[0], stripe[1], stripe[2]))
    x, white = c.between(0.35, 0.65), (245, 248, 245)
    c.rect(0.06, 0.08, 0.88, 0.84, white, 3)
    c.line((x, 0.08), (x, 0.92), white, 3)
    c.disc(x, 0.5, c.between(0.13, 0.19), white, 3)
    c.rect(0.06, 0.3, 0.15, 0.4, white, 3)
    c.rect(0.79, 0.3, 0.15, 0.4, white, 3)
    teams = c.any_colour(), c.any_colour()
    for i in range(c.count(4, 8)):
        px, py = c.between(0.1, 0.9), c.between(0.25, 0.9)
        c.rect(px - 0.02, py - 0.08, 0.045, 0.07, teams[i % 2])
        c.disc(px, py - 0.1, 0.022, c.tint((200, 150, 120)))
    ball = c.between(0.2, 0.8), c.between(0.2, 0.8)
    c.disc(*ball, 0.04, (250, 250, 250) if grass else (235, 130, 30))
    c.disc(*ball, 0.016, (20, 20, 20))


def _museum_entertainment(c: Canvas) -> None:
    c.gradient((18, 10, 28), (40, 15, 40))
    glow = c.pixels.copy()
    for _ in range(c.count(3, 5)):
        x, foot = c.between(0.15, 0.85), c.between(0.1, 0.9)
        colour = c.any_colour()
        top, right, left = (x, 0.02), (foot + 0.11, 0.72), (foot - 0.11, 0.72)
        points = np.array([top, right, left]) * SIZE
        cv2.fillPoly(glow, [points.astype(np.int32)], colour)
    c.pixels = np.asarray(cv2.addWeighted(c.pixels, 0.4, glow, 0.6, 0), dtype=np.uint8)
    red = c.tint((150, 20, 35))
    for i in range(4):
        for side in (0.03 * i, 0.97 - 0.03 * i):
            c.rect(side, 0, 0.022, 0.75, c.tint(red, 14))
    c.rect(0, 0, 1, 0.07, red)
    c.rect(0, 0.7, 1, 0.05, c.tint((110, 75, 45)))
    for _ in range(c.count(1, 3)):
        c.person(c.between(0.25, 0.75), 0.71, c.between(0.25, 0.36))
    for row in range(2):
        for i in range(9):
            c.disc(0.06 + 0.115 * i + 0.05 * row, 0.86 + 0.1 * row + c.between(0, 0.03), 0.05,
                   (8, 6, 10))  # fmt: skip


def _transport(c: Canvas) -> None:
    c.gradient((175, 190, 205), (150, 155, 165))
    c.gradient((95, 92, 90), (70, 68, 66), 0.75, 1)
    top, paint = c.between(0.26, 0.36), c.any_colour()
    c.rect(0.04, top, 0.92, 0.42, paint)
    c.rect(0.04, top + 0.28, 0.92, 0.05, c.tint((240, 240, 240), 10))
    for i in range(5):
        c.rect(0.08 + 0.175 * i, top + 0.07, 0.13, 0.15, c.tint((60, 80, 100), 14))
        if c.chance(0.5):
            c.disc(0.145 + 0.175 * i, top + 0.17, 0.03, c.tint((200, 150, 120)))
    for x in (0.18, 0.3, 0.7, 0.82):
        c.disc(x, top + 0.44, 0.055, (25, 25, 28))
        c.disc(x, top + 0.44, 0.025, (150, 150, 155))
    for y in (0.86, 0.95):
        c.line((0, y), (1, y), (190, 190, 195), 3)
    for i in range(9):
        c.line((0.12 * i, 0.83), (0.12 * i - 0.04, 0.99), (60, 45, 35), 4)
    c.line((0, top - 0.12), (1, top - 0.12), (40, 40, 45), 2)


def _street_urban(c: Canvas) -> None:
    night = c.chance(0.35)
    c.gradient(
        (25, 28, 60) if night else (150, 180, 215), (80, 60, 90) if night else (210, 215, 220)
    )
    x = -0.05
    while x < 1:
        w, top = c.between(0.14, 0.26), c.between(0.1, 0.4)
        wall = c.tint((120, 100, 95), 45)
        c.rect(x, top, w, 0.76 - top, wall)
        glass = c.tint((250, 225, 130)) if night else c.tint((70, 90, 115))
        for row in range(int((0.7 - top) / 0.075)):
            for i in range(int(w / 0.055)):
                c.rect(x + 0.015 + 0.055 * i, top + 0.03 + 0.075 * row, 0.03, 0.04, glass)
        x += w + 0.005
    c.rect(0, 0.76, 1, 0.24, c.tint((70, 70, 74), 12))
    for i in range(6):
        c.rect(0.02 + 0.18 * i, 0.87, 0.1, 0.02, (240, 240, 235))
    for i in range(c.count(1, 3)):
        lamp = 0.15 + 0.3 * i
        c.line((lamp, 0.5), (lamp, 0.8), (35, 35, 35), 3)
        c.disc(lamp, 0.49, 0.025, (255, 240, 180))


def _nature_outdoors(c: Canvas) -> None:
    c.gradient((120, 175, 225), (210, 228, 235), 0, 0.6)
    for _ in range(c.count(1, 3)):
        x, peak = c.between(0.1, 0.9), c.between(0.12, 0.3)
        c.poly([(x - 0.4, 0.62), (x, peak), (x + 0.4, 0.62)], c.tint((110, 115, 120)))
        c.poly([(x - 0.07, peak + 0.085), (x, peak), (x + 0.07, peak + 0.085)], (240, 244, 248))
    c.gradient((70, 130, 55), (45, 100, 35), 0.58, 1)
    for depth in np.linspace(0.62, 0.95, c.count(7, 14)):
        x, h = c.between(0, 1), 0.2 + 0.25 * (float(depth) - 0.6)
        c.rect(x - 0.012, depth - 0.05, 0.024, 0.07, (85, 60, 35))
        green = c.tint((30, 90, 45), 22)
        for step in range(3):
            y = depth - 0.04 - h * 0.27 * step
            w = h * (0.42 - 0.1 * step)
            c.poly([(x - w, y), (x, y - h * 0.45), (x + w, y)], green)


def _beach_coast(c: Canvas) -> None:
    horizon, shore = c.between(0.3, 0.42), c.between(0.58, 0.68)
    c.gradient((90, 165, 230), (190, 220, 240), 0, horizon)
    c.gradient((20, 95, 150), (70, 185, 195), horizon, shore)
    c.gradient((240, 215, 165), (220, 185, 130), shore, 1)
    c.disc(c.between(0.1, 0.9), c.between(0.08, 0.2), 0.06, (255, 245, 190))
    for row in range(c.count(2, 4)):
        y = shore - 0.07 * row
        shift = c.between(0, 6)
        c.curve([(i / 20, y + 0.012 * np.sin(i * 0.9 + shift)) for i in range(21)],
                (240, 248, 250), 4 - min(row, 2))  # fmt: skip
    for _ in range(c.count(1, 3)):
        x, y = c.between(0.1, 0.9), c.between(shore + 0.12, 0.9)
        colour = c.any_colour()
        c.line((x, y - 0.2), (x + 0.03, y), (120, 90, 60), 3)
        c.poly([(x - 0.15, y - 0.17), (x - 0.08, y - 0.25), (x, y - 0.28), (x + 0.08, y - 0.25),
                (x + 0.15, y - 0.17)], colour)  # fmt: skip
        c.poly([(x - 0.05, y - 0.18), (x, y - 0.28), (x + 0.05, y - 0.18)], (245, 245, 240))
        c.rect(x - 0.02, y, 0.2, 0.05, c.any_colour())


def vague(c: Canvas) -> None:
    """An image that fits any place: bare sky, a blurred close-up, a portrait, lights."""
    kind = c.count(0, 3)
    c.gradient(c.any_colour(), c.any_colour())
    if kind == 1:
        for _ in range(c.count(3, 6)):
            c.disc(c.between(0, 1), c.between(0, 1), c.between(0.12, 0.35), c.any_colour())
        c.pixels = np.asarray(cv2.blur(c.pixels, (45, 45)), dtype=np.uint8)
    elif kind == 2:
        c.person(c.between(0.35, 0.65), c.between(1.3, 1.6), c.between(1.1, 1.5))
    elif kind == 3:
        for _ in range(c.count(8, 20)):
            c.disc(c.between(0, 1), c.between(0, 1), c.between(0.02, 0.07), c.any_colour())
        c.pixels = np.asarray(cv2.blur(c.pixels, (7, 7)), dtype=np.uint8)


SCENES: dict[str, Callable[[Canvas], None]] = {
    "home": _home,
    "workplace": _workplace,
    "school": _school,
    "restaurant_cafe": _restaurant_cafe,
    "shop": _shop,
    "gym_sports": _gym_sports,
    "museum_entertainment": _museum_entertainment,
    "transport": _transport,
    "street_urban": _street_urban,
    "nature_outdoors": _nature_outdoors,
    "beach_coast": _beach_coast,
}
