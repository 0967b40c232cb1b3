"""The routes' handlers: they read a request, call what does the work, and write the answer."""
