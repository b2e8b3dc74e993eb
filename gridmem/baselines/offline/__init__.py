"""Methods that learn from recorded play."""
