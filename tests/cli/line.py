"""The command line as a test drives it: the real application on a real SQLite file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from punchgate import cli


@dataclass(frozen=True, slots=True)
class Said:
    """What one command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def one(self) -> Any:
        """Give the one JSON object on stdout."""
        (line,) = self.many
        return line

    @property
    def many(self) -> list[Any]:
        """Give the JSON objects on stdout, one from each line."""
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Line:
    """A command line whose data lies in a directory of its own."""

    data: Path

    def run(self, *words: str, answer: str | None = None) -> Said:
        """Run a command on the directory; `answer` is what stands on stdin."""
        return self.plain(*words, "--data", str(self.data), answer=answer)

    def json(self, *words: str) -> Said:
        """Run a command on the directory and ask for JSON."""
        return self.run(*words, "--json")

    def plain(self, *words: str, answer: str | None = None) -> Said:
        """Run a command exactly as given."""
        # Wide enough that no message is folded.
        result = CliRunner(env={"COLUMNS": "400", "NO_COLOR": "1"}).invoke(
            cli.app, words, input=answer
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def replay(self, *uploads: dict[str, Any]) -> Any:
        """Feed uploads in and give the tally."""
        capture = self.data / "capture.jsonl"
        capture.write_text("".join(json.dumps(upload) + "\n" for upload in uploads))
        return self.json("replay", str(capture)).one
