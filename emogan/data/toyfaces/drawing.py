"""How a face is drawn: soft shapes over a batch of frames, layer upon layer from the background to the hair."""

import numpy as np

from emogan.data import dataset
from emogan.data.toyfaces import scene as toyfaces_scene


def draw(identities: np.ndarray, expressions: np.ndarray, spec: dataset.ImageSpec = dataset.FER2013) -> np.ndarray:
    """Returns faces without pixel noise, float32 [N, S, S(, 3)] in [0, 1]; arguments as in `toyfaces.render`."""
    scene = toyfaces_scene.Scene(identities, expressions, spec)
    _background(scene)
    _long_hair(scene)
    _body(scene)
    _head(scene)
    _relief(scene)
    _beard(scene)
    _nose(scene)
    _mouth(scene)
    _eyes(scene)
    _brows(scene)
    _glasses(scene)
    _hair(scene)
    return scene.developed()


def _bump(x, y):
    """A soft round spot: 1 in the middle, 0 from the unit circle on."""
    spot = np.maximum(1 - x * x - y * y, 0)
    return spot * spot


def _wave(x):
    """Much like a sine: 1 at whole numbers, 0 half-way between."""
    part = np.abs(2 * (x - np.floor(x)) - 1)
    return part * part * (3 - 2 * part)


def _background(s):
    t = s.t
    s.image[:] = s.tinted(t.background + t.background_x * s.frame_x + t.background_y * s.frame_y, "background")


def _hair_presence(t):
    return toyfaces_scene.ramp(t.hair_amount, 0.06, 0.10)


def _hair_length(t):
    """0: short; 1: over the shoulders. Mostly a matter of femininity, not only."""
    return toyfaces_scene.ramp(0.65 * t.femininity + 0.6 * t.hair_length, 0.45, 0.95) * _hair_presence(t)


def _outer_hair(s, reach):
    """Distance to the outline of the hair, which goes `reach` below the middle of the head."""
    t = s.t
    width = t.head_width + 0.5 * t.hair_volume + 0.02
    height = 1.0 + t.hair_volume
    v = s.head_v + 0.1
    y = np.maximum(v, 0) / reach + np.minimum(v, 0) / (height - 0.1)
    x = s.head_u / width
    return (x * x + y * y - 1) * 0.42


def _long_hair(s):
    t = s.t
    length = _hair_length(t)
    hair = s.cover(_outer_hair(s, 0.6 + 1.5 * length) - 0.10 * length) * np.clip(3 * length, 0, 1)
    s.paint(0.75 * s.hair, hair, tint="hair")


def _body(s):
    t = s.t
    # The body stands still while the head moves on it.
    x = s.frame_x - t.shift_x - 0.5 * s.e.head_x
    y = s.frame_y - t.shift_y - 0.3 * s.e.head_y
    neck = s.cover(np.abs(x) - 0.43 + 0.08 * t.femininity) * s.cover(0.5 - y)
    shade = 0.62 + 0.5 * t.light_x * x
    s.paint(t.skin * shade, neck, tint="skin")
    shoulders = s.cover(0.98 - y + 0.35 * np.maximum(np.abs(x) - 0.35, 0) - 0.12 * np.abs(x))
    s.paint(t.clothes * (0.9 + t.light_x * x), shoulders, tint="clothes")


def _head(s):
    t, e = s.t, s.e
    below = np.maximum(s.head_v, 0) / (t.chin + e.jaw)
    y = below + np.minimum(s.head_v, 0) / 0.98
    taper = t.jaw_taper + 0.08 * t.femininity
    x = s.head_u / ((t.head_width + 0.015 * e.cheek) * (1 - taper * below))
    x2, y2 = x * x, y * y
    radius = x2 + y2
    # From an ellipse towards a box: the crown hardly, the jaw more.
    square = 0.1 + (t.jaw_square * (1 - 0.5 * t.femininity) - 0.1) * np.minimum(4 * below, 1)
    s.skin = s.cover((radius + square * (x2 * x2 + y2 * y2 - radius) - 1) * 0.40)
    # Light falls from a side and from above; a raised head catches more of it, a bowed one less.
    light = 1.08 + t.light_x * (x + 0.25 * s.yaw) + t.light_y * y - 0.16 * s.pitch - 0.24 * np.minimum(radius, 1.3)
    ears = s.cover(np.sqrt((np.abs(s.head_u) - t.head_width - 0.01) ** 2 + 0.35 * (s.v - 0.02) ** 2) - 0.095)
    s.paint(t.skin * 0.8 * np.clip(light + 0.25, 0.3, 1.3), ears * (0.4 + 0.6 * t.ears), tint="skin")
    s.paint(t.skin * np.clip(light, 0.25, 1.4), s.skin, tint="skin")


def _relief(s):
    """Sockets, cheeks, folds and wrinkles: soft shadows on the skin."""
    t, e = s.t, s.e
    strength = 0.26 + 0.20 * t.age
    # Forehead: wrinkles across it, a furrow between the brows, the shadow of the sockets.
    where = s.window(0.62, -0.70, 0.08)
    u, v, side = s.u[where], s.v[where], np.abs(s.u[where])
    shadow = 0.20 * _bump((side - t.eye_spacing + 0.05) / 0.25, (v - t.eye_height + 0.03) / 0.17)
    between = np.maximum(1 - np.abs(side - 0.055) / 0.045, 0)
    shadow += (strength + 0.2) * e.furrow * between * _bump(0.0, (v - t.eye_height + 0.17) / 0.17)
    lines = _wave((v + 0.12 * u * u) / 0.11)
    shadow += strength * (e.wrinkled_forehead + 0.15 * t.age) * lines * _bump(u / 0.45, (v + 0.52) / 0.16)
    s.shade(shadow * s.skin[where], where)
    # Cheeks, which AU6 lifts and rounds; nasolabial folds, from the wings of the nose around the mouth.
    where = s.window(0.64, -0.06, 0.70)
    v, side = s.v[where], np.abs(s.u[where])
    shadow = -(0.05 + 0.10 * e.cheek) * _bump((side - 0.40) / 0.23, (v - 0.24 + 0.05 * e.cheek) / 0.18)
    shadow += 0.20 * e.cheek * _bump((side - 0.37) / 0.22, (v - t.eye_height - 0.155) / 0.05)
    fold = np.maximum(1 - np.abs(side - 0.06 - 0.5 * v - 0.10 * e.fold) / 0.06, 0)
    fold *= toyfaces_scene.ramp(v, 0.16, 0.26) * toyfaces_scene.ramp(v, 0.68, 0.50)
    shadow += (strength + 0.12) * (0.15 * t.age + e.fold) * fold
    s.shade(shadow * s.skin[where], where)
    # Under the lower lip, and the chin that AU17 pushes up and wrinkles.
    lip_v = t.mouth_height + e.mouth_y + e.lower_open + 0.17
    where = s.window(0.22, lip_v - 0.08, lip_v + 0.24)
    u, v = s.u[where], s.v[where]
    shadow = (0.16 + 0.22 * e.chin_boss) * _bump(u / 0.20, (v - lip_v) / 0.07)
    shadow -= (0.06 + 0.12 * e.chin_boss) * _bump(u / 0.20, (v - lip_v - 0.13) / 0.10)
    s.shade(shadow * s.skin[where], where)


def _beard_strength(t):
    return toyfaces_scene.ramp(t.beard, 0.62, 0.95) * (1 - toyfaces_scene.ramp(t.femininity, 0.40, 0.50))


def _beard(s):
    t, e = s.t, s.e
    where = s.window(0.9, 0.15, 1.15)
    u, v = s.u[where], s.v[where]
    mouth_v = t.mouth_height + e.mouth_y
    line = v - (0.40 - 0.55 * np.maximum(np.abs(u) - 0.35, 0) + 0.1 * (1 - t.moustache))
    # Bare skin around the lips, or moustache and beard in one.
    bare = _bump(u / 0.40, (v - mouth_v - 0.4 * e.lower_open) / (0.24 + e.lower_open)) * 0.9
    beard = np.clip(line / 0.16, 0, 1) * (1 - bare) * _beard_strength(t)
    tone = 0.85 * s.hair * (0.95 + 0.7 * t.light_x * u)
    s.paint(tone, 0.82 * beard * s.skin[where], where, "hair")


def _nose(s):
    t, e = s.t, s.e
    where = s.window(0.34, -0.3, 0.45)
    u, v = s.u[where], s.v[where]
    tip = t.eye_height + t.nose_length - e.nose_rise
    width = t.nose_width + e.nostrils
    along = toyfaces_scene.ramp(v, t.eye_height - 0.12, tip) * (1 - toyfaces_scene.ramp(v, tip, tip + 0.07))
    # A ridge with a bright back; the side away from the light is dark.
    ridge = np.maximum(1 - np.abs(u) / 0.075, 0) * along
    flank = np.maximum(1 - np.abs(np.abs(u) - 0.4 * width - 0.055) / 0.07, 0) * along
    dark_side = np.clip(0.16 - 0.9 * t.light_x * np.sign(u), 0, 0.5)
    shadow = dark_side * flank - 0.13 * ridge
    shadow += 0.30 * _bump(u / (width * 1.15), (v - tip - 0.03) / 0.065)
    shadow += 0.45 * _bump((np.abs(u) - 0.62 * width) / 0.065, (v - tip - 0.015) / 0.05)
    shadow += 0.20 * _bump((np.abs(u) - width) / 0.05, (v - tip + 0.04) / 0.08)
    wrinkles = _wave(v / 0.2)
    shadow += (0.36 + 0.20 * t.age) * e.wrinkled_nose * wrinkles * _bump(u / 0.17, v / 0.20)
    s.shade(shadow, where)


def _mouth(s):
    t, e = s.t, s.e
    mouth_v = t.mouth_height + e.mouth_y
    where = s.window(0.70, mouth_v - 0.34, mouth_v + 0.55)
    u, v = s.u[where], s.v[where]
    across = u / (t.mouth_width + e.mouth_width)
    x2 = across * across
    # The corners go where AU12 and AU15 pull them, the middle the other way by a third.
    corner = t.mouth_curve + e.corner
    y = v - mouth_v - corner * (np.minimum(x2, 1.7) - 0.33) - t.mouth_skew * across
    arch = 1 - x2 + np.maximum(e.square, e.round) * (x2 - x2 * x2)
    # Beyond the corners the curves have crossed, and half a pixel of softness would still show a line.
    ends = toyfaces_scene.ramp(x2, 1.2, 1.0)
    gap = 0.012
    top = -(gap + e.upper_open) * arch - e.lip_raise * np.minimum(arch, 1)
    bottom = (gap + e.lower_open) * arch - 0.7 * e.lip_raise * np.minimum(arch, 1)
    lip = t.lips * (0.85 + 0.3 * t.femininity) * (1 - 0.75 * e.thin_lips)
    bow = lip * (0.75 * arch - 0.25 * np.maximum(1 - np.abs(across) / 0.25, 0))
    tone = t.skin * t.lip_tone * (0.92 - 0.22 * t.femininity) * (0.95 + 0.5 * t.light_x * u)
    upper = s.cover(np.maximum(top - bow - y, y - top)) * ends
    lower = s.cover(np.maximum(bottom - y, y - bottom - 1.15 * lip * arch)) * ends
    s.paint(0.82 * tone, upper * (0.55 + 0.35 * t.femininity), where, "lips")
    s.paint(1.12 * tone, lower * (0.55 + 0.35 * t.femininity), where, "lips")
    # The moustache lies on the upper lip.
    hair_v = mouth_v - 0.10 - 0.5 * e.upper_open - e.lip_raise
    shape = np.abs(v - hair_v - 0.45 * np.minimum(u * u, 0.2) - 0.3 * e.corner * x2) - 0.06 * (1 - 0.35 * x2)
    moustache = s.cover(np.maximum(shape, np.abs(u) - 0.30)) * toyfaces_scene.ramp(t.moustache, 0.70, 0.85)
    s.paint(0.8 * s.hair, 0.8 * moustache * toyfaces_scene.ramp(0.5 * (1 - t.femininity), 0.24, 0.3), where, "hair")
    # The line between the lips is never open wider than a pixel's blur would show, so it is also drawn when shut.
    inside = s.cover(np.maximum(top - y, y - bottom)) * ends
    closed = s.cover(np.abs(y - top) - 0.018) * np.clip(1.15 - x2, 0, 1)
    s.paint(0.30 * t.skin, 0.75 * np.clip(4 * closed, 0, 1) * (1 - inside), where, "lips")
    s.paint(0.05 + 0.10 * t.skin, inside, where, "lips")
    opening = toyfaces_scene.ramp(e.upper_open + e.lower_open, 0.03, 0.09)
    teeth = s.cover(np.maximum(top + 0.008 - y, y - top - 0.035 - 0.075 * e.teeth * arch)) * inside
    s.paint(0.85 * (0.95 + 0.3 * t.light_x * u), teeth * np.clip(0.35 + 0.8 * e.teeth, 0, 1) * opening, where)
    under = s.cover(np.maximum(bottom - 0.055 * arch - y, y - bottom + 0.012)) * inside * e.square * e.teeth
    s.paint(0.70, 0.8 * under * opening, where)
    tongue = _bump(across / 0.7, (y - bottom) / 0.11) * inside
    s.paint(0.42 * t.skin + 0.08, 0.8 * tongue * (1 - e.square) * opening, where, "lips")


def _eyes(s):
    t, e = s.t, s.e
    where = s.window(0.68, t.eye_height - 0.26, t.eye_height + 0.20)
    u, v = s.u[where], s.v[where]
    side = np.abs(u)
    x, y = side - t.eye_spacing, v - t.eye_height
    across = x / t.eye_width
    y = y + t.eye_tilt * x
    x2 = across * across
    arch = 1 - x2
    top = -np.maximum(t.eye_opening + e.upper_lid, 0.0) * arch
    bottom = np.maximum(0.72 * t.eye_opening + e.lower_lid, 0.008) * arch
    top = np.minimum(top, bottom)
    opening = s.cover(np.maximum(top - y, y - bottom)) * np.clip(1.3 - x2, 0, 1)
    white = np.minimum(0.35 + 0.62 * t.skin, 0.9) * (0.95 + 0.3 * t.light_x * u)
    s.paint(white, opening, where)
    iris_x = x - t.gaze * np.sign(u) * 0.8 - 0.02 * s.yaw * np.sign(u)
    distance = np.sqrt(iris_x * iris_x + (y + 0.015) ** 2)
    s.paint(t.iris, s.cover(distance - 0.078) * opening, where, "iris")
    s.paint(0.03, s.cover(distance - 0.040) * opening, where)
    s.paint(0.95, 0.7 * _bump((x - 0.025 * np.sign(u)) / 0.05, (y + 0.05) / 0.05) * opening, where)
    # Lashes along the upper lid, the crease above it, the rim of the lower lid.
    end = np.clip(1.25 - x2, 0, 1)
    lash = s.cover(np.abs(y - top) - 0.012 - 0.012 * t.femininity) * end
    s.paint(0.16 * t.skin, 0.9 * np.clip(1.6 * lash, 0, 1), where, "hair")
    crease = np.maximum(1 - np.abs(y - 1.25 * top + 0.055) / 0.03, 0) * np.clip(1.3 - x2, 0, 1)
    rim = np.maximum(1 - np.abs(y - bottom - 0.015) / 0.035, 0) * np.clip(1.1 - x2, 0, 1)
    bag = _bump(across / 1.2, (y - bottom - 0.08) / 0.05)
    s.shade(0.28 * crease + 0.30 * rim + (0.05 + 0.15 * t.age) * bag, where)


def _brows(s):
    t, e = s.t, s.e
    base = t.eye_height - t.brow_height
    where = s.window(0.70, base - 0.34, base + 0.30)
    u, v = s.u[where], s.v[where]
    inner, outer = t.eye_spacing - 0.20 + e.brow_gap, t.eye_spacing + 0.23
    along = (np.abs(u) - inner) / (outer - inner)
    left, right = base - t.brow_slope + e.brow_inner, base + t.brow_slope + 0.03 + e.brow_outer
    middle = base - t.brow_arch + e.brow_middle
    # The parabola through the three heights that the muscles of the brow move.
    height = left + along * (4 * middle - 3 * left - right + along * 2 * (left + right - 2 * middle))
    thickness = t.brow_thickness * (1.1 - 0.35 * t.femininity) * np.clip(1.15 - 0.75 * along, 0.2, 1.15)
    brow = s.cover(np.maximum(np.abs(v - height) - thickness, np.abs(along - 0.5) - 0.5))
    tone = np.minimum(0.8 * s.hair, 0.55 * t.skin)
    s.paint(tone, 0.88 * np.clip(1.3 * brow, 0, 1), where, "hair")


def _hair(s):
    t = s.t
    length = _hair_length(t)
    reach = 0.5 + 0.25 * t.hair_length + 1.3 * length
    outline = _outer_hair(s, reach)
    # The face looks out of an oval opening whose top is the hairline, drawn to the side of the parting.
    x = (s.u - t.parting * np.maximum(-s.v - 0.2, 0)) / (t.head_width - 0.04 - 0.05 * length)
    v = s.v - 0.1
    y = np.maximum(v, 0) / (1.05 + length) + np.minimum(v, 0) / (0.1 - t.hairline)
    x2, y2 = x * x, y * y
    opening = (0.4 * (x2 + y2) + 0.6 * (x2 * x2 + y2 * y2) - 1) * 0.3
    hair = s.cover(np.maximum(outline, -opening)) * _hair_presence(t)
    # Locks run out from the parting.
    lock = s.head_u - t.parting + 0.5 * s.head_v * (s.head_u - t.parting)
    locks = _wave(2.9 * lock + t.hair_waves * s.head_v) - 0.5
    light = 0.95 + 0.8 * t.light_x * s.head_u + 0.22 * _bump(s.head_u / 0.9, (s.head_v + 0.78) / 0.35)
    s.paint((s.hair + 0.03) * (light + 0.18 * locks), hair, tint="hair")


def _glasses(s):
    t = s.t
    where = s.window(1.0, t.eye_height - 0.30, t.eye_height + 0.34)
    u, v = s.u[where], s.v[where]
    x = (np.abs(u) - t.eye_spacing) / (t.eye_spacing - 0.075)
    y = (v - t.eye_height - 0.03) / (0.17 + 0.06 * t.glasses_shape)
    x2, y2 = x * x, y * y
    ring = np.abs(x2 + y2 + 0.7 * (1 - t.glasses_shape) * (x2 * x2 + y2 * y2 - x2 - y2) - 1) * 0.10 - 0.012
    bridge = np.maximum(np.abs(v - t.eye_height + 0.03) - 0.02, np.abs(np.abs(u) - 0.04) - 0.05)
    temple = np.maximum(np.abs(v - t.eye_height + 0.02) - 0.015, 0.6 - np.abs(u))
    frame = s.cover(np.minimum(np.minimum(ring, bridge), temple)) * s.skin[where]
    s.paint(
        0.08 + 0.72 * toyfaces_scene.ramp(t.glasses_shape, 0.6, 0.7),
        0.85 * frame * toyfaces_scene.ramp(t.glasses, 0.80, 0.82),
        where,
    )
