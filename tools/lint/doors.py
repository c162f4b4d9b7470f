"""What imports cannot say: who builds a receipt, who writes a punch, what a store function takes.

Holds invariant I1 from the outside: an acknowledgement can be made only from a receipt, and a
receipt only after the commit, in one function. The import contracts of pyproject.toml do the rest.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from tools.lint.source import Finding, Source

_PACKAGE: Final = "src/punchgate/"
_ONE_DOOR: Final = "src/punchgate/usecases/punches.py"
_STORE: Final = "src/punchgate/store/"

#: Files of the store whose functions are not questions or changes of one account, and why.
OTHER_STORE_FILES: Final = {
    "committer_postgres.py": "makes transactions instead of taking them",
    "committer_sqlite.py": "makes transactions instead of taking them",
    "database.py": "opens the database and hands out transactions",
    "error.py": "says what failed; no statement",
    "fact.py": "values that the writer takes and gives; no statement",
    "failure.py": "the log line of a failure; no statement",
    "insert_sqlite.py": "the text of an INSERT; no statement is run",
    "locks.py": "numbers of locks, and holding them",
    "migrate.py": "brings a whole database to the newest schema",
    "parcel.py": "what a server and its writing process say to each other; no statement",
    "rebase.py": "makes transactions instead of taking them, before the store is open",
    "record.py": "the statements of one group, which holds punches of many accounts",
    "record_postgres.py": "the same in PostgreSQL's words",
    "roster.py": "the people that one writer remembers, of all accounts",
    "schema.py": "the tables",
    "sqlite_file.py": "opens the file; no transaction yet",
    "writer.py": "makes transactions instead of taking them",
    "writer_channel.py": "speaks of processes, not of rows",
    "writer_child.py": "makes transactions instead of taking them",
    "writer_postgres.py": "makes transactions instead of taking them",
    "writer_process.py": "makes transactions instead of taking them",
    "writer_sqlite.py": "makes transactions instead of taking them",
}

#: Store functions that take no account, and why.
WITHOUT_ACCOUNT: Final = {
    "accounts.add": "makes the account",
    "accounts.find": "looks an account up by its name",
    "accounts.find_no": "looks an account up by its name",
    "accounts.list_accounts": "lists the accounts of the installation",
    "leases.attend": "a process stands above the accounts",
    "leases.count_live": "endpoints of all accounts are shared among the processes",
    "leases.count_processes": "a process stands above the accounts",
    "leases.leave": "a process stands above the accounts",
    "cursors.last_before": "upkeep goes through all accounts",
    "cursors.prune": "upkeep goes through all accounts; each row names its own",
    "leases.release_all": "a server that starts alone frees what dead ones held, of all accounts",
    "leases.renew": "a process holds leases of many accounts; each row names its own",
    "leases.take": "a process leases endpoints of many accounts; each row names its own",
    "dialect.insert": "begins a statement; whoever ends it names the account",
    "dialect.now": "the database's clock is everybody's",
    "devices.find_serial": "the account follows from the device",
    "devices.find_unclaimed": "a serial that nobody has claimed has no account",
    "devices.forget_unclaimed": "a serial that nobody has claimed has no account",
    "devices.list_unclaimed": "a serial that nobody has claimed has no account",
    "events.with_news": "one question for all accounts that wait; each place names its own",
    "keys.find_anywhere": "the account follows from the key",
    "keys.note_uses": "one batch for all accounts; each row names its own",
    "presence.write": "one batch for all accounts; each row names its own",
    "problems.list_subjects": "upkeep goes through all accounts; each row names its own",
    "quarantine.ahead": "upkeep goes through all accounts; each row names its own",
    "quarantine.list_ahead": "our clock is everybody's; each row names its own account",
    "quarantine.prune": "upkeep goes through all accounts; each row names its own",
    "stale.list_changing": "the worker marks for whatever account has other rules",
    "terminals.leave": "a process stands above the accounts",
    "terminals.list_disabled": "one question for all accounts; each row names its own",
    "terminals.list_due": "one question for all accounts; each row names its own",
    "terminals.list_listenable": "one question for all accounts; each row names its own",
    "terminals.list_wanted": "a process holds terminals of many accounts; each row names its own",
    "transitions.list_arrived": "one question for all accounts; each row names its own",
    "transitions.list_silent": "one question for all accounts; each row names its own",
    "transitions.list_untold": "a serial that nobody has claimed has no account",
    "transitions.mark_told": "a serial that nobody has claimed has no account",
    "workdays.count_stale": "a figure of the installation",
    "workdays.is_any_stale": "the worker takes whatever waits, of any account",
    "workdays.next_stale": "the worker takes whatever waits longest, of any account",
}
#: Files about the installation, which stands above the accounts.
_INSTALLATION: Final = ("diagnosis.py", "figures.py", "installation.py")


def receipts(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find receipts built, and punches written, anywhere but behind the one door."""
    for source in sources:
        if not source.is_python() or not source.within(_PACKAGE) or source.within(_ONE_DOOR):
            continue
        for node in ast.walk(source.tree()):
            if not isinstance(node, ast.Call):
                continue
            name = _dotted(node.func)
            if name[-1:] == ["Receipt"]:
                yield Finding(
                    source.path,
                    node.lineno,
                    "A Receipt is built in usecases/punches.py alone: it says that a commit"
                    " reached the disk, and only `record` has waited for that.",
                )
            elif name[-2:] == ["writer", "record"]:
                yield Finding(
                    source.path,
                    node.lineno,
                    "`writer.record` is called in usecases/punches.py alone: every transport"
                    " takes the one door. Call `punches.record(context, …)`.",
                )


def store_arguments(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find store functions that do not take their transaction first and their account second."""
    for source in sources:
        folder, _, file = source.path.rpartition("/")
        if f"{folder}/" != _STORE or not file.endswith(".py") or file in OTHER_STORE_FILES:
            continue
        for node in source.tree().body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield from _arguments(source, file, node)


def _arguments(source: Source, file: str, node: ast.FunctionDef) -> Iterator[Finding]:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    noun = f"{file.removesuffix('.py')}.{node.name}"
    if names[:1] != ["tx"]:
        yield Finding(
            source.path,
            node.lineno,
            f"{noun} must take the transaction `tx` first: whoever calls it decides what is"
            " committed together.",
        )
    elif names[1:2] != ["account"] and noun not in WITHOUT_ACCOUNT and file not in _INSTALLATION:
        yield Finding(
            source.path,
            node.lineno,
            f"{noun} must take the `account` second: every key begins with it, and nothing of"
            " one account is seen by another. A true exception goes into WITHOUT_ACCOUNT of"
            " tools/lint/doors.py, with its reason.",
        )


def _dotted(node: ast.expr) -> list[str]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else names
