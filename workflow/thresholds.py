"""Write the table of thresholds in docs/limit.md from the constants in deepfact/limit/.

What each of them decides is said once, beside its value. `python -m workflow.thresholds` writes the
table.
"""

import re
from pathlib import Path

PAGE = Path("docs/limit.md")
CODE = Path("deepfact/limit")

TABLE = re.compile(r"(?<=\|---\|---\|---\|\n).*\Z", re.DOTALL)
CONSTANT = re.compile(
    r"^([A-Z_]+(?:, [A-Z_]+)*) = ([\d(){.:*, e+}-]+?)(?:  # (.+))?$", re.MULTILINE
)


def render(text, folder):
    """Put a row for each constant number of a folder's files behind the text, as its last table."""
    rows = []
    for path in sorted(folder.glob("*.py")):
        for names, value, comment in CONSTANT.findall(path.read_text(encoding="utf-8")):
            if not comment:
                raise ValueError(f"{path}: say what {names} decides, in a comment beside its value")
            decides = comment.replace("|", r"\|")
            rows.append(f"| `{path.name}` `{names}` | `{value}` | {decides} |\n")
    return TABLE.sub(lambda _: "".join(rows), text)


def main():
    """Write docs/limit.md anew."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(render(text, CODE), encoding="utf-8")


if __name__ == "__main__":
    main()
