"""The commands, as `autoslicer` and as `kubectl autoslicer`."""
