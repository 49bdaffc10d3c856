"""Search spaces, quasirandom draws and rule versions."""
