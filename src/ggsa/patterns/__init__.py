"""Which tokens may attend to which: rules, tables, modes, positional patterns and controls."""
