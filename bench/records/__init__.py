"""What runs leave behind: plain data, read and written. Imports nothing else of bench."""
