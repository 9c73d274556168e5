//! All ports in memory, with a hand-turned clock.
