"""Erased bytes leave: the log is cut, the file rewritten, copies dropped, and it is told when.

Law: nothing here decides what is erased; that is in the log. Here is only when its bytes go.
"""
