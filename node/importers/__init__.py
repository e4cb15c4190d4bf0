"""What is to be imported: Markdown, text, JSON, and the exports of chat assistants.

Law: pure functions over text. One input gives the same memories with the same ids every time,
so importing twice stores once. Nothing is dropped silently: what cannot be read is an error
with file and line, and what is left out is counted with its reason.
"""
