"""Columns, as Go's tabwriter makes them, and the server's tables."""

from __future__ import annotations

from epkit.kubectl.builtin.tables import TablePrinter, align

TABLE = {
    "columnDefinitions": [
        {"name": "Name", "format": "name", "priority": 0},
        {"name": "Ready", "priority": 0},
        {"name": "Node", "priority": 1},
    ],
    "rows": [
        {
            "cells": ["web", "1/1", "node-1"],
            "object": {"metadata": {"namespace": "shop", "labels": {"app": "web", "x/team": "red"}}},
        }
    ],
}


def test_columns_are_at_least_six_wide_and_three_apart() -> None:
    assert align("A\tLONGER NAME\tC\n1\t2\t3\n") == "A     LONGER NAME   C\n1     2             3\n"


def test_the_last_cell_of_a_line_is_not_padded_but_empty_cells_before_it_are() -> None:
    assert align("NAME\tTEAM\nweb\t\n") == "NAME   TEAM\nweb    \n"


def test_a_column_ends_where_a_line_lacks_it() -> None:
    assert align("a\tb\nline\nlonger\tb\n", minimum=0, padding=2) == "a  b\nline\nlonger  b\n"


def test_wide_cells_need_wide() -> None:
    assert align(TablePrinter().text(TABLE)) == "NAME   READY\nweb    1/1\n"
    assert align(TablePrinter(wide=True).text(TABLE)) == "NAME   READY   NODE\nweb    1/1     node-1\n"


def test_namespace_kind_and_labels() -> None:
    printer = TablePrinter(namespace=True, kind="pod", show_labels=True, label_columns=["x/team", "zone"])
    assert printer.text(TABLE) == (
        "NAMESPACE\tNAME\tREADY\tTEAM\tZONE\tLABELS\nshop\tpod/web\t1/1\tred\t\tapp=web,x/team=red\n"
    )


def test_the_header_comes_again_only_for_other_columns() -> None:
    printer = TablePrinter()
    assert printer.text(TABLE).count("NAME") == 1
    assert printer.text(TABLE | {"columnDefinitions": []}) == "web\t1/1\n"
    other = TABLE | {"columnDefinitions": [{"name": "Other", "priority": 0}]}
    assert printer.text(other) == "OTHER\nweb\n"


def test_a_table_without_rows_prints_nothing() -> None:
    assert TablePrinter().text(TABLE | {"rows": []}) == ""


def test_a_cell_ends_at_its_first_line() -> None:
    row = {"cells": ["two\nlines", 3], "object": {}}
    assert TablePrinter(headers=False).text(TABLE | {"rows": [row]}) == "two...\t3\n"
