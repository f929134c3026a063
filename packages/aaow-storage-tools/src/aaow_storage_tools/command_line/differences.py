"""What a comparison of two stores found, as a command shows it."""

from aaow_storage_tools import Comparison
from aaow_storage_tools.command_line.terminal import Terminal

SHOWN = 20
"""How many differences people are shown."""


def show_comparison(terminal: Terminal, comparison: Comparison) -> None:
    """Print how many records were compared, and what differs; for programs, a line for each difference."""
    compared = sum(comparison.compared.values())
    equal = "all are equal" if comparison.is_equal else f"{comparison.found:,} differ"
    terminal.print_record({"compared": f"{compared:,} records, {equal}"})
    rows = [
        {"problem": each.problem.value, "kind": each.kind, "id": each.id, "fields": ", ".join(each.fields)}
        for each in comparison.differences
    ]
    if rows:
        terminal.print("")
        terminal.print_table(rows[:SHOWN], columns=["problem", "kind", "id", "fields"])
        if comparison.found > SHOWN:
            terminal.print(f"... and {comparison.found - SHOWN:,} more")
    for row in comparison.differences:
        terminal.emit_line("difference", row.to_dict())
