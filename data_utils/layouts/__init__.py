"""The layouts of files that can be read and written, and what their readers share."""
