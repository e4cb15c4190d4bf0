"""What a campaign showed, from its history alone: figures as JSON, one page, one set of tables.

Law: a report is a function of the history. It starts nothing, asks nobody and drops nothing: what
was void, aborted or never run stands in it beside what passed.
"""
