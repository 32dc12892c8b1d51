"""The colours of the report by what they are for, in light and dark.

Blue means matches and the model, orange non-matches: the two differ for every kind of colour
vision. Text has a contrast of at least 4.5 to its ground in both schemes.
"""

LIGHT = {
    "ground": "#f6f7f9",
    "surface": "#ffffff",
    "raised": "#f1f3f6",
    "ink": "#141a24",
    "muted": "#5a6473",
    "faint": "#98a1ae",
    "line": "#dde1e7",
    "grid": "#eceff3",
    "blue": "#2461d8",
    "orange": "#c4620a",
    "green": "#15803d",
    "violet": "#7c3aed",
    "red": "#c02b2b",
}

DARK = {
    "ground": "#0e1116",
    "surface": "#161b22",
    "raised": "#1e252e",
    "ink": "#e8edf4",
    "muted": "#9aa6b5",
    "faint": "#667182",
    "line": "#2c3440",
    "grid": "#222a34",
    "blue": "#6ba1ff",
    "orange": "#f2a65a",
    "green": "#56c278",
    "violet": "#b794ff",
    "red": "#ff7b72",
}
