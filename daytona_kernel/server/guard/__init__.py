"""The program beside a box that Landlock isolates, and the program that enters the Landlock domain.

Both start with a few modules of the standard library and those of this folder. `process` starts the sandbox
in the domain and answers what its filter asks.
"""
