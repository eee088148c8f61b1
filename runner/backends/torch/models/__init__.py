"""The architectures that the torch backend trains, one folder each, and the layers that they share."""
