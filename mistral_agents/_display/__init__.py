"""The rendering room: what people see of an object in a notebook, in a terminal and on a page.

`_views` says which blocks an object is made of; `_html`, `_markdown` and `_terminal` draw blocks. Templates escape by
themselves (Jinja2), and all of it is loaded when something is drawn, never before.
"""
