"""The stylesheet for highlighted code, made of two of Pygments' styles.

python -m chat.markdown.stylesheet > static/chat/highlight.css
"""

from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

_LIGHT, _DARK = "xcode", "github-dark"
# What code stands on, in each theme; every colour gets at least this contrast against it.
_GROUNDS = {_LIGHT: "f3f4f6", _DARK: "1b1e24"}
_CONTRAST = 4.5


def stylesheet() -> str:
    """CSS for the classes, its colours as custom properties for the light and the dark theme."""
    light, dark = _colours(_LIGHT), _colours(_DARK)
    names = sorted(light.keys() & dark.keys())
    rules = [f".code .{name} {{ color: var(--code-{name}) }}" for name in names]
    emphasis = [
        ".code .ge { font-style: italic }",
        ".code .gs { font-weight: 600 }",
    ]
    return "\n".join(
        [
            "/* Made by `python -m chat.markdown.stylesheet`; change it there. */",
            f":root {{ {_properties(light, names)} }}",
            "@media (prefers-color-scheme: dark) {",
            f"  :root:not([data-theme=light]) {{ {_properties(dark, names)} }}",
            "}",
            f":root[data-theme=dark] {{ {_properties(dark, names)} }}",
            *rules,
            *emphasis,
            "",
        ]
    )


def _properties(colours: dict[str, str], names: list[str]) -> str:
    return " ".join(f"--code-{name}: #{colours[name]};" for name in names)


def _colours(style_name: str) -> dict[str, str]:
    """Readable colour of each class. "Error" is left out: a half-written line is no mistake."""
    style = get_style_by_name(style_name)
    colours = {}
    for token, name in STANDARD_TYPES.items():
        colour = style.style_for_token(token)["color"]
        if name and colour and name != "err":
            colours[name] = _readable(colour, _GROUNDS[style_name])
    return colours


def _readable(colour: str, ground: str) -> str:
    """The colour moved towards black or white until it can be read on its ground."""
    goal = 0 if _luminance(ground) > 0.5 else 255
    parts = [int(colour[i : i + 2], 16) for i in (0, 2, 4)]
    for _ in range(40):
        text = "".join(f"{part:02x}" for part in parts)
        bright, dim = sorted((_luminance(text), _luminance(ground)), reverse=True)
        if (bright + 0.05) / (dim + 0.05) >= _CONTRAST:
            break
        parts = [round(part + (goal - part) * 0.08) for part in parts]
    return text


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


if __name__ == "__main__":
    print(stylesheet(), end="")
