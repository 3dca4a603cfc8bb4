"""The backstory command."""
