"""The settings: one table of them, the places where their values come from, and the values in force.

`account`, `machine` and `sandbox` declare the settings, `table` joins them, and `kinds` has the kinds of
values. `user_file` and `notebook` read two of the places. `resolution` puts all places in their order, and
`combinations` refuses settings that no sandbox can have together.
"""
