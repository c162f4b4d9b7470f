"""`python -m tools.lint`: run our own lints over the tree and print what they find.

What ruff, mypy and import-linter can say is theirs to say; these few know our rules.
"""

import sys
from pathlib import Path

from tools.lint import doors, source, text, words

#: Every lint; a new one is a function here and a planted violation in tests/architecture.
LINTS = (
    doors.receipts,
    doors.store_arguments,
    words.glossary,
    words.published,
    text.sizes,
    text.excuses,
    text.promises,
    text.places,
)


def main() -> int:
    """Print each finding as `file:line: message`; 1 if there is any."""
    sources = source.load(Path(__file__).resolve().parents[2])
    findings = sorted(finding for lint in LINTS for finding in lint(sources))
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.message}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
