"""Ten places painted with NumPy at any size: where the objects of a scene stand.

Everything is drawn from noise and gradients, so the same code serves 112-pixel training pictures and the
gallery's 512-pixel ones. Nothing here is one of the 175 nouns; what may look like one (hills, streaks in the sky,
stars) is never said to be missing, see `language.absent_noun`.
"""

import numpy as np
from PIL import Image

PLACES = ("snow", "beach", "grass", "night", "sunset", "room", "road", "sea", "desert", "plain")
# Places under the open sky can also be seen at night or at sunset.
OUTDOOR = ("snow", "beach", "grass", "road", "sea", "desert")
LIGHTS = ("day", "night", "sunset")


def paint(place: str, light: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Paint a place.

    Args:
        place: One of `PLACES`.
        light: "day", "night" or "sunset"; only the outdoor places change with it.
        size: Width and height in pixels.
        rng: Every choice is drawn from it: the same generator state gives the same picture.

    Returns:
        The picture, uint8 (size, size, 3), and the height of its horizon as a fraction of the picture
        from the top: objects stand below it.
    """
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    if place == "plain":
        picture, horizon = _plain(rows, columns, size, rng), 0.35
    elif place == "room":
        picture, horizon = _room(rows, columns, size, rng)
    else:
        if place in ("night", "sunset"):
            light = place
        horizon = float(rng.uniform(0.36, 0.52))
        sky = _sky(light, rows / horizon, columns, size, rng)
        # 0 at the horizon, 1 at the lower edge: how near a pixel of the ground is to the viewer.
        near = np.clip((rows - horizon) / (1 - horizon), 0, 1)
        ground = _GROUNDS[place](near, columns, size, rng)
        ground = _light(ground, light, near)
        edge = horizon + _ridge(columns[0], size, rng, _ROUGHNESS[place])
        picture = np.where((rows < edge)[..., None], sky, ground)
    return np.clip(picture * 255, 0, 255).astype(np.uint8), horizon


def unsettle(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a strong pattern over a place, so that what stands there is not known by the calm around it.

    Args:
        picture: uint8 (size, size, 3).

    Returns:
        A copy of it under blobs, stripes or checks of any colours, which hide 30 to 90% of it.
    """
    size = len(picture)
    if rng.random() < 0.6:
        cells = int(rng.integers(2, 12))
        pattern = 0.5 + 0.6 * np.stack([noise(size, cells, cells, rng, 2) for _ in range(3)], axis=-1)
    else:
        angle, width = rng.uniform(0, np.pi), rng.uniform(0.04, 0.2)
        rows, columns = np.arange(size)[:, None] / size, np.arange(size) / size
        bands = np.mod((rows * np.cos(angle) + columns * np.sin(angle)) / width, 2) < 1
        if rng.random() < 0.5:
            bands ^= np.mod((columns * np.cos(angle) - rows * np.sin(angle)) / width, 2) < 1
        pattern = np.where(bands[..., None], rng.random(3), rng.random(3))
    strength = rng.uniform(0.3, 0.9)
    mixed = picture * (1 - strength)
    mixed += pattern * (255 * strength)
    return np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)


def _colour(*levels: int) -> np.ndarray:
    return np.asarray(levels, np.float32) / 255


def _blend(low: np.ndarray, high: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Mix two colours, (3,) or (size, size, 3), by an amount of shape (size, size) from 0 to 1."""
    amount = np.clip(amount, 0, 1)[..., None]
    return low * (1 - amount) + high * amount


def noise(size: int, cells_x: int, cells_y: int, rng: np.random.Generator, octaves: int = 3) -> np.ndarray:
    """Smooth noise of shape (size, size), about zero and mostly between -1 and 1.

    Few cells make broad shapes; unequal numbers stretch them. Each octave halves the amplitude.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        shape = (min(cells_y << octave, size) + 1, min(cells_x << octave, size) + 1)
        grid = Image.fromarray(rng.normal(0, 0.5, shape).astype(np.float32))
        total += np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC)) / 2**octave
    return total


def _ridge(x: np.ndarray, size: int, rng: np.random.Generator, roughness: float) -> np.ndarray:
    """The line between sky and ground, as offsets (size,) from the horizon."""
    waves = sum(np.sin(x * rng.uniform(2, 9) + rng.uniform(0, 6.3)) / k for k in (1, 2, 3))
    return (roughness * waves).astype(np.float32)


def _sky(light: str, height: np.ndarray, columns: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Sky from the zenith (height 0) to the horizon (height 1)."""
    shift = rng.normal(0, 0.02, 3).astype(np.float32)
    if light == "night":
        sky = _blend(_colour(8, 12, 38) + shift, _colour(38, 52, 104) + shift, height)
        specks = rng.random((size, size)) > 1 - 0.9 / size**1.2
        return sky + specks[..., None] * rng.uniform(0.3, 0.8)
    if light == "sunset":
        sky = _blend(_colour(84, 58, 128) + shift, _colour(240, 110, 90) + shift, height * 1.5)
        sky = _blend(sky, _colour(255, 205, 110) + shift, (height - 0.55) * 2)
        streaks = noise(size, 2, 12, rng)
        glow = np.exp(-((columns - rng.uniform(0.2, 0.8)) ** 2) * 8 - (height - 1) ** 2 * 4)
        return _blend(sky, _colour(255, 150, 120), streaks * 0.35) + glow[..., None] * _colour(60, 45, 20)
    deep = _colour(*rng.integers((70, 130, 200), (125, 175, 245)))
    return _blend(deep, _colour(222, 238, 250) + shift, height * 0.9) + 0.02 * noise(size, 3, 8, rng)[..., None]


def _light(ground: np.ndarray, light: str, near: np.ndarray) -> np.ndarray:
    if light == "night":
        return ground * _colour(78, 92, 140)
    if light == "sunset":
        return ground * _blend(_colour(255, 178, 130), _colour(190, 120, 125), near)
    return ground


def _snow(near, columns, size, rng):
    drifts = noise(size, 3, 9, rng)
    return _blend(_colour(214, 226, 242), _colour(248, 250, 254), near * 0.8 + 0.35 * drifts)


def _beach(near, columns, size, rng):
    water = _blend(_colour(52, 132, 190), _colour(96, 196, 210), near * 4 + 0.3 * noise(size, 3, 24, rng))
    sand = _blend(_colour(232, 206, 154), _colour(247, 226, 180), near + 0.3 * noise(size, 6, 10, rng))
    sand += rng.normal(0, 0.015, (size, size, 1)).astype(np.float32)
    shore = rng.uniform(0.2, 0.38) + 0.035 * np.sin(columns * rng.uniform(4, 9) + rng.uniform(0, 6.3))
    foam = np.exp(-(((near - shore) / 0.025) ** 2))
    return _blend(np.where((near < shore)[..., None], water, sand), _colour(250, 252, 252), foam)


def _grass(near, columns, size, rng):
    tint = rng.normal(0, 0.03, 3).astype(np.float32)
    blades = noise(size, size // 3, size // 8, rng, octaves=1)
    ground = _blend(_colour(126, 178, 82) + tint, _colour(70, 138, 54) + tint, near * 0.8 + 0.25 * blades * near)
    ground = ground + 0.04 * noise(size, 3, 9, rng)[..., None]
    flowers = (rng.random((size, size)) > 1 - 0.35 / size) & (near > 0.1)
    return np.where(flowers[..., None], _colour(250, 240, 170), ground)


def _hills(near, columns, size, rng):
    tint = rng.normal(0, 0.04, 3).astype(np.float32)
    return _blend(_colour(120, 116, 110) + tint, _colour(92, 96, 84) + tint, near + 0.4 * noise(size, 3, 5, rng))


def _road(near, columns, size, rng):
    centre = rng.uniform(0.42, 0.58)
    verge = _blend(_colour(150, 176, 104), _colour(112, 148, 78), near + 0.3 * noise(size, 6, 12, rng))
    asphalt = _blend(_colour(134, 136, 142), _colour(92, 94, 100), near) + 0.025 * noise(size, 24, 24, rng)[..., None]
    # Perspective: the road and its markings widen towards the viewer.
    across = (columns - centre) / (0.10 + 0.62 * near)
    depth = 1 / (near + 0.12)
    dashes = (np.abs(across) < 0.022) & (np.mod(depth * 2.2 + rng.uniform(0, 1), 1) < 0.55)
    lines = dashes | (np.abs(np.abs(across) - 0.86) < 0.022)
    road = np.where(lines[..., None], _colour(240, 238, 226), asphalt)
    return np.where((np.abs(across) < 0.95)[..., None], road, verge)


def _sea(near, columns, size, rng):
    tint = rng.normal(0, 0.03, 3).astype(np.float32)
    waves = noise(size, 4, 30, rng) * (0.3 + near)
    water = _blend(_colour(64, 142, 196) + tint, _colour(18, 84, 150) + tint, near)
    return _blend(water, _colour(190, 226, 240), 0.42 * waves)


def _desert(near, columns, size, rng):
    crests = near * rng.uniform(5, 8) + 1.4 * np.sin(columns * rng.uniform(2, 5) + rng.uniform(0, 6.3))
    dunes = np.mod(crests, 1) ** 2
    sand = _blend(_colour(238, 190, 118), _colour(208, 146, 78), 0.75 * dunes)
    return sand + 0.02 * noise(size, 8, 40, rng)[..., None]


def _room(rows, columns, size, rng):
    horizon = float(rng.uniform(0.5, 0.62))
    wall_colour = _colour(*rng.integers((170, 170, 160), (245, 240, 235)))
    wall = np.broadcast_to(wall_colour, (size, size, 3)) * (1 - 0.12 * rows[..., None])
    if rng.random() < 0.5:  # striped wallpaper
        wall = wall * np.where(np.mod(columns * rng.integers(8, 16), 1) < 0.5, 1.0, 0.96)[..., None]
    left, top = rng.uniform(0.08, 0.62), rng.uniform(0.06, 0.14)
    across, down = (columns - left) / 0.3, (rows - top) / 0.26
    frame = (across > 0) & (across < 1) & (down > 0) & (down < 1)
    pane = (np.abs(across - 0.5) < 0.44) & (np.abs(down - 0.5) < 0.42) & (np.abs(across - 0.5) > 0.03)
    wall = np.where(frame[..., None], _colour(250, 250, 246), wall)
    wall = np.where(pane[..., None], _blend(_colour(150, 205, 240), _colour(215, 236, 248), down), wall)
    near = np.clip((rows - horizon) / (1 - horizon), 0, 1)
    wood = _colour(*rng.integers((150, 100, 60), (205, 160, 115)))
    planks = np.mod((columns - 0.5) / (0.35 + near) * 7, 1)
    floor = wood * (0.88 + 0.16 * near + 0.03 * noise(size, 3, 30, rng))[..., None]
    floor = np.where((planks < 0.05)[..., None], floor * 0.8, floor)
    picture = np.where((rows < horizon)[..., None], wall, floor)
    board = (rows > horizon - 0.03) & (rows < horizon)
    return np.where(board[..., None], _colour(246, 244, 238), picture), horizon


def _plain(rows, columns, size, rng):
    base = rng.uniform(0.55, 1.0, 3) if rng.random() < 0.75 else rng.uniform(0.1, 0.6, 3)
    if rng.random() < 0.25:
        base = np.ones(3) * rng.uniform(0.9, 1.0)
    base = base.astype(np.float32)
    slope = rng.uniform(-0.12, 0.12) * (rows - 0.5) + rng.uniform(-0.08, 0.08) * (columns - 0.5)
    return base + slope[..., None]


_GROUNDS = {"snow": _snow, "beach": _beach, "grass": _grass, "night": _hills, "sunset": _hills,
            "road": _road, "sea": _sea, "desert": _desert}
_ROUGHNESS = {"snow": 0.02, "beach": 0.0, "grass": 0.02, "night": 0.025, "sunset": 0.025,
              "road": 0.008, "sea": 0.0, "desert": 0.025}
