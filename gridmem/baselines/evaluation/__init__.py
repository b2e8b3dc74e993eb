"""Agents played on levels that they were not trained on."""
