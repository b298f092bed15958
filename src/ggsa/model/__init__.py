"""An encoder whose attention takes a pattern."""
