"""`python -m tools.docs [--check]`: write the generated pages, or say which are stale."""

import sys

from tools.docs import commands, errors, invariants, openapi, page, settings

#: Every generated page: a module with its PATH and its `render`.
PAGES = (settings, commands, errors, openapi, invariants)


def main() -> int:
    """Write each page; with `--check` write none and give 1 when one differs from its file."""
    wrong = 0
    for problem in invariants.problems():
        print(f"{invariants.PATH}: {problem}")
        wrong = 1
    for module in PAGES:
        path = page.ROOT / module.PATH
        try:
            text = module.render()
        except ValueError as error:
            print(f"{module.PATH}: {error}")
            wrong = 1
            continue
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if "--check" in sys.argv:
            print(f"{module.PATH} is stale: run `make docs` and commit what it wrote.")
            wrong = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote {module.PATH}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
