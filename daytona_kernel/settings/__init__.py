"""The settings: one table of them, the places where their values come from, and the values in force.

`declarations` has the table, and `kinds` says what values look like. `user_file` and `notebook` read two of
the places. `resolution` puts all places in their order, and `combinations` refuses what no sandbox can be.
"""
