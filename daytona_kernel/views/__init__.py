"""Logs in notebooks: live in a widget while a command runs, then saved as HTML and text."""

WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"
